//! `smcp doctor` before configurations as people write them: what is well is no fault, and of what is wrong nothing else is
//! said than that.

use super::behind::{KEY, keyed};
use super::proxy::{Over, Proxy};
use super::said::{PATIENT, Said, asked, before, examined, planted, ready};
use super::site::{Program, Site};

const PASS: &str = "reverse_proxy 127.0.0.1:8000";

fn nginx() -> Site {
    Site::at_the_root(Program::Nginx)
}

/// Caddy with these lines before the one that passes requests on, and these in its block.
fn caddy(before: &str, within: &str) -> Site {
    let lines = format!("{before}\n{PASS} {{\n{within}\n}}");
    Site::at_the_root(Program::Caddy).with(PASS, &lines)
}

/// nginx with a block for each of these paths, and none for all.
fn nginx_with_paths(paths: &[&str]) -> Site {
    let block = |path: &&str| {
        format!(
            "location {path} {{\nproxy_pass http://127.0.0.1:8000;\nproxy_http_version 1.1;\nproxy_set_header Host $host;\nclient_max_body_size 0;\n}}\n"
        )
    };
    let blocks: String = paths.iter().map(block).collect();
    nginx()
        .without("client_max_body_size")
        .with("location / {", &format!("{blocks}location /none/ {{"))
}

/// Fails where one of these faults is named.
#[track_caller]
fn names_none_of(said: &Said, faults: &[&str]) {
    for fault in faults {
        assert!(said.finding(fault, "").is_none(), "{fault}: {said:#?}");
    }
}

#[test]
fn of_what_is_written_otherwise_and_works_nothing_is_found() {
    let server = ready(&keyed());
    let upgrade = "map $http_upgrade $upgrade { default upgrade; '' close; }\nupstream two {\nserver 127.0.0.1:8000;\nserver 127.0.0.1:1;\n}\nserver {";
    let sites = [
        nginx()
            .with("server {", upgrade)
            .without("proxy_buffering off")
            .without("proxy_read_timeout")
            .with("proxy_pass http://127.0.0.1:8000", "proxy_pass http://two")
            .with("Connection \"\"", "Connection $upgrade")
            .with("Host $host", "Host $http_host")
            .with("location / {", "location / {\ngzip on;\ngzip_proxied any;\nproxy_set_header Upgrade $http_upgrade;"),
        Site::below_a_path(Program::Nginx).with(
            "proxy_pass http://127.0.0.1:8000/;",
            "rewrite ^/tools/(.*)$ /$1 break;\nproxy_pass http://127.0.0.1:8000;",
        ),
        caddy("encode gzip zstd", "flush_interval -1"),
    ];
    for site in sites {
        // On a busy machine an answer may come too late.
        let is_well = |_| before(&site, server.address()).is_none_or(|said| said.status == Some(0));
        assert!((0..3).any(is_well), "{site:?}");
    }
}

#[test]
fn an_origin_that_does_not_arrive_is_told_from_an_answer_that_does_not() {
    let server = ready(&keyed());
    let header =
        |name: &str, value: &str| planted(nginx(), &format!("proxy_set_header {name} {value};"));
    let rows = [
        (
            header("Origin", "\"\""),
            ("lost-header", "Origin"),
            "proxy_set_header Origin $http_origin;",
        ),
        (
            caddy("", "header_up -Origin"),
            ("lost-header", "Origin"),
            "-header_up -Origin",
        ),
        (
            header("Origin", "https://app.example.org"),
            ("changed-header", "Origin"),
            "proxy_set_header Origin $http_origin;",
        ),
        (
            caddy("", "header_up Origin https://app.example.org"),
            ("changed-header", "Origin"),
            "-header_up Origin",
        ),
        (
            planted(nginx(), "proxy_hide_header Access-Control-Allow-Origin;"),
            ("cors", "Access-Control-Allow-Origin"),
            "-proxy_hide_header Access-Control-Allow-Origin;",
        ),
        (
            caddy("", "header_down -Access-Control-Allow-Origin"),
            ("cors", "Access-Control-Allow-Origin"),
            "-header_down -Access-Control-Allow-Origin",
        ),
        (
            header("Access-Control-Request-Method", "\"\""),
            ("lost-header", "Access-Control-Request-Method"),
            "proxy_set_header Access-Control-Request-Method $http_access_control_request_method;",
        ),
    ];
    for (site, fault, line) in rows {
        let Some(said) = before(&site, server.address()) else {
            continue;
        };
        said.names(fault, site.program, line);
        if fault.0 != "cors" {
            names_none_of(&said, &["cors", "origin-refused"]);
        }
    }
}

#[test]
fn the_origin_that_is_to_be_listed_is_that_of_the_page() {
    let server = ready(&keyed());
    let Some(proxy) = Proxy::start(&nginx(), server.address(), Over::Plain) else {
        return;
    };
    let url = format!("http://{}", proxy.address());
    let page = "https://app.example.org";
    let said = asked(
        &url,
        Some(KEY),
        &[&PATIENT[..], &["--origin", page]].concat(),
    );
    let finding = said.finding("origin-refused", page);
    let lines = finding.unwrap_or_else(|| panic!("{said:#?}"))["lines"].to_string();
    assert!(
        lines.contains("MCP_ALLOWED_ORIGINS=https://app.example.org"),
        "{lines}"
    );
}

