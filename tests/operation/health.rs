//! `smcp health`: the state of a server as an exit status.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::http::exchange;
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup, run};

/// Exit status, standard output, standard error.
fn health(setup: Setup) -> (Option<i32>, String, String) {
    let output = run(&setup);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn ask(arguments: &[&str]) -> (Option<i32>, String, String) {
    let setup = Setup::new().argument("health");
    health(
        arguments
            .iter()
            .fold(setup, |setup, word| setup.argument(*word)),
    )
}

#[test]
fn a_ready_server_is_healthy_by_whatever_form_of_its_address() {
    let server = Server::start(&Setup::new());
    server.ready();
    let at = server.address().to_string();
    for url in [at.clone(), format!("http://{at}"), format!("http://{at}/")] {
        let (status, said, wrong) = ask(&[&url]);
        assert_eq!(status, Some(0), "{wrong}");
        assert!(
            said.starts_with(&format!("healthy: {url}, 0 plugins, ")),
            "{said}"
        );
    }
    let (status, said, _) = ask(&["--json", &at]);
    let answer: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((status, &answer["healthy"]), (Some(0), &Value::Bool(true)));
    assert_eq!(answer["server"]["status"], "healthy", "{answer}");
}

#[test]
fn without_an_address_it_is_that_of_the_settings_and_no_other_setting_counts() {
    let server = Server::start(&Setup::new());
    server.ready();
    let port = server.address().port().to_string();
    let setup = Setup::new()
        .argument("health")
        .variable("MCP_HOST", "0.0.0.0")
        .variable("MCP_PORT", &port)
        .variable("MCP_MAX_CALLS", "nonsense");
    let (status, said, wrong) = health(setup);
    assert_eq!(status, Some(0), "{wrong}");
    assert!(said.contains(&format!("http://127.0.0.1:{port}")), "{said}");
}

#[test]
fn a_server_that_still_asks_its_plugins_is_not_healthy() {
    let folder = Folder::new();
    folder.add_executable("slow", "#!/bin/sh\n# --describe\nsleep 600\n");
    let server = Server::start(&Setup::new().plugins(folder.path()));
    let at = server.address().to_string();
    let (status, _, wrong) = ask(&[&at]);
    // A busy machine may have given the plugin up by then.
    if status != Some(0) {
        assert_eq!(status, Some(1), "{wrong}");
        assert!(wrong.contains("loading plugins"), "{wrong}");
    }
}

#[test]
fn where_nothing_answers_the_status_is_1_and_the_message_says_what_to_look_at() {
    // Bound, so that nobody else gets the port, and not listened on.
    let taken = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    taken.bind(&free.into()).expect("there are ports");
    let at = taken.local_addr().expect("it is bound");
    let at = at.as_socket().expect("it is an address").to_string();
    let (status, said, wrong) = ask(&[&at]);
    assert_eq!((status, said.as_str()), (Some(1), ""), "{wrong}");
    assert!(
        wrong.contains("nothing answers at") && wrong.contains(&at),
        "{wrong}"
    );
    let (status, said, wrong) = ask(&["--json", &at]);
    let answer: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((status, wrong.as_str()), (Some(1), ""));
    assert_eq!(answer["healthy"], Value::Bool(false));
    // Of a health check of a container 2 has no meaning.
    for address in ["http://[", ""] {
        let (status, _, wrong) = ask(&[address]);
        assert_eq!(status, Some(1), "{address}: {wrong}");
        assert!(wrong.contains("is no address of a server"), "{wrong}");
    }
    let (status, _, wrong) = health(Setup::new().argument("health").variable("MCP_PORT", "abc"));
    assert_eq!(status, Some(1), "{wrong}");
    assert!(wrong.contains("MCP_PORT"), "{wrong}");
}

/// Something else that answers every request so. Its thread ends with the test program.
fn somebody_else(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
    });
    at.to_string()
}

