//! Streams of one Streamable HTTP session that can be taken up again where they broke off.
//!
//! Knows no message: lines come out of an outbox and become numbered events.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;

use super::events::KeepAlive;
use crate::mcp::outbox::Outbox;
use crate::mcp::session::{Held, Session};

/// The number of the stream that a GET opens; those of POSTs follow.
pub const STANDING: u64 = 0;
/// Events that were sent are kept for a client that comes back, within this many bytes a stream.
const MAX_KEPT: usize = 4 << 20;
/// A stream that has ended is kept this long.
const KEPT_FOR: Duration = Duration::from_secs(5 * 60);
/// Ended streams that are kept in a session; older ones go first.
const MAX_ENDED: usize = 32;
/// What a client waits before it comes back, in milliseconds.
const RETRY: u64 = 1000;

/// The streams of all sessions, by session id.
#[derive(Debug, Default)]
pub struct Streams(Mutex<HashMap<String, Arc<SessionStreams>>>);

/// The streams of one session.
#[derive(Debug, Default)]
pub struct SessionStreams {
    streams: Mutex<HashMap<u64, Arc<Stream>>>,
    last: Mutex<u64>,
}

/// One stream: what was sent, and what is still to come.
#[derive(Debug)]
pub struct Stream {
    number: u64,
    outbox: Arc<Outbox>,
    /// Whether events carry ids and the first one is empty (2025-11-25 has both).
    resumable: bool,
    sent: Mutex<Sent>,
}

#[derive(Debug, Default)]
struct Sent {
    events: VecDeque<(u64, Bytes)>,
    bytes: usize,
    count: u64,
    /// Counts readers: one that has been followed by another reads no more.
    reader: u64,
    reading: bool,
    ended: Option<Instant>,
}

impl Streams {
    /// The streams of a session.
    pub fn of(&self, session: &Session) -> Arc<SessionStreams> {
        Arc::clone(self.lock().entry(session.id().to_owned()).or_default())
    }

    /// Forgets a session's streams.
    pub fn forget(&self, session: &str) {
        self.lock().remove(session);
    }

