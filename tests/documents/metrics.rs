//! The metrics that `docs/monitoring.md` lists, and those that a server gives.

use std::collections::BTreeSet;

use super::pages::{read, root};
use super::support::http::{exchange, get, post};
use super::support::server::{Server, Setup};

#[test]
fn the_page_lists_the_metrics_that_there_are() {
    let page = read(&root().join("docs/monitoring.md"));
    let listed: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with("| `smcp_"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| {
            name.trim_end_matches("_total")
                .trim_end_matches("_info")
                .to_owned()
        })
        .collect();
    let server = Server::start(&Setup::new().plugins(root().join("plugins")));
    server.ready();
    // Some appear only when there is something to count: a call, a session, a refusal.
    let messages = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"demo_math__coin_flip"}}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
    ];
    for (path, message) in ["/messages/", "/mcp"].iter().zip(messages) {
        let accepts = "Accept: application/json, text/event-stream\r\n";
        let answer = exchange(
            server.address(),
            &post(server.address(), path, accepts, message.as_bytes()),
        );
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let foreign = get(server.address(), "/sse", "Origin: http://evil.test\r\n");
    assert_eq!(exchange(server.address(), &foreign).status, 403);
    let scraped = exchange(server.address(), &get(server.address(), "/metrics", "")).text();
    let given: BTreeSet<String> = scraped
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|rest| rest.split(' ').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, given);
}
