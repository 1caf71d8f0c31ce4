//! `smcp client`: what it prints is used as each client uses it, and what it installs.

use std::ffi::OsStr;
use std::fs::{read_dir, read_to_string, write};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use toml_edit::DocumentMut;

use super::{folder, stderr, stdout};
use crate::support::commands::{output_with_input_within, output_within};
use crate::support::http::{PATIENCE, exchange, post};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};

const KEY: &str = "the key of the clients";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
/// Clients with a file, which is this one below the home directory.
const FILES: [(&str, &str); 4] = [
    ("claude", ".config/Claude/claude_desktop_config.json"),
    ("cursor", ".cursor/mcp.json"),
    ("vscode", ".config/Code/User/mcp.json"),
    ("codex", ".codex/config.toml"),
];

/// `smcp client` with this folder's plugins, for the user with this home directory.
fn client(home: &Path, folder: &Folder, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command.arg("client").args(words);
    command.arg("--plugins-dir").arg(folder.path());
    bare(&mut command, home);
    output_within(PATIENCE, &mut command)
}

/// As clients start programs: knowing nothing of this shell.
fn bare(command: &mut Command, home: &Path) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().envs(crate::support::COVERAGE);
    command
        .env("PATH", path)
        .env("HOME", home)
        .current_dir(home);
}

fn printed(home: &Path, folder: &Folder, words: &[&str]) -> String {
    let output = client(home, folder, words);
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    stdout(&output)
}

/// A client's entry, as JSON.
fn entry(name: &str, text: &str) -> Value {
    if name == "codex" {
        let read: DocumentMut = text.parse().expect("TOML");
        let server = read["mcp_servers"]["smcp"].as_table().expect("a table");
        let members = server.iter().map(|(name, item)| {
            let value = match item.as_array() {
                Some(items) => items.iter().filter_map(|item| item.as_str()).collect(),
                None => json!(item.as_str().expect("a text")),
            };
            (name.to_owned(), value)
        });
        return members.collect();
    }
    let group = if name == "vscode" {
        "servers"
    } else {
        "mcpServers"
    };
    let read: Value = serde_json::from_str(text).expect("JSON");
    read[group]["smcp"].clone()
}

#[test]
fn what_starts_a_server_gives_a_client_its_tools() {
    let (home, folder) = (
        tempfile::tempdir().expect("there is room"),
        folder("echo gone"),
    );
    let lines = home.path().join("lines");
    write(&lines, format!("{INITIALIZE}\n{LIST}\n")).expect("there is room");
    for name in ["claude", "claude-code", "cursor", "vscode", "codex"] {
        let entry = entry(name, &printed(home.path(), &folder, &[name]));
        let words = entry["args"].as_array().expect("a list");
        let mut command = Command::new(entry["command"].as_str().expect("a text"));
        bare(&mut command, home.path());
        command.args(words.iter().filter_map(Value::as_str));
        command.stdin(std::fs::File::open(&lines).expect("it is there"));
        let output = output_with_input_within(PATIENCE, &mut command);
        let said = stdout(&output);
        assert!(
            said.contains("walker__go"),
            "{name}: {said} {}",
            stderr(&output)
        );
    }
}

#[test]
fn what_names_an_address_reaches_a_server_that_asks_for_a_key() {
    let (home, folder) = (
        tempfile::tempdir().expect("there is room"),
        folder("echo gone"),
    );
    let setup = Setup::new()
        .plugins(folder.path())
        .argument("--require-auth")
        .variable("MCP_API_KEY", KEY);
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let url = format!("http://{at}");
    for (name, placeholder) in [
        ("claude-code", "${SOME_KEY}"),
        ("cursor", "${env:SOME_KEY}"),
        ("vscode", "${input:smcp-key}"),
        ("codex", ""),
    ] {
        let words = [name, "--url", &url, "--key-variable", "SOME_KEY"];
        let entry = entry(name, &printed(home.path(), &folder, &words));
        assert_eq!(entry["url"], format!("{url}/mcp"), "{name}");
        let header = if name == "codex" {
            assert_eq!(entry["bearer_token_env_var"], "SOME_KEY");
            format!("Bearer {KEY}")
        } else {
            let header = entry["headers"]["Authorization"].as_str().expect("a text");
            assert!(header.contains(placeholder), "{name}: {header}");
            header.replace(placeholder, KEY)
        };
        let accept = "Accept: application/json, text/event-stream\r\n";
        let headers = format!("{accept}Authorization: {header}\r\n");
        let answer = exchange(at, &post(at, "/mcp", &headers, INITIALIZE.as_bytes()));
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let without = exchange(at, &post(at, "/mcp", accept, INITIALIZE.as_bytes()));
        assert_eq!(without.status, 401, "{name}");
    }
    let line = printed(home.path(), &folder, &["curl", "--url", &url]);
    let mut shell = Command::new("sh");
    bare(&mut shell, home.path());
    shell
        .args(["-c", &line])
        .env("MCP_API_KEY", KEY)
        .env("no_proxy", "*");
    let output = output_within(PATIENCE, &mut shell);
    let answered = stdout(&output);
    assert!(
        answered.contains("walker__go"),
        "{line}: {answered} {}",
        stderr(&output)
    );
}

