//! Sockets that listen already when the server starts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use rustix::process::Signal;

use super::{listening, plugin};
use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup, run};
use crate::support::{s, until};

fn stderr(setup: &Setup) -> (Option<i32>, String) {
    let output = run(setup);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_passed_socket_beats_the_settings_of_listening_and_a_line_says_so() {
    let (socket, at) = listening("127.0.0.1");
    let server = Server::start(&Setup::new().socket(socket).variable("MCP_HOST", "0.0.0.0"));
    assert_eq!(server.address(), at);
    assert_eq!(exchange(at, &get(at, "/healthz", "")).status, 200);
    for name in ["--port", "MCP_HOST"] {
        server.logs(&[name, "has no effect", &at.to_string(), "first"]);
    }
}

#[test]
fn all_passed_sockets_are_served() {
    let (first, at_first) = listening("127.0.0.1");
    let (second, at_second) = listening("127.0.0.1");
    let _server = Server::start(&Setup::new().socket(first).socket(second));
    for at in [at_first, at_second] {
        assert_eq!(exchange(at, &get(at, "/healthz", "")).status, 200);
    }
}

#[test]
fn a_passed_socket_that_others_can_reach_needs_a_key_too() {
    let (socket, at) = listening("0.0.0.0");
    let (status, said) = stderr(&Setup::new().socket(Arc::clone(&socket)));
    assert_eq!(status, Some(2), "{said}");
    let refusal = format!("refusing to serve the passed socket {at} (first) without a key");
    assert!(
        said.contains(&refusal) && said.contains("MCP_API_KEY_FILE"),
        "{said}"
    );
    let key = Setup::new()
        .socket(socket)
        .variable("MCP_API_KEY", "a key that is long enough");
    let server = Server::start(&key);
    assert_eq!(server.address(), at);
}

#[test]
fn what_is_no_tcp_socket_that_listens_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let unix = UnixListener::bind(directory.path().join("socket")).expect("a new name");
    let (_listening, at) = listening("127.0.0.1");
    let connection = TcpStream::connect(at).expect("it listens");
    for (socket, why) in [
        (unix.into(), "tcp socket"),
        (connection.into(), "it is a connection"),
    ] {
        let (status, said) = stderr(&Setup::new().socket(Arc::new(socket)));
        assert_eq!(status, Some(2), "{said}");
        assert!(
            said.contains("descriptor 3 (first)") && said.contains(why),
            "{said}"
        );
        assert!(said.contains("ListenStream=127.0.0.1:8000"), "{said}");
    }
}

#[test]
fn sockets_of_another_process_are_left_alone() {
    let setup = Setup::new()
        .variable("LISTEN_PID", "1")
        .variable("LISTEN_FDS", "1");
    let server = Server::start(&setup);
    let at = server.address();
    assert_eq!(exchange(at, &get(at, "/healthz", "")).status, 200);
}

/// Asks once, over a connection of its own; the first line of the answer.
fn ask(at: SocketAddr) -> Result<String, String> {
    loop {
        let began = Instant::now();
        let mut connection = TcpStream::connect(at).map_err(|error| format!("refused: {error}"))?;
        let mut answer = String::new();
        let asked = connection
            .set_read_timeout(Some(s(120)))
            .and_then(|()| {
                connection.write_all(
                    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                )
            })
            .and_then(|()| connection.read_to_string(&mut answer));
        // A server that ends waits two seconds for the request of a client that is connected. A busy machine may have
        // taken those for itself.
        let was_slow = began.elapsed() > s(1);
        match asked {
            Ok(_) if !answer.is_empty() => {
                return Ok(answer.lines().next().unwrap_or_default().to_owned());
            }
            Ok(_) if !was_slow => return Err("no answer".to_owned()),
            Err(error) if !was_slow => return Err(error.to_string()),
            _ => {}
        }
    }
}

/// Tells the clients to end when it is dropped.
struct EndOfClients<'a>(&'a AtomicBool);

impl Drop for EndOfClients<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_client_is_refused_while_the_server_is_started_anew_behind_its_socket() {
    let folder = Folder::new();
    plugin(&folder, "walker", "", "echo went");
    let (socket, at) = listening("127.0.0.1");
    let start = || {
        Server::start(
            &Setup::new()
                .plugins(folder.path())
                .socket(Arc::clone(&socket)),
        )
    };
    let mut server = start();
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // Whatever fails here, the clients end: they are waited for.
        let end = EndOfClients(&over);
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut faults = Vec::new();
                    while !over.load(Ordering::Relaxed) && faults.is_empty() {
                        match ask(at) {
                            Ok(line) if line == "HTTP/1.1 200 OK" => {
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            other => faults.push(format!("{other:?}")),
                        }
                    }
                    faults
                })
            })
            .collect();
        let answered_more = || {
            let before = answered.load(Ordering::Relaxed);
            until("clients are answered", PATIENCE, || {
                (answered.load(Ordering::Relaxed) > before + 20
                    || clients.iter().any(|client| client.is_finished()))
                .then_some(())
            });
        };
        for _ in 0..2 {
            answered_more();
            server.signal(Signal::TERM);
            server.ends_within(s(30));
            server = start();
        }
        answered_more();
        drop(end);
        for client in clients {
            let faults = client.join().expect("it does not panic");
            assert!(faults.is_empty(), "{faults:?}");
        }
    });
}
