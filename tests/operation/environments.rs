//! What plugins declare that they need, installed apart from each other: what an operator and a client see of it.
//!
//! The packages are made here, and installers are kept from every index: nothing is fetched.

mod damage;
mod failed;
mod installers;
mod interpreters;
mod kit;
mod services;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::http::PATIENCE;
use crate::support::server::{Server, run};
use crate::support::session::{Session, text_of};
use crate::support::{s, until};
use kit::{LIBRARY, Place, is_served, unserved};

/// To make an environment takes seconds, and many times that where others compute.
const INSTALLED: Duration = s(120);

/// The version of the library that a plugin finds.
fn version(server: &Server, plugin: &str) -> String {
    let mut session = Session::ready(server.address());
    let result = session.call(&format!("{plugin}__version"), json!({}));
    text_of(&result).to_owned()
}

#[test]
fn two_plugins_with_conflicting_pins_both_work_and_again_without_any_packages() {
    let place = Place::new();
    place.plugin("old", &format!("{LIBRARY}==1.0\n"));
    place.plugin("new", &format!("{LIBRARY}==2.0\n"));
    place.plugin("bad", &format!("{LIBRARY}==9.9\n"));
    place.folder.add("ready", kit::PLAIN);
    let server = Server::start(&place.setup());
    // Nothing that is installed holds up the others.
    server.ready();
    assert!(is_served(&server, "ready__run"));
    for (plugin, expected) in [("old", "1.0"), ("new", "2.0")] {
        until("it is served", INSTALLED, || {
            is_served(&server, &format!("{plugin}__version")).then_some(())
        });
        assert_eq!(version(&server, plugin), expected);
    }
    let fault = until("it has failed", INSTALLED, || {
        unserved(&server, "bad").filter(|fault| fault["class"] == "dependencies")
    });
    let reason = fault["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&format!("{LIBRARY}==9.9")), "{reason}");
    server.logs(&["bad is not served: what its requirements.txt asks for could not"]);
    drop(server);
    let server = Server::start(&place.setup_without_packages());
    server.ready();
    for (plugin, expected) in [("old", "1.0"), ("new", "2.0")] {
        assert!(
            is_served(&server, &format!("{plugin}__version")),
            "{}",
            server.log()
        );
        assert_eq!(version(&server, plugin), expected);
    }
}

#[test]
fn what_the_interpreter_has_already_is_not_installed() {
    let place = Place::new();
    place.plugin("old", &format!("{LIBRARY}>=1,<2 # as ever\n"));
    let installed = place.installed("1.0");
    // With what pip can judge, and without a pip.
    let bare = place.path("bare");
    let made = std::process::Command::new("python3")
        .args(["-m", "venv", "--without-pip"])
        .arg(&bare)
        .status();
    assert!(made.expect("there is Python").success());
    for python in [std::path::PathBuf::from("python3"), bare.join("bin/python")] {
        let server = Server::start(
            &place
                .setup_without_packages()
                .variable("MCP_PYTHON", python)
                .variable("PYTHONPATH", &installed),
        );
        server.ready();
        assert_eq!(version(&server, "old"), "1.0");
        assert_eq!(place.environments(), 0);
    }
}

#[test]
fn without_environments_plugins_run_as_they_did() {
    let place = Place::new();
    place.plugin("old", &format!("{LIBRARY}==1.0\n"));
    let server = Server::start(&place.setup().variable("MCP_PLUGIN_ENVS", "off"));
    server.ready();
    let fault = unserved(&server, "old").expect("it has no library");
    assert_eq!(fault["class"], "no_answer", "{fault}");
    assert_eq!(place.environments(), 0);
}

#[test]
fn a_kill_in_the_middle_leaves_nothing_that_is_taken_for_whole() {
    let place = Place::new();
    place.plugin("old", &format!("{LIBRARY}==1.0\n"));
    let begun = place.path("begun");
    // An installer that has made half of an environment, and hangs.
    let program = format!(
        "#!/bin/sh\nfor last; do :; done\nmkdir -p \"$last/bin\" && ln -s /bin/sh \"$last/bin/python\" && touch {} && exec \
         sleep 1000\n",
        begun.display()
    );
    place.program("uv", &program);
    let mut server = Server::start(&place.setup().variable("PATH", place.path_with_programs()));
    until("it is half made", PATIENCE, || begun.exists().then_some(()));
    server.signal(Signal::KILL);
    server.ends_within(PATIENCE);
    assert_eq!(place.environments(), 0);
    drop(server);
    let server = Server::start(&place.setup());
    until("it is made", INSTALLED, || {
        is_served(&server, "old__version").then_some(())
    });
    assert_eq!(version(&server, "old"), "1.0");
    assert_eq!(place.directories(), 1, "what was half made is gone");
}

#[test]
fn a_changed_declaration_is_another_environment_and_calls_find_it() {
    let place = Place::new();
    let plugin = place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let server = Server::start(&place.setup());
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    // Often enough for a warm interpreter, where there is one.
    for _ in 0..4 {
        assert_eq!(version(&server, "one"), "1.0");
    }
    std::fs::write(plugin.join("requirements.txt"), format!("{LIBRARY}==2.0\n"))
        .expect("it is ours");
    until("calls find the other one", INSTALLED, || {
        (version(&server, "one") == "2.0").then_some(())
    });
    assert_eq!(place.environments(), 2);
}

#[test]
fn two_servers_make_an_environment_once() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let mut servers = [Server::start(&place.setup()), Server::start(&place.setup())];
    for server in &servers {
        until("it is served", INSTALLED, || {
            is_served(server, "one__version").then_some(())
        });
        assert_eq!(version(server, "one"), "1.0");
    }
    // What is logged may be written a moment later, and in the end it is.
    for server in &mut servers {
        server.signal(Signal::TERM);
        server.ends_within(PATIENCE);
    }
    let made = servers
        .iter()
        .filter(|server| server.log().contains("its environment is ready"));
    assert_eq!(made.count(), 1);
    assert_eq!(place.directories(), 1);
}

