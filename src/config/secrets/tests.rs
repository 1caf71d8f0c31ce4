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
fn lines_of_a_key_file_that_begin_with_a_number_sign_are_no_keys() {
    let directory = tempfile::tempdir().unwrap();
    let words = "one a line and nothing else";
    let text = format!("# Digests of clients, {words}\n  # {words}\n#\n{KEY}, {KEY} 2\n");
    let several = write(directory.path(), "keys", &text, 0o600);
    let one = format!("# the key, {words}\n{KEY}\n");
    let one = write(directory.path(), "key", &one, 0o600);
    for (name, file) in [("MCP_API_KEYS_FILE", several), ("MCP_API_KEY_FILE", one)] {
        let config = read(&[(name, &file)]).unwrap();
        assert!(accepts(&config, KEY), "{name}");
        let expected = if name == "MCP_API_KEY_FILE" { 1 } else { 2 };
        assert_eq!(config.http.auth.keys.len(), expected, "{name}");
        assert_eq!(config.keys.read().accepted.len(), expected, "{name}");
    }
    // What stands in a variable is a key, as it always was.
    let config = read(&[("MCP_API_KEY", "# sixteen and more")]).unwrap();
    assert!(accepts(&config, "# sixteen and more"));
}

#[test]
fn a_comment_behind_a_key_ends_the_start_and_is_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{KEY}, # of the laptop in the hall\n");
    let file = write(directory.path(), "keys", &text, 0o600);
    let faults = read(&[("MCP_API_KEYS_FILE", &file)]).unwrap_err();
    let faults = faults.to_string();
    assert!(faults.contains("key 2 begins with #"), "{faults}");
    assert!(!faults.contains("laptop"), "{faults}");
}

#[test]
fn a_named_file_without_a_key_ends_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for (number, text) in ["", "\n", ",", " , \n,", "# no key yet\n"]
        .into_iter()
        .enumerate()
    {
        let file = write(directory.path(), &number.to_string(), text, 0o600);
        for name in ["MCP_API_KEYS_FILE", "MCP_API_KEY_FILE"] {
            if name == "MCP_API_KEY_FILE" && text.contains(',') {
                continue;
            }
            for require_auth in [false, true] {
                let flags = Flags {
                    require_auth,
                    ..Flags::default()
                };
                let faults = read_with(&[(name, &file)], flags).unwrap_err().to_string();
                assert!(faults.contains(&file), "{text:?}: {faults}");
                assert!(faults.contains("has no key in it"), "{text:?}: {faults}");
                assert!(faults.contains("MCP_AUTH_DISABLED=1"), "{faults}");
            }
            // A key from elsewhere does not make up for it: a reload would refuse the file, too.
            let both = [(name, file.as_str()), ("MCP_API_KEYS", KEY)];
            assert!(read(&both).is_err(), "{text:?}");
            // Whoever opens the server on purpose may.
            let config = read(&[(name, &file), ("MCP_AUTH_DISABLED", "1")]).unwrap();
            let told = [config.notices, config.mistakes].concat().join("\n");
            assert!(told.contains("NOBODY NEEDS A KEY"), "{told}");
            assert!(told.contains(&file), "{told}");
        }
    }
}

#[test]
fn a_credential_without_a_key_opens_no_server_and_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let credentials = directory.path().to_str().unwrap();
    // As the unit has it where no file was written.
    write(directory.path(), "MCP_API_KEYS", " ", 0o400);
    let alone = [("CREDENTIALS_DIRECTORY", credentials)];
    let faults = read(&alone).unwrap_err().to_string();
    assert!(faults.contains("the credential MCP_API_KEYS"), "{faults}");
    assert!(faults.contains("LoadCredential="), "{faults}");

    let config = read(&[("CREDENTIALS_DIRECTORY", credentials), ("MCP_API_KEY", KEY)]).unwrap();
    let told = config.notices.join("\n");
    assert!(told.contains("the credential MCP_API_KEYS"), "{told}");
    assert!(config.keys.can_change());
    assert_eq!(config.keys.read().accepted.len(), 1);
    write(
        directory.path(),
        "MCP_API_KEYS",
        "another key that is long",
        0o600,
    );
    let keys = config.keys.read();
    assert_eq!((keys.accepted.len(), keys.faults.len()), (2, 0));
}

