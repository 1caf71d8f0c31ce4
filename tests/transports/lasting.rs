//! Streams that last: what stands at their head, what follows on their connection, and what an idle one costs.

use std::time::Instant;

use crate::support::http::{Connection, PATIENCE, exchange, header};
use crate::support::processes::resident;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::streamable::Client;
use crate::support::{until, wire};

fn listen(server: &Server, client: &Client, more: &str) -> String {
    format!(
        "GET /mcp HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{}{more}\r\n",
        server.address(),
        client.headers()
    )
}

#[test]
fn the_head_of_a_stream_is_that_of_any_answer() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let heads = ["", "Connection: close\r\n"].map(|how| {
        let mut connection = Connection::open(at);
        let request =
            format!("GET /sse HTTP/1.1\r\nHost: {at}\r\nAccept: text/event-stream\r\n{how}\r\n");
        connection.send(request.as_bytes()).unwrap();
        connection.head(PATIENCE).expect("a stream")
    });
    let [(status, taken_over), (by_hyper_status, by_hyper)] = heads;
    assert_eq!((status, by_hyper_status), (200, 200));
    for name in [
        "content-type",
        "cache-control",
        "x-accel-buffering",
        "transfer-encoding",
    ] {
        let (one, other) = (header(&taken_over, name), header(&by_hyper, name));
        assert!(one.is_some() && one == other, "{name}: {one:?} {other:?}");
    }
    let form = |head: &str| -> String {
        let date = header(head, "date").expect("a date");
        let shape = |letter: char| match letter {
            '0'..='9' => '9',
            'a'..='z' => 'a',
            other if other.is_ascii_uppercase() => 'A',
            other => other,
        };
        date.chars().map(shape).collect()
    };
    assert_eq!(form(&taken_over), "Aaa, 99 Aaa 9999 99:99:99 AAA");
    assert_eq!(form(&taken_over), form(&by_hyper));
}

#[test]
fn what_came_while_a_stream_lasted_is_answered_when_it_has_ended() {
    let server = Server::start(&Setup::new());
    for is_early in [true, false] {
        let client = Client::open(server.address(), wire::NEWEST);
        let mut connection = Connection::open(server.address());
        let next = format!(
            "GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n",
            server.address()
        );
        let mut request = listen(&server, &client, "");
        if is_early {
            request += &next;
        }
        connection.send(request.as_bytes()).unwrap();
        let (status, head) = connection.head(PATIENCE).expect("a stream");
        assert_eq!(status, 200, "{head}");
        let deadline = Instant::now() + PATIENCE;
        let greeting = connection.chunk(deadline).unwrap().expect("the greeting");
        assert!(greeting.starts_with(b"id: "));
        assert_eq!(client.delete(), 204);
        assert_eq!(connection.chunk(deadline), Ok(None), "the stream has ended");
        if !is_early {
            connection.send(next.as_bytes()).unwrap();
        }
        let answer = connection.answer(PATIENCE).expect("the next answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    }
}

#[test]
fn a_client_of_http_1_0_reads_a_stream_up_to_the_end_of_the_connection() {
    let server = Server::start(&Setup::new());
    let client = Client::open(server.address(), wire::NEWEST);
    let mut connection = Connection::open(server.address());
    let request = listen(&server, &client, "").replace("HTTP/1.1", "HTTP/1.0");
    connection.send(request.as_bytes()).unwrap();
    let (status, head) = connection.head(PATIENCE).expect("a stream");
    assert_eq!(status, 200, "{head}");
    assert_eq!(header(&head, "transfer-encoding"), None);
    assert_eq!(client.delete(), 204);
    assert!(connection.closes_within(PATIENCE));
}

/// 5 KiB as this is written; with the buffers of hyper it was 25.
#[test]
fn an_idle_session_holds_no_buffers() {
    const SESSIONS: u64 = 400;
    let server = Server::start(&Setup::new());
    let at = server.address();
    // What the first ones take stays for the others.
    let first: Vec<_> = (0..50).map(|_| Session::ready(at)).collect();
    drop(first);
    let health = format!("GET /health HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    until("they are gone", PATIENCE, || {
        let health = exchange(at, health.as_bytes()).json();
        (health["sessions"] == 0).then_some(())
    });
    let before = resident(server.pid());
    let sessions: Vec<_> = (0..SESSIONS).map(|_| Session::ready(at)).collect();
    until("an idle session takes less than 12 KiB", PATIENCE, || {
        let grown = resident(server.pid()).saturating_sub(before);
        (grown / SESSIONS < 12 << 10).then_some(())
    });
    drop(sessions);
}
