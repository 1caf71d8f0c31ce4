//! The configurations that pages print for desktop clients, used as such a client uses them.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::pages::{self, Mark, root};

/// What a client says first; the end of its input ends the program.
const CONVERSATION: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"desktop","version":"1"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
    "\n",
);

#[test]
fn a_desktop_client_gets_the_tools_with_each_configuration() {
    let mut tried = 0;
    for page in pages::for_users() {
        for block in &page.blocks {
            if block.mark != Some(Mark::Client) {
                continue;
            }
            let configuration: Value = serde_json::from_str(&block.text)
                .unwrap_or_else(|error| panic!("{}:{}: {error}", page.name, block.line));
            let server = server_in(&configuration)
                .unwrap_or_else(|| panic!("{}:{}: names no command", page.name, block.line));
            let tools = tools_of(server);
            assert!(
                tools.contains(&"demo_math__calculate".to_owned()),
                "{}:{}: {tools:?}",
                page.name,
                block.line
            );
            tried += 1;
        }
    }
    assert!(tried >= 3, "only {tried} configurations were found");
}

/// The object that has a command, however deep the client's form puts it.
fn server_in(configuration: &Value) -> Option<&Value> {
    if configuration.get("command").is_some_and(Value::is_string) {
        return Some(configuration);
    }
    configuration.as_object()?.values().find_map(server_in)
}

/// Starts the program in an empty directory, with the bundled plugins where the configuration names a directory.
fn tools_of(server: &Value) -> Vec<String> {
    assert_eq!(server["command"], "smcp");
    let arguments = server["args"]
        .as_array()
        .expect("a client passes arguments");
    let variables = server["env"].as_object().expect("a client sets variables");
    assert!(variables.contains_key("MCP_PLUGINS_DIR"), "{variables:?}");
    let elsewhere = tempfile::tempdir().expect("a directory for temporary files");
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command
        .args(arguments.iter().filter_map(Value::as_str))
        .current_dir(&elsewhere)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", elsewhere.path())
        // What the bundled plugins need is no matter of this.
        .env("MCP_PLUGIN_ENVS", "off");
    for (name, value) in variables {
        match name.as_str() {
            "MCP_PLUGINS_DIR" => command.env(name, root().join("plugins")),
            _ => command.env(name, value.as_str().expect("variables are text")),
        };
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("cargo has built the program");
    let mut input = child.stdin.take().expect("it was piped");
    input
        .write_all(CONVERSATION.as_bytes())
        .expect("the program reads its input");
    drop(input);
    let output = child.wait_with_output().expect("its output can be read");
    let answers = String::from_utf8(output.stdout).expect("messages are UTF-8");
    let list = answers
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|message| message["id"] == 2)
        .unwrap_or_else(|| panic!("no list of tools: {answers}"));
    let tools = list["result"]["tools"].as_array().expect("a list of tools");
    tools
        .iter()
        .filter_map(|tool| tool["name"].as_str().map(str::to_owned))
        .collect()
}
