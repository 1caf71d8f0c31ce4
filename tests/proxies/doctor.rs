//! `smcp doctor` before proxies: each with a fault that was planted in a configuration which is otherwise the printed
//! one, and the printed ones themselves.

use std::net::SocketAddr;

use super::behind::{Behind, KEY, keyed};
use super::proxy::{Over, Proxy, installed};
use super::said::{PATIENT, Said, asked, before, examined, found, planted, ready};
use super::site::{PROGRAMS, Program, Site};
use super::support::server::Setup;

#[test]
fn of_the_printed_configurations_nothing_is_found() {
    let server = ready(&keyed());
    for site in Site::printed() {
        let Some(said) = before(&site, server.address()) else {
            continue;
        };
        assert_eq!(said.status, Some(0), "{site:?}: {said:#?}");
        assert_eq!(said.report["findings"], serde_json::json!([]), "{site:?}");
        assert_eq!(said.report["server"]["name"], "sanctum-letta-mcp");
        let proxy = said.report["proxy"].as_str().unwrap_or_default();
        assert!(
            proxy.to_ascii_lowercase().contains(site.program.name()),
            "{proxy}"
        );
    }
}

/// The line by which nginx passes on a header.
fn passing(name: &str) -> String {
    let variable = name.to_ascii_lowercase().replace('-', "_");
    format!("proxy_set_header {name} $http_{variable};")
}

#[test]
fn headers_that_nginx_drops_are_named_and_the_lines_that_are_said_mend_it() {
    let names = [
        "Authorization",
        "Mcp-Session-Id",
        "MCP-Protocol-Version",
        "X-Agent-Id",
        "Accept",
        "Last-Event-ID",
        "Mcp-Method",
        "Mcp-Name",
    ];
    let server = ready(&keyed());
    let drop = |site, name| planted(site, &format!("proxy_set_header {name} \"\";"));
    let site = names
        .into_iter()
        .fold(Site::at_the_root(Program::Nginx), drop);
    let Some(said) = before(&site, server.address()) else {
        return;
    };
    for name in names {
        said.names(("lost-header", name), Program::Nginx, &passing(name));
    }
    let pass = |site, name| planted(site, &passing(name));
    let said = before(&names.into_iter().fold(site, pass), server.address());
    let said = said.expect("it was installed");
    assert_eq!(said.status, Some(0), "{said:#?}");
}

#[test]
fn each_header_of_the_key_that_is_dropped_alone_is_named() {
    let server = ready(&keyed());
    for name in ["Authorization", "X-API-Key"] {
        let sites = [
            planted(
                Site::at_the_root(Program::Nginx),
                &format!("proxy_set_header {name} \"\";"),
            ),
            Site::at_the_root(Program::Caddy).with(
                "reverse_proxy 127.0.0.1:8000",
                &format!("reverse_proxy 127.0.0.1:8000 {{\nheader_up -{name}\n}}"),
            ),
        ];
        for site in sites {
            let Some(said) = before(&site, server.address()) else {
                continue;
            };
            let line = match site.program {
                Program::Nginx => passing(name),
                Program::Caddy => format!("-header_up -{name}"),
            };
            said.names(("lost-header", name), site.program, &line);
            let passed = said.report["passed"].to_string();
            assert!(!passed.contains("all headers"), "{passed}");
        }
    }
}

#[test]
fn a_header_that_is_dropped_on_the_path_of_a_transport_alone_is_named_too() {
    let server = ready(&keyed());
    let own = |lines: &str| {
        let mcp = "location = /mcp {\nproxy_pass http://127.0.0.1:8000;\nclient_max_body_size 0;";
        let others = format!("{mcp}\n{lines}\n}}\nlocation / {{");
        Site::at_the_root(Program::Nginx).with("location / {", &others)
    };
    for (names, value) in [
        (&["Mcp-Session-Id"][..], "\"\""),
        (&["MCP-Protocol-Version", "Accept", "Last-Event-ID"], "\"\""),
        (&["Mcp-Method"], "\"\""),
        (&["Mcp-Name"], "\"\""),
    ] {
        let lines = names
            .iter()
            .map(|name| format!("proxy_set_header {name} {value};\n"));
        let Some(said) = before(&own(&lines.collect::<String>()), server.address()) else {
            return;
        };
        for name in names {
            said.names(("lost-header", name), Program::Nginx, &passing(name));
        }
    }
    let hidden = "proxy_hide_header Mcp-Session-Id;";
    let said = before(&own(hidden), server.address()).expect("it was installed");
    let line = "proxy_pass_header Mcp-Session-Id;";
    said.names(
        ("lost-answer-header", "Mcp-Session-Id"),
        Program::Nginx,
        line,
    );
    let mended = own(&format!("{hidden}\n{line}"));
    let said = before(&mended, server.address()).expect("it was installed");
    assert_eq!(said.status, Some(0), "{said:#?}");
}

