//! What waits to go to one client: bounded, so that a reader that stalls costs nobody else.
//!
//! Knows no transport: a stream or a pipe takes lines out, sessions put lines in.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, watch};

/// How many lines may wait.
const MAX_LINES: usize = 64;
/// How many bytes may wait; one line is always admitted, whatever its size.
const MAX_BYTES: usize = 32 << 20;

/// A bounded queue of lines with one reader.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    room: Notify,
    /// Senders that wait for room, each with a line in hand.
    blocked_senders: watch::Sender<usize>,
    reader: AtomicWaker,
}

/// The reader is gone: what would be sent reaches nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client's stream is closed")]
pub struct Closed;

#[derive(Debug)]
struct Queue {
    lines: VecDeque<Line>,
    bytes: usize,
    closed: bool,
    moved: Instant,
    lost_logs: u64,
    return_after: Option<Duration>,
}

#[derive(Debug)]
struct Line {
    text: Bytes,
    /// A newer line with the same key takes the place of this one.
    supersedes: Option<String>,
}

impl Default for Outbox {
    fn default() -> Self {
        let queue = Queue {
            lines: VecDeque::new(),
            bytes: 0,
            closed: false,
            moved: Instant::now(),
            lost_logs: 0,
            return_after: None,
        };
        Self {
            queue: Mutex::new(queue),
            room: Notify::new(),
            blocked_senders: watch::Sender::new(0),
            reader: AtomicWaker::new(),
        }
    }
}

impl Outbox {
    /// Queues a line that must arrive, such as a response; waits for room.
    pub async fn send(&self, text: Bytes) -> Result<(), Closed> {
        match self.try_push(Line {
            text,
            supersedes: None,
        }) {
            Ok(()) => Ok(()),
            Err(Refused::Closed) => Err(Closed),
            Err(Refused::Full(line)) => self.send_when_there_is_room(line).await,
        }
    }

    /// How many lines wait for room to wait in: a reader that stalls makes it grow.
    pub fn unread(&self) -> watch::Receiver<usize> {
        self.blocked_senders.subscribe()
    }

