//! The addresses and codes that `docs/api-reference.md` lists, and those of the source.

use std::collections::BTreeSet;

use serde_json::json;

use super::pages::{entries, read, root};
use super::support::http::{Connection, PATIENCE, exchange, post};
use super::support::server::{Server, Setup};

const PAGE: &str = "docs/api-reference.md";

#[test]
fn the_page_lists_every_address() {
    let source = read(&root().join("src/http/mod.rs"));
    let (_, table) = source
        .split_once("const METHODS:")
        .expect("the routes are in one table");
    let (table, _) = table.split_once("];").expect("the table has an end");
    let served: BTreeSet<&str> = literals(table)
        .filter(|text| text.starts_with('/'))
        .collect();
    assert!(served.len() > 5, "only {served:?} were found");
    let page = read(&root().join(PAGE));
    let missing: Vec<_> = served
        .iter()
        .filter(|path| !page.contains(&format!("{path}`")) && !page.contains(&format!("{path}/`")))
        .collect();
    assert!(missing.is_empty(), "{PAGE} does not list {missing:?}");
}

#[test]
fn the_page_lists_the_codes_of_failed_calls() {
    let source = read(&root().join("src/call/error.rs"));
    let (_, code) = source
        .split_once("pub fn code(&self)")
        .expect("the codes are given by one function");
    let (code, _) = code.split_once("\n    }\n").expect("it has an end");
    let mut given: BTreeSet<&str> = literals(code).collect();
    // A tool of the server's own has two that no call of a program can have.
    let results = read(&root().join("src/mcp/methods/results.rs"));
    let constants = results.lines().filter(|line| line.starts_with("const "));
    given.extend(constants.flat_map(literals));
    assert!(given.len() > 12, "only {given:?} were found");
    let page = read(&root().join(PAGE));
    let section = section(&page, "## Results and failures");
    let listed: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split('`').next())
        .collect();
    assert_eq!(listed, given);
}

#[test]
fn the_page_lists_the_codes_of_refused_requests() {
    let mut given = BTreeSet::new();
    for file in entries(&root().join("src/http")) {
        if file.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let source = read(&file);
        // The status, the code and the text are the arguments of one call, on one line or on three.
        for call in source.split("refusal(").skip(1) {
            let Some((_, rest)) = call
                .split_once("StatusCode::")
                .filter(|(before, _)| before.trim().is_empty())
            else {
                continue;
            };
            let rest = rest
                .split_once(',')
                .map_or("", |(_, rest)| rest)
                .trim_start();
            if let Some(code) = rest
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next())
            {
                given.insert(code.to_owned());
            }
        }
    }
    assert!(given.len() > 8, "only {given:?} were found");
    let page = read(&root().join(PAGE));
    let section = section(&page, "## Refused requests");
    let missing: Vec<_> = given
        .iter()
        .filter(|code| !section.contains(&format!("`{code}`")))
        .collect();
    assert!(missing.is_empty(), "{PAGE} does not list {missing:?}");
}

#[test]
fn the_page_lists_the_methods_and_the_errors_of_the_protocol() {
    let page = read(&root().join(PAGE));
    let methods = read(&root().join("src/mcp/method.rs"));
    let (_, names) = methods
        .split_once("pub const fn name(self) -> &'static str {\n        match self {\n            Self::Complete =>")
        .expect("the names are given by one function");
    let (names, _) = names.split_once("\n    }\n").expect("it has an end");
    let names: Vec<&str> = literals(names).filter(|name| *name != "other").collect();
    assert!(names.len() > 10, "only {names:?} were found");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{PAGE} does not list {missing:?}");
    let errors = read(&root().join("src/jsonrpc/error.rs"));
    let numbers: Vec<&str> = errors
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
        .filter_map(|constant| constant.split(" = ").nth(1))
        .map(|value| value.trim_end_matches(';'))
        .collect();
    assert!(numbers.len() > 7, "only {numbers:?} were found");
    let missing: Vec<_> = numbers
        .iter()
        .filter(|number| !page.contains(*number))
        .collect();
    assert!(missing.is_empty(), "{PAGE} does not list {missing:?}");
}

