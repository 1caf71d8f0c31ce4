//! The streams of one session: what was sent on each, and what is still to come, so that a client
//! can take a stream up again where it broke off.
//!
//! Knows no message and no transport: lines come out of outboxes and become numbered events.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery>

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::budget::Holder;
use super::outbox::{Outbox, Reader};

/// The number of the stream that the client opens for itself; those of its requests follow.
const STANDALONE: u64 = 0;
/// Events that were sent are kept for a client that comes back, within this many bytes a stream.
const MAX_KEPT: usize = 4 << 20;
/// A stream that has ended, or that nobody reads, is kept this long.
const KEPT_FOR: Duration = Duration::from_secs(5 * 60);
/// Streams that nobody reads are kept within this number in a session; older ones go first.
const MAX_LEFT: usize = 32;
/// What a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(1);

/// The streams of one session. They end with it.
#[derive(Debug, Default)]
pub struct Streams(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    /// By number, so oldest first.
    streams: BTreeMap<u64, Arc<Stream>>,
    /// Answers that are on their way without a stream.
    answers: Vec<Weak<Outbox>>,
    last: u64,
    closed: bool,
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
    /// Since when nobody reads it.
    left: Option<Instant>,
    ended: bool,
}

/// Something to be written on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An empty event, so that a client has an id to come back with before anything has happened.
    Greeting {
        /// Stream and position, as the client repeats them.
        id: EventId,
        /// What the client waits before it comes back.
        retry: Duration,
    },
    /// A message, with an id where the client can come back to it.
    Message {
        /// Stream and position, as the client repeats them.
        id: Option<EventId>,
        /// The message on one line.
        line: Bytes,
    },
    /// The client is to go, and to come back after this long.
    Retry(Duration),
}

/// Names an event in all streams of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    stream: u64,
    position: u64,
}

impl EventId {
    fn parse(text: &str) -> Option<Self> {
        let (stream, position) = text.split_once('-')?;
        Some(Self {
            stream: stream.parse().ok()?,
            position: position.parse().ok()?,
        })
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.stream, self.position)
    }
}

impl Sent {
    /// The first event that is kept after `position`.
    fn after(&self, position: u64) -> Option<(u64, Bytes)> {
        let (oldest, _) = self.events.front()?;
        // Numbered one by one: a walk from the oldest for each event would be quadratic.
        let index = (position + 1).saturating_sub(*oldest);
        self.events.get(usize::try_from(index).ok()?).cloned()
    }
}

impl Streams {
    /// The stream that the client opens for itself, made with the first.
    pub fn standalone(&self, outbox: &Arc<Outbox>, resumable: bool) -> Arc<Stream> {
        let mut all = self.lock();
        let stream = all
            .streams
            .entry(STANDALONE)
            .or_insert_with(|| Arc::new(Stream::new(STANDALONE, Arc::clone(outbox), resumable)));
        Arc::clone(stream)
    }

    /// A stream for what belongs to one request.
    pub fn open(&self, outbox: Arc<Outbox>, resumable: bool) -> Arc<Stream> {
        let mut all = self.lock();
        if all.closed {
            // The session ended in this very moment.
            outbox.close();
        }
        all.last += 1;
        let number = all.last;
        let stream = Arc::new(Stream::new(number, outbox, resumable));
        all.streams.insert(number, Arc::clone(&stream));
        let gone = all.take_old();
        drop(all);
        gone.iter().for_each(|stream| stream.close());
        stream
    }

    /// Notes an answer that goes out without a stream.
    pub fn note_answer(&self, outbox: &Arc<Outbox>) {
        let mut all = self.lock();
        all.answers.retain(|answer| answer.strong_count() > 0);
        all.answers.push(Arc::downgrade(outbox));
    }

    /// The stream and the position in it that `Last-Event-ID` names, if they are still known.
    pub fn resume(&self, last_event_id: &str) -> Option<(Arc<Stream>, u64)> {
        let EventId { stream, position } = EventId::parse(last_event_id)?;
        let stream = self.lock().streams.get(&stream).cloned()?;
        let kept = stream.resumable && stream.holds_from(position);
        kept.then_some((stream, position))
    }

    /// Forgets streams that have ended, or that nobody has read, for long enough.
    pub fn forget_old(&self) {
        let gone = self.lock().take_old();
        gone.iter().for_each(|stream| stream.close());
    }

    /// Ends all streams and forgets them: the session has ended.
    pub fn close(&self) {
        let mut all = self.lock();
        all.closed = true;
        let (streams, answers) = (
            std::mem::take(&mut all.streams),
            std::mem::take(&mut all.answers),
        );
        drop(all);
        streams.values().for_each(|stream| stream.close());
        for answer in answers.iter().filter_map(Weak::upgrade) {
            answer.close();
        }
    }

    /// Lets every stream end when what waits for its reader has been read. Those without a reader
    /// end at once.
    pub fn finish(&self) {
        for stream in self.all() {
            if stream.outbox.has_reader() {
                stream.outbox.finish();
            } else {
                stream.close();
            }
        }
    }

    /// Whether the readers have taken everything.
    pub fn are_read(&self) -> bool {
        self.all()
            .iter()
            .all(|stream| !stream.outbox.has_reader() || stream.outbox.is_read())
    }

    fn all(&self) -> Vec<Arc<Stream>> {
        self.lock().streams.values().cloned().collect()
    }

