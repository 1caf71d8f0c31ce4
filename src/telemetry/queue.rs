//! The way of a line off the hot path: a bounded queue, a thread that writes, and a count of what got lost.
//!
//! A disk that hangs, or a client that never reads our standard error, must not hold up a call.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that wait for a writer at most; what comes on top is dropped and counted.
const QUEUE_LINES: usize = 8 * 1024;
/// How long a writer lets lines gather after it has written some, while they come one on the heels of the other.
///
/// One that waits for every single line has to be woken for every single line: at 25,000 requests a second, the two
/// writers took a quarter of the server's processor time.
const GATHER: Duration = Duration::from_millis(5);
/// How long a writer may show no progress at the end before it is left behind.
const STUCK_AFTER: Duration = Duration::from_millis(250);

/// Counts the lines that one log could not take.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    unwritten: Arc<AtomicU64>,
    overflow: Option<ErrorCounter>,
}

impl Loss {
    /// Lines lost since the start: refused by the disk, the terminal or a full queue.
    pub fn lines(&self) -> u64 {
        let overflow = self
            .overflow
            .as_ref()
            .map_or(0, ErrorCounter::dropped_lines);
        self.unwritten.load(Ordering::Relaxed) + overflow as u64
    }

    /// Counts lines that could not be written.
    pub(super) fn add(&self, lines: u64) {
        self.unwritten.fetch_add(lines, Ordering::Relaxed);
    }
}

/// The lines lost by each log; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// Lost by the console.
    pub console: Loss,
    /// Lost by the log file.
    pub file: Loss,
}

impl Losses {
    /// Lines lost by both.
    pub fn lines(&self) -> u64 {
        self.console.lines() + self.file.lines()
    }
}

/// The writing thread of one log: dropping it writes what is queued, for about a second at most.
#[derive(Debug)]
pub(super) struct Worker {
    guard: Option<WorkerGuard>,
    progress: Arc<Progress>,
}

/// What the writing thread is at: even between writes, odd inside one.
#[derive(Debug, Default)]
struct Progress(AtomicU64);

impl Progress {
    #[allow(
        clippy::disallowed_methods,
        reason = "asked once, by the thread that ends the program"
    )]
    fn is_stuck(&self) -> bool {
        let began = self.0.load(Ordering::Acquire);
        if began.is_multiple_of(2) {
            return false;
        }
        let deadline = Instant::now() + STUCK_AFTER;
        while Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
            if self.0.load(Ordering::Acquire) != began {
                return false;
            }
        }
        true
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let guard = self.guard.take();
        // The guard of a full queue that nobody empties would complain on standard output, which in
        // `smcp stdio` carries the protocol.
        if self.progress.is_stuck() {
            std::mem::forget(guard);
        }
    }
}

/// Puts `sink` behind a queue. Lines that find it full are counted by the returned [`Loss`], as are those added to `loss`.
pub(super) fn spawn(
    name: &str,
    sink: impl Write + Send + 'static,
    loss: Loss,
) -> (NonBlocking, Worker, Loss) {
    let progress = Arc::new(Progress::default());
    let tracked = Tracked {
        sink,
        progress: Arc::clone(&progress),
        written: None,
    };
    let (queue, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUE_LINES)
        .thread_name(name)
        .finish(tracked);
    let loss = Loss {
        overflow: Some(queue.error_counter()),
        ..loss
    };
    let guard = Some(guard);
    (queue, Worker { guard, progress }, loss)
}

struct Tracked<W> {
    sink: W,
    progress: Arc<Progress>,
    /// When the last lines were written.
    written: Option<Instant>,
}

impl<W> Tracked<W> {
    fn during<T>(&mut self, work: impl FnOnce(&mut W) -> T) -> T {
        self.progress.0.fetch_add(1, Ordering::AcqRel);
        let done = work(&mut self.sink);
        self.progress.0.fetch_add(1, Ordering::AcqRel);
        done
    }
}

impl<W: Write> Write for Tracked<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.during(|sink| sink.write(line))
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        self.during(|sink| sink.write_all(line))
    }

    /// The queue is empty: writes what has come from it. A line after a silence is written at once.
    #[allow(
        clippy::disallowed_methods,
        reason = "on the writing thread, which nobody waits for"
    )]
    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.during(Write::flush);
        let now = Instant::now();
        let before = self.written.replace(now);
        if before.is_some_and(|before| now.duration_since(before) < 2 * GATHER) {
            std::thread::sleep(GATHER);
        }
        flushed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the second of two batches takes, and both with what is between them.
    fn second_of_two(pause: Duration) -> (Duration, Duration) {
        let mut tracked = Tracked {
            sink: io::sink(),
            progress: Arc::default(),
            written: None,
        };
        let begun = Instant::now();
        tracked.flush().expect("it takes everything");
        std::thread::sleep(pause);
        let second = Instant::now();
        tracked.flush().expect("it takes everything");
        (second.elapsed(), begun.elapsed())
    }

    #[test]
    fn lines_gather_while_they_come_one_on_the_heels_of_the_other() {
        let (second, both) = second_of_two(Duration::ZERO);
        assert!(second >= GATHER || both >= 2 * GATHER, "{second:?}");
    }

    #[test]
    fn a_line_after_a_silence_leaves_the_writer_ready_for_the_next() {
        // A machine that is busy may take long once, and not every time.
        let quick = |_| second_of_two(3 * GATHER).0 < GATHER;
        assert!((0..100).any(quick));
    }
}
