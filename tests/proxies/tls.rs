//! TLS by the proxy, with a certificate that the client checks, and HTTP/2 in front of the server.

use super::behind::keyed;
use super::curl::Curl;
use super::proxy::{Over, Proxy, installed};
use super::site::{PROGRAMS, Program, Site};
use super::support::server::Server;

#[test]
fn a_client_that_trusts_the_certificate_gets_events_and_answers_over_http_2() {
    for program in PROGRAMS {
        if installed(program).is_none() {
            continue;
        }
        let server = Server::start(&keyed());
        let site = match program {
            Program::Nginx => Site::at_the_root(program).with("443 ssl", "443 ssl http2"),
            Program::Caddy => Site::at_the_root(program),
        };
        let Some(proxy) = Proxy::start(&site, server.address(), Over::Tls) else {
            continue;
        };
        let authority = proxy.authority().display().to_string();
        let (host, port) = (site.host, proxy.address().port());
        let resolved = format!("{host}:{port}:127.0.0.1");
        let common = [
            "--http2",
            "--cacert",
            &authority,
            "--resolve",
            &resolved,
            "--include",
        ];
        let begin = |arguments: &[&str]| Curl::start(&[&common[..], arguments].concat());
        let mut events = begin(&[&format!("https://{host}:{port}/sse")]);
        let head = events.until("event: endpoint");
        assert!(head.contains("HTTP/2 200"), "{proxy:?}: {head}");
        let mcp = format!("https://{host}:{port}/mcp");
        let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let json = "Content-Type: application/json";
        let both = "Accept: application/json, text/event-stream";
        let mut opened = begin(&["-H", json, "-H", both, "--data", initialize, &mcp]);
        let answer = opened.until("serverInfo");
        assert!(answer.contains("HTTP/2 200"), "{proxy:?}: {answer}");
        let id = answer
            .lines()
            .find_map(|line| line.strip_prefix("mcp-session-id: "));
        let session = format!("Mcp-Session-Id: {}", id.expect("a session's id").trim());
        let mut own = begin(&["-H", "Accept: text/event-stream", "-H", &session, &mcp]);
        assert!(own.until("\r\n\r\n").contains("HTTP/2 200"), "{proxy:?}");
        let mut ended = begin(&["-H", &session, "-X", "DELETE", &mcp]);
        assert!(ended.until("\r\n\r\n").contains("HTTP/2 204"), "{proxy:?}");
    }
}
