use std::io::{BufRead, BufReader, Read, Write};

use super::lines::MAX_LINE;
use super::*;

fn opened(
    listener: Option<mpsc::Sender<Event>>,
) -> (
    EventChannel,
    StdUnixStream,
    mpsc::Sender<String>,
    CancellationToken,
) {
    let run = CancellationToken::new();
    let (channel, side_channels) =
        EventChannel::open("tool", listener, run.clone()).expect("there are descriptors");
    let program = StdUnixStream::from(side_channels.events.expect("it has an end"));
    (
        channel,
        program,
        side_channels.stderr_lines.expect("it has an end"),
        run,
    )
}

async fn forwarded(said: &[u8]) -> Vec<String> {
    let (sender, mut receiver) = mpsc::channel(64);
    let (channel, mut program, _stderr, _run) = opened(Some(sender));
    let ended = CancellationToken::new();
    ended.cancel();
    program.write_all(said).expect("the socket takes it");
    channel.until(ended).await;
    let mut events = Vec::new();
    while let Some(event) = receiver.recv().await {
        events.push(format!("{event:?}"));
    }
    events
}

#[tokio::test]
async fn each_line_is_one_event_and_what_is_none_is_passed_over() {
    let said = concat!(
        "{\"progress\":1.50,\"total\":3,\"message\":\"half\"}\n",
        "{\"progress\":\"one\"}\n",
        "not json\n\n",
        "{\"log\":\"info\",\"data\":{\"a\":1e2}}\n",
        "{\"log\":\"loud\",\"data\":1}\n",
        "{\"changed\":\"tools\"}\n{\"changed\":\"rooms\"}\n",
        "{\"updated\":\"notes://1\",\"unknown\":true}\n",
        "{\"reconnect\":500}\n",
        "{}\n[1]\n",
        "{\"changed\":\"prompts\"}",
    );
    let expected = [
        "Progress { progress: RawValue(1.50), total: Some(RawValue(3)), message: Some(\"half\") }",
        "Log { level: Info, data: RawValue({\"a\":1e2}) }",
        "Changed(Tools)",
        "Updated(\"notes://1\")",
        "Reconnect(500ms)",
        "Changed(Prompts)",
    ];
    assert_eq!(forwarded(said.as_bytes()).await, expected);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_passed_over_and_the_next_one_is_forwarded() {
    let (sender, mut receiver) = mpsc::channel(64);
    let (channel, mut program, stderr, _run) = opened(Some(sender));
    let ended = CancellationToken::new();
    let forwarding = tokio::spawn(channel.until(ended));
    let writing = tokio::task::spawn_blocking(move || {
        let long = format!("{{\"updated\":\"{}\"}}\n", "x".repeat(3 * MAX_LINE));
        program.write_all(long.as_bytes()).expect("it is read");
        program
            .write_all(b"{\"updated\":\"short\"}\n")
            .expect("it is read");
    });
    let event = receiver.recv().await.expect("an event");
    assert!(
        matches!(&event, Event::Updated(uri) if uri == "short"),
        "{event:?}"
    );
    writing.await.expect("it ends");
    drop(stderr);
    forwarding
        .await
        .expect("the end of the program's socket ends it");
}

#[tokio::test]
async fn answers_go_back_as_one_line_each() {
    let (sender, mut receiver) = mpsc::channel(64);
    let (channel, mut program, _stderr, _run) = opened(Some(sender));
    let ended = CancellationToken::new();
    let forwarding = tokio::spawn(channel.until(ended.clone()));
    program
        .write_all(b"{\"ask\":{\"k\":{\"roots\":{}}}}\n")
        .expect("the socket takes it");
    let Some(Event::Ask { questions, answers }) = receiver.recv().await else {
        panic!("a question was asked");
    };
    assert_eq!(questions.get(), "{\"k\":{\"roots\":{}}}");
    let answer = RawValue::from_string("{\n\"k\": 1}".to_owned()).expect("it is JSON");
    answers.send(answer).expect("somebody waits");
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(program)
            .read_line(&mut line)
            .expect("an answer comes");
        line
    });
    assert_eq!(line.await.expect("it ends"), "{ \"k\": 1}\n");
    ended.cancel();
    forwarding.await.expect("it ends");
}

