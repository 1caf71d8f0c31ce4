//! Interpreters: changed, of another version than a plugin asks for, asked once for all.

use std::path::Path;

use super::kit::{self, LIBRARY, Place, is_served, unserved};
use super::{INSTALLED, version};
use crate::support::plugins::copy_program;
use crate::support::server::{Server, run};
use crate::support::until;

/// What the system's interpreter is.
fn python() -> String {
    let asked = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys._base_executable)"])
        .output();
    let asked = asked.expect("there is Python").stdout;
    String::from_utf8(asked)
        .expect("it is text")
        .trim()
        .to_owned()
}

#[test]
fn an_environment_stays_in_use_when_its_interpreter_is_another_and_none_can_be_made() {
    let place = Place::new();
    place.plugin("one", &format!("{LIBRARY}==1.0\n"));
    // An interpreter whose file can be replaced, as an upgrade does it.
    let prefix = place.path("interpreter");
    std::fs::create_dir_all(prefix.join("bin")).expect("there is room");
    let own = prefix.join("bin/python3");
    let real = python();
    copy_program(Path::new(&real), &own);
    let home = Path::new(&real)
        .ancestors()
        .nth(2)
        .expect("it is within a prefix");
    std::os::unix::fs::symlink(home.join("lib"), prefix.join("lib")).expect("there is room");
    let server = Server::start(&place.setup().variable("MCP_PYTHON", &own));
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    assert_eq!(version(&server, "one"), "1.0");
    drop(server);
    let again = prefix.join("bin/again");
    copy_program(Path::new(&real), &again);
    // To set its time it need not be open for writing, in which state nobody could execute it.
    let file = std::fs::File::open(&again).expect("it is ours");
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(86400);
    file.set_modified(before).expect("it is ours");
    drop(file);
    std::fs::rename(again, &own).expect("it is ours");
    let server = Server::start(&place.setup_without_packages().variable("MCP_PYTHON", &own));
    until("it is served", INSTALLED, || {
        is_served(&server, "one__version").then_some(())
    });
    assert_eq!(version(&server, "one"), "1.0");
    let fault = until("it is told", INSTALLED, || kit::outdated(&server, "one"));
    assert_eq!(fault["class"], "dependencies", "{fault}");
    server.logs(&["WARN", "one: ", "before the interpreter was changed"]);
    drop(server);
    let list = |place: &Place| {
        let setup = place.setup_without_packages().variable("MCP_PYTHON", &own);
        let setup = setup.variable("MCP_PLUGINS_DIR", place.folder.path());
        let output = run(&setup.argument("plugins").argument("list"));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let listed = list(&place);
    for part in ["environment of its own", "make it anew: smcp plugins sync"] {
        assert!(listed.contains(part), "{listed}");
    }
    // With packages, it is replaced.
    let server = Server::start(&place.setup().variable("MCP_PYTHON", &own));
    until("there is another one", INSTALLED, || {
        let is_made = place.environments() == 2 && is_served(&server, "one__version");
        (is_made && kit::outdated(&server, "one").is_none()).then_some(())
    });
    assert_eq!(version(&server, "one"), "1.0");
}

#[test]
fn a_python_that_is_none_of_those_that_are_asked_for_is_told_and_loses_nobody() {
    let place = Place::new();
    let block = "# /// script\n# requires-python = \">=3.99\"\n# ///\n";
    place.folder.add("plain", &format!("{block}{}", kit::PLAIN));
    place
        .folder
        .add("new", &format!("{block}import no_such_module\n"));
    place.plugin("own", &format!("{LIBRARY}==1.0\n"));
    let project = "[project]\nname = \"x\"\nrequires-python = \">=3.98\"\n";
    place.declare("own", "pyproject.toml", project);
    let right = block.replace(">=3.99", ">=3.8");
    place.folder.add("right", &format!("{right}{}", kit::PLAIN));
    let told = |server: &Server| {
        server.ready();
        until("they are served", INSTALLED, || {
            let tools = ["plain__run", "own__version", "right__run"];
            tools
                .iter()
                .all(|tool| is_served(server, tool))
                .then_some(())
        });
        assert_eq!(version(server, "own"), "1.0");
        server.logs(&["WARN", "plain: ", "its cli.py asks for Python >=3.99, and "]);
        server.logs(&[
            "WARN",
            "own: ",
            "its pyproject.toml asks for Python >=3.98, and ",
        ]);
        let fault = unserved(server, "new").expect("it does not answer");
        let reason = fault["reason"].as_str().unwrap_or_default();
        for part in ["no_such_module", "asks for Python >=3.99"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert!(!server.log().contains(">=3.8"), "{}", server.log());
    };
    told(&Server::start(&place.setup()));
    // Told of what is remembered, too.
    told(&Server::start(&place.setup_without_packages()));
    assert_eq!(place.environments(), 1);
    let setup = place.setup_without_packages();
    let setup = setup.variable("MCP_PLUGINS_DIR", place.folder.path());
    let output = run(&setup.argument("plugins").argument("sync"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for part in [
        "plain: its cli.py asks for",
        "own: its pyproject.toml asks for",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn an_interpreter_is_asked_once_for_equal_declarations() {
    let place = Place::new();
    // What it is asked is the program behind `-c`.
    let (book, installed) = (place.path("book"), place.installed("1.0"));
    // It prints something first, as what is run at the start of an interpreter may.
    let counts = format!(
        "print('hello')\nif 'what it can install with' in open('/proc/self/cmdline', errors='replace').read():\n    \
         open({book:?}, 'a').write('asked\\n')\n"
    );
    std::fs::write(installed.join("sitecustomize.py"), counts).expect("there is room");
    let names = ["one", "two", "three", "four", "five", "six"];
    for name in names {
        place.plugin(name, &format!("{LIBRARY}==1.0\n"));
    }
    let setup = place.setup_without_packages();
    let server = Server::start(&setup.variable("PYTHONPATH", &installed));
    until("they are served", INSTALLED, || {
        let mut tools = names.iter().map(|name| format!("{name}__version"));
        tools.all(|tool| is_served(&server, &tool)).then_some(())
    });
    let asked = std::fs::read_to_string(&book).expect("it was asked");
    assert_eq!((asked.as_str(), place.environments()), ("asked\n", 0));
}

#[test]
fn two_virtual_environments_of_one_python_share_no_packages() {
    let place = Place::new();
    let program = kit::UNDECLARED.replace(
        "print(smcp_test_library",
        "print(smcp_test_other.V, smcp_test_library",
    );
    place.folder.add("one", &program);
    place.declare("one", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    // What is found on this path at one start is not there at another.
    let extra = place.path("extra/site-packages");
    std::fs::create_dir_all(&extra).expect("there is room");
    let call = |python: &Path| {
        let setup = place.setup().variable("MCP_PYTHON", python);
        let setup = setup.variable("PYTHONPATH", &extra);
        let setup = setup.variable("MCP_PLUGINS_DIR", place.folder.path());
        let output = run(&setup.argument("call").argument("one__version"));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let [first, second] = ["first", "second"].map(|name| {
        let text = format!("V = '{name}'\n");
        place.interpreter_at(name, "smcp_test_other", &text)
    });
    for (python, said) in [(&first, "first 1.0\n"), (&second, "second 1.0\n")] {
        let output = call(python);
        assert!(output.starts_with(said), "{output}");
    }
    assert_eq!(place.environments(), 2);
    std::fs::remove_dir_all(place.path("first")).expect("it is ours");
    let output = call(&second);
    assert!(output.starts_with("second 1.0\n"), "{output}");
    let find = std::process::Command::new("grep")
        .args(["-rl", "--include=~interpreter.pth", "extra/site-packages"])
        .arg(place.cache())
        .output()
        .expect("it runs");
    assert_eq!(String::from_utf8_lossy(&find.stdout), "");
}