#[test]
fn an_answer_to_browsers_that_is_written_by_hand_is_named_by_what_it_lacks() {
    let server = ready(&keyed());
    let site = |methods: &str, headers: &str| {
        let lines = [("Origin", "*"), ("Methods", methods), ("Headers", headers)];
        let lines = lines
            .map(|(name, value)| format!("add_header Access-Control-Allow-{name} '{value}';\n"));
        let question = format!(
            "if ($request_method = OPTIONS) {{\n{}return 204;\n}}",
            lines.concat()
        );
        planted(nginx(), &question)
    };
    for (methods, headers, lacks) in [
        ("GET, POST", "*", "Access-Control-Allow-Methods"),
        (
            "*",
            "Authorization, Content-Type",
            "Access-Control-Allow-Headers",
        ),
        ("*", "*", "Access-Control-Allow-Headers"),
    ] {
        let Some(said) = before(&site(methods, headers), server.address()) else {
            return;
        };
        let line = format!("-add_header {lacks}");
        said.names(("cors", lacks), Program::Nginx, &line);
        let finding = said.finding("cors", lacks).expect("it is named");
        let is_warning = (methods, headers) == ("*", "*");
        assert_eq!(finding["severity"] == "warning", is_warning, "{finding:#}");
    }
}

#[test]
fn a_path_that_is_not_passed_on_is_one_fault_and_no_other() {
    let server = ready(&keyed());
    let followers = ["method-refused", "body-limit", "not-mcp", "cors"];
    let rows = [
        (nginx_with_paths(&["/sse", "/messages/"]), "/mcp"),
        (nginx_with_paths(&["/mcp"]), "/sse"),
        (nginx_with_paths(&["/sse"]), "/messages/"),
        (
            caddy("@some path /sse /messages/*", "").with("proxy 127", "proxy @some 127"),
            "/mcp",
        ),
        (
            caddy("@some path /mcp*", "").with("proxy 127", "proxy @some 127"),
            "/sse",
        ),
    ];
    for (site, path) in rows {
        let Some(said) = before(&site, server.address()) else {
            continue;
        };
        let line = match site.program {
            Program::Nginx => "proxy_pass http://127.0.0.1:8000;",
            Program::Caddy => PASS,
        };
        said.names(("not-served", path), site.program, line);
        names_none_of(&said, &followers);
    }
}

#[test]
fn a_method_that_caddy_answers_itself_with_success_is_named() {
    let server = ready(&keyed());
    let site = caddy("@some method GET POST", "").with("proxy 127", "proxy @some 127");
    let Some(said) = before(&site, server.address()) else {
        return;
    };
    for method in ["DELETE", "OPTIONS"] {
        said.names(("method-refused", method), Program::Caddy, "-method");
    }
    names_none_of(&said, &["cors"]);
}

#[test]
fn a_limit_of_bodies_that_refuses_all_that_is_large_is_named_by_its_size() {
    let server = ready(&keyed());
    let rows = [
        (
            nginx().with("client_max_body_size 0", "client_max_body_size 10k"),
            "client_max_body_size 0;",
        ),
        (
            caddy("request_body {\nmax_size 10KB\n}", ""),
            "-request_body",
        ),
    ];
    for (site, line) in rows {
        let Some(said) = before(&site, server.address()) else {
            continue;
        };
        said.names(("body-limit", ""), site.program, line);
        names_none_of(&said, &["bad-gateway"]);
    }
}

#[test]
fn a_limit_of_requests_is_named_as_one() {
    let server = ready(&keyed());
    let zone = "limit_req_zone all zone=all:1m rate=1r/m;\nserver {";
    for line in [
        "limit_req zone=all;",
        "limit_req zone=all;\nlimit_req_status 429;",
    ] {
        let site = planted(nginx().with("server {", zone), line);
        let Some(said) = before(&site, server.address()) else {
            return;
        };
        said.names(("limited", ""), Program::Nginx, "-limit_req");
        names_none_of(&said, &["bad-gateway", "method-refused", "not-mcp"]);
    }
}

#[test]
fn of_two_proxies_in_a_row_the_lines_of_both_are_said() {
    let server = ready(&keyed());
    let inner = Proxy::start(&Site::bare(Program::Nginx), server.address(), Over::Plain);
    let Some(inner) = inner else { return };
    let outer = Site::at_the_root(Program::Caddy);
    let Some(said) = before(&outer, inner.address()) else {
        return;
    };
    said.names(
        ("body-limit", ""),
        Program::Nginx,
        "client_max_body_size 0;",
    );
    said.names(("body-limit", ""), Program::Caddy, "-request_body");
}

#[test]
fn a_host_that_differs_by_its_port_alone_is_another_one() {
    let server = ready(&keyed());
    let bare = Proxy::start(&Site::bare(Program::Nginx), server.address(), Over::Plain);
    let Some(bare) = bare else { return };
    let said = examined(bare.address(), "");
    let line = "proxy_set_header Host $host;";
    said.names(("host-changed", ""), Program::Nginx, line);
}

#[test]
fn whoever_else_asks_for_a_password_is_named_with_the_line_of_its_kind() {
    let server = ready(&keyed());
    let elsewhere = nginx().with(
        "location / {",
        "location = /allowed { internal; return 401; }\nlocation / {\nauth_request /allowed;",
    );
    if let Some(said) = before(&elsewhere, server.address()) {
        said.names(("proxy-auth", ""), Program::Nginx, "-auth_request");
    }
}
