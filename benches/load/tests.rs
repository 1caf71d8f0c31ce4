//! What the generator makes of answers: a fault here would make every figure wrong.

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::events::Events;
use super::figures::{Found, quantile};
use super::http::Connection;
use super::session::{Session, Target, Transport};

/// A connection to somebody who answers the first request with these pieces, each in a packet of its own.
async fn answered_with(pieces: Vec<Vec<u8>>) -> Connection {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it has one");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        stream.set_nodelay(true).expect("a socket");
        for piece in pieces {
            stream.write_all(&piece).await.expect("a reader");
            stream.flush().await.expect("a reader");
            tokio::task::yield_now().await;
        }
    });
    Connection::open(address).await.expect("it listens")
}

/// One byte at a time is the worst way to be answered.
fn byte_by_byte(text: &str) -> Vec<Vec<u8>> {
    text.bytes().map(|byte| vec![byte]).collect()
}

#[tokio::test]
async fn a_chunked_body_is_whole_wherever_it_is_cut() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
    let mut connection = answered_with(byte_by_byte(answer)).await;
    let head = connection.request(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(connection.whole_body(&head).await.unwrap(), "abc0123456789");
}

#[tokio::test]
async fn a_second_answer_begins_where_the_first_ends() {
    let answers =
        "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No Content\r\n\r\n";
    let mut connection = answered_with(vec![answers.into()]).await;
    let head = connection.request(b"").await.unwrap();
    assert_eq!(connection.whole_body(&head).await.unwrap(), "ok");
    let head = connection.request(b"").await.unwrap();
    assert_eq!(head.status, 204);
    assert_eq!(connection.whole_body(&head).await.unwrap(), BytesMut::new());
}

#[tokio::test]
async fn events_are_whole_wherever_they_are_cut_and_comments_are_none() {
    let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: endpoint\r\ndata: /here\r\n\r\n: ping\n\ndata: {\ndata: }\n\n";
    let mut connection = answered_with(byte_by_byte(stream)).await;
    let head = connection.request(b"").await.unwrap();
    assert!(head.is_event_stream);
    let mut events = Events::new(head.framing);
    let first = events.next(&mut connection).await.unwrap().unwrap();
    assert_eq!(
        (first.kind.as_str(), &first.data[..]),
        ("endpoint", &b"/here"[..])
    );
    let second = events.next(&mut connection).await.unwrap().unwrap();
    assert_eq!(
        (second.kind.as_str(), &second.data[..]),
        ("message", &b"{\n}"[..])
    );
    assert!(events.next(&mut connection).await.unwrap().is_none());
}

#[tokio::test]
async fn a_failed_call_is_an_error_and_no_answer() {
    for result in [
        r#"{"jsonrpc":"2.0","id":0,"result":{"content":[],"isError":true}}"#,
        r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"no such method"}}"#,
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{result}",
                result.len()
            );
            stream.write_all(answer.as_bytes()).await.expect("a reader");
        });
        let target = Target {
            address,
            path: "/mcp".to_owned(),
            transport: Transport::Mcp,
        };
        let refused = Session::open(&target).await.unwrap_err().to_string();
        assert!(
            refused.starts_with("a failed call") || refused.starts_with("an error"),
            "{refused}"
        );
    }
}

#[test]
fn a_quantile_is_the_least_value_that_so_many_do_not_exceed() {
    let micros: Vec<u32> = (1..=100).map(|n| n * 1_000).collect();
    assert_eq!(quantile(&micros, 0.5), 50.0);
    assert_eq!(quantile(&micros, 0.99), 99.0);
    assert_eq!(quantile(&micros, 1.0), 100.0);
    assert_eq!(quantile(&[], 0.5), 0.0);
}

#[test]
fn errors_of_several_clients_are_added_up() {
    let mut found = Found::default();
    for _ in 0..2 {
        let mut one = Found::default();
        one.failed(&anyhow::anyhow!("refused"));
        one.answered(std::time::Duration::from_millis(2), 10);
        found.add(one);
    }
    assert_eq!(found.errors["refused"], 2);
    assert_eq!((found.micros, found.bytes), (vec![2_000, 2_000], 20));
}
