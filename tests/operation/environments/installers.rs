//! Installers that misbehave, and what plugins put in their way.

use super::kit::{self, LIBRARY, Place, is_served};
use super::{INSTALLED, version};
use crate::support::server::{Server, run};
use crate::support::until;

#[test]
fn an_installer_that_says_it_is_done_and_has_made_nothing_is_no_environment() {
    let place = Place::new();
    place.folder.add("lazy", kit::PLAIN);
    place.declare("lazy", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    // One that makes an empty directory, and one that leaves an interpreter out that was there.
    let book = place.path("book");
    let program = format!(
        "#!/bin/sh\necho \"$1\" >>{}\nfor last; do :; done\ncase $1 in\n\
         venv) mkdir -p \"$last/bin\" && ln -s /bin/sh \"$last/bin/python\" ;;\n\
         *) while [ \"$1\" != --python ]; do shift; done; rm \"$2\" ;;\nesac\n",
        book.display()
    );
    place.program("uv", &program);
    let server = Server::start(&place.setup().variable("PATH", place.path_with_programs()));
    let fault = until("it is told", INSTALLED, || kit::outdated(&server, "lazy"));
    let reason = fault["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no interpreter"), "{reason}");
    assert!(is_served(&server, "lazy__run"));
    assert_eq!((place.environments(), place.directories()), (0, 0));
    let asked = std::fs::read_to_string(book).expect("it was asked");
    assert_eq!(asked, "venv\npip\n", "it is not tried again at once");
}

#[test]
fn a_uv_that_cannot_begin_is_passed_over_for_pip() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    // As where a shim is left of a uv that was installed once.
    place.program(
        "uv",
        "#!/bin/sh\necho 'uv: command not found' >&2\nexit 127\n",
    );
    let server = Server::start(&place.setup().variable("PATH", place.path_with_programs()));
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    assert_eq!(version(&server, "one"), "1.0");
    server.logs(&["uv", "command not found"]);
}

#[test]
fn modules_of_a_plugin_are_not_taken_for_those_of_an_installer() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    for module in ["logging", "calendar", "runpy"] {
        let raises =
            "if 'pip' in sys.modules or 'venv' in sys.modules: raise RuntimeError('taken')\n";
        place.declare(
            "one",
            &format!("{module}.py"),
            &format!("import sys\n{raises}"),
        );
    }
    let server = Server::start(&place.setup());
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    assert_eq!(version(&server, "one"), "1.0");
}

#[test]
fn what_was_found_on_a_path_of_modules_is_looked_for_again_without_that() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let installed = place.installed("1.0");
    let server = Server::start(
        &place
            .setup_without_packages()
            .variable("PYTHONPATH", &installed),
    );
    server.ready();
    assert_eq!(version(&server, "one"), "1.0");
    drop(server);
    let server = Server::start(&place.setup());
    until("it has an environment", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    assert_eq!(place.environments(), 1);
}

#[test]
fn plugins_that_name_packages_beside_them_alike_get_each_its_own() {
    let place = Place::new();
    let of = |version: &str| format!("smcp_test_library-{version}-py3-none-any.whl");
    for (plugin, version, declared) in [
        (
            "one",
            "1.0",
            format!("--no-index --find-links wheels\n{LIBRARY}\n"),
        ),
        (
            "two",
            "2.0",
            format!("--no-index --find-links wheels\n{LIBRARY}\n"),
        ),
    ] {
        let directory = place.plugin(plugin, &declared);
        std::fs::create_dir(directory.join("wheels")).expect("there is room");
        let wheel = place.path("packages").join(of(version));
        std::fs::copy(wheel, directory.join("wheels").join(of(version))).expect("there is room");
    }
    let server = Server::start(&place.setup_without_packages());
    for (plugin, expected) in [("one", "1.0"), ("two", "2.0")] {
        until("it is served", INSTALLED, || {
            is_served(&server, &format!("{plugin}__version")).then_some(())
        });
        assert_eq!(version(&server, plugin), expected);
    }
}

#[test]
fn an_installer_that_says_the_same_without_end_does_not_fill_the_log() {
    let place = Place::new();
    place.folder.add("lazy", kit::PLAIN);
    place.declare("lazy", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    place.program(
        "uv",
        "#!/bin/sh\nfor last; do :; done\ncase $1 in\n\
         venv) mkdir -p \"$last/bin\" && ln -s /bin/sh \"$last/bin/python\" ;;\n\
         *) yes 'Downloading it' | head -n 5000; echo 'no such thing' >&2; exit 1 ;;\nesac\n",
    );
    let server = Server::start(&place.setup().variable("PATH", place.path_with_programs()));
    let fault = until("it is told", INSTALLED, || kit::outdated(&server, "lazy"));
    let reason = fault["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no such thing"), "{reason}");
    server.logs(&["lazy: Downloading it"]);
    let log = server.log();
    let told = log.matches("lazy: Downloading it").count();
    assert!(told < 1000, "{told} lines");
}

#[test]
fn the_value_of_a_variable_in_a_declaration_is_part_of_it_and_not_shown() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==${{SMCP_TEST_VERSION}}\n"));
    for version in ["1.0", "2.0", "1.0"] {
        let setup = place
            .setup()
            .variable("MCP_PLUGINS_DIR", place.folder.path());
        let setup = setup.variable("SMCP_TEST_VERSION", version);
        let output = run(&setup.argument("call").argument("one__version"));
        let err = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed, format!("{version}\n"), "{err}");
        assert!(!err.contains(&format!("=={version}")), "{err}");
    }
    assert_eq!(place.environments(), 2);
}

#[test]
fn a_plugin_that_was_gone_while_its_environment_was_made_gets_it_when_it_is_back() {
    let place = Place::new();
    let plugin = place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let (begun, release) = place.held_installer();
    let server = Server::start(&place.setup().variable("PATH", place.path_with_programs()));
    until("it has begun", INSTALLED, || begun.exists().then_some(()));
    let away = place.path("away");
    std::fs::rename(&plugin, &away).expect("it is ours");
    std::fs::write(release, "").expect("there is room");
    until("it is over", INSTALLED, || {
        let log = server.log();
        log.contains("its requirements.txt is another one by now")
            .then_some(())
    });
    assert_eq!(place.environments(), 0);
    std::fs::rename(&away, &plugin).expect("it is ours");
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    assert_eq!(version(&server, "one"), "1.0");
}