#[test]
fn each_fault_that_is_planted_in_nginx_is_named_with_the_line_that_mends_it() {
    let server = ready(&keyed());
    let good = || Site::at_the_root(Program::Nginx);
    let rows = [
        (
            good().without("client_max_body_size"),
            ("body-limit", ""),
            "client_max_body_size 0;",
        ),
        (
            good().with("proxy_http_version 1.1", "proxy_http_version 1.0"),
            ("http-version", ""),
            "proxy_http_version 1.1;",
        ),
        (
            planted(good(), "limit_except GET POST OPTIONS { deny all; }"),
            ("method-refused", "DELETE"),
            "-limit_except",
        ),
        (
            planted(good(), "if ($request_method = OPTIONS) { return 405; }"),
            ("method-refused", "OPTIONS"),
            "-if ($request_method",
        ),
        (
            planted(good(), "gzip on;\ngzip_types text/event-stream;"),
            ("compressed", ""),
            "gzip off;",
        ),
        (
            planted(good(), "add_header Access-Control-Allow-Origin * always;"),
            ("cors", "Access-Control-Allow-Origin"),
            "-add_header Access-Control-Allow-Origin",
        ),
        (
            planted(good(), "proxy_hide_header Access-Control-Expose-Headers;"),
            ("cors", "Access-Control-Expose-Headers"),
            "-proxy_hide_header Access-Control-Expose-Headers;",
        ),
        (
            good().with(
                "location / {",
                "location /messages/ { return 404; }\nlocation / {",
            ),
            ("not-served", "/messages/"),
            "proxy_pass http://127.0.0.1:8000;",
        ),
        (
            good().with(
                "location / {",
                "location /sse { return 404; }\nlocation / {",
            ),
            ("not-served", "/sse"),
            "proxy_pass http://127.0.0.1:8000;",
        ),
        (
            good().with(
                "location / {",
                "location /mcp { return 404; }\nlocation / {",
            ),
            ("not-served", "/mcp"),
            "proxy_pass http://127.0.0.1:8000;",
        ),
        (
            planted(
                good(),
                "auth_basic closed;\nauth_basic_user_file /dev/null;",
            ),
            ("proxy-auth", ""),
            "auth_basic off;",
        ),
        (
            good().with(
                "location / {",
                "location / {\nreturn 301 https://$host$request_uri;",
            ),
            ("redirect", ""),
            "-return 301",
        ),
        (
            good().with(
                "location / {",
                "location / {\nadd_header Content-Type text/html;\nreturn 200 '<html>Log in';",
            ),
            ("not-mcp", ""),
            "proxy_pass http://127.0.0.1:8000;",
        ),
        (
            Site::below_a_path(Program::Nginx).without("X-Forwarded-Prefix"),
            ("prefix", "/tools"),
            "proxy_set_header X-Forwarded-Prefix /tools;",
        ),
        (
            planted(good(), "proxy_set_header X-Forwarded-Prefix /tools;"),
            ("prefix", ""),
            "-proxy_set_header X-Forwarded-Prefix",
        ),
    ];
    for (site, fault, line) in rows {
        let Some(said) = before(&site, server.address()) else {
            return;
        };
        said.names(fault, Program::Nginx, line);
    }
}

