//! What mends the way of headers, bodies and streams through the proxy.

use super::super::fault::Fault;
use super::super::line::{Line, caddy, nginx, smcp, without};

/// The way of bytes and streams through the proxy.
pub(super) fn of_transfer(fault: Fault, subject: &str) -> (String, Vec<Line>) {
    match fault {
        Fault::HostChanged => (
            "let the proxy pass on the name that the client asked for".to_owned(),
            vec![
                nginx("proxy_set_header Host $host;"),
                without(caddy("header_up Host")),
            ],
        ),
        Fault::Scattered => (
            "a session lives in one process: let the proxy send a client to the same server each time".to_owned(),
            vec![nginx("ip_hash;"), caddy("lb_policy ip_hash")],
        ),
        Fault::Buffered => (
            "let the proxy pass on every event at once".to_owned(),
            vec![
                nginx("proxy_buffering off;"),
                without(nginx("proxy_ignore_headers X-Accel-Buffering;")),
                // The second is its name up to Caddy 2.6.
                without(caddy("response_buffers")),
                without(caddy("buffer_responses")),
            ],
        ),
        Fault::Compressed => (
            "let the proxy pass on event streams as they are".to_owned(),
            vec![nginx("gzip off;"), without(caddy("encode"))],
        ),
        Fault::BodyLimit => (
            "leave the limit to the server, which tells its client".to_owned(),
            vec![
                nginx("client_max_body_size 0;"),
                without(caddy("request_body")),
            ],
        ),
        Fault::IdleCut => (
            "give the server more time to say something, or let it say something sooner".to_owned(),
            vec![
                nginx("proxy_read_timeout 1h;"),
                without(caddy("read_timeout")),
                smcp(format!("MCP_KEEP_ALIVE={subject}")),
            ],
        ),
        Fault::StreamCut => (
            "something on the way limits how long a whole answer may take; raise that limit for event streams (response, stream or backend timeout of a load balancer)".to_owned(),
            vec![without(caddy("write")), without(nginx("send_timeout"))],
        ),
        Fault::HttpVersion => (
            "let the proxy speak HTTP/1.1: with 1.0 the end of a stream and its loss look the same".to_owned(),
            vec![
                nginx("proxy_http_version 1.1;"),
                nginx("proxy_set_header Connection \"\";"),
                without(caddy("versions")),
            ],
        ),
        Fault::Clock => (
            "set the clocks: tokens, certificates and the times in logs depend on them".to_owned(),
            vec![smcp("timedatectl set-ntp true")],
        ),
        Fault::NotReady => (
            "wait until it is; smcp health says when, and its log why not".to_owned(),
            Vec::new(),
        ),
        Fault::Unfinished => (
            "give it more time: smcp doctor --wait 60".to_owned(),
            Vec::new(),
        ),
        _ => (
            "look whether that is the server that is meant, and whether it is up to date".to_owned(),
            Vec::new(),
        ),
    }
}

/// Headers on their way.
pub(super) fn of_headers(fault: Fault, subject: &str) -> (String, Vec<Line>) {
    let variable = subject.to_ascii_lowercase().replace('-', "_");
    let pass = nginx(format!("proxy_set_header {subject} $http_{variable};"));
    match fault {
        Fault::LostAnswerHeader => (
            format!("let the proxy pass on {subject} in answers"),
            vec![
                nginx(format!("proxy_pass_header {subject};")),
                without(caddy(format!("header_down -{subject}"))),
            ],
        ),
        Fault::Cors => (
            "leave these headers to the server, which knows the origins that are allowed"
                .to_owned(),
            vec![
                without(nginx(format!("add_header {subject}"))),
                without(nginx(format!("proxy_hide_header {subject};"))),
                without(caddy(format!("header {subject}"))),
                without(caddy(format!("header_down -{subject}"))),
            ],
        ),
        Fault::ChangedHeader => (
            format!("let the proxy pass on {subject} as it comes"),
            vec![pass, without(caddy(format!("header_up {subject}")))],
        ),
        _ => (
            format!("let the proxy pass on {subject}"),
            vec![pass, without(caddy(format!("header_up -{subject}")))],
        ),
    }
}