#[tokio::test]
async fn a_question_counts_as_open_until_its_answer_is_there() {
    let (sender, mut receiver) = mpsc::channel(64);
    let (channel, side_channels) =
        EventChannel::open("tool", Some(sender), CancellationToken::new())
            .expect("there are descriptors");
    let mut program = StdUnixStream::from(side_channels.events.expect("it has an end"));
    let mut open = side_channels.open_questions.expect("they are counted");
    let forwarding = tokio::spawn(channel.until(CancellationToken::new()));
    program
        .write_all(b"{\"ask\":{\"a\":{\"roots\":{}}}}\n{\"ask\":{\"b\":{\"roots\":{}}}}\n{\"updated\":\"1\"}\n")
        .expect("the socket takes it");
    let mut asked = Vec::new();
    while let Some(Event::Ask { answers, .. }) = receiver.recv().await {
        asked.push(answers);
    }
    assert_eq!(*open.borrow(), 2);
    for (answered, answers) in asked.into_iter().enumerate() {
        let answer = RawValue::from_string("{}".to_owned()).expect("it is JSON");
        answers.send(answer).expect("somebody waits");
        let left = open.wait_for(|open| *open == 1 - answered).await;
        left.expect("the channel is open");
    }
    forwarding.abort();
}

#[tokio::test]
async fn a_question_whose_answer_cannot_be_written_is_not_open() {
    let (sender, mut receiver) = mpsc::channel(64);
    let (channel, side_channels) =
        EventChannel::open("tool", Some(sender), CancellationToken::new())
            .expect("there are descriptors");
    let mut program = StdUnixStream::from(side_channels.events.expect("it has an end"));
    let mut open = side_channels.open_questions.expect("they are counted");
    let forwarding = tokio::spawn(channel.until(CancellationToken::new()));
    program
        .shutdown(std::net::Shutdown::Read)
        .expect("it is a socket");
    for _ in 0..3 {
        program
            .write_all(b"{\"ask\":{\"k\":{\"roots\":{}}}}\n")
            .expect("the socket takes it");
        let Some(Event::Ask { answers, .. }) = receiver.recv().await else {
            panic!("a question was asked");
        };
        let answer = RawValue::from_string("{}".to_owned()).expect("it is JSON");
        // From the second on nobody waits for it.
        let _ = answers.send(answer);
        let left = open.wait_for(|open| *open == 0).await;
        left.expect("the channel is open");
    }
    forwarding.abort();
}

#[tokio::test]
async fn a_question_that_will_not_be_answered_ends_the_run() {
    let (sender, mut receiver) = mpsc::channel(64);
    let (channel, mut program, _stderr, run) = opened(Some(sender));
    let ended = CancellationToken::new();
    let forwarding = tokio::spawn(channel.until(ended.clone()));
    program
        .write_all(b"{\"ask\":{}}\n")
        .expect("the socket takes it");
    drop(receiver.recv().await);
    run.cancelled().await;
    // It is sent a signal now, and must not find the end of its channel before that.
    program.set_nonblocking(true).expect("it is a socket");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let read = program.read(&mut [0; 1]).expect_err("nothing comes");
    assert_eq!(read.kind(), io::ErrorKind::WouldBlock);
    ended.cancel();
    forwarding.await.expect("it ends");
    assert_eq!(program.read(&mut [0; 1]).expect("the end"), 0);
}