#[test]
fn a_reload_judges_keys_as_a_start_does() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "keys", KEY, 0o600);
    let named = [("MCP_API_KEYS_FILE", file.as_str())];
    let running = read(&named).unwrap();
    for text in [
        "abc",
        "a key with \u{e9} in it, and one more",
        "sha256:12",
        "",
        "#",
        "plain key of a good length",
        &format!("sha256:{}", "0".repeat(64)),
    ] {
        for mode in [0o600, 0o644, 0o666] {
            write(directory.path(), "keys", text, mode);
            let again = running.keys.read();
            let (faults, told) = match read(&named) {
                Ok(started) => (String::new(), [started.notices, started.mistakes].concat()),
                Err(faults) => (faults.to_string(), again.warnings.clone()),
            };
            for fault in &again.faults {
                assert!(faults.contains(fault), "{text:?} {mode:o}: {faults}");
                assert!(fault.contains(&file), "{fault}");
            }
            assert_eq!(
                again.faults.is_empty(),
                faults.is_empty(),
                "{text:?} {mode:o}"
            );
            for warning in &again.warnings {
                assert!(told.contains(warning), "{text:?} {mode:o}: {warning}");
                assert!(warning.contains(&file), "{warning}");
            }
            let of_keys = told.iter().filter(|line| line.contains(&file));
            assert_eq!(of_keys.count(), again.warnings.len(), "{text:?} {mode:o}");
        }
    }
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
    for (text, fault) in [
        ("another key, sha256:12", "no digest"),
        (" \n", "has no key in it"),
    ] {
        write(directory.path(), "keys", text, 0o600);
        let faults = config.keys.read().faults.join("\n");
        assert!(faults.contains(fault) && faults.contains(&file), "{faults}");
    }
    write(directory.path(), "keys", "another key", 0o600);
    let keys = config.keys.read();
    assert!(keys.faults.is_empty(), "{:?}", keys.faults);
    let expected = ["the fixed one", "another key"].map(|key| KeyId::of(key.as_bytes()));
    assert_eq!(keys.accepted, expected);
}

#[test]
fn a_mark_of_the_encoding_is_no_part_of_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("\u{feff}{KEY}\n");
    let file = write(directory.path(), "keys", &text, 0o600);
    let config = read(&[("MCP_API_KEYS_FILE", &file)]).unwrap();
    assert!(accepts(&config, KEY));
    assert!(accepts_after_reload(&config, KEY));
}

fn accepts_after_reload(config: &Config, key: &str) -> bool {
    let reading = config.keys.read();
    reading.faults.is_empty() && reading.accepted.contains(&KeyId::of(key.as_bytes()))
}

#[test]
fn a_credential_that_something_else_wins_over_is_said_to_have_no_effect() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "MCP_API_KEYS", KEY, 0o600);
    let file = write(directory.path(), "other", "another key that is long", 0o600);
    let credentials = ("CREDENTIALS_DIRECTORY", directory.path().to_str().unwrap());
    for other in [
        ("MCP_API_KEYS", "another key that is long"),
        ("MCP_API_KEYS_FILE", &file),
    ] {
        let config = read(&[credentials, other]).unwrap();
        assert!(accepts(&config, "another key that is long") && !accepts(&config, KEY));
        let told = config.mistakes.join("\n");
        let line = format!(
            "the credential MCP_API_KEYS has no effect, because {} is set",
            other.0
        );
        assert!(told.contains(&line), "{told}");
    }
}

#[test]
fn what_looks_like_a_comment_is_never_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let marked = format!(
        "\u{feff}# rotate in May, ask at the desk\n{KEY}\n\u{feff}# more, of another file\n"
    );
    let file = write(directory.path(), "keys", &marked, 0o600);
    let config = read(&[("MCP_API_KEYS_FILE", &file)]).unwrap();
    assert_eq!(config.keys.read().accepted.len(), 1);
    assert!(accepts(&config, KEY));
    for (name, text, fault) in [
        (
            "MCP_API_KEYS_FILE",
            format!("{KEY}  # for Letta\n"),
            "a comment stands on a line of its own",
        ),
        (
            "MCP_API_KEY_FILE",
            format!("{KEY} # for Letta\n"),
            "a comment stands on a line of its own",
        ),
        (
            "MCP_API_KEY_FILE",
            format!("{KEY}\n{KEY} 2\n"),
            "more than one line",
        ),
        (
            "MCP_API_KEYS_FILE",
            "\u{feff}\n".to_owned(),
            "has no key in it",
        ),
    ] {
        let file = write(directory.path(), "wrong", &text, 0o600);
        let faults = read(&[(name, &file)]).unwrap_err().to_string();
        assert!(faults.contains(fault), "{text:?}: {faults}");
    }
}

#[test]
fn a_variable_without_a_key_hides_no_credential() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "MCP_API_KEYS", KEY, 0o600);
    let credentials = directory.path().to_str().unwrap();
    for blank in [",", " , ", "\u{a0}"] {
        let variables = [
            ("CREDENTIALS_DIRECTORY", credentials),
            ("MCP_API_KEYS", blank),
        ];
        assert!(accepts(&read(&variables).unwrap(), KEY), "{blank:?}");
    }
}