/// The printed configurations below a path, with the prefix left in the paths that the server gets, or half of it.
fn with_the_prefix_left_in() -> [Site; 3] {
    let nginx = || Site::below_a_path(Program::Nginx);
    [
        nginx().with("127.0.0.1:8000/;", "127.0.0.1:8000;"),
        nginx().with("location /tools/ {", "location /tools {"),
        Site::below_a_path(Program::Caddy).with("handle_path", "handle"),
    ]
}

#[test]
fn a_prefix_that_the_proxy_leaves_in_is_named_with_the_lines_that_take_it_out() {
    for setup in [keyed(), Setup::new()] {
        let server = ready(&setup);
        for site in with_the_prefix_left_in() {
            let Some(said) = before(&site, server.address()) else {
                continue;
            };
            let lines: &[&str] = match site.program {
                Program::Nginx => &["location /tools/ {", "proxy_pass http://127.0.0.1:8000/;"],
                Program::Caddy => &["handle_path /tools/* {"],
            };
            for line in lines {
                said.names(("not-served", ""), site.program, line);
            }
            let findings = said.report["findings"].as_array().expect("a list");
            assert_eq!(findings.len(), 1, "{said:#?}");
            let finding = findings[0].to_string();
            assert!(finding.contains("another path"), "{finding}");
            assert!(!finding.contains("Authorization"), "{finding}");
            assert!(!finding.contains("127.0.0.1:8000;"), "{finding}");
        }
    }
}

#[test]
fn below_a_path_no_line_is_said_that_leaves_the_prefix_in() {
    let server = ready(&keyed());
    let site = Site::below_a_path(Program::Nginx).with(
        "location /tools/ {",
        "location /tools/mcp { return 404; }\nlocation /tools/ {",
    );
    let Some(said) = before(&site, server.address()) else {
        return;
    };
    let line = "proxy_pass http://127.0.0.1:8000/;";
    said.names(("not-served", "/mcp"), Program::Nginx, line);
    let nowhere = SocketAddr::from(([127, 0, 0, 1], super::ports::free_ports(1)[0]));
    for program in PROGRAMS {
        let Some(said) = before(&Site::below_a_path(program), nowhere) else {
            continue;
        };
        let line = match program {
            Program::Nginx => line,
            Program::Caddy => "handle_path /tools/* {",
        };
        said.names(("bad-gateway", ""), program, line);
    }
}

#[test]
fn a_limit_of_bodies_is_named_whatever_the_proxy_answers() {
    let server = ready(&keyed());
    let limited = Site::at_the_root(Program::Caddy).with(
        "reverse_proxy 127.0.0.1:8000",
        "request_body {\nmax_size 1MB\n}\nreverse_proxy 127.0.0.1:8000",
    );
    if let Some(said) = before(&limited, server.address()) {
        said.names(("body-limit", ""), Program::Caddy, "-request_body");
        let findings = said.report["findings"].as_array().expect("a list");
        assert_eq!(findings.len(), 1, "{said:#?}");
    }
    let page = "error_page 413 =STATUS /large;\nlocation = /large { return STATUS 'no'; }";
    for status in ["403", "500", "502"] {
        let site = Site::at_the_root(Program::Nginx)
            .with("client_max_body_size 0;", &page.replace("STATUS", status));
        let Some(said) = before(&site, server.address()) else {
            return;
        };
        let line = "client_max_body_size 0;";
        said.names(("body-limit", ""), Program::Nginx, line);
        let findings = said.report["findings"].as_array().expect("a list");
        assert_eq!(findings.len(), 1, "{said:#?}");
    }
}

#[test]
fn two_servers_that_take_turns_are_named_and_the_line_that_is_said_mends_it() {
    let (server, other) = (ready(&keyed()), ready(&keyed()));
    let balanced = |line: &str| {
        let upstream = format!(
            "upstream both {{\n{line}\nserver 127.0.0.1:8000;\nserver {};\n}}\nserver {{",
            other.address()
        );
        Site::at_the_root(Program::Nginx)
            .with("proxy_pass http://127.0.0.1:8000", "proxy_pass http://both")
            .with("server {", &upstream)
    };
    let Some(said) = before(&balanced(""), server.address()) else {
        return;
    };
    said.names(("scattered", ""), Program::Nginx, "ip_hash;");
    let said = before(&balanced("ip_hash;"), server.address()).expect("it was installed");
    assert_eq!(said.status, Some(0), "{said:#?}");
}