    async fn send_when_there_is_room(&self, mut line: Line) -> Result<(), Closed> {
        let _blocked = BlockedSender::join(&self.blocked_senders);
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Registered before the look, so that room made in between is not missed.
            room.as_mut().enable();
            match self.try_push(line) {
                Ok(()) => return Ok(()),
                Err(Refused::Closed) => return Err(Closed),
                Err(Refused::Full(back)) => line = back,
            }
            room.await;
        }
    }

    /// Queues a line of which only the newest matters: one with the same key that still waits is
    /// replaced. Dropped when there is no room.
    pub fn offer_latest(&self, key: &str, text: Bytes) {
        let mut queue = self.lock();
        // The last of them, so that steps that are told stay in their order.
        if let Some(waiting) = queue
            .lines
            .iter()
            .rposition(|line| line.supersedes.as_deref() == Some(key))
        {
            queue.bytes = queue.bytes - queue.lines[waiting].text.len() + text.len();
            queue.lines[waiting].text = text;
            return;
        }
        drop(queue);
        // A lost progress or change notice is repeated by the next one.
        let _ = self.try_push(Line {
            text,
            supersedes: Some(key.to_owned()),
        });
    }

    /// Queues one step of many, such as progress. Every step is told while the reader keeps up; once
    /// half of the room is taken, only the newest of a key.
    pub fn offer_step(&self, key: &str, text: Bytes) {
        if self.lock().lines.len() >= MAX_LINES / 2 {
            return self.offer_latest(key, text);
        }
        // A step that finds no room is followed by others.
        let _ = self.try_push(Line {
            text,
            supersedes: Some(key.to_owned()),
        });
    }

    /// Queues a log line, or counts it as lost.
    pub fn offer_log(&self, text: Bytes) {
        if let Err(Refused::Full(_)) = self.try_push(Line {
            text,
            supersedes: None,
        }) {
            self.lock().lost_logs += 1;
        }
    }

    /// Asks the reader to go and to come back after `pause`. Readers that cannot come back stay.
    pub fn send_away(&self, pause: Duration) {
        self.lock().return_after = Some(pause);
        self.reader.wake();
    }

    /// Whether the reader was asked to go, and for how long. Asked once.
    pub fn sent_away(&self) -> Option<Duration> {
        self.lock().return_after.take()
    }

    /// How many log lines found no room.
    pub fn lost_logs(&self) -> u64 {
        self.lock().lost_logs
    }

    /// Ends the stream: what waits is dropped, who waits for room is told.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.lines.clear();
        queue.bytes = 0;
        drop(queue);
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

    /// For how long lines have waited without one being taken.
    pub fn stalled_for(&self) -> Duration {
        let queue = self.lock();
        if queue.lines.is_empty() {
            Duration::ZERO
        } else {
            queue.moved.elapsed()
        }
    }

    /// The next line; `None` when the stream has ended. One reader at a time.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.reader.register(cx.waker());
        let mut queue = self.lock();
        match queue.lines.pop_front() {
            Some(line) => {
                queue.bytes -= line.text.len();
                queue.moved = Instant::now();
                drop(queue);
                self.room.notify_one();
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

    /// Waits until a reader would find something.
    pub async fn waiting(&self) {
        std::future::poll_fn(|cx| {
            self.reader.register(cx.waker());
            if self.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// The next line; `None` when the stream has ended.
    pub async fn next(&self) -> Option<Bytes> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn try_push(&self, line: Line) -> Result<(), Refused> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Refused::Closed);
        }
        let full = queue.lines.len() >= MAX_LINES || queue.bytes + line.text.len() > MAX_BYTES;
        if full && !queue.lines.is_empty() {
            return Err(Refused::Full(line));
        }
        if queue.lines.is_empty() {
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

enum Refused {
    Closed,
    Full(Line),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(of: &str) -> Bytes {
        Bytes::copy_from_slice(of.as_bytes())
    }

    #[tokio::test]
    async fn a_full_outbox_makes_responses_wait_and_loses_only_logs() {
        let outbox = std::sync::Arc::new(Outbox::default());
        for number in 0..MAX_LINES {
            outbox.send(text(&number.to_string())).await.unwrap();
        }
        outbox.offer_log(text("log"));
        assert_eq!(outbox.lost_logs(), 1);
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.send(text("response")).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(outbox.next().await.unwrap(), "0");
        waiting.await.unwrap().unwrap();
        let mut last = Bytes::new();
        for _ in 0..MAX_LINES {
            last = outbox.next().await.unwrap();
        }
        assert_eq!(last, "response");
    }

    #[tokio::test]
    async fn lines_without_room_are_counted_until_they_are_read() {
        let outbox = std::sync::Arc::new(Outbox::default());
        let mut unread = outbox.unread();
        for _ in 0..MAX_LINES + 2 {
            let outbox = std::sync::Arc::clone(&outbox);
            tokio::spawn(async move { outbox.send(text("x")).await });
        }
        unread.wait_for(|waiting| *waiting == 2).await.unwrap();
        outbox.next().await.unwrap();
        outbox.next().await.unwrap();
        unread.wait_for(|waiting| *waiting == 0).await.unwrap();
    }

    #[tokio::test]
    async fn of_the_same_key_only_the_newest_is_sent() {
        let outbox = Outbox::default();
        for number in 0..1000 {
            outbox.offer_latest("token", text(&number.to_string()));
        }
        outbox.offer_latest("other", text("x"));
        assert_eq!(outbox.next().await.unwrap(), "999");
        assert_eq!(outbox.next().await.unwrap(), "x");
    }

    #[tokio::test]
    async fn every_step_is_told_until_the_reader_falls_behind() {
        let outbox = Outbox::default();
        for number in 0..1000 {
            outbox.offer_step("token", text(&number.to_string()));
        }
        for number in 0..MAX_LINES / 2 - 1 {
            assert_eq!(outbox.next().await.unwrap(), number.to_string());
        }
        outbox.finish();
        let mut rest = Vec::new();
        while let Some(line) = outbox.next().await {
            rest.push(line);
        }
        assert_eq!(rest.len(), 1);
    }

    #[tokio::test]
    async fn one_line_of_any_size_is_admitted() {
        let outbox = Outbox::default();
        outbox.send(vec![0; MAX_BYTES + 1].into()).await.unwrap();
        outbox.offer_log(text("no room"));
        assert_eq!(outbox.lost_logs(), 1);
    }

    #[tokio::test]
    async fn closing_wakes_who_waits() {
        let outbox = std::sync::Arc::new(Outbox::default());
        for _ in 0..MAX_LINES {
            outbox.send(text("x")).await.unwrap();
        }
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.send(text("y")).await }
        });
        tokio::task::yield_now().await;
        outbox.close();
        assert_eq!(waiting.await.unwrap(), Err(Closed));
        assert_eq!(outbox.next().await, None);
    }

    #[tokio::test]
    async fn finishing_lets_what_waits_be_read() {
        let outbox = Outbox::default();
        outbox.send(text("last")).await.unwrap();
        outbox.finish();
        assert_eq!(outbox.next().await.unwrap(), "last");
        assert_eq!(outbox.next().await, None);
    }
}