#[test]
fn a_method_is_there_when_the_page_says_so() {
    let server = Server::start(&Setup::new());
    server.ready();
    let at = server.address();
    let message = |method: &str| {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }}})
        .to_string()
    };
    let without_a_session = |method: &str| {
        let answer = exchange(at, &post(at, "/messages/", "", message(method).as_bytes()));
        answer.json()["error"]["code"] != -32601
    };
    let newest = |method: &str| {
        let headers = format!(
            "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n"
        );
        let mut connection = Connection::open(at);
        let request = post(at, "/mcp", &headers, message(method).as_bytes());
        connection.send(&request).expect("the server listens");
        // Of a stream the head is enough.
        let (status, _) = connection.head(PATIENCE).expect("an answer");
        status != 404
    };
    let page = read(&root().join(PAGE));
    let mut seen = 0;
    for row in section(&page, "## Methods").lines() {
        let Some((methods, when)) = row.rsplit_once(" | ") else {
            continue;
        };
        let expected = match when {
            "always |" => (true, true),
            "not with revision 2026-07-28 |" => (true, false),
            "only with revision 2026-07-28 |" => (false, true),
            // What plugins declare is the matter of other tests.
            _ => continue,
        };
        for method in methods.split('`').skip(1).step_by(2) {
            assert_eq!(
                (without_a_session(method), newest(method)),
                expected,
                "{method}"
            );
            seen += 1;
        }
    }
    assert!(seen > 6, "only {seen} methods were found");
}

#[test]
fn a_refusal_is_json_for_programs_and_people_but_where_the_page_makes_an_exception() {
    let server = Server::start(
        &Setup::new()
            .argument("--require-auth")
            .variable("MCP_API_KEY", "a-key"),
    );
    server.ready();
    let at = server.address();
    let key = "X-API-Key: a-key\r\n";
    let plain = |line: &str, headers: &str| {
        format!("{line} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 0\r\n{headers}\r\n").into_bytes()
    };
    let many: String = (0..101).map(|at| format!("X-{at}: 1\r\n")).collect();
    let is_whole = |body: &str| {
        let body: Result<serde_json::Value, _> = serde_json::from_str(body);
        body.is_ok_and(|body| body["error"].is_string() && body["message"].is_string())
    };
    for (request, status) in [
        (plain("GET /nowhere", key), 404),
        (plain("PUT /mcp", key), 405),
        (plain("DELETE /mcp", key), 405),
        (
            plain("GET /sse", &format!("{key}Accept: text/html\r\n")),
            406,
        ),
        (plain("POST /messages/", key), 415),
        (
            plain(
                "GET /health",
                &format!("{key}X-A: {}\r\n", "a".repeat(70_000)),
            ),
            431,
        ),
    ] {
        let answer = exchange(at, &request);
        assert_eq!(answer.status, status);
        assert!(is_whole(&answer.text()), "{status}: {}", answer.text());
    }
    for (request, status, body) in [
        (
            plain("GET /metrics", ""),
            401,
            r#"{"error":"unauthorized"}"#,
        ),
        (plain("GET /health", &format!("{key}{many}")), 431, ""),
        (b"hello\r\n\r\n".to_vec(), 400, ""),
        (
            post(at, "/messages/?session_id=x", key, b"{}"),
            400,
            "Invalid session ID",
        ),
    ] {
        let answer = exchange(at, &request);
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
    }
    let answer = exchange(at, &plain("POST /sse", key));
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().starts_with("this is the HTTP+SSE endpoint"),
        "{}",
        answer.text()
    );
}

/// The strings in a piece of source that has no escapes.
fn literals(source: &str) -> impl Iterator<Item = &str> {
    source.split('"').skip(1).step_by(2)
}

/// A section of a page, up to the next of its level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("{heading}\n"))
        .unwrap_or_else(|| panic!("{PAGE} has no section '{heading}'"));
    rest.split("\n## ").next().unwrap_or_default()
}
