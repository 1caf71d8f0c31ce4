//! What waits to go to one client: bounded, so that a reader that stalls costs nobody else.
//!
//! Knows no transport: a stream or a pipe takes lines out, sessions put lines in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, watch};
use tokio::time::Instant as TokioInstant;

use super::budget::{Account, Holder};

/// How many lines may wait.
const MAX_LINES: usize = 64;
/// How many bytes may wait; one line is always admitted, whatever its size.
const MAX_BYTES: usize = 32 << 20;
/// How many senders may wait for room, each with a line in hand, before its owner takes nothing new in.
const MAX_BLOCKED_SENDERS: usize = 256;
/// The longest absence that is excused because it was announced: for so long at least a stream that its client has
/// left is kept.
const MAX_EXCUSED: Duration = Duration::from_secs(5 * 60);
/// A line is handed to its reader in pieces of this many bytes: each one taken is a sign of life.
const PIECE: usize = 64 << 10;

/// A bounded queue of lines with one reader at a time.
#[derive(Debug)]
pub struct Outbox {
    /// Whose memory its lines are; `None` where nobody counts.
    account: Option<Arc<Account>>,
    queue: Mutex<Queue>,
    room: Notify,
    /// Senders that wait for room, each with a line in hand.
    blocked_senders: watch::Sender<usize>,
    /// How many read it: one, or two while one takes over from another.
    readers: watch::Sender<usize>,
    reader: AtomicWaker,
}

/// The stream has ended: what would be sent reaches nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client's stream is closed")]
pub struct Closed;

#[derive(Debug)]
struct Queue {
    lines: VecDeque<QueuedLine>,
    bytes: usize,
    closed: bool,
    /// When its reader last took some bytes, or when there was first something to take.
    moved: Instant,
    /// What its newest reader has begun and not yet taken.
    rest: Bytes,
    /// How many readers it has had. The last of them is the newest.
    readers: u64,
    return_after: Option<Duration>,
    /// Until when its reader is away because it was told to be.
    excused_until: Option<TokioInstant>,
}

#[derive(Debug)]
struct QueuedLine {
    text: Bytes,
    /// A newer line with the same key takes the place of this one.
    supersedes: Option<String>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            account: None,
            queue: Mutex::new(Queue {
                lines: VecDeque::new(),
                bytes: 0,
                closed: false,
                moved: Instant::now(),
                rest: Bytes::new(),
                readers: 0,
                return_after: None,
                excused_until: None,
            }),
            room: Notify::new(),
            blocked_senders: watch::Sender::new(0),
            readers: watch::Sender::new(0),
            reader: AtomicWaker::new(),
        }
    }
}

impl Outbox {
    /// An outbox whose notifications count for `account`. What is sent as [`Bytes`] was counted by
    /// whoever wrote it.
    pub fn new(account: Arc<Account>) -> Arc<Self> {
        Arc::new(Self {
            account: Some(account),
            ..Self::default()
        })
    }

    /// Queues a line that must arrive, such as a response; waits for room.
    ///
    /// # Errors
    /// [`Closed`] when nobody will read it.
    pub async fn send(&self, text: Bytes) -> Result<(), Closed> {
        match self.try_push(QueuedLine {
            text,
            supersedes: None,
        }) {
            Ok(()) => Ok(()),
            Err(PushError::Closed) => Err(Closed),
            Err(PushError::Full(line)) => self.send_when_there_is_room(line).await,
        }
    }

    /// How many senders are blocked because the client does not read.
    pub fn unread(&self) -> watch::Receiver<usize> {
        self.blocked_senders.subscribe()
    }

    /// Whether so many senders are blocked that nothing more may begin that ends with a line.
    pub fn is_overfull(&self) -> bool {
        *self.blocked_senders.borrow() >= MAX_BLOCKED_SENDERS
    }

    /// Waits until it is not overfull, because its reader has read or because it was closed.
    pub async fn until_it_moves(&self) {
        // It owns the sender: the channel is open for as long as somebody can wait here.
        let _ = self
            .unread()
            .wait_for(|blocked| *blocked < MAX_BLOCKED_SENDERS)
            .await;
    }

