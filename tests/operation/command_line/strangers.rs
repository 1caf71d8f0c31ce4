//! `smcp call` before servers that mean no good or cannot do better, and names from elsewhere on the terminal.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};

use super::doctor::stranger;
use super::terminal::AtTerminal;
use super::{folder, smcp, stderr, stdout};
use crate::support::commands::output_within;

/// A command that is still there then waits for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// A server that answers requests with what is made of their method and id.
pub(super) fn mcp(answer: fn(&str, &Value) -> Value) -> SocketAddr {
    stranger(move |mut stream, _, body| {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let whole = match asked.get("id") {
            Some(id) => {
                let body = answer(asked["method"].as_str().unwrap_or_default(), id).to_string();
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
            }
            None => {
                "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
            }
        };
        let _ = stream.write_all(whole.as_bytes());
    })
}

/// The result of any request but a call, of a server with this tool.
fn of_server(tool: &str) -> Value {
    json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "tools": [{"name": tool, "inputSchema": {"type": "object"}}]})
}

fn ended(words: &[&str]) -> Output {
    output_within(LIMIT, &mut smcp(words))
}

#[test]
fn an_answer_to_another_request_is_a_failure_that_is_told() {
    fn wrong(method: &str, id: &Value) -> Value {
        match method {
            "tools/call" => json!({"jsonrpc": "2.0", "id": "other", "result": {"content": []}}),
            _ => json!({"jsonrpc": "2.0", "id": id, "result": of_server("t")}),
        }
    }
    let plain = mcp(wrong);
    let of_text = mcp(|method, id| {
        let mut answer = wrong(method, id);
        if method == "tools/call" {
            answer["id"] = json!(id.to_string());
        }
        answer
    });
    let without = mcp(|method, id| match method {
        "tools/call" => json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}),
        _ => wrong(method, id),
    });
    let nobodys = mcp(|method, id| match method {
        "tools/call" => {
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "no bread"}})
        }
        _ => wrong(method, id),
    });
    let from_the_beginning = mcp(|_, _| json!({"jsonrpc": "2.0", "id": 77, "result": {}}));
    // A stream that goes on, so that its end says nothing.
    let streamed = stranger(|mut stream, _, body| {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        if asked.get("id").is_none() {
            let accepted =
                b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(accepted);
            return;
        }
        let answer = wrong(asked["method"].as_str().unwrap_or_default(), &asked["id"]);
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {answer}\n\n"
        );
        while stream.write_all(b": still here\n\n").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    for (server, why) in [
        (plain, "id \"other\""),
        (of_text, "id \"3\""),
        (streamed, "id \"other\""),
        (without, "no answer"),
        (nobodys, "no bread"),
        (from_the_beginning, "id 77"),
    ] {
        let output = ended(&["call", "t", "--url", &format!("http://{server}")]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{why}: {said}");
        assert!(said.contains(why), "{why}: {said}");
    }
}

/// Clears the screen, in both forms, and rings.
const ORDERS: &str = "a\u{1b}[2Jb\u{9b}2Jc\u{7}";

#[test]
fn no_name_from_elsewhere_gives_the_terminal_an_order() {
    let hostile = mcp(|method, id| match method {
        "initialize" => json!({"jsonrpc": "2.0", "id": id, "result": of_server("")}),
        _ => {
            json!({"jsonrpc": "2.0", "id": id, "result": of_server("evil\u{1b}[2J\u{9b}2J\n\u{7}smcp: all is well")})
        }
    });
    let hostile = format!("http://{hostile}");
    let folder = folder("exit 1");
    let plugins = folder.path().to_str().expect("it is ASCII");
    let orders = format!("x__{ORDERS}");
    let walker = format!("walker__{ORDERS}");
    let pair = format!("n{ORDERS}");
    let path = format!("/nowhere/{ORDERS}");
    for (words, must_say) in [
        (vec!["call", "t", "--url", &hostile], "evil"),
        (vec!["call", "evi", "--url", &hostile], "evil"),
        (vec!["call", &orders, "--url", &hostile], "x__abc"),
        (vec!["call", &orders, "--plugins-dir", plugins], "x__abc"),
        (vec!["call", &walker, "--plugins-dir", plugins], "abc"),
        (
            vec!["call", "walker__go", &pair, "--plugins-dir", plugins],
            "nabc",
        ),
        (
            vec!["call", "walker__go", "--plugins-dir", &path],
            "/nowhere/abc",
        ),
        (vec!["tools", &orders, "--plugins-dir", plugins], "x__abc"),
        (vec!["check", &orders, "--plugins-dir", plugins], "x__abc"),
        (vec!["new", &orders, "--plugins-dir", plugins], "x__abc"),
        (
            vec!["plugins", "add", &path, "--plugins-dir", plugins],
            "/nowhere/abc",
        ),
        (
            vec!["plugins", "remove", &orders, "--plugins-dir", plugins],
            "x__abc",
        ),
        (vec!["client", "cursor", "--url", &pair], "nabc"),
        (vec!["health", &pair], "abc"),
        (vec!["tools", "--config", &path], "/nowhere/abc"),
    ] {
        let output = ended(&words);
        let all = stdout(&output) + &stderr(&output);
        let is_order = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
        assert!(!all.contains(is_order), "{words:?}: {all:?}");
        assert!(all.contains(must_say), "{words:?}: {all:?}");
        assert!(
            !all.lines()
                .any(|line| line.starts_with("smcp: all is well")),
            "a line of somebody else's: {all}"
        );
    }
}

#[test]
fn no_name_of_a_directory_gives_the_terminal_an_order() {
    let folder = folder("exit 1");
    for name in ["broken", "served"] {
        let directory = folder.path().join(format!("{name}{ORDERS}"));
        std::fs::create_dir(&directory).expect("there is room");
        let program = match name {
            "broken" => "import nothing_of_this_name\n".to_owned(),
            _ => "import sys\nif '--help' in sys.argv: print('usage: x\\n\\nAvailable commands:\\n  go  Goes')\n".to_owned(),
        };
        std::fs::write(directory.join("cli.py"), program).expect("there is room");
    }
    let plugins = folder.path().to_str().expect("it is ASCII");
    let home = tempfile::tempdir().expect("there is room");
    let empty = folder.path().join(format!("empty{ORDERS}"));
    let empty = empty.to_str().expect("it is UTF-8");
    for words in [
        vec!["check", "--plugins-dir", plugins],
        vec!["tools", "--plugins-dir", plugins],
        vec!["plugins", "list", "--plugins-dir", plugins],
        vec!["new", "one", "--plugins-dir", empty],
        vec!["check", "--plugins-dir", empty],
    ] {
        let mut command = AtTerminal::whole(&words, home.path(), &[]);
        command.end();
        let shown = command.shown();
        for order in ["\u{1b}[2J", "\u{9b}", "\u{7}"] {
            assert!(!shown.contains(order), "{words:?}: {shown:?}");
        }
        assert!(
            shown.contains("abc") || words.contains(&"tools"),
            "{words:?}: {shown:?}"
        );
    }
}
