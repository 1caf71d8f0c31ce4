//! What strangers cannot write into a log, and what nobody can read in one.

use serde_json::json;

use super::{console_with, directory, end, log_with, logging_to, read};
use crate::support::http::{exchange, get, post};
use crate::support::plugins::Folder;
use crate::support::server::Server;
use crate::support::session::{Session, directly, text_of};
use crate::support::wire;

#[test]
fn what_a_client_or_a_plugin_says_forges_no_line() {
    const FORGED: &str = "x\n1999-01-01T00:00:00.000000Z  INFO smcp::audit: method=forged\r\u{1b}[2K\u{202e}\u{2028}y";
    let plugins = Folder::new();
    plugins.add_executable("loud", "#!/bin/sh\nif [ \"$1\" = --describe ]; then\nprintf '1999-01-01T00:00:00Z ERROR forged\\n\\033[2J\\n{\"commands\":[{\"name\":\"say\",\"description\":\"d\"}]}'\nelse printf '\\n1999-01-01T00:00:00Z ERROR forged\\n\\033[2J' >&2; exit 1; fi\n");
    for json_lines in ["0", "1"] {
        let directory = directory();
        let setup = logging_to(directory.path())
            .plugins(plugins.path())
            .variable("MCP_LOG_LEVEL", "TRACE")
            .variable("MCP_LOG_JSON", json_lines);
        let server = Server::start(&setup);
        server.ready();
        let at = server.address();
        directly(
            at,
            "tools/call",
            json!({"name": FORGED, "arguments": {FORGED: FORGED}}),
        );
        directly(
            at,
            "tools/call",
            json!({"name": "loud__say", "arguments": {}}),
        );
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": FORGED, "params": {}});
        exchange(
            at,
            &post(
                at,
                "/messages/",
                "X-Agent-Id: a\tb=c \"d\r\n",
                message.to_string().as_bytes(),
            ),
        );
        exchange(
            at,
            &get(
                at,
                "/%0a1999-01-01T00:00:00Z%20forged",
                "X-API-Key: wrong\r\n",
            ),
        );
        directly(at, "ping", json!({}));
        log_with(&directory.path().join("mcp_server.log"), "ping");
        let console = console_with(&server, "ping");
        end(server);
        for log in [read(&directory.path().join("mcp_server.log")), console] {
            assert!(
                log.contains("forged"),
                "the attempts are not on record:\n{log}"
            );
            for line in log.lines() {
                let beginning = if json_lines == "1" {
                    "{\"timestamp\":\"20"
                } else {
                    "20"
                };
                assert!(line.starts_with(beginning), "a forged line: {line:?}");
                let hostile =
                    |letter: char| letter.is_control() || matches!(letter, '\u{202e}' | '\u{2028}');
                assert!(!line.contains(hostile), "a control character in {line:?}");
            }
        }
    }
}

/// Everything that must stay out of the logs begins with this.
const CANARY: &str = "canary";

#[test]
fn at_the_loudest_level_no_log_holds_a_key_a_value_a_result_or_a_whole_session_id() {
    let plugins = Folder::new();
    plugins.add_executable(
        "keeper",
        r#"#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{"contract_version":"1.1","commands":[{"name":"keep","description":"d","parameters":[
        {"name":"plain","type":"string"},{"name":"secret","type":"string","env":"KEEPER_SECRET"},
        {"name":"count","type":"integer"}]}]}'
else
    echo "canary-in-stdout $KEEPER_SECRET $*"; echo "noise-on-stderr" >&2
    [ "$3" != fail ]
fi
"#,
    );
    let directory = directory();
    let setup = logging_to(directory.path())
        .plugins(plugins.path())
        .variable("MCP_LOG_LEVEL", "TRACE")
        .variable("OTHER_SERVICE_TOKEN", "canary-in-the-environment");
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let key = "X-API-Key: canary-of-the-key\r\n";
    let mut session = Session::open_with(at, "/sse", key);
    session.initialize(wire::NEWEST);
    let good = session.call(
        "keeper__keep",
        json!({"plain": "canary-plain", "secret": "canary-secret"}),
    );
    assert!(
        text_of(&good).contains("canary-secret"),
        "the value did not arrive: {good}"
    );
    // A failure, a refusal by the schema, and a tool that is not there: each has a message that could tell too much.
    session.call(
        "keeper__keep",
        json!({"plain": "fail", "secret": "canary-secret"}),
    );
    session.call(
        "keeper__keep",
        json!({"count": "canary-no-number", "canary-undeclared": "canary-value"}),
    );
    session.call("keeper__nothing", json!({"plain": "canary-plain"}));
    for wrong in [
        "X-API-Key: canary-wrong-key\r\n",
        "X-API-Key: canary-of-the-key canary-more\r\n",
    ] {
        let answer = exchange(at, &get(at, "/metrics?token=canary-in-a-query", wrong));
        assert_eq!(answer.status, 401);
        assert!(
            !answer.head.contains(CANARY) && !answer.text().contains(CANARY),
            "{}{}",
            answer.head,
            answer.text()
        );
    }
    let metrics = exchange(at, &get(at, "/metrics", key));
    assert_eq!(metrics.status, 200);
    assert!(!metrics.text().contains(CANARY), "{}", metrics.text());
    let id = session.id().to_owned();
    drop(session);
    let console = console_with(&server, "/metrics");
    end(server);
    let log = read(&directory.path().join("mcp_server.log"));
    assert!(
        log.contains("tool=keeper__keep") && log.contains("arguments=plain,secret"),
        "{log}"
    );
    for log in [log, console] {
        // The name of an argument is told, its value is not.
        let log = log.replace("canary-undeclared", "");
        let found: Vec<_> = log
            .lines()
            .filter(|line| line.contains(CANARY) || line.contains(&id))
            .collect();
        assert!(
            found.is_empty(),
            "secrets in the log:\n{}",
            found.join("\n")
        );
    }
}