#[test]
fn the_settings_say_where_the_server_is_and_whether_it_asks_for_a_key() {
    let (home, folder) = (tempfile::tempdir().expect("there is room"), Folder::new());
    let settings = home.path().join("own.toml");
    write(
        &settings,
        "port = 8123\nhost = '::1'\napi_key_file = 'key'\n",
    )
    .expect("there is room");
    write(home.path().join("key"), KEY).expect("there is room");
    let file = settings.to_str().expect("it is text");
    for (words, is_keyed) in [
        (vec!["curl", "--config", file], false),
        (vec!["curl", "--config", file, "--require-auth"], true),
        (
            vec!["curl", "--config", file, "--require-auth", "--no-key"],
            false,
        ),
    ] {
        let text = printed(home.path(), &folder, &words);
        assert!(text.contains("http://[::1]:8123/messages/"), "{text}");
        assert_eq!(text.contains("$MCP_API_KEY"), is_keyed, "{words:?}: {text}");
        assert!(!text.contains(KEY), "{text}");
    }
    for (words, why) in [
        (vec!["curl", "--port", "0"], "--url"),
        (vec!["claude", "--url", "http://h"], "Claude Desktop"),
        (vec!["curl", "--stdio"], "HTTP alone"),
        (vec!["letta", "--install"], "no file of servers"),
        (vec!["curl", "--url", "https://u:p@h"], "password"),
        (
            vec!["curl", "--url", "https://u:ca/nary@h"],
            "'https://…@h' is no address",
        ),
        (
            vec!["curl", "--url", "https://h/?key=canary"],
            "'https://h/?…' is no address",
        ),
        (
            vec!["cursor", "--url", "h", "--key-variable", "sk-123"],
            "no name of a variable",
        ),
    ] {
        let output = client(home.path(), &folder, &words);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(why) && said.lines().count() == 1, "{said}");
        assert_eq!(stdout(&output), "", "{words:?}");
        assert!(!said.contains("nary"), "{said}");
    }
}

#[test]
fn an_installation_writes_once_what_was_agreed_to_and_keeps_the_rest() {
    let folder = folder("echo gone");
    for (name, path) in FILES {
        let home = tempfile::tempdir().expect("there is room");
        let file = home.path().join(path);
        let of_others = match name {
            "codex" => "# mine\nmodel = \"m\" # best\n",
            "claude" => "{\"theme\":   \"dark\"}\n",
            _ => "{\n  // mine\n  \"theme\":   \"dark\",\n}\n",
        };
        std::fs::create_dir_all(file.parent().expect("it is below the home"))
            .expect("there is room");
        write(&file, of_others).expect("there is room");
        let count = || {
            read_dir(file.parent().expect("as above"))
                .expect("it is there")
                .count()
        };

        let asked = client(home.path(), &folder, &[name, "--install"]);
        assert_eq!(
            asked.status.code(),
            Some(1),
            "nobody can be asked: {}",
            stderr(&asked)
        );
        assert!(stdout(&asked).contains("+++ "), "{}", stdout(&asked));
        assert!(stderr(&asked).contains("--yes"), "{}", stderr(&asked));
        assert_eq!(read_to_string(&file).expect("it is there"), of_others);
        assert_eq!(count(), 1, "nothing is left behind");

        let installed = printed(home.path(), &folder, &[name, "--install", "--yes"]);
        assert!(
            installed.contains("+++ ") && installed.contains(".bak"),
            "{installed}"
        );
        let text = read_to_string(&file).expect("it is there");
        for line in of_others.lines().filter(|line| line.contains("mine")) {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(
            text.contains("dark\"") || text.contains("model = \"m\" # best"),
            "{text}"
        );
        let kept = file.with_file_name(format!(
            "{}.bak",
            file.file_name().and_then(OsStr::to_str).expect("text")
        ));
        assert_eq!(read_to_string(kept).expect("it is kept"), of_others);

        let again = printed(home.path(), &folder, &[name, "--install", "--yes"]);
        assert!(again.contains("already"), "{again}");
        assert_eq!(
            (read_to_string(&file).expect("it is there"), count()),
            (text, 2)
        );
    }
}

#[test]
fn a_home_that_is_no_absolute_path_is_named_as_the_reason() {
    let folder = folder("echo gone");
    let home = tempfile::tempdir().expect("there is room");
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command.args(["client", "cursor", "--install", "--yes", "--plugins-dir"]);
    command.arg(folder.path());
    bare(&mut command, home.path());
    command.env("HOME", "rel");
    let output = output_within(PATIENCE, &mut command);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("HOME") && said.contains("absolute path"),
        "{said}"
    );
}