#[tokio::test]
async fn a_question_without_a_listener_is_answered_with_an_error() {
    let (channel, mut program, _stderr, _run) = opened(None);
    let ended = CancellationToken::new();
    let forwarding = tokio::spawn(channel.until(ended.clone()));
    program
        .write_all(b"{\"ask\":{\"k\":{}}}\n")
        .expect("the socket takes it");
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(program)
            .read_line(&mut line)
            .expect("an answer comes");
        line
    });
    assert!(line.await.expect("it ends").starts_with("{\"error\":"));
    ended.cancel();
    forwarding.await.expect("it ends");
}

#[tokio::test]
async fn lines_of_stderr_are_logs_for_debugging() {
    let (sender, mut receiver) = mpsc::channel(64);
    let (channel, program, stderr, _run) = opened(Some(sender));
    stderr
        .send("a \"line\"".to_owned())
        .await
        .expect("somebody listens");
    drop((program, stderr));
    channel.until(CancellationToken::new()).await;
    let event = receiver.recv().await.expect("an event");
    assert_eq!(
        format!("{event:?}"),
        "Log { level: Debug, data: RawValue(\"a \\\"line\\\"\") }"
    );
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_stuck_does_not_hold_the_end_back() {
    let (sender, _never_read) = mpsc::channel(1);
    let (channel, mut program, _stderr, _run) = opened(Some(sender));
    program
        .write_all(b"{\"updated\":\"1\"}\n{\"updated\":\"2\"}\n{\"updated\":\"3\"}\n")
        .expect("the socket takes it");
    let ended = CancellationToken::new();
    ended.cancel();
    channel.until(ended).await;
}

/// Writes the same again and again until that fails.
fn flood(mut program: StdUnixStream, block: Vec<u8>) -> tokio::task::JoinHandle<io::Error> {
    tokio::task::spawn_blocking(move || {
        loop {
            if let Err(fault) = program.write_all(&block) {
                return fault;
            }
        }
    })
}

#[tokio::test]
async fn a_flood_of_lines_that_are_no_events_is_cut_off() {
    for block in ["x\n".repeat(4096), "\n".repeat(4096)] {
        let (sender, _receiver) = mpsc::channel(64);
        let (channel, program, _stderr, _run) = opened(Some(sender));
        let forwarding = tokio::spawn(channel.until(CancellationToken::new()));
        let fault = flood(program, block.into_bytes());
        let fault = tokio::time::timeout(Duration::from_secs(20), fault).await;
        let fault = fault.expect("it is cut off").expect("it does not panic");
        assert_eq!(fault.kind(), io::ErrorKind::BrokenPipe);
        forwarding.abort();
    }
}

#[tokio::test]
async fn a_flood_of_events_lets_others_run_and_ends_with_the_run() {
    // Nobody listens, so that nothing but the channel itself can make it wait.
    let (channel, program, _stderr, _run) = opened(None);
    let ended = CancellationToken::new();
    let forwarding = tokio::spawn(channel.until(ended.clone()));
    let events = "{\"changed\":\"tools\"}\n".repeat(1000);
    let flooding = flood(program, events.into_bytes());
    tokio::time::sleep(Duration::from_millis(50)).await;
    ended.cancel();
    let over = tokio::time::timeout(Duration::from_secs(20), forwarding).await;
    over.expect("the writer goes on, the reader does not")
        .expect("it does not panic");
    flooding.await.expect("it ends with the channel");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_is_not_read_any_more() {
    let (sender, _never_read) = mpsc::channel(1);
    let (channel, mut program, _stderr, run) = opened(Some(sender));
    program
        .write_all(b"{\"updated\":\"1\"}\n{\"updated\":\"2\"}\n")
        .expect("the socket takes it");
    let ended = CancellationToken::new();
    let forwarding = tokio::spawn(channel.until(ended.clone()));
    run.cancel();
    ended.cancel();
    let over = tokio::time::timeout(Duration::from_millis(900), forwarding).await;
    over.expect("no drain").expect("it does not panic");
}