    /// The answers that are still being read.
    fn answers(&self) -> Vec<Arc<Outbox>> {
        let all = self.lock();
        all.answers.iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

impl Holder for Streams {
    /// First what was sent on streams that have ended, then what was sent on others, then streams
    /// that nobody reads; of each the oldest.
    fn give_back(&self) -> bool {
        let all = self.all();
        let ended = all.iter().filter(|stream| stream.sent().ended);
        if ended.chain(&all).any(|stream| stream.drop_sent()) {
            return true;
        }
        let requests = all.iter().filter(|stream| stream.number != STANDALONE);
        let mut unread = requests.filter(|stream| stream.sent().left.is_some());
        let oldest = unread.find(|stream| !stream.outbox.is_read());
        oldest.is_some_and(|stream| {
            stream.close();
            self.lock().streams.remove(&stream.number);
            true
        })
    }

    fn cut(&self) {
        for stream in self.all() {
            stream.cut();
        }
        for answer in self.answers() {
            answer.close();
        }
    }

    fn cut_if_stalled(&self, limit: Duration) {
        for stream in self.all() {
            if stream.outbox.stalled_for() >= limit {
                stream.cut();
            }
        }
        for answer in self.answers() {
            answer.cut_if_stalled(limit);
        }
    }
}

impl All {
    fn take_old(&mut self) -> Vec<Arc<Stream>> {
        let left: Vec<(u64, Duration)> = self
            .streams
            .values()
            .filter(|stream| stream.number != STANDALONE)
            .filter_map(|stream| Some((stream.number, stream.sent().left?.elapsed())))
            .collect();
        let surplus = left.len().saturating_sub(MAX_LEFT);
        left.iter()
            .enumerate()
            .filter(|(index, (_, since))| *index < surplus || *since >= KEPT_FOR)
            .filter_map(|(_, (number, _))| self.streams.remove(number))
            .collect()
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
    pub fn read(self: &Arc<Self>) -> StreamReader {
        let position = self.sent().count;
        let mut reading = self.read_from(position);
        reading.greet = self.resumable && position == 0;
        reading
    }

    /// Reads it again from the event after `position`.
    pub fn read_from(self: &Arc<Self>, position: u64) -> StreamReader {
        let mut sent = self.sent();
        sent.reader += 1;
        sent.reading = true;
        sent.left = None;
        let reader = sent.reader;
        drop(sent);
        StreamReader {
            stream: Arc::clone(self),
            lines: self.outbox.attach(),
            reader,
            position,
            greet: false,
            sent_away: false,
        }
    }

    fn id(&self, position: u64) -> EventId {
        EventId {
            stream: self.number,
            position,
        }
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

    fn record(&self, sent: &mut Sent, line: &Bytes) {
        sent.count += 1;
        if self.resumable {
            sent.bytes += line.len();
            sent.events.push_back((sent.count, line.clone()));
            while sent.bytes > MAX_KEPT && sent.events.len() > 1 {
                sent.bytes -= sent.events.pop_front().map_or(0, |(_, line)| line.len());
            }
        }
    }

    fn drop_sent(&self) -> bool {
        let mut sent = self.sent();
        let events = std::mem::take(&mut sent.events);
        sent.bytes = 0;
        drop(sent);
        !events.is_empty()
    }

    fn close(&self) {
        self.outbox.close();
        self.drop_sent();
    }

    /// Ends it for its reader. The standalone stream is there for the next one.
    fn cut(&self) {
        if self.number != STANDALONE {
            return self.close();
        }
        let mut sent = self.sent();
        sent.reader += 1;
        sent.reading = false;
        drop(sent);
        self.drop_sent();
        self.outbox.clear();
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

/// A stream's one reader.
#[derive(Debug)]
pub struct StreamReader {
    stream: Arc<Stream>,
    lines: Reader,
    reader: u64,
    position: u64,
    greet: bool,
    /// The client was told to come back, and reads no more here.
    sent_away: bool,
}

impl StreamReader {
    /// The next event; `None` when the stream has ended, or another reads it now.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if std::mem::take(&mut self.greet) {
            return Poll::Ready(Some(Event::Greeting {
                id: self.stream.id(0),
                retry: RETRY,
            }));
        }
        let stream = Arc::clone(&self.stream);
        let mut sent = stream.sent();
        if sent.reader != self.reader || self.sent_away {
            return Poll::Ready(None);
        }
        if let Some((number, line)) = sent.after(self.position) {
            self.position = number;
            return Poll::Ready(Some(self.message(line)));
        }
        if let Some(pause) = stream.sent_away() {
            self.sent_away = true;
            return Poll::Ready(Some(Event::Retry(pause)));
        }
        match self.lines.poll_line(cx) {
            Poll::Ready(Some(line)) => {
                stream.record(&mut sent, &line);
                self.position = sent.count;
                Poll::Ready(Some(self.message(line)))
            }
            Poll::Ready(None) => {
                sent.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// What takes the lines out, for their pieces.
    pub fn lines(&mut self) -> &mut Reader {
        &mut self.lines
    }

    fn message(&self, line: Bytes) -> Event {
        let id = self.stream.resumable.then(|| self.stream.id(self.position));
        Event::Message { id, line }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        let stream = &self.stream;
        let mut sent = stream.sent();
        if sent.reader != self.reader {
            return;
        }
        sent.reading = false;
        sent.left = Some(Instant::now());
        drop(sent);
        if !stream.resumable && stream.number != STANDALONE {
            // Nobody can come back to it.
            stream.close();
        }
    }
}

#[cfg(test)]
mod tests;