#[test]
fn claude_code_gets_a_file_of_the_project() {
    let (home, folder) = (tempfile::tempdir().expect("there is room"), Folder::new());
    printed(home.path(), &folder, &["claude-code", "--install", "--yes"]);
    let text = read_to_string(home.path().join(".mcp.json")).expect("it is there");
    assert_eq!(entry("claude-code", &text)["type"], "stdio");
    let broken = home.path().join("broken.json");
    write(&broken, "{\"mcpServers\": ").expect("there is room");
    let words = ["claude-code", "--install", "--yes", "--file", "broken.json"];
    let output = client(home.path(), &folder, &words);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("left as it is"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        read_to_string(broken).expect("it is there"),
        "{\"mcpServers\": "
    );
}

#[test]
fn a_file_that_begins_with_a_mark_of_its_encoding_keeps_it() {
    let (home, folder) = (tempfile::tempdir().expect("there is room"), Folder::new());
    for (name, old) in [
        (
            "claude",
            "\u{feff}{\"mcpServers\": {\"mine\": {\"command\": \"x\"}}}\r\n",
        ),
        ("claude", "\u{feff}"),
        ("vscode", "\u{feff}// mine\n{}\n"),
        ("codex", "\u{feff}# mine\nmodel = \"m\"\n"),
    ] {
        let file = home.path().join(name);
        write(&file, old).expect("there is room");
        let path = file.to_str().expect("it is ASCII");
        let words = [name, "--install", "--yes", "--file", path];
        printed(home.path(), &folder, &words);
        let text = read_to_string(&file).expect("it is there");
        let (marks, rest) = text.split_at(text.rfind('\u{feff}').map_or(0, |at| at + 3));
        assert_eq!(marks, "\u{feff}", "{name}: {text:?}");
        assert_eq!(
            rest.contains("mine"),
            old.contains("mine"),
            "{name}: {rest}"
        );
        assert!(rest.contains("smcp"), "{name}: {rest}");
        assert!(
            printed(home.path(), &folder, &words).contains("already"),
            "{name}"
        );
    }
}

#[test]
fn a_name_that_nobody_can_read_is_refused() {
    let (home, folder) = (tempfile::tempdir().expect("there is room"), Folder::new());
    let file = home.path().join("file");
    let path = file.to_str().expect("it is ASCII");
    let install = ["cursor", "--install", "--yes", "--file", path, "--name"];
    for name in [
        "",
        "  ",
        "two\nlines",
        "a\u{1b}[2J",
        "a\u{9b}",
        "a\u{202e}b",
    ] {
        for client_name in ["claude", "codex", "letta", "python"] {
            let output = client(home.path(), &folder, &[client_name, "--name", name]);
            assert_eq!(output.status.code(), Some(2), "{client_name} {name:?}");
            assert!(
                stderr(&output).contains("--name NAME"),
                "{}",
                stderr(&output)
            );
            assert_eq!(stdout(&output), "");
        }
        let words = [&install[..], &[name]].concat();
        assert_eq!(client(home.path(), &folder, &words).status.code(), Some(2));
        assert!(!file.exists());
    }
    printed(
        home.path(),
        &folder,
        &[&install[..], &["Wörk tools"]].concat(),
    );
    assert!(
        read_to_string(&file)
            .expect("it is there")
            .contains("Wörk tools")
    );
}
