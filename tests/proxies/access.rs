//! Who may call through a proxy, by which name, and what the log says of them.

use super::behind::{Behind, KEY, directly, key, keyed, ping};
use super::site::{PROGRAMS, Program, Site};
use super::support::server::Setup;

/// Newer versions of nginx do this by themselves.
fn as_newer_versions(site: Site) -> Site {
    site.with(
        "proxy_pass",
        "proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_pass",
    )
}

/// A server with a key that direct clients on the machine need not show.
fn open_to_direct_clients() -> Setup {
    Setup::new().variable("MCP_API_KEY", KEY)
}

/// What a request without a key for this host gets.
fn without_a_key(site: &Site, setup: &Setup, host: &str) -> Option<u16> {
    let behind = Behind::start(site, setup)?;
    let message = ping().to_string();
    let request = format!(
        "POST /messages/ HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{message}",
        message.len()
    );
    let answer = super::support::http::exchange(behind.address(), request.as_bytes());
    Some(answer.status)
}

#[test]
fn what_one_line_lets_through_depends_on_the_sign_that_the_proxy_leaves() {
    let nginx = || Site::bare(Program::Nginx);
    let caddy = || Site::bare(Program::Caddy);
    let name = "tools.example.org";
    let rows = [
        // Its HTTP/1.0 gives an older nginx away, and its headers Caddy.
        (nginx(), open_to_direct_clients(), name, 401),
        (caddy(), open_to_direct_clients(), name, 401),
        (caddy(), open_to_direct_clients(), "localhost", 401),
        // A newer nginx leaves no sign at all.
        (
            as_newer_versions(nginx()),
            open_to_direct_clients(),
            name,
            200,
        ),
        (as_newer_versions(nginx()), keyed(), name, 401),
        (nginx(), keyed(), name, 401),
        (caddy(), keyed(), name, 401),
        // Without a key there is nothing to ask for; only the name, which Caddy keeps, can be refused.
        (nginx(), Setup::new(), name, 200),
        (caddy(), Setup::new(), name, 403),
        (caddy(), Setup::new(), "localhost", 200),
    ];
    for (site, setup, host, wanted) in rows {
        let Some(status) = without_a_key(&site, &setup, host) else {
            continue;
        };
        assert_eq!(status, wanted, "{host}, {setup:?}, {site:?}");
    }
}

#[test]
fn a_refusal_comes_through_as_the_server_has_written_it() {
    for program in PROGRAMS {
        for site in [Site::bare(program), Site::at_the_root(program)] {
            let Some(behind) = Behind::start(&site, &keyed()) else {
                continue;
            };
            for headers in [
                "",
                "Authorization: Bearer wrong\r\n",
                "X-API-Key: wrong\r\n",
            ] {
                let answer = behind.get("/sse", headers);
                assert_eq!(answer.status, 401, "{behind:?}: {headers}");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
                assert_eq!(answer.json()["error"], "unauthorized", "{behind:?}");
            }
            for headers in [key(), format!("X-API-Key: {KEY}\r\n")] {
                let answer = directly(behind.address(), "/messages/", &headers, &ping());
                assert_eq!(answer.status, 200, "{behind:?}: {headers}");
            }
        }
    }
}

#[test]
fn a_key_opens_every_name_and_without_one_only_listed_names_are_answered() {
    for program in PROGRAMS {
        let ask = |setup: &Setup, host: &str, headers: &str| {
            let behind = Behind::start(&Site::at_the_root(program), setup)?;
            let request = format!(
                "GET /health HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n"
            );
            let answer = super::support::http::exchange(behind.address(), request.as_bytes());
            Some((answer.status, answer.text()))
        };
        let listed = keyed().variable("MCP_ALLOWED_HOSTS", "tools.example.org");
        let Some((status, text)) = ask(&keyed(), "tools.example.org", "") else {
            continue;
        };
        assert_eq!(status, 403, "{text}");
        assert!(text.contains("host_not_allowed"), "{text}");
        for (setup, host, headers, wanted) in [
            (&keyed(), "tools.example.org", key(), 200),
            (&listed, "tools.example.org", String::new(), 200),
            // A name that an attacker has pointed here, for a browser to ask by.
            (&listed, "rebound.example.net", String::new(), 403),
            (&listed, "rebound.example.net", key(), 200),
        ] {
            let (status, text) = ask(setup, host, &headers).expect("it was installed");
            assert_eq!(status, wanted, "{program:?} {host}: {text}");
        }
    }
}

#[test]
fn a_page_of_another_origin_is_refused_through_a_proxy_too() {
    for program in PROGRAMS {
        let Some(behind) = Behind::start(&Site::at_the_root(program), &keyed()) else {
            continue;
        };
        let status = |origin: &str| {
            let request = format!(
                "GET /health HTTP/1.1\r\nHost: tools.example.org\r\nOrigin: {origin}\r\n{}Connection: close\r\n\r\n",
                key()
            );
            super::support::http::exchange(behind.address(), request.as_bytes()).status
        };
        assert_eq!(status("https://tools.example.org"), 200, "{behind:?}");
        assert_eq!(status("https://evil.example.net"), 403, "{behind:?}");
    }
}

#[test]
fn the_log_names_the_proxy_and_not_what_a_header_says() {
    for program in PROGRAMS {
        let Some(behind) = Behind::start(&Site::at_the_root(program), &keyed()) else {
            continue;
        };
        let answer = behind.get("/sse", "X-Forwarded-For: 203.0.113.9\r\n");
        assert_eq!(answer.status, 401);
        behind.server.logs(&["unauthorized", "127.0.0.1"]);
        let log = behind.server.log();
        assert!(!log.contains("203.0.113.9"), "{behind:?}: {log}");
    }
}
