//! `smcp doctor` before servers that are none, or mean no good: it ends, it says what it saw, and nothing that it saw
//! reaches the terminal as it came.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::commands::output_within;
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::{COVERAGE, s};

/// Longer than any examination takes, however busy the machine.
const LIMIT: Duration = s(120);

/// Status, standard output, standard error.
fn doctor(words: &[&str], key: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command.arg("doctor").args(words).env_clear().envs(COVERAGE);
    command.envs(key.map(|key| ("MCP_API_KEY", key)));
    let output = output_within(LIMIT, &mut command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// A server that does `work` with each connection once a request's head has come. It lasts as long as the tests.
pub(super) fn stranger(
    work: impl Fn(TcpStream, &str, &[u8]) + Send + Clone + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let work = work.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut head = Vec::new();
                let mut byte = [0; 1];
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut byte) {
                        Ok(1) => head.push(byte[0]),
                        _ => return,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                // What is left unread when a connection is closed takes the answer with it.
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
                if stream.read_exact(&mut body).is_ok() {
                    work(stream, &head, &body);
                }
            });
        }
    });
    address
}

/// Answers every request so.
fn answering(head: &'static str, body: &'static str) -> SocketAddr {
    stranger(move |mut stream, _, _| {
        let length = body.len();
        let whole = format!(
            "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let _ = stream.write_all(whole.as_bytes());
    })
}

/// Says something before it is asked, as SSH and SMTP do, and reads no more.
fn speaking_first(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(words);
            held.push(stream);
        }
    });
    address
}

/// Writes the same for ever, until nobody reads any more.
fn endless(begin: &'static str, piece: &'static str) -> SocketAddr {
    stranger(move |mut stream, _, _| {
        let _ = stream.write_all(begin.as_bytes());
        while stream.write_all(piece.as_bytes()).is_ok() {}
    })
}

fn faults(address: SocketAddr, wait: &str) -> Vec<String> {
    let (status, said, wrong) = doctor(&["--json", "--wait", wait, &address.to_string()], None);
    assert_eq!(status, Some(1), "{said}{wrong}");
    let report: Value = serde_json::from_str(&said).expect("JSON");
    let findings = report["findings"].as_array().expect("a list").iter();
    let names = findings.map(|finding| finding["fault"].as_str().expect("a name").to_owned());
    names.collect()
}

#[test]
fn a_server_that_never_ends_or_never_begins_does_not_hold_the_doctor() {
    let silent = stranger(|stream, _, _| {
        std::thread::sleep(LIMIT);
        drop(stream);
    });
    let slow_head = endless_slowly("HTTP/1.1 200 OK\r\n", "x: y\r\n");
    let chunks = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
    let events =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows = [
        (silent, "silent"),
        (slow_head, "silent"),
        (
            endless(
                "HTTP/1.1 200 OK\r\n",
                "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
            ),
            "unreachable",
        ),
        (endless(chunks, "5\r\nhello\r\n"), "not-mcp"),
        (endless(events, "8\r\ndata: {}\r\n"), "not-mcp"),
        (endless("SSH-2.0-x\r\n", "x"), "not-http"),
        (speaking_first(b"SSH-2.0-x\r\n"), "not-http"),
        (
            answering(
                "400 Bad Request\r\nServer: nginx",
                "<title>400 No required SSL certificate was sent</title>",
            ),
            "tls",
        ),
        // The settings by which a server of HTTP/2 alone begins.
        (
            endless("\0\0\u{6}\u{4}\0\0\0\0\0\0\u{3}\0\0\0d", "\0"),
            "not-http",
        ),
    ];
    std::thread::scope(|threads| {
        for (address, fault) in rows {
            threads.spawn(move || {
                // On a busy machine an answer may come after the two seconds that it has at first.
                let is_named = |wait| faults(address, wait).iter().any(|known| known == fault);
                assert!(["2", "5", "20"].into_iter().any(is_named), "{fault}");
            });
        }
    });
}

