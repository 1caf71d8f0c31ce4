//! Which file counts, and which is not to be trusted.

use std::fs::{Permissions, create_dir, set_permissions, write};

use tempfile::TempDir;

use super::*;

/// A directory that stands for a machine: its own settings file, and plugins.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().expect("there is room"));
        create_dir(machine.path("plugins")).expect("there is room");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        write(self.path(name), text).expect("there is room");
        self.chmod(name, mode);
    }

    fn chmod(&self, name: &str, mode: u32) {
        set_permissions(self.path(name), Permissions::from_mode(mode)).expect("it is ours");
    }

    fn places(&self, named: Option<&str>) -> Places {
        Places {
            named: named.map(|name| self.path(name)),
            system: Some(self.path("system.toml")),
            plugins: Some(self.path("plugins")),
        }
    }

    fn found(&self, named: Option<&str>) -> Found {
        let places = self.places(named);
        let mut found = Found::of_operator(&places);
        found.add_plugins(&places);
        found
    }

    fn faults(&self) -> String {
        self.found(None).faults.join("\n")
    }
}

#[test]
fn the_file_among_the_plugins_wins_over_that_of_the_machine_and_a_named_one_stands_alone() {
    let machine = Machine::new();
    assert!(machine.found(None).files.is_empty());
    machine.write("system.toml", "port = 1\nmax_calls = 1\n", 0o644);
    machine.write("plugins/smcp.toml", "\nport = 2\n", 0o644);
    machine.write("named.toml", "port = 3\n", 0o644);
    let value = |found: &Found, name: &str| {
        let entry = found.entries.get(name)?;
        Some((entry.value.clone(), entry.line.number))
    };
    let found = machine.found(None);
    assert!(found.faults.is_empty(), "{:?}", found.faults);
    assert_eq!(value(&found, "MCP_PORT"), Some(("2".to_owned(), 2)));
    assert_eq!(value(&found, "MCP_MAX_CALLS"), Some(("1".to_owned(), 2)));
    assert_eq!(found.files.len(), 2);
    let found = machine.found(Some("named.toml"));
    assert_eq!(value(&found, "MCP_PORT"), Some(("3".to_owned(), 1)));
    assert_eq!(value(&found, "MCP_MAX_CALLS"), None);
    assert_eq!(found.files.len(), 1);
}

#[test]
fn a_named_file_must_be_there_and_the_others_need_not() {
    let machine = Machine::new();
    assert_eq!(machine.faults(), "");
    let faults = machine.found(Some("gone.toml")).faults.join("\n");
    assert!(faults.contains("gone.toml' is not there"), "{faults}");
    machine.write("named.toml", "", 0o644);
    assert!(machine.found(Some("named.toml")).faults.is_empty());
    create_dir(machine.path("plugins/smcp.toml")).expect("there is room");
    assert!(
        machine.faults().contains("is a directory"),
        "{}",
        machine.faults()
    );
    let nothing = Places {
        named: Some("/dev/null".into()),
        ..machine.places(None)
    };
    let found = Found::of_operator(&nothing);
    assert!(found.faults.is_empty() && found.entries.is_empty());
}

#[test]
fn a_file_that_anybody_can_change_or_put_there_is_refused() {
    let machine = Machine::new();
    machine.write("plugins/smcp.toml", "port = 2\n", 0o664);
    assert_eq!(machine.faults(), "", "a group is chosen by somebody");
    machine.chmod("plugins/smcp.toml", 0o646);
    assert!(
        machine.faults().contains("chmod o-w"),
        "{}",
        machine.faults()
    );
    machine.chmod("plugins/smcp.toml", 0o644);
    machine.chmod("plugins", 0o757);
    assert!(
        machine.faults().contains("can put another file there"),
        "{}",
        machine.faults()
    );
    machine.chmod("plugins", 0o755);
    machine.write("system.toml", "port = 2\n", 0o666);
    assert!(
        machine.faults().contains("chmod o-w"),
        "{}",
        machine.faults()
    );
    assert!(
        machine.found(None).entries.contains_key("MCP_PORT"),
        "the other one is read"
    );
}

#[test]
fn a_file_with_a_secret_in_it_is_closed_to_others() {
    let machine = Machine::new();
    for (text, mode, is_taken) in [
        ("api_key = 'canary'\n", 0o600, true),
        ("api_key = 'canary'\n", 0o440, true),
        ("api_key = 'canary'\n", 0o644, false),
        ("api_key = 'canary'\n", 0o660, false),
        ("letta_api_key = 'canary'\n", 0o604, false),
        ("otel_exporter_otlp_headers = 'a=canary'\n", 0o604, false),
        ("port = 1\n", 0o644, true),
    ] {
        machine.write("system.toml", text, mode);
        let faults = machine.faults();
        assert_eq!(faults.is_empty(), is_taken, "{text} {mode:o}: {faults}");
        assert!(!faults.contains("canary"), "{faults}");
        assert!(is_taken || faults.contains("chmod 600"), "{faults}");
    }
}

#[test]
fn what_has_changed_is_named_once_and_not_where_a_file_does_not_count() {
    let machine = Machine::new();
    machine.write(
        "system.toml",
        "port = 1\nmax_calls = 1\nwarm = true\napi_keys = ['a']\n",
        0o600,
    );
    let watched = Watched {
        places: machine.places(None),
        entries: machine.found(None).entries,
        overridden: ["MCP_WARM"].into(),
    };
    let now = watched.read_again().expect("nothing is wrong");
    assert!(watched.waiting_for_a_start(&now, &[]).is_empty());
    machine.write(
        "system.toml",
        "\nport = 2\nwarm = false\napi_keys = ['b']\n",
        0o600,
    );
    let now = watched.read_again().expect("nothing is wrong");
    let told = watched.waiting_for_a_start(&now, &["MCP_API_KEYS"]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("max_calls is in no file any more"),
        "{told:?}"
    );
    assert!(
        told[1].contains("system.toml:2: port has changed"),
        "{told:?}"
    );
    machine.write("system.toml", "prot = 2\n", 0o600);
    assert!(
        watched
            .read_again()
            .is_err_and(|why| why.contains("'prot'"))
    );
}