#[test]
fn of_a_server_that_does_not_say_what_has_arrived_the_rest_is_looked_at() {
    let server = ready(&keyed());
    let site = Site::at_the_root(Program::Nginx).with(
        "location / {",
        "location = /health { set $args ''; proxy_pass http://127.0.0.1:8000; }\nlocation / {",
    );
    let Some(said) = before(&site, server.address()) else {
        return;
    };
    assert_eq!(said.status, Some(0), "{said:#?}");
    let left_out = said.report["not_looked_at"].to_string();
    assert!(left_out.contains("X-Agent-Id"), "{left_out}");
    let passed = said.report["passed"].to_string();
    assert!(passed.contains("2026-07-28"), "{passed}");
}

#[test]
fn a_proxy_whose_server_is_away_is_no_server() {
    for program in PROGRAMS {
        if installed(program).is_none() {
            continue;
        }
        let nowhere = SocketAddr::from(([127, 0, 0, 1], super::ports::free_ports(1)[0]));
        let said = before(&Site::at_the_root(program), nowhere).expect("it is installed");
        let line = match program {
            Program::Nginx => "proxy_pass http://127.0.0.1:8000;",
            Program::Caddy => "reverse_proxy 127.0.0.1:8000",
        };
        said.names(("bad-gateway", ""), program, line);
    }
}

#[test]
fn a_proxy_that_holds_events_back_is_named() {
    // By HTTP/1.1 nginx passes on what it has when the server pauses; by 1.0 it waits for a full buffer.
    let site = planted(
        Site::at_the_root(Program::Nginx)
            .without("proxy_buffering off")
            .with("proxy_http_version 1.1", "proxy_http_version 1.0"),
        "proxy_ignore_headers X-Accel-Buffering;",
    );
    let Some(behind) = Behind::start(&site, &keyed()) else {
        return;
    };
    let url = format!("http://{}", behind.address());
    let said = found(("buffered", ""), || {
        asked(&url, Some(KEY), &["--idle", "0", "--wait", "5"])
    });
    said.names(("buffered", ""), Program::Nginx, "proxy_buffering off;");
}

#[test]
fn a_proxy_that_cuts_silent_streams_is_named_with_the_time_that_the_server_has() {
    for program in PROGRAMS {
        let site = Site::at_the_root(program).read_timeout("3s");
        let Some(behind) = Behind::start(&site, &keyed()) else {
            continue;
        };
        let url = format!("http://{}", behind.address());
        let said = found(("idle-cut", ""), || {
            asked(&url, Some(KEY), &["--idle", "30", "--wait", "30"])
        });
        let line = match program {
            Program::Nginx => "proxy_read_timeout 1h;",
            Program::Caddy => "-read_timeout",
        };
        said.names(("idle-cut", ""), program, line);
        let finding = said.finding("idle-cut", "").expect("it is named");
        let lines = finding["lines"].to_string();
        assert!(lines.contains("MCP_KEEP_ALIVE="), "{lines}");
    }
}

#[test]
fn a_key_that_is_missing_or_wrong_is_named_and_so_is_a_server_that_asks_for_none() {
    for program in PROGRAMS {
        let site = Site::at_the_root(program);
        let Some(behind) = Behind::start(&site, &keyed()) else {
            continue;
        };
        let url = format!("http://{}", behind.address());
        for (key, fault) in [(None, "key-missing"), (Some("another-key"), "key-wrong")] {
            let said = asked(&url, key, &PATIENT);
            assert!(said.finding(fault, "").is_some(), "{said:#?}");
            assert_eq!(said.status, Some(1));
            assert!(
                !said.report.to_string().contains("another-key"),
                "{said:#?}"
            );
        }
        let behind = Behind::start(&site, &Setup::new()).expect("it is installed");
        let said = asked(&format!("http://{}", behind.address()), None, &PATIENT);
        let open = said
            .finding("open", "")
            .unwrap_or_else(|| panic!("{said:#?}"));
        assert!(
            open["lines"].to_string().contains("--require-auth"),
            "{open}"
        );
    }
}