#[test]
fn a_server_that_is_none_of_smcp_is_not_healthy_whatever_it_answers() {
    for (status, body) in [
        ("200 OK", "<!doctype html><title>Welcome</title>"),
        ("200 OK", "[1,2]"),
        ("200 OK", "{\"status\":\"healthy\"}"),
        ("200 OK", ""),
        ("200 OK", "ready"),
        ("200 OK", "ready\nsteady\n"),
        ("503 Service Unavailable", "<html>no upstream</html>"),
        ("404 Not Found", "ready\n"),
    ] {
        let at = somebody_else(status, body);
        let (code, said, wrong) = ask(&[&at]);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{status}: {body}");
        assert!(wrong.contains("is the address right?"), "{body}: {wrong}");
        let (code, said, _) = ask(&["--json", &at]);
        let answer: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!((code, &answer["healthy"]), (Some(1), &Value::Bool(false)));
    }
}

#[test]
fn what_a_stranger_answers_does_nothing_to_the_terminal() {
    let at = somebody_else(
        "503 Service Unavailable",
        "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\rloading plugins\n",
    );
    let (code, said, wrong) = ask(&[&at]);
    assert_eq!(code, Some(1), "{said}");
    let is_plain = |text: &str| {
        text.chars()
            .all(|letter| letter == '\n' || !letter.is_control())
    };
    assert!(is_plain(&said) && is_plain(&wrong), "{wrong:?}");
}

#[test]
fn a_password_in_an_address_is_not_printed() {
    let server = Server::start(&Setup::new());
    server.ready();
    let well = format!("http://ada:canary@{}", server.address());
    let page = somebody_else("200 OK", "<html>");
    let other = format!("http://ada:canary@{page}/");
    let slashed = "http://ada:can/ary:canary@127.0.0.1:1".to_owned();
    let nowhere = "ada:canary@[".to_owned();
    let scheme = "ftp://ada:canary@127.0.0.1".to_owned();
    let asking = "http://127.0.0.1:1/?key=canary".to_owned();
    for (url, status) in [
        (asking, 1),
        (well, 0),
        (other, 1),
        (slashed, 1),
        (nowhere, 1),
        (scheme, 1),
    ] {
        for arguments in [vec![url.as_str()], vec!["--json", url.as_str()]] {
            let (code, said, wrong) = ask(&arguments);
            assert_eq!(code, Some(status), "{url}: {said}{wrong}");
            assert!(!said.contains("canary"), "{said}");
            assert!(!wrong.contains("canary"), "{wrong}");
        }
    }
}

#[test]
fn whoever_shows_a_key_is_told_which_headers_have_arrived_and_never_what_is_in_them() {
    let setup = Setup::new()
        .argument("--require-auth")
        .variable("MCP_API_KEY", "the-key-of-this-test")
        .variable("MCP_KEEP_ALIVE", "2500ms");
    let server = Server::start(&setup);
    let told = |version: &str, headers: &str, query: &str| {
        let request = format!(
            "GET /health{query} HTTP/{version}\r\nHost: 127.0.0.1\r\n{headers}Connection: close\r\n\r\n"
        );
        exchange(server.address(), request.as_bytes()).json()["request"].clone()
    };
    let key = "X-API-Key: the-key-of-this-test\r\n";
    let sent = format!("{key}X-Agent-Id: a-secret-name\r\nX-Internal: y\r\nMcp-Name: z\r\n");
    assert_eq!(
        told("1.1", &sent, "?request"),
        serde_json::json!({
            "http_version": "1.1",
            "host": "127.0.0.1",
            "headers": ["mcp-name", "x-agent-id", "x-api-key"],
            "keep_alive_seconds": 2.5,
        })
    );
    assert_eq!(told("1.0", key, "?request")["http_version"], "1.0");
    for (headers, query) in [
        ("", "?request"),
        (key, ""),
        (key, "?requests"),
        (key, "?x=request"),
    ] {
        assert_eq!(told("1.1", headers, query), Value::Null, "{headers}{query}");
    }
}
