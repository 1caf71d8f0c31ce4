//! What a refusal says, to whom, and what is kept of it.

use sha2::{Digest, Sha256};

use crate::support::http::{Answer, PATIENCE, exchange, get};
use crate::support::server::{Server, Setup, run};
use crate::support::until;

const KEY: &str = "the-key-of-this-test";

#[test]
fn a_preflight_allows_what_browser_clients_send_and_read() {
    let server = Server::start(&Setup::new().variable("MCP_API_KEY", KEY));
    let at = server.address();
    let origin = format!("Origin: http://localhost:3000\r\nHost: {at}\r\nConnection: close\r\n");
    let preflight = format!(
        "OPTIONS /mcp HTTP/1.1\r\n{origin}Access-Control-Request-Method: DELETE\r\n\
         Access-Control-Request-Headers: authorization, mcp-session-id\r\n\r\n"
    );
    let allowed = exchange(at, preflight.as_bytes());
    let list = |answer: &Answer, name: &str| -> Vec<String> {
        let value = answer.header(name).unwrap_or_default();
        value
            .split(',')
            .map(|word| word.trim().to_lowercase())
            .collect()
    };
    let headers = list(&allowed, "access-control-allow-headers");
    for header in [
        "authorization",
        "x-api-key",
        "x-agent-id",
        "content-type",
        "last-event-id",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "traceparent",
        "tracestate",
    ] {
        assert!(
            headers.contains(&header.to_owned()),
            "{header} is not in {headers:?}"
        );
    }
    let methods = list(&allowed, "access-control-allow-methods");
    for method in ["get", "post", "delete"] {
        assert!(
            methods.contains(&method.to_owned()),
            "{method} is not in {methods:?}"
        );
    }
    // No cookie and no client certificate counts here, so pages may not send any.
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    let read = exchange(
        at,
        format!("GET /health HTTP/1.1\r\n{origin}\r\n").as_bytes(),
    );
    let exposed = list(&read, "access-control-expose-headers");
    for header in ["mcp-session-id", "www-authenticate"] {
        assert!(
            exposed.contains(&header.to_owned()),
            "{header} is not in {exposed:?}"
        );
    }
    // What is kept for one page must not be handed to another.
    assert!(
        list(&read, "vary").contains(&"origin".to_owned()),
        "{}",
        read.head
    );
}

#[test]
fn a_key_may_be_all_that_a_head_has_room_for() {
    let long = "k".repeat(60_000);
    let digest: String = Sha256::digest(&long)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let server = Server::start(
        &Setup::new()
            .argument("--require-auth")
            .variable("MCP_API_KEY", format!("sha256:{digest}")),
    );
    for (key, expected) in [(long.clone(), 200), (format!("{long}k"), 401)] {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
        );
        let answer = exchange(server.address(), request.as_bytes());
        assert_eq!(answer.status, expected, "{}", answer.text());
    }
}

#[test]
fn asking_for_a_key_that_nobody_set_ends_the_start() {
    for arguments in [
        &["--require-auth"][..],
        &["--host", "0.0.0.0"],
        &["--allow-external"],
    ] {
        let mut setup = Setup::new();
        for argument in arguments {
            setup = setup.argument(*argument);
        }
        let output = run(&setup);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("MCP_API_KEY"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_refusal_is_counted_and_put_on_record_without_its_query() {
    let server = Server::start(
        &Setup::new()
            .variable("MCP_API_KEY", KEY)
            .argument("--require-auth"),
    );
    let at = server.address();
    let ask = |path: &str, lines: &str| {
        let request = format!(
            "GET {path}?token=canary-in-a-query HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
        );
        exchange(at, request.as_bytes()).status
    };
    assert_eq!(ask("/sse", "Host: localhost\r\n"), 401);
    // It needs no key, so the host counts.
    assert_eq!(ask("/health", "Host: evil.test\r\n"), 403);
    let foreign = "Host: localhost\r\nOrigin: http://evil.test\r\n";
    assert_eq!(ask("/sse", foreign), 403);
    let line = format!("X-API-Key: {}\r\n", KEY);
    for reason in ["unauthorized", "host_not_allowed", "origin_not_allowed"] {
        let counted = format!("smcp_refused_total{{reason=\"{reason}\"}} 1");
        until(&counted, PATIENCE, || {
            let metrics = exchange(at, &get(at, "/metrics", &line)).text();
            metrics.lines().any(|line| line == counted).then_some(())
        });
        until("the refusal is logged", PATIENCE, || {
            let log = server.log();
            let line = log
                .lines()
                .find(|line| line.contains(&format!("outcome={reason}")))?;
            assert!(
                line.contains("peer=127.0.0.1") && line.contains("GET /"),
                "{line}"
            );
            Some(())
        });
    }
    assert!(
        !server.log().contains("canary-in-a-query"),
        "{}",
        server.log()
    );
}
