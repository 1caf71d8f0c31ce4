use super::*;

async fn next(reading: &mut StreamReader) -> Option<Event> {
    std::future::poll_fn(|cx| reading.poll_event(cx)).await
}

async fn line(reading: &mut StreamReader) -> (String, String) {
    match next(reading).await {
        Some(Event::Message { id, line }) => (
            id.map(|id| id.to_string()).unwrap_or_default(),
            String::from_utf8(line.to_vec()).unwrap(),
        ),
        other => panic!("{other:?} is no message"),
    }
}

fn pair(id: &str, line: &str) -> (String, String) {
    (id.to_owned(), line.to_owned())
}

async fn send(outbox: &Outbox, text: &'static str) {
    outbox
        .send(Bytes::from_static(text.as_bytes()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_that_was_received() {
    let streams = Streams::default();
    let outbox = Arc::new(Outbox::default());
    let mut first = streams.open(Arc::clone(&outbox), true).read();
    assert!(matches!(
        next(&mut first).await,
        Some(Event::Greeting { .. })
    ));
    for (number, text) in [("1-1", "one"), ("1-2", "two")] {
        send(&outbox, text).await;
        assert_eq!(line(&mut first).await, pair(number, text));
    }
    drop(first);
    send(&outbox, "three").await;
    outbox.finish();
    let (stream, position) = streams.resume("1-1").expect("the stream is kept");
    let mut second = stream.read_from(position);
    assert_eq!(line(&mut second).await, pair("1-2", "two"));
    assert_eq!(line(&mut second).await, pair("1-3", "three"));
    assert_eq!(next(&mut second).await, None);
}

#[tokio::test]
async fn a_client_that_is_sent_away_finds_the_rest_when_it_comes_back() {
    let streams = Streams::default();
    let outbox = Arc::new(Outbox::default());
    let mut first = streams.open(Arc::clone(&outbox), true).read();
    next(&mut first).await;
    let pause = Duration::from_millis(500);
    outbox.send_away(pause);
    assert_eq!(next(&mut first).await, Some(Event::Retry(pause)));
    assert_eq!(next(&mut first).await, None);
    send(&outbox, "answer").await;
    let (stream, position) = streams.resume("1-0").expect("the stream goes on");
    let mut second = stream.read_from(position);
    assert_eq!(line(&mut second).await.1, "answer");
}

#[tokio::test]
async fn what_was_never_sent_cannot_be_resumed_from() {
    let streams = Streams::default();
    streams.open(Arc::default(), true);
    streams.open(Arc::default(), false);
    for id in ["1-5", "3-0", "x", "1", "-", "1-x", "", "2-0"] {
        assert!(streams.resume(id).is_none(), "{id}");
    }
    assert!(streams.resume("1-0").is_some());
}

#[tokio::test]
async fn a_new_reader_takes_over_from_one_that_was_not_missed_yet() {
    let streams = Streams::default();
    let outbox = Arc::new(Outbox::default());
    let stream = streams.open(Arc::clone(&outbox), true);
    let mut old = stream.read();
    next(&mut old).await;
    let mut new = stream.read_from(0);
    send(&outbox, "line").await;
    assert_eq!(line(&mut new).await.1, "line");
    assert_eq!(next(&mut old).await, None);
    drop(old);
    assert!(stream.is_read() && outbox.has_reader());
}

#[tokio::test]
async fn a_stream_that_nobody_can_come_back_to_ends_with_its_reader() {
    let streams = Streams::default();
    let outbox = Arc::new(Outbox::default());
    drop(streams.open(Arc::clone(&outbox), false).read());
    assert!(outbox.is_closed());
}

#[tokio::test]
async fn all_streams_end_with_their_session_and_none_is_opened_after_it() {
    let streams = Streams::default();
    let outboxes: [Arc<Outbox>; 3] = Default::default();
    streams.standalone(&outboxes[0], true);
    streams.open(Arc::clone(&outboxes[1]), true);
    streams.close();
    streams.open(Arc::clone(&outboxes[2]), true);
    assert!(outboxes.iter().all(|outbox| outbox.is_closed()));
    assert!(streams.resume("1-0").is_none());
}

#[tokio::test]
async fn memory_is_given_back_oldest_first_and_a_stream_that_is_read_is_kept() {
    let streams = Streams::default();
    let outboxes: [Arc<Outbox>; 2] = Default::default();
    let mut left = streams.open(Arc::clone(&outboxes[0]), true).read();
    next(&mut left).await;
    send(&outboxes[0], "sent").await;
    line(&mut left).await;
    drop(left);
    send(&outboxes[0], "unread").await;
    let _read = streams.open(Arc::clone(&outboxes[1]), true).read();
    send(&outboxes[1], "read soon").await;
    assert!(streams.give_back(), "what was sent");
    assert!(!outboxes[0].is_closed());
    assert!(streams.give_back(), "what nobody reads");
    assert!(outboxes[0].is_closed());
    assert!(!streams.give_back());
    assert!(!outboxes[1].is_closed());
}

#[tokio::test]
async fn no_more_than_a_number_of_streams_is_kept_that_nobody_reads() {
    let streams = Streams::default();
    for _ in 0..MAX_LEFT + 5 {
        drop(streams.open(Arc::default(), true).read());
    }
    assert!(streams.resume("1-0").is_none());
    assert!(streams.all().len() <= MAX_LEFT + 1);
}