#[test]
fn a_name_that_the_server_refuses_or_is_told_wrongly_is_named() {
    let rows = [
        (Program::Nginx, "Host $host", "Host tools.example.org"),
        (
            Program::Caddy,
            "reverse_proxy 127.0.0.1:8000",
            "reverse_proxy 127.0.0.1:8000 {\nheader_up Host tools.example.org\n}",
        ),
    ];
    for (program, words, others) in rows {
        let site = Site::at_the_root(program).with(words, others);
        let Some(behind) = Behind::start(&site, &Setup::new()) else {
            continue;
        };
        let said = asked(&format!("http://{}", behind.address()), None, &PATIENT);
        let refused = said.finding("host-refused", "tools.example.org");
        let refused = refused.unwrap_or_else(|| panic!("{said:#?}"));
        let lines = refused["lines"].to_string();
        assert!(
            lines.contains("MCP_ALLOWED_HOSTS=tools.example.org"),
            "{lines}"
        );
        let behind = Behind::start(&site, &keyed()).expect("it is installed");
        let said = examined(behind.address(), "");
        let line = match program {
            Program::Nginx => "proxy_set_header Host $host;",
            Program::Caddy => "-header_up Host",
        };
        said.names(("host-changed", ""), program, line);
    }
}

#[test]
fn what_is_planted_in_caddy_is_named_with_the_line_that_is_to_go() {
    let server = ready(&keyed());
    let with = |lines: &str| {
        let line = "reverse_proxy 127.0.0.1:8000";
        Site::at_the_root(Program::Caddy).with(line, &format!("{line} {{\n{lines}\n}}"))
    };
    let rows = [
        (
            with("header_up -X-Agent-Id"),
            ("lost-header", "X-Agent-Id"),
            "-header_up -X-Agent-Id",
        ),
        (
            with("header_up -Authorization"),
            ("lost-header", "Authorization"),
            "-header_up -Authorization",
        ),
        (
            with("header_down -Mcp-Session-Id"),
            ("lost-answer-header", "Mcp-Session-Id"),
            "-header_down -Mcp-Session-Id",
        ),
        (
            with("header_down +Access-Control-Allow-Origin *"),
            ("cors", "Access-Control-Allow-Origin"),
            "-header Access-Control-Allow-Origin",
        ),
        (
            Site::below_a_path(Program::Caddy).without("X-Forwarded-Prefix"),
            ("prefix", "/tools"),
            "header_up X-Forwarded-Prefix /tools",
        ),
    ];
    for (site, fault, line) in rows {
        let Some(said) = before(&site, server.address()) else {
            return;
        };
        said.names(fault, Program::Caddy, line);
    }
}

#[test]
fn a_certificate_of_nobody_known_is_a_fault_and_so_is_the_wrong_scheme() {
    for program in PROGRAMS {
        if installed(program).is_none() {
            continue;
        }
        let server = ready(&keyed());
        let site = Site::at_the_root(program);
        let proxy = Proxy::start(&site, server.address(), Over::Tls).expect("it is installed");
        let at = proxy.address();
        // Nothing is wrong with the proxy: no line of it is said.
        let said = asked(&format!("http://{at}"), Some(KEY), &PATIENT);
        let finding = said.finding("tls", "http");
        let finding = finding.unwrap_or_else(|| panic!("{said:#?}"));
        assert_eq!(finding["lines"], serde_json::json!([]), "{finding}");
        assert!(finding["mend"].to_string().contains("https://"));
        let plain = asked(
            &format!("https://{}", server.address()),
            Some(KEY),
            &PATIENT,
        );
        let finding = plain.finding("tls", "https");
        let finding = finding.unwrap_or_else(|| panic!("{plain:#?}"));
        let lines = [Program::Nginx, Program::Caddy].map(|program| Said::lines(finding, program));
        let is_half = |line: &String| line.contains('{');
        assert!(!lines.concat().iter().any(is_half), "{finding}");
        // Caddy has no certificate for an address, and says so before any is looked at.
        if program == Program::Nginx {
            let said = asked(&format!("https://{at}"), Some(KEY), &PATIENT);
            assert!(said.finding("tls", "issuer").is_some(), "{said:#?}");
        }
    }
}