#[test]
fn without_an_index_a_plugin_that_can_do_without_is_served_as_before() {
    let place = Place::new();
    place.folder.add("lazy", kit::PLAIN);
    place.declare("lazy", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    place.plugin("eager", &format!("{LIBRARY}==2.0\n"));
    let server = Server::start(&place.setup_without_index());
    until("it is served", INSTALLED, || {
        is_served(&server, "lazy__run").then_some(())
    });
    let fault = until("it has failed", INSTALLED, || {
        unserved(&server, "eager").filter(|fault| fault["class"] == "dependencies")
    });
    let reason = fault["reason"].as_str().unwrap_or_default();
    for part in ["could not be installed", "smcp_test_lib", LIBRARY] {
        assert!(reason.contains(part), "{reason}");
    }
    server.logs(&[
        "WARN",
        "lazy: what its requirements.txt asks for could not be installed",
    ]);
}

#[test]
fn what_worked_without_an_environment_is_served_at_once_and_never_lost_to_one() {
    let place = Place::new();
    let python = place.interpreter_with("smcp_test_other");
    let (_, release) = place.held_installer();
    for (name, program, asks) in [
        ("unfit", kit::UNFIT, "1.0"),
        ("fewer", kit::FEWER, "1.0"),
        ("lazy", kit::LAZY, "1.0"),
        ("typo", kit::PLAIN, "9.9"),
    ] {
        place.folder.add(name, program);
        let declared = format!("{LIBRARY}=={asks}\n");
        place.declare(name, "requirements.txt", &declared);
    }
    let setup = place.setup().variable("PATH", place.path_with_programs());
    let server = Server::start(&setup.variable("MCP_PYTHON", python));
    server.ready();
    let tools = [
        "unfit__run",
        "fewer__run",
        "fewer__more",
        "lazy__version",
        "typo__run",
    ];
    let all_are_served = || tools.iter().all(|tool| is_served(&server, tool));
    assert!(all_are_served(), "{}", server.log());
    std::fs::write(release, "").expect("there is room");
    for (plugin, why) in [
        ("unfit", "made for another version"),
        ("fewer", "without fewer__more"),
        ("typo", "9.9"),
    ] {
        let fault = until("it is told", INSTALLED, || kit::outdated(&server, plugin));
        assert_eq!(fault["class"], "dependencies", "{fault}");
        assert!(
            fault["reason"]
                .as_str()
                .is_some_and(|text| text.contains(why)),
            "{fault}"
        );
        server.logs(&["WARN", &format!("{plugin}: "), why]);
        assert!(all_are_served(), "{}", server.log());
    }
    // What it imports only when it is called is in its environment.
    until("its environment runs it", INSTALLED, || {
        (version(&server, "lazy") == "1.0").then_some(())
    });
    assert!(kit::outdated(&server, "lazy").is_none());
    let mut session = Session::ready(server.address());
    assert_eq!(text_of(&session.call("fewer__more", json!({}))), "ran");
    drop((session, server));
    // Without any environment in between, a server that starts finds the same.
    let server = Server::start(
        &place
            .setup_without_packages()
            .variable("MCP_PYTHON", place.path("with-others/bin/python")),
    );
    server.ready();
    assert!(tools.iter().all(|tool| is_served(&server, tool)));
    assert_eq!(version(&server, "lazy"), "1.0");
}

#[test]
fn what_an_interpreter_has_is_found_behind_what_is_declared() {
    let place = Place::new();
    place.folder.add("undeclared", kit::UNDECLARED);
    place.declare(
        "undeclared",
        "requirements.txt",
        &format!("{LIBRARY}==1.0\n"),
    );
    // The interpreter has the library too, in another version.
    let python = place.interpreter_with("smcp_test_other");
    let packages = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let asked = std::process::Command::new(&python)
        .args(["-c", packages])
        .output()
        .expect("it runs");
    let packages = String::from_utf8(asked.stdout).expect("it is text");
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(place.installed("2.0").join("."))
        .arg(packages.trim())
        .status();
    assert!(copied.expect("it runs").success());
    let server = Server::start(&place.setup().variable("MCP_PYTHON", python));
    until("its environment runs it", INSTALLED, || {
        (version(&server, "undeclared") == "1.0").then_some(())
    });
    assert!(kit::outdated(&server, "undeclared").is_none());
}

#[test]
fn an_index_that_stays_silent_does_not_hold_up_what_works_without_it() {
    let place = Place::new();
    place.folder.add("lazy", kit::PLAIN);
    place.declare("lazy", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    place.program("uv", "#!/bin/sh\nexec sleep 1000\n");
    let setup = place.setup().variable("PATH", place.path_with_programs());
    let output = run(&setup
        .variable("MCP_PLUGINS_DIR", place.folder.path())
        .argument("call")
        .argument("lazy__run"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ran\n", "{err}");
}

#[test]
fn a_script_and_a_project_say_what_they_need_as_well() {
    let place = Place::new();
    let script = format!(
        "# /// script\n# dependencies = [\"{LIBRARY}==1.0\"]\n# ///\n{}",
        kit::PROGRAM
    );
    place.folder.add("script", &script);
    place.folder.add("project", kit::PROGRAM);
    let project =
        format!("[project]\nname = \"x\"\nversion = \"1\"\ndependencies = [\"{LIBRARY}==2.0\"]\n");
    place.declare("project", "pyproject.toml", &project);
    let server = Server::start(&place.setup());
    for (plugin, expected) in [("script", "1.0"), ("project", "2.0")] {
        until("it is served", INSTALLED, || {
            is_served(&server, &format!("{plugin}__version")).then_some(())
        });
        assert_eq!(version(&server, plugin), expected);
    }
}

#[test]
fn uv_makes_environments_where_it_is_installed() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    place.program("uv", &kit::uv(&place.path("book")));
    let server = Server::start(&place.setup().variable("PATH", place.path_with_programs()));
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    assert_eq!(version(&server, "one"), "1.0");
    let book = std::fs::read_to_string(place.path("book")).expect("it was asked");
    let asked: Vec<&str> = book.lines().collect();
    assert!(
        asked[0].starts_with("venv --quiet --no-project --python /"),
        "{book}"
    );
    assert!(
        asked[1].starts_with("pip install --compile-bytecode --python /"),
        "{book}"
    );
}

#[test]
fn a_cache_directory_that_cannot_be_written_to_is_no_end_of_a_plugin() {
    let place = Place::new();
    place.folder.add("lazy", kit::PLAIN);
    place.declare("lazy", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    // A file where the directory would be: root may write to a directory that nobody may write to.
    let file = place.path("file");
    std::fs::write(&file, "").expect("there is room");
    let server = Server::start(&place.setup().variable("MCP_CACHE_DIR", &file));
    until("it is served", INSTALLED, || {
        is_served(&server, "lazy__run").then_some(())
    });
    server.logs(&[
        "WARN",
        "lazy: what its requirements.txt asks for",
        "cannot be used",
    ]);
}

#[test]
fn others_cannot_look_into_environments_and_installers_see_no_key() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let book = place.path("book");
    let program = format!(
        "#!/bin/sh\nenv >>{book}\necho END >>{book}\nexit 1\n",
        book = book.display()
    );
    place.program("uv", &program);
    let setup = place.setup().variable("PATH", place.path_with_programs());
    let _server = Server::start(
        &setup
            .variable("MCP_API_KEY", "correct-horse-battery")
            .variable("PIP_INDEX_URL", "x:y"),
    );
    let seen = until("it was run", INSTALLED, || {
        let seen = std::fs::read_to_string(&book).ok()?;
        seen.contains("\nEND\n").then_some(seen)
    });
    assert!(
        seen.contains("PIP_INDEX_URL=x:y") && !seen.contains("correct-horse-battery"),
        "{seen}"
    );
    let metadata = std::fs::metadata(place.cache().join("environments")).expect("it is there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_server_that_ends_ends_what_it_installs() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let begun = place.path("begun");
    let program = format!("#!/bin/sh\ntouch {}\nsleep 1000 & wait\n", begun.display());
    place.program("uv", &program);
    let mut server = Server::start(&place.setup().variable("PATH", place.path_with_programs()));
    until("it has begun", PATIENCE, || begun.exists().then_some(()));
    server.signal(Signal::TERM);
    assert!(server.ends_within(PATIENCE).success());
    // The guard of the server looks for processes that are left.
}

#[test]
fn commands_that_run_once_wait_for_what_is_installed() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let output = run(&place
        .setup()
        .variable("MCP_PLUGINS_DIR", place.folder.path())
        .argument("call")
        .argument("one__version"));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(out, "1.0\n", "{err}");
    assert!(err.contains("one: its environment is made"), "{err}");
}

#[test]
fn what_is_declared_anew_meanwhile_is_installed_and_what_was_declared_before_is_not_taken_for_it() {
    let place = Place::new();
    let plugin = place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let (begun, release) = place.held_installer();
    let server = Server::start(&place.setup().variable("PATH", place.path_with_programs()));
    until("it has begun", PATIENCE, || begun.exists().then_some(()));
    let changed = format!("{LIBRARY}==2.0\n");
    std::fs::write(plugin.join("requirements.txt"), changed).expect("it is ours");
    std::fs::write(release, "").expect("there is room");
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    assert_eq!(version(&server, "one"), "2.0");
    assert_eq!(place.environments(), 1);
}

#[test]
fn relative_paths_lead_to_where_they_lead_elsewhere() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let work = place.path("home");
    let interpreter = std::process::Command::new("python3")
        .args(["-m", "venv", "--without-pip", ".venv"])
        .current_dir(&work)
        .status();
    assert!(interpreter.expect("there is Python").success());
    std::os::unix::fs::symlink(place.folder.path(), work.join("plugins")).expect("there is room");
    let setup = place.setup().directory(&work).plugins("plugins");
    let server = Server::start(&setup.variable("MCP_CACHE_DIR", "kept"));
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    assert_eq!(version(&server, "one"), "1.0");
    assert!(work.join("kept/environments").is_dir());
    assert!(!place.folder.path().join("one/kept").exists());
}

/// Runs one of the commands, and gives its status, what it said, and what was wrong.
fn command(place: &Place, words: &[&str]) -> (Option<i32>, String, String) {
    let setup = place
        .setup()
        .variable("MCP_PLUGINS_DIR", place.folder.path());
    let setup = words.iter().fold(setup.argument("plugins"), |setup, word| {
        setup.argument(*word)
    });
    let output = run(&setup);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_repository_is_fetched_from_within_a_hook_of_another_one() {
    let place = Place::new();
    for name in ["greet", "caller"] {
        let directory = place.path(name);
        std::fs::create_dir(&directory).expect("there is room");
        std::fs::write(directory.join("cli.py"), kit::PLAIN).expect("there is room");
        let git = "git init -q && git add . && git -c user.name=t -c user.email=t@t.example commit -qm one";
        let made = std::process::Command::new("sh")
            .args(["-ec", git])
            .current_dir(directory)
            .output();
        assert!(made.expect("there is a shell").status.success());
    }
    let of_caller = place.path("caller").join(".git");
    std::fs::write(place.path("caller").join("mine"), "").expect("there is room");
    let index = || std::fs::read(of_caller.join("index")).expect("it is there");
    let before = index();
    let output = run(&place
        .setup()
        .variable("MCP_PLUGINS_DIR", place.folder.path())
        .variable("GIT_DIR", &of_caller)
        .variable("GIT_WORK_TREE", place.path("caller"))
        .variable("GIT_INDEX_FILE", of_caller.join("index"))
        .argument("plugins")
        .argument("add")
        .argument(format!("file://{}", place.path("greet").display())));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    assert!(place.folder.path().join("greet/cli.py").is_file());
    assert!(index() == before, "the caller's index is another");
    assert!(!of_caller.join("FETCH_HEAD").exists());
    assert!(place.path("caller/mine").exists());
}

/// A program with sub-commands, which a package brings.
const TOOL: &str = "import argparse, sys\n\
    def main():\n    \
    parser = argparse.ArgumentParser(description='Greets people')\n    \
    commands = parser.add_subparsers(dest='command', required=True)\n    \
    hello = commands.add_parser('hello', help='Greets somebody')\n    \
    hello.add_argument('--name', required=True)\n    \
    print('Hello, ' + parser.parse_args().name + '!')\n";

#[test]
fn sync_installs_before_a_start_and_removes_what_nobody_uses() {
    let place = Place::new();
    let plugin = place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    place.folder.add("plain", kit::PLAIN);
    let (status, out, err) = command(&place, &["list"]);
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.contains("environment missing") && out.contains("needs nothing"),
        "{out}"
    );
    let (status, _, err) = command(&place, &["sync"]);
    assert_eq!((status, place.environments()), (Some(0), 1), "{err}");
    std::fs::write(plugin.join("requirements.txt"), format!("{LIBRARY}==2.0\n"))
        .expect("it is ours");
    let (status, out, err) = command(&place, &["sync", "--prune"]);
    assert_eq!((status, place.environments()), (Some(0), 1), "{err}");
    assert!(out.contains("removed 1 environment\n"), "{out}");
    let (_, out, err) = command(&place, &["list", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&out).expect(&err);
    assert_eq!(
        (&rows[0]["name"], &rows[0]["environment"]),
        (&json!("one"), &json!("made"))
    );
    assert_eq!(
        (&rows[1]["name"], &rows[1]["environment"]),
        (&json!("plain"), &json!("none"))
    );
    std::fs::write(plugin.join("requirements.txt"), format!("{LIBRARY}==9.9\n"))
        .expect("it is ours");
    let (status, _, err) = command(&place, &["sync", "--prune"]);
    assert_eq!((status, place.environments()), (Some(1), 1), "{err}");
    assert!(
        err.contains("9.9") && err.contains("nothing is removed"),
        "{err}"
    );
}

#[test]
fn a_program_of_a_package_becomes_a_plugin_in_one_line() {
    let place = Place::new();
    place.wheel(
        "smcp-test-greet",
        "1.5",
        TOOL,
        "smcp-test-greet = smcp_test_greet:main\nother = smcp_test_greet:main\n",
    );
    let (status, out, err) = command(&place, &["add", "smcp-test-greet"]);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("  smcp-test-greet__hello\n"), "{out}");
    let directory = place.folder.path().join("smcp-test-greet");
    let pinned =
        std::fs::read_to_string(directory.join("requirements.txt")).expect("it was written");
    assert_eq!(pinned, "smcp-test-greet==1.5\n");
    assert_eq!((place.environments(), place.directories()), (1, 1), "{err}");
    assert_eq!(err.matches("its environment is made").count(), 1, "{err}");
    let server = Server::start(&place.setup_without_packages());
    server.ready();
    let mut session = Session::ready(server.address());
    let result = session.call("smcp-test-greet__hello", json!({"name": "Ada"}));
    assert_eq!(text_of(&result), "Hello, Ada!");
    let (status, _, err) = command(&place, &["add", "smcp-test-greet"]);
    assert_eq!(status, Some(1));
    assert!(err.contains("is there already"), "{err}");
    let (status, _, err) = command(&place, &["remove", "smcp-test-greet"]);
    assert_eq!((status, directory.exists()), (Some(1), true));
    assert!(err.contains("--yes"), "{err}");
    let (status, _, err) = command(&place, &["remove", "smcp-test-greet", "--yes"]);
    assert_eq!((status, directory.exists()), (Some(0), false), "{err}");
}

#[test]
fn half_an_add_leaves_nothing() {
    let place = Place::new();
    place.wheel(
        "smcp-test-two",
        "1.0",
        TOOL,
        "a = smcp_test_two:main\nb = smcp_test_two:main\n",
    );
    std::fs::create_dir(place.path("empty")).expect("there is room");
    let empty = place.path("empty").display().to_string();
    let gone = format!("file://{}", place.path("gone.git").display());
    std::fs::create_dir(place.path("written")).expect("there is room");
    std::fs::write(place.path("written/cli.py"), kit::PLAIN).expect("there is room");
    let program = place.path("written/cli.py").display().to_string();
    for (words, told) in [
        (
            vec!["smcp-test-nowhere"],
            "smcp-test-nowhere could not be installed",
        ),
        (vec!["smcp-test-two"], "--script NAME, of a, b"),
        (vec!["smcp-test-two", "--script", "c"], "it has a, b"),
        (vec![LIBRARY], "has no program"),
        (vec![&empty], "it is no plugin"),
        (vec![&gone], "git failed"),
        (vec!["./nowhere-at-all"], "is not there; name the directory"),
        (vec![&program], "name the directory that it is in: "),
        (vec!["x", "--name", "../x"], "cannot be a plugin's name"),
        (vec!["x", "--link"], "--link is for a directory"),
        (vec!["-", "--rev", "x"], "neither a directory"),
    ] {
        let (status, out, err) = command(&place, &[&["add"], &words[..]].concat());
        let is_misuse = ["x", "-"].contains(&words[0]);
        assert_eq!(status, Some(1 + i32::from(is_misuse)), "{words:?}: {out}");
        assert!(err.contains(told), "{words:?}: {err}");
        let left = std::fs::read_dir(place.folder.path())
            .expect("it is ours")
            .count();
        assert_eq!(left, 0, "{words:?}");
        assert_eq!(place.directories(), 0, "{words:?}");
        assert!(!err.contains("requirements.txt, then"), "{words:?}: {err}");
    }
}

#[test]
fn a_directory_is_copied_or_linked_and_a_repository_is_fetched_without_its_history() {
    let place = Place::new();
    let from = place.path("greet");
    std::fs::create_dir(&from).expect("there is room");
    std::fs::write(from.join("cli.py"), kit::PLAIN).expect("there is room");
    let git = "git init -q && git add . && git -c user.name=t -c user.email=t@t.example commit -qm one && git tag v1 && \
               echo changed >note && git add . && git -c user.name=t -c user.email=t@t.example commit -qm two";
    let made = std::process::Command::new("sh")
        .args(["-ec", git])
        .current_dir(&from)
        .output();
    assert!(made.expect("there is a shell").status.success());
    let path = from.display().to_string();
    let url = format!("file://{path}");
    for (words, name) in [
        (vec![path.as_str()], "greet"),
        (vec![&path, "--link", "--name", "linked"], "linked"),
        (vec![&url, "--name", "fetched"], "fetched"),
        (vec![&url, "--rev", "v1", "--name", "tagged"], "tagged"),
    ] {
        let (status, out, err) = command(&place, &[&["add"], &words[..]].concat());
        assert_eq!(status, Some(0), "{words:?}: {err}");
        assert!(out.contains(&format!("  {name}__run\n")), "{out}");
        let directory = place.folder.path().join(name);
        assert_eq!(directory.is_symlink(), name == "linked");
        assert_eq!(directory.join(".git").exists(), name == "linked");
        assert_eq!(directory.join("note").exists(), name != "tagged");
    }
    let (_, out, err) = command(&place, &["list"]);
    assert!(
        out.contains(&format!("link to {path}")) && out.contains(&format!("{url} at ")),
        "{out}{err}"
    );
    let (status, _, err) = command(&place, &["remove", "linked", "--yes"]);
    assert_eq!(status, Some(0), "{err}");
    assert!(from.join("cli.py").exists(), "only the link is removed");
    for outside in ["..", ".", "../greet", "", "nothing"] {
        let (status, _, err) = command(&place, &["remove", outside, "--yes"]);
        assert_eq!(status, Some(1), "{outside}: {err}");
    }
    assert!(place.folder.path().join("greet").exists());
}

#[test]
fn a_plugin_whose_environment_is_gone_runs_without_and_asks_for_another_at_times() {
    let place = Place::new();
    place.folder.add("lazy", kit::PLAIN);
    place.declare("lazy", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    place.plugin("eager", &format!("{LIBRARY}==2.0\n"));
    let (status, _, err) = command(&place, &["sync"]);
    assert_eq!(status, Some(0), "{err}");
    let server = Server::start(&place.setup_without_index());
    server.ready();
    assert_eq!(version(&server, "eager"), "2.0");
    // All at once: what learns from the plugin may be writing into it.
    std::fs::rename(place.cache(), place.path("gone")).expect("it is ours");
    let mut session = Session::ready(server.address());
    let answer = session.call("lazy__run", json!({}));
    assert_eq!(text_of(&answer), "ran", "{}", server.log());
    until("it has failed", INSTALLED, || {
        kit::outdated(&server, "eager").filter(|fault| fault["class"] == "dependencies")
    });
    // Who calls again and again begins no installation: that has its pauses.
    let is_made = || {
        server
            .log()
            .matches("eager: its environment is made")
            .count()
    };
    let before = is_made();
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_secs(12) {
        session.call("eager__version", json!({}));
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    assert_eq!(is_made(), before, "{}", server.log());
    assert_eq!(text_of(&session.call("lazy__run", json!({}))), "ran");
}

#[test]
fn an_environment_that_a_server_uses_is_not_removed_by_another() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    let [first, second] =
        ["first", "second"].map(|name| place.interpreter_at(name, "smcp_test_other", ""));
    let server = Server::start(&place.setup().variable("MCP_PYTHON", first));
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    let prune = || {
        let setup = place.setup().variable("MCP_PYTHON", &second);
        let setup = setup.variable("MCP_PLUGINS_DIR", place.folder.path());
        let setup = setup.argument("plugins").argument("sync");
        let output = run(&setup.argument("--prune"));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let said = prune();
    assert!(said.contains("left 1 environment, in use"), "{said}");
    assert_eq!(
        (place.environments(), version(&server, "one")),
        (2, "1.0".to_owned())
    );
    // What is killed holds nothing.
    drop(server);
    let said = prune();
    assert!(said.contains("removed 1 environment\n"), "{said}");
    assert_eq!(place.environments(), 1);
}