    /// Forgets the streams of sessions that `lives` does not know.
    pub fn retain(&self, lives: impl Fn(&str) -> bool) {
        self.lock().retain(|session, _| lives(session));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<SessionStreams>>> {
        self.0
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

impl SessionStreams {
    /// The stream that GET reads, made with the first.
    pub fn standing(&self, outbox: &Arc<Outbox>, resumable: bool) -> Arc<Stream> {
        let mut streams = self.lock();
        Arc::clone(
            streams
                .entry(STANDING)
                .or_insert_with(|| Arc::new(Stream::new(STANDING, Arc::clone(outbox), resumable))),
        )
    }

    /// A stream for one POST's answer.
    pub fn open(&self, outbox: Arc<Outbox>, resumable: bool) -> Arc<Stream> {
        let number = {
            let mut last = self
                .last
                .lock()
                .expect("no code that holds this lock can panic");
            *last += 1;
            *last
        };
        let stream = Arc::new(Stream::new(number, outbox, resumable));
        let mut streams = self.lock();
        forget_old(&mut streams);
        streams.insert(number, Arc::clone(&stream));
        stream
    }

    /// The stream and the position in it that `Last-Event-ID` names, if they are still known.
    pub fn resume(&self, last_event_id: &str) -> Option<(Arc<Stream>, u64)> {
        let (number, event) = last_event_id.split_once('-')?;
        let stream = self.lock().get(&number.parse().ok()?).cloned()?;
        let event = event.parse().ok()?;
        stream.holds_from(event).then_some((stream, event))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Stream>>> {
        self.streams
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

fn forget_old(streams: &mut HashMap<u64, Arc<Stream>>) {
    streams.retain(|_, stream| {
        stream
            .sent()
            .ended
            .is_none_or(|ended| ended.elapsed() < KEPT_FOR)
    });
    let mut ended: Vec<u64> = streams
        .values()
        .filter(|stream| stream.sent().ended.is_some())
        .map(|stream| stream.number)
        .collect();
    ended.sort_unstable();
    for number in ended.iter().take(ended.len().saturating_sub(MAX_ENDED)) {
        streams.remove(number);
    }
}

impl Stream {
    fn new(number: u64, outbox: Arc<Outbox>, resumable: bool) -> Self {
        Self {
            number,
            outbox,
            resumable,
            sent: Mutex::default(),
        }
    }

    /// Whether somebody reads it now.
    pub fn is_read(&self) -> bool {
        self.sent().reading
    }

    /// Reads it from its first event on that was not sent.
    pub fn read(self: &Arc<Self>, held: Option<Held>) -> Reading {
        let position = self.sent().count;
        let mut reading = self.read_from(position, held);
        reading.greeting = (self.resumable && position == 0).then(|| self.greeting());
        reading
    }

    /// Reads it again from the event after `position`.
    pub fn read_from(self: &Arc<Self>, position: u64, held: Option<Held>) -> Reading {
        let mut sent = self.sent();
        sent.reader += 1;
        sent.reading = true;
        let reader = sent.reader;
        drop(sent);
        Reading {
            stream: Arc::clone(self),
            reader,
            position,
            greeting: None,
            sent_away: false,
            keep_alive: KeepAlive::default(),
            _held: held,
        }
    }

    /// An empty event, so that a client has an id to come back with before anything has happened.
    fn greeting(&self) -> Bytes {
        format!("id: {}-0\nretry: {RETRY}\ndata: \n\n", self.number).into()
    }

    fn holds_from(&self, position: u64) -> bool {
        let sent = self.sent();
        let oldest = sent
            .events
            .front()
            .map_or(sent.count + 1, |(number, _)| *number);
        position <= sent.count && position + 1 >= oldest
    }

    /// Whether its reader is to go for a while. A client that cannot come back is not sent away.
    fn sent_away(&self) -> Option<Duration> {
        if self.resumable {
            self.outbox.sent_away()
        } else {
            None
        }
    }

    fn record(&self, sent: &mut Sent, line: &Bytes) -> Bytes {
        sent.count += 1;
        let event = self.event(sent.count, line);
        if self.resumable {
            sent.bytes += event.len();
            sent.events.push_back((sent.count, event.clone()));
            while sent.bytes > MAX_KEPT && sent.events.len() > 1 {
                sent.bytes -= sent.events.pop_front().map_or(0, |(_, event)| event.len());
            }
        }
        event
    }

    fn event(&self, count: u64, line: &Bytes) -> Bytes {
        let mut event = BytesMut::with_capacity(line.len() + 48);
        event.put_slice(b"event: message\n");
        if self.resumable {
            event.put_slice(format!("id: {}-{count}\n", self.number).as_bytes());
        }
        event.put_slice(b"data: ");
        event.put_slice(line);
        event.put_slice(b"\n\n");
        event.freeze()
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

/// A stream's one reader: the body of a response.
#[derive(Debug)]
pub struct Reading {
    stream: Arc<Stream>,
    reader: u64,
    position: u64,
    greeting: Option<Bytes>,
    /// The client was told to come back, and reads no more here.
    sent_away: bool,
    keep_alive: KeepAlive,
    _held: Option<Held>,
}

impl Reading {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(greeting) = self.greeting.take() {
            return Poll::Ready(Some(greeting));
        }
        let stream = Arc::clone(&self.stream);
        let mut sent = stream.sent();
        if sent.reader != self.reader || self.sent_away {
            return Poll::Ready(None);
        }
        if let Some((number, event)) = sent
            .events
            .iter()
            .find(|(number, _)| *number > self.position)
        {
            self.position = *number;
            return Poll::Ready(Some(event.clone()));
        }
        if let Some(pause) = stream.sent_away() {
            self.sent_away = true;
            return Poll::Ready(Some(format!("retry: {}\n\n", pause.as_millis()).into()));
        }
        match stream.outbox.poll_next(cx) {
            Poll::Ready(Some(line)) => {
                let event = stream.record(&mut sent, &line);
                self.position = sent.count;
                Poll::Ready(Some(event))
            }
            Poll::Ready(None) => {
                sent.ended.get_or_insert_with(Instant::now);
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl http_body::Body for Reading {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(event) = self.poll_event(cx) {
            self.keep_alive.reset();
            return Poll::Ready(event.map(|event| Ok(Frame::data(event))));
        }
        self.keep_alive
            .poll(cx)
            .map(|comment| Some(Ok(Frame::data(comment))))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut sent = self.stream.sent();
        if sent.reader == self.reader {
            sent.reading = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn next(reading: &mut Reading) -> String {
        let frame = reading
            .frame()
            .await
            .expect("the stream goes on")
            .expect("events do not fail");
        String::from_utf8(frame.into_data().expect("events are data").to_vec())
            .expect("events are text")
    }

    #[tokio::test]
    async fn a_stream_goes_on_after_the_last_event_that_was_received() {
        let streams = SessionStreams::default();
        let outbox = Arc::new(Outbox::default());
        let stream = streams.open(Arc::clone(&outbox), true);
        let mut first = stream.read(None);
        assert!(next(&mut first).await.starts_with("id: 1-0\nretry:"));
        for line in ["one", "two"] {
            outbox
                .send(Bytes::from_static(line.as_bytes()))
                .await
                .unwrap();
            assert!(next(&mut first).await.contains(line));
        }
        drop(first);
        outbox.send(Bytes::from_static(b"three")).await.unwrap();
        outbox.finish();
        let (stream, position) = streams.resume("1-1").expect("the stream is kept");
        let mut second = stream.read_from(position, None);
        assert_eq!(
            next(&mut second).await,
            "event: message\nid: 1-2\ndata: two\n\n"
        );
        assert!(next(&mut second).await.contains("three"));
        assert!(second.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_is_sent_away_finds_the_rest_when_it_comes_back() {
        let streams = SessionStreams::default();
        let outbox = Arc::new(Outbox::default());
        let mut first = streams.open(Arc::clone(&outbox), true).read(None);
        next(&mut first).await;
        outbox.send_away(Duration::from_millis(500));
        assert_eq!(next(&mut first).await, "retry: 500\n\n");
        assert!(first.frame().await.is_none());
        outbox.send(Bytes::from_static(b"answer")).await.unwrap();
        let (stream, position) = streams.resume("1-0").expect("the stream goes on");
        assert!(
            next(&mut stream.read_from(position, None))
                .await
                .contains("answer")
        );
    }

    #[tokio::test]
    async fn what_was_never_sent_cannot_be_resumed_from() {
        let streams = SessionStreams::default();
        streams.open(Arc::default(), true);
        for id in ["1-5", "2-0", "x", "1", "-", "1-x", ""] {
            assert!(streams.resume(id).is_none(), "{id}");
        }
        assert!(streams.resume("1-0").is_some());
    }

    #[tokio::test]
    async fn a_new_reader_takes_over_from_one_that_was_not_missed_yet() {
        let streams = SessionStreams::default();
        let outbox = Arc::new(Outbox::default());
        let stream = streams.open(Arc::clone(&outbox), true);
        let mut old = stream.read(None);
        next(&mut old).await;
        let mut new = stream.read_from(0, None);
        outbox.send(Bytes::from_static(b"line")).await.unwrap();
        assert!(next(&mut new).await.contains("line"));
        assert!(old.frame().await.is_none());
        drop(old);
        assert!(stream.is_read());
    }
}