/// The same, a piece every now and then.
fn endless_slowly(begin: &'static str, piece: &'static str) -> SocketAddr {
    stranger(move |mut stream, _, _| {
        let _ = stream.write_all(begin.as_bytes());
        while stream.write_all(piece.as_bytes()).is_ok() {
            std::thread::sleep(Duration::from_millis(200));
        }
    })
}

#[test]
fn nothing_that_a_server_says_reaches_the_terminal_as_it_came() {
    let escape = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}";
    let pages = [
        answering(
            "200 \u{1b}[31mOK",
            "<html>\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}log in",
        ),
        answering(
            "401 No\r\nWWW-Authenticate: Basic realm=\"\u{1b}[2J\u{202e}\"",
            "",
        ),
        answering(
            "301 Moved\r\nLocation: https://a.example/\u{1b}[2J?\u{202e}",
            "",
        ),
        answering(
            "200 OK\r\nServer: nginx \u{1b}[2J",
            "{\"error\":\"\u{1b}[2J\"}",
        ),
        answering(
            "200 OK\r\nContent-Type: application/json",
            "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":\"\\u001b[2J\",\"serverInfo\":{\"name\":\"\\u001b[2J\\u202e\",\"version\":\"\\n\\n\\u0007\"}}}",
        ),
    ];
    for address in pages {
        for words in [&["--wait", "5"][..], &["--wait", "5", "--json"]] {
            let url = address.to_string();
            let (status, said, wrong) = doctor(&[words, &[&url]].concat(), None);
            assert_eq!(status, Some(1), "{said}{wrong}");
            let harmful = |letter: char| escape.contains(letter) && !letter.is_ascii_graphic();
            assert!(
                !said.contains(harmful) && !wrong.contains(harmful),
                "{said:?}{wrong:?}"
            );
            assert!(said.len() < 20_000, "{said}");
        }
    }
}

#[test]
fn an_address_that_no_client_can_be_given_is_a_wrong_command_line_and_its_secret_is_not_said() {
    for url in [
        "ftp://a.example",
        "http://",
        "https://user:secret@a.example",
        "https://a.example/sse?key=secret",
        "https://a.example/#secret",
    ] {
        let (status, said, wrong) = doctor(&[url], None);
        assert_eq!((status, said.as_str()), (Some(2), ""), "{url}: {wrong}");
        assert!(!wrong.contains("secret"), "{wrong}");
        assert!(wrong.contains("https://tools.example.org"), "{wrong}");
    }
    let digest = format!("sha256:{}", "0".repeat(64));
    let (status, _, wrong) = doctor(&["127.0.0.1:9"], Some(&digest));
    assert_eq!(status, Some(2), "{wrong}");
    for words in [
        ["--idle", "4000"],
        ["--wait", "0"],
        ["--origin", "app.example.org"],
        ["--origin", "https://app.example.org/"],
        ["--origin", "https://app.example.org\nx: y"],
    ] {
        let (status, _, wrong) = doctor(&[&words[..], &["127.0.0.1:9"]].concat(), None);
        assert_eq!(status, Some(2), "{words:?}: {wrong}");
    }
}