    async fn send_when_there_is_room(&self, mut line: QueuedLine) -> Result<(), Closed> {
        let _blocked = BlockedSender::join(&self.blocked_senders);
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Registered before the look, so that room made in between is not missed.
            room.as_mut().enable();
            match self.try_push(line) {
                Ok(()) => return Ok(()),
                Err(PushError::Closed) => return Err(Closed),
                Err(PushError::Full(back)) => line = back,
            }
            room.await;
        }
    }

    /// Queues a line of which only the newest matters: one with the same key that still waits is
    /// replaced. Dropped when there is no room.
    pub fn offer_latest(&self, key: &str, text: Bytes) {
        let Some(text) = self.counted(text) else {
            return;
        };
        let mut queue = self.lock();
        // The last of them, so that steps stay in their order.
        if let Some(waiting) = queue
            .lines
            .iter()
            .rposition(|line| line.supersedes.as_deref() == Some(key))
        {
            queue.bytes = queue.bytes - queue.lines[waiting].text.len() + text.len();
            let old = std::mem::replace(&mut queue.lines[waiting].text, text);
            drop(queue);
            drop(old);
            return;
        }
        drop(queue);
        // A lost progress or change notice is repeated by the next one.
        let _ = self.try_push(QueuedLine {
            text,
            supersedes: Some(key.to_owned()),
        });
    }

    /// Queues one step of many, such as progress. Every step is sent while the reader keeps up; once
    /// half of the room is taken, only the newest of a key.
    pub fn offer_step(&self, key: &str, text: Bytes) {
        if self.lock().lines.len() >= MAX_LINES / 2 {
            return self.offer_latest(key, text);
        }
        let Some(text) = self.counted(text) else {
            return;
        };
        // A step that finds no room is followed by others.
        let _ = self.try_push(QueuedLine {
            text,
            supersedes: Some(key.to_owned()),
        });
    }

    /// Queues a line that may be lost, such as a log message; whether it found room.
    pub fn offer(&self, text: Bytes) -> bool {
        let Some(text) = self.counted(text) else {
            return false;
        };
        let line = QueuedLine {
            text,
            supersedes: None,
        };
        self.try_push(line).is_ok()
    }

    fn counted(&self, text: Bytes) -> Option<Bytes> {
        match &self.account {
            Some(account) => Some(account.try_count(text).ok()?.into_bytes()),
            None => Some(text),
        }
    }

    /// Its client takes a message of so many bytes, whether it waited here or not.
    pub fn takes(&self, bytes: usize) {
        if let Some(account) = &self.account {
            account.takes(bytes);
        }
    }

    /// Asks the reader to go and to come back after `pause`. Readers that cannot come back stay.
    pub fn send_away(&self, pause: Duration) {
        self.lock().return_after = Some(pause);
        self.reader.wake();
    }

    /// Whether the reader was asked to go, and for how long. Asked once.
    pub fn sent_away(&self) -> Option<Duration> {
        let mut queue = self.lock();
        let pause = queue.return_after.take()?;
        queue.excused_until = Some(TokioInstant::now() + pause.min(MAX_EXCUSED));
        Some(pause)
    }

    /// Ends the stream: what waits is dropped, who waits for room is refused.
    pub fn close(&self) {
        self.lock().closed = true;
        self.clear();
    }

    /// Drops what waits.
    pub fn clear(&self) {
        let mut queue = self.lock();
        let lines = std::mem::take(&mut queue.lines);
        let rest = std::mem::take(&mut queue.rest);
        queue.bytes = 0;
        // The last copy of a line takes another lock on its way out.
        drop(queue);
        drop((lines, rest));
        self.room.notify_waiters();
        self.reader.wake();
    }

    /// Ends the stream once what waits has been read.
    pub fn finish(&self) {
        self.lock().closed = true;
        self.room.notify_waiters();
        self.reader.wake();
    }

    /// Whether the stream has ended.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// For how long its reader could have taken something and has taken nothing. What nobody reads
    /// does not stall.
    pub fn stalled_for(&self) -> Duration {
        let queue = self.lock();
        let something_waits = !queue.lines.is_empty() || !queue.rest.is_empty();
        if something_waits && self.has_reader() {
            queue.moved.elapsed()
        } else {
            Duration::ZERO
        }
    }

    /// Whether nobody reads it who should: its reader has gone, or something waits and none has come.
    pub fn is_left(&self) -> bool {
        let queue = self.lock();
        !self.has_reader() && (queue.readers > 0 || !queue.lines.is_empty())
    }

    /// Waits until somebody reads it.
    pub async fn read(&self) {
        // It owns the sender: the channel is open for as long as somebody can wait here.
        let _ = self
            .readers
            .subscribe()
            .wait_for(|readers| *readers > 0)
            .await;
    }

    /// Waits until nobody has read it for `absence` without a break.
    pub async fn abandoned(&self, absence: Duration) {
        self.unread_for(absence, |_| None).await;
    }

    /// The same, but while its reader is away because it was [told to be](Self::sent_away), that does not count.
    pub async fn abandoned_unannounced(&self, absence: Duration) {
        self.unread_for(absence, |queue| queue.excused_until).await;
    }

    async fn unread_for(
        &self,
        absence: Duration,
        excused_until: impl Fn(&Queue) -> Option<TokioInstant>,
    ) {
        let mut readers = self.readers.subscribe();
        loop {
            if readers.wait_for(|readers| *readers == 0).await.is_err() {
                return;
            }
            let now = TokioInstant::now();
            let begins = excused_until(&self.lock()).map_or(now, |until| until.max(now));
            let back = readers.wait_for(|readers| *readers > 0);
            let back = tokio::time::timeout_at(begins + absence, back);
            if back.await.is_err() {
                return;
            }
        }
    }

    /// Reads it until the returned value is dropped. One reader at a time takes lines: what the one
    /// before has begun is cut.
    pub fn attach(self: &Arc<Self>) -> Reader {
        let mut queue = self.lock();
        queue.moved = Instant::now();
        queue.readers += 1;
        // It is back.
        queue.excused_until = None;
        let number = queue.readers;
        let begun = std::mem::take(&mut queue.rest);
        drop(queue);
        drop(begun);
        self.readers.send_modify(|readers| *readers += 1);
        Reader {
            outbox: Arc::clone(self),
            number,
            left: 0,
        }
    }

    fn poll_line(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.reader.register(cx.waker());
        let mut queue = self.lock();
        match queue.lines.pop_front() {
            Some(line) => {
                queue.bytes -= line.text.len();
                queue.moved = Instant::now();
                drop(queue);
                self.room.notify_one();
                self.takes(line.text.len());
                Poll::Ready(Some(line.text))
            }
            None if queue.closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Whether a reader would find nothing.
    pub fn is_empty(&self) -> bool {
        let queue = self.lock();
        queue.lines.is_empty() && queue.return_after.is_none()
    }

    /// Whether all that was sent has been taken.
    pub fn is_read(&self) -> bool {
        let queue = self.lock();
        queue.lines.is_empty() && queue.rest.is_empty()
    }

    /// Whether somebody reads it.
    pub fn has_reader(&self) -> bool {
        *self.readers.borrow() > 0
    }

    /// Waits until a reader would find something, or the end.
    pub async fn waiting(&self) {
        std::future::poll_fn(|cx| {
            self.reader.register(cx.waker());
            if self.is_empty() && !self.is_closed() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// The next line; `None` when the stream has ended.
    pub async fn next(&self) -> Option<Bytes> {
        std::future::poll_fn(|cx| self.poll_line(cx)).await
    }

    fn try_push(&self, line: QueuedLine) -> Result<(), PushError> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(PushError::Closed);
        }
        let full = queue.lines.len() >= MAX_LINES || queue.bytes + line.text.len() > MAX_BYTES;
        if full && !queue.lines.is_empty() {
            return Err(PushError::Full(line));
        }
        if queue.lines.is_empty() && queue.rest.is_empty() {
            queue.moved = Instant::now();
        }
        queue.bytes += line.text.len();
        queue.lines.push_back(line);
        drop(queue);
        self.reader.wake();
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

/// The reader of an outbox: takes lines out, and gives each on piece by piece, so that progress is
/// known in bytes.
#[derive(Debug)]
pub struct Reader {
    outbox: Arc<Outbox>,
    number: u64,
    /// Bytes of what it has begun that it has not given yet.
    left: usize,
}

impl Reader {
    /// The next line; `None` when the stream has ended.
    pub fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.outbox.poll_line(cx)
    }

    /// Gives `bytes` out again in pieces. Closing the outbox drops what is left of them, and so does
    /// the next reader.
    pub fn begin(&mut self, bytes: Bytes) {
        self.left = bytes.len();
        let mut queue = self.outbox.lock();
        if queue.readers == self.number {
            queue.rest = bytes;
        }
    }

    /// How many bytes of what was begun are still to be given.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The next piece of what was begun. With none there, but bytes [left](Self::left), the rest was
    /// dropped.
    pub fn piece(&mut self) -> Option<Bytes> {
        let mut queue = self.outbox.lock();
        if queue.rest.is_empty() || queue.readers != self.number {
            return None;
        }
        let length = PIECE.min(queue.rest.len());
        // A copy, so that no piece that waits to be written keeps the whole line.
        let piece = Bytes::copy_from_slice(&queue.rest[..length]);
        queue.rest.advance(length);
        self.left -= length;
        let done = queue
            .rest
            .is_empty()
            .then(|| std::mem::take(&mut queue.rest));
        queue.moved = Instant::now();
        drop(queue);
        drop(done);
        if let Some(account) = &self.outbox.account {
            account.moved();
        }
        Some(piece)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut queue = self.outbox.lock();
        let is_newest = queue.readers == self.number;
        let rest = is_newest.then(|| std::mem::take(&mut queue.rest));
        drop(queue);
        drop(rest);
        self.outbox.readers.send_modify(|readers| *readers -= 1);
    }
}

impl Holder for Outbox {
    fn give_back(&self) -> bool {
        false
    }

    fn cut(&self) {
        self.close();
    }

    fn cut_if_stalled(&self, limit: Duration) {
        if self.stalled_for() >= limit {
            self.close();
        }
    }
}

struct BlockedSender<'a>(&'a watch::Sender<usize>);

impl<'a> BlockedSender<'a> {
    fn join(blocked_senders: &'a watch::Sender<usize>) -> Self {
        blocked_senders.send_modify(|blocked_senders| *blocked_senders += 1);
        Self(blocked_senders)
    }
}

impl Drop for BlockedSender<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|blocked_senders| *blocked_senders -= 1);
    }
}

enum PushError {
    Closed,
    Full(QueuedLine),
}

#[cfg(test)]
mod tests;
