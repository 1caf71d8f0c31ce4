//! Secrets out of files, and what their permissions have to be.

use std::fs::Permissions;
use std::path::Path;

use super::*;
use crate::cli::Flags;
use crate::config::tests::read_with;
use crate::config::{Config, Faults};
use crate::mcp::principal::KeyId;

const KEY: &str = "a key that is long enough";

fn write(directory: &Path, name: &str, text: &str, mode: u32) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn read(variables: &[(&str, &str)]) -> Result<Config, Faults> {
    read_with(variables, Flags::default())
}

fn accepts(config: &Config, key: &str) -> bool {
    config.http.auth.keys.accept(&KeyId::of(key.as_bytes()))
}

#[test]
fn a_key_comes_from_a_file_or_a_credential_as_from_its_variable() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "MCP_API_KEY", &format!("{KEY}\n"), 0o600);
    let credentials = directory.path().to_str().unwrap();
    for (name, value) in [
        ("MCP_API_KEY", KEY),
        ("MCP_API_KEY_FILE", &file),
        ("MCP_API_KEYS_FILE", &file),
        ("CREDENTIALS_DIRECTORY", credentials),
    ] {
        let config = read(&[(name, value)]).unwrap();
        assert!(accepts(&config, KEY), "{name}");
        assert_eq!(config.key_in_shell, name == "MCP_API_KEY", "{name}");
        let told = [config.notices, config.mistakes].concat().join("\n");
        assert!(!told.contains(KEY), "{told}");
        // A plugin could read it, and could not use a digest.
        assert_eq!(
            told.contains("write the key's digest"),
            name != "MCP_API_KEY",
            "{told}"
        );
    }
}

#[test]
fn a_list_in_a_file_has_a_key_on_each_line_or_between_commas() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{KEY} 1, {KEY} 2\n\n{KEY} 3\n");
    let file = write(directory.path(), "keys", &text, 0o400);
    let config = read(&[("MCP_API_KEYS_FILE", &file)]).unwrap();
    for number in 1..=3 {
        assert!(accepts(&config, &format!("{KEY} {number}")), "{number}");
    }
    assert!(!accepts(&config, ""));
}

#[test]
fn a_file_that_others_may_change_is_refused_and_one_that_they_may_read_warned_about() {
    let directory = tempfile::tempdir().unwrap();
    for (mode, refused, warned) in [
        (0o400, false, false),
        (0o640, false, false),
        (0o644, false, true),
        (0o660, true, false),
        (0o602, true, false),
    ] {
        let name = format!("key-{mode:o}");
        let file = write(directory.path(), &name, KEY, mode);
        match read(&[("MCP_API_KEY_FILE", &file)]) {
            Ok(config) => {
                let told = config.notices.join("\n");
                assert!(!refused, "{mode:o}");
                assert_eq!(told.contains("chmod 600"), warned, "{mode:o}: {told}");
            }
            Err(faults) => {
                let faults = faults.to_string();
                assert!(refused && faults.contains(&name), "{faults}");
                assert!(
                    faults.contains("chmod 600") && !faults.contains(KEY),
                    "{faults}"
                );
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let large = "k".repeat(64 << 10) + "k";
    let large = write(directory.path(), "large", &large, 0o600);
    let binary = directory.path().join("binary");
    std::fs::write(&binary, b"\xff\xfe").unwrap();
    std::fs::set_permissions(&binary, Permissions::from_mode(0o600)).unwrap();
    for (path, words) in [
        ("/does/not/exist", "cannot be read"),
        (directory.path().to_str().unwrap(), "no regular file"),
        (large.as_str(), "larger than 64 KiB"),
        (binary.to_str().unwrap(), "not valid UTF-8"),
    ] {
        let faults = read(&[("MCP_API_KEY_FILE", path)]).unwrap_err().to_string();
        assert!(faults.contains("MCP_API_KEY_FILE: '"), "{faults}");
        assert!(faults.contains(words) && faults.contains(path), "{faults}");
    }
    let both = [("MCP_API_KEY", KEY), ("MCP_API_KEY_FILE", large.as_str())];
    let faults = read(&both).unwrap_err().to_string();
    assert!(faults.contains("leave one of them out"), "{faults}");
}

#[test]
fn an_empty_key_file_opens_no_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "key", "\n", 0o600);
    let flags = Flags {
        require_auth: true,
        ..Flags::default()
    };
    let faults = read_with(&[("MCP_API_KEY_FILE", &file)], flags);
    let faults = faults.unwrap_err().to_string();
    assert!(faults.contains("there is no key to ask for"), "{faults}");
    assert!(faults.contains("is empty"), "{faults}");
}

#[test]
fn lettas_password_comes_from_a_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(
        directory.path(),
        "LETTA_SERVER_PASSWORD",
        "pass word\n",
        0o600,
    );
    let credentials = directory.path().to_str().unwrap();
    for (name, value) in [
        ("LETTA_SERVER_PASSWORD_FILE", file.as_str()),
        ("LETTA_API_KEY_FILE", &file),
        ("CREDENTIALS_DIRECTORY", credentials),
    ] {
        let config = read(&[("LETTA_SERVER_URL", "http://letta:8283"), (name, value)]).unwrap();
        let letta = config.letta.expect("it is known where Letta is");
        assert_eq!(letta.token.expose(), "pass word", "{name}");
        let inherited = config.catalog.environment;
        assert!(inherited.iter().all(|(known, _)| known != name), "{name}");
    }
}

#[test]
fn keys_are_read_again_and_never_become_none() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "keys", KEY, 0o600);
    let several = [
        ("MCP_API_KEYS_FILE", file.as_str()),
        ("MCP_API_KEY", "the fixed one"),
    ];
    let config = read(&several).unwrap();
    assert!(config.keys.can_change());
    write(directory.path(), "keys", "another key, sha256:12", 0o600);
    assert!(config.keys.read_again().unwrap_err().contains("no digest"));
    write(directory.path(), "keys", " \n", 0o600);
    assert!(
        config
            .keys
            .read_again()
            .unwrap_err()
            .contains("no key in it")
    );
    write(directory.path(), "keys", "another key", 0o600);
    let keys = config.keys.read_again().unwrap();
    let expected = ["the fixed one", "another key"].map(|key| KeyId::of(key.as_bytes()));
    assert_eq!(keys, expected);
    assert!(!read(&[("MCP_API_KEY", KEY)]).unwrap().keys.can_change());
}