/// Examines, with a key, a server whose stream names this endpoint, where `OTHER` is a listener of another origin and
/// `OWN` the server. Fails where anything comes to the listener. Returns what the doctor says.
fn with_an_endpoint(named: &'static str) -> String {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let other = elsewhere.local_addr().expect("it is bound");
    elsewhere.set_nonblocking(true).expect("a socket of ours");
    let address = stranger(move |mut stream, head, _| {
        let own = stream.local_addr().expect("it is connected");
        let named = named.replace("OTHER", &other.to_string());
        let named = named.replace("OWN", &own.to_string());
        let answer = match head.split(' ').nth(1) {
            Some("/mcp") => {
                let body =
                    "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32600,\"message\":\"\"}}";
                format!(
                    "HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            Some("/sse") => format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nevent: endpoint\ndata: {named}\n\n"
            ),
            _ => format!(
                "HTTP/1.1 307 Moved\r\nLocation: http://{other}/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            ),
        };
        let _ = stream.write_all(answer.as_bytes());
    });
    let url = address.to_string();
    let (status, said, _) = doctor(
        &["--wait", "30", "--idle", "0", &url],
        Some("the-secret-key"),
    );
    assert_eq!(status, Some(1), "{said}");
    assert!(
        elsewhere.accept().is_err(),
        "{named}: somebody has connected"
    );
    assert!(!said.contains("the-secret-key"), "{said}");
    said
}

#[test]
fn the_key_is_sent_to_no_other_origin_than_the_one_that_was_given() {
    for named in [
        "http://OTHER/messages/?session_id=1",
        "//OTHER/messages/?session_id=1",
        "\\\\OTHER\\messages",
        "https://OWN/messages/?session_id=1",
    ] {
        let said = with_an_endpoint(named);
        assert!(said.contains("clients refuse it"), "{said}");
    }
    // Paths of the same origin, which would be another one's address if they were read once more.
    for named in [
        "http://OWN//OTHER/messages/?session_id=1",
        "/.//OTHER/messages/?session_id=1",
        "/x/..//OTHER/messages/?session_id=1",
        "http://OWN/\\OTHER/messages/?session_id=1",
        "http://OWN///OTHER/messages/?session_id=1",
    ] {
        let said = with_an_endpoint(named);
        assert!(!said.contains("clients refuse it"), "{said}");
    }
}

#[test]
fn a_server_of_this_machine_is_found_by_the_settings_and_is_well_by_every_form_of_its_address() {
    let folder = Folder::new();
    let server = Server::start(&Setup::new().plugins(folder.path()));
    server.ready();
    let at = server.address();
    for url in [
        format!("http://{at}"),
        format!("{at}/sse"),
        format!("http://localhost:{}/mcp/", at.port()),
    ] {
        let (status, said, wrong) = doctor(&["--wait", "30", "--idle", "0", &url], None);
        assert_eq!(status, Some(0), "{said}{wrong}");
        assert!(said.contains("0 faults, 0 warnings"), "{said}");
        assert!(said.contains("2026-07-28"), "{said}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command.args(["doctor", "--idle", "0", "--wait", "30"]);
    command.env_clear().envs(COVERAGE);
    command.env("MCP_PORT", at.port().to_string());
    let output = output_within(LIMIT, &mut command);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("http://{at}: smcp ")), "{said}");
}

/// When the server of version 3 says that there is too much to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Busy {
    Never,
    /// Every second request is refused for how many there are.
    EverySecond,
    /// Each request is refused so, when it comes for the first time.
    AtFirst(&'static str),
}

/// A server of HTTP+SSE alone, as version 3 was: no `/mcp`, no `/readyz`, and every message has a session.
fn older(busy: Busy) -> SocketAddr {
    let streams: Arc<Mutex<HashMap<String, TcpStream>>> = Arc::default();
    let requests = Arc::new(AtomicU64::new(0));
    let known: Arc<Mutex<HashSet<Vec<u8>>>> = Arc::default();
    stranger(move |mut stream, head, body| {
        let is_new = || {
            let mut known = known.lock().expect("nobody panics here");
            known.insert([head.as_bytes(), body].concat())
        };
        let refusal = match busy {
            Busy::EverySecond if requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => {
                Some("429 Too Many Requests")
            }
            Busy::AtFirst(refusal) if is_new() => Some(refusal),
            _ => None,
        };
        if let Some(status) = refusal {
            let refusal =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(refusal.as_bytes());
            return;
        }
        let target = head.split(' ').nth(1).unwrap_or_default();
        let (path, id) = target.split_once("?session_id=").unwrap_or((target, ""));
        let mut streams = streams.lock().expect("nobody panics here");
        let status = match path {
            "/sse" => {
                let id = streams.len().to_string();
                let begin = format!(
                    "HTTP/1.1 200 OK\r\nServer: uvicorn\r\nContent-Type: text/event-stream\r\n\r\n\
                     event: endpoint\ndata: /messages/?session_id={id}\n\n"
                );
                let _ = stream.write_all(begin.as_bytes());
                streams.insert(id, stream);
                return;
            }
            "/messages/" if !id.is_empty() => {
                let message: Value = serde_json::from_slice(body).expect("JSON");
                let result = match message["method"].as_str() {
                    Some("initialize") => serde_json::json!({
                        "protocolVersion": message["params"]["protocolVersion"],
                        "capabilities": {},
                        "serverInfo": {"name": "sanctum-letta-mcp", "version": "3.1.0"},
                    }),
                    _ => serde_json::json!({"tools": []}),
                };
                if let (Some(id), Some(stream)) = (message.get("id"), streams.get_mut(id)) {
                    let answer = serde_json::json!({"jsonrpc": "2.0", "id": id, "result": result});
                    let _ =
                        stream.write_all(format!("event: message\ndata: {answer}\n\n").as_bytes());
                }
                "202 Accepted"
            }
            "/messages/" => "400 Bad Request",
            _ => "404 Not Found",
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nServer: uvicorn\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.write_all(answer.as_bytes());
    })
}

#[test]
fn an_older_server_is_well_and_what_it_does_not_have_is_no_fault_of_a_proxy() {
    let url = older(Busy::Never).to_string();
    let (status, said, wrong) = doctor(&["--wait", "30", "--idle", "1", &url], None);
    assert_eq!(status, Some(0), "{said}{wrong}");
    assert!(
        said.starts_with(&format!("http://{url}: smcp 3.1.0\n")),
        "{said}"
    );
    assert!(said.contains("ok: /sse: clients of 2024-11-05"), "{said}");
    assert!(
        said.contains("known to have: POST /mcp is answered with status 404"),
        "{said}"
    );
}

#[test]
fn what_is_refused_for_how_many_requests_there_are_is_asked_again_and_no_fault_of_another_kind() {
    let url = older(Busy::EverySecond).to_string();
    let (status, said, wrong) = doctor(&["--wait", "30", "--idle", "1", &url], None);
    assert_eq!(status, Some(0), "{said}{wrong}");
    assert!(said.contains("ok: /sse: clients of 2024-11-05"), "{said}");
    assert!(said.contains("for coming too quickly"), "{said}");
    assert!(said.contains("0 faults, 1 warning"), "{said}");
}

/// 408 is what a server says whose machine is so busy that a request comes late.
#[test]
fn a_busy_server_is_asked_again_and_what_it_answers_then_counts() {
    for refusal in [
        "408 Request Timeout",
        "503 Service Unavailable\r\nRetry-After: 1",
    ] {
        let url = older(Busy::AtFirst(refusal)).to_string();
        let (status, said, wrong) = doctor(&["--wait", "30", "--idle", "1", &url], None);
        assert_eq!(status, Some(0), "{said}{wrong}");
        assert!(said.contains("ok: /sse: clients of 2024-11-05"), "{said}");
        assert!(
            said.contains("as it should be when it was sent again"),
            "{said}"
        );
        assert!(said.contains("0 faults, 1 warning"), "{said}");
    }
}

#[test]
fn a_server_that_stays_busy_is_called_busy_and_nothing_else_is_concluded_from_it() {
    let late = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let full = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";
    let message = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"full"}}"#;
    for address in [
        answering("408 Request Timeout", ""),
        answering("503 Service Unavailable\r\nRetry-After: 1", message),
        speaking_first(late.as_bytes()),
        speaking_first(full.as_bytes()),
    ] {
        // On a busy machine an answer may come after the time that it has at first.
        let found = ["5", "20"].map(|wait| faults(address, wait));
        assert!(found.iter().any(|found| *found == ["busy"]), "{found:?}");
    }
}
