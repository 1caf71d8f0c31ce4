//! What whoever calls a tool once is told of an installation that has failed.

use super::kit::{self, LIBRARY, Place};
use crate::support::server::{Setup, run};

/// A plugin that can do more with its library.
const MORE: &str = "import json, sys\nnames = ['run']\n\
    try:\n    import smcp_test_library\n    names.append('more')\nexcept ImportError:\n    pass\n\
    commands = [{'name': name, 'description': 'Runs'} for name in names]\n\
    print(json.dumps({'commands': commands}) if '--describe' in sys.argv else 'ran')\n";

/// What a call says on standard error, line by line. It fails.
fn told(place: &Place, setup: Setup, tool: &str) -> Vec<String> {
    let setup = setup.variable("MCP_PLUGINS_DIR", place.folder.path());
    let output = run(&setup.argument("call").argument(tool));
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    err.lines().map(str::to_owned).collect()
}

#[test]
fn a_call_that_fails_for_want_of_what_could_not_be_installed_says_so_and_what_to_do() {
    let place = Place::new();
    for (name, program) in [("lazy", kit::LAZY), ("more", MORE), ("eager", kit::PROGRAM)] {
        place.folder.add(name, program);
        place.declare(name, "requirements.txt", &format!("{LIBRARY}==9.9\n"));
    }
    let why = "what its requirements.txt asks for could not be installed: ";
    for (tool, setup) in [
        ("lazy__version", place.setup()),
        ("lazy__version", place.setup_without_index()),
        ("more__more", place.setup()),
        ("more__other", place.setup()),
        ("eager__version", place.setup_without_index()),
    ] {
        let lines = told(&place, setup, tool);
        let all: Vec<&String> = lines.iter().filter(|line| line.contains(why)).collect();
        let [line] = all[..] else {
            panic!("{tool}: {lines:#?}");
        };
        assert!(line.contains("smcp plugins sync"), "{tool}: {lines:#?}");
        // Whoever installs by hand what is declared wrong works around the declaration.
        let other = lines.iter().find(|line| line.contains("-m pip install"));
        assert!(other.is_none() || tool == "eager__version", "{other:?}");
    }
}
