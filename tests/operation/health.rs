//! `smcp health`: the state of a server as an exit status.

use std::net::SocketAddr;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

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
    let (status, _, wrong) = ask(&["http://["]);
    assert_eq!(status, Some(1));
    assert!(wrong.contains("is no address of a server"), "{wrong}");
}
