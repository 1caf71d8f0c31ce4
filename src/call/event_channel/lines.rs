//! Lines read from a socket, bounded, without ever holding up the runtime.
//!
//! Knows no event: a line is bytes.

use std::io;
use std::sync::Arc;

use rustix::net::RecvFlags;
use tokio::net::UnixStream;
use tokio::task::coop::consume_budget;
use tokio_util::sync::CancellationToken;

/// The longest line whose text is kept, in bytes.
pub(super) const MAX_LINE: usize = 1 << 20;

/// The lines of a socket, each bounded.
pub(super) struct Lines {
    reader: Arc<UnixStream>,
    buffer: Vec<u8>,
    /// How much of the buffer holds no line end.
    searched: usize,
    /// What is known of a line that is too long while the rest of it is still to come.
    skipped: Option<Skipped>,
}

/// A line whose text is not kept.
#[derive(Default)]
struct Skipped {
    may_ask: bool,
    /// Its last bytes, which may be the first of [`ASK`].
    end: Vec<u8>,
}

/// The member that a question has, as it stands in JSON. A text within a string has a backslash before its quote.
const ASK: &[u8] = b"\"ask\"";

/// Whether a line that is no event may have been meant as a question.
pub(super) fn may_ask(line: &[u8]) -> bool {
    line.windows(ASK.len()).any(|part| part == ASK)
}

impl Skipped {
    fn read(&mut self, part: &[u8]) {
        self.end.extend_from_slice(part);
        self.may_ask = self.may_ask || may_ask(&self.end);
        let known = self.end.len().saturating_sub(ASK.len() - 1);
        self.end.drain(..known);
    }
}

/// A line without its end.
pub(super) enum Line {
    /// A line with something on it.
    Whole(Vec<u8>),
    /// A line of white space.
    Blank,
    /// A line longer than [`MAX_LINE`], whose text is not kept.
    TooLong {
        /// Whether it may have been a question.
        may_ask: bool,
    },
}

impl Lines {
    pub(super) fn new(reader: Arc<UnixStream>) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            searched: 0,
            skipped: None,
        }
    }

    /// The socket itself.
    pub(super) fn socket(&self) -> &UnixStream {
        &self.reader
    }

    /// The next line; `None` at the end, or when the program has ended and nothing is left.
    pub(super) async fn next(&mut self, ended: &CancellationToken) -> Option<Line> {
        loop {
            if let Some(line) = self.take_line() {
                return Some(line);
            }
            if !self.read_more(ended).await {
                return self.last_line();
            }
        }
    }

    fn take_line(&mut self) -> Option<Line> {
        let Some(length) = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
        else {
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_LINE || self.skipped.is_some() {
                self.skipped.get_or_insert_default().read(&self.buffer);
                self.buffer.clear();
                self.searched = 0;
            }
            return None;
        };
        let end = self.searched + length;
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        self.searched = 0;
        line.pop();
        Some(self.line(line))
    }

    /// The line that ends with `rest`.
    fn line(&mut self, rest: Vec<u8>) -> Line {
        if self.skipped.is_some() || rest.len() > MAX_LINE {
            let mut skipped = self.skipped.take().unwrap_or_default();
            skipped.read(&rest);
            return Line::TooLong {
                may_ask: skipped.may_ask,
            };
        }
        if rest.trim_ascii().is_empty() {
            Line::Blank
        } else {
            Line::Whole(rest)
        }
    }

    /// What stands after the last line end.
    fn last_line(&mut self) -> Option<Line> {
        let rest = std::mem::take(&mut self.buffer);
        self.searched = 0;
        let counts = self.skipped.is_some() || !rest.trim_ascii().is_empty();
        counts.then(|| self.line(rest))
    }

    /// Reads without waiting: somebody who outlives the program may keep the socket open for ever. Asks the
    /// system itself, for the runtime may not have noticed yet what was written last.
    fn read_what_is_there(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let read = rustix::net::recv(&*self.reader, &mut chunk[..], RecvFlags::DONTWAIT);
        let count = read.map_or(0, |(count, _)| count);
        self.buffer.extend_from_slice(&chunk[..count]);
        count > 0
    }

    async fn read_more(&mut self, ended: &CancellationToken) -> bool {
        loop {
            // Reading without waiting for readiness is nothing that the runtime counts.
            consume_budget().await;
            let mut chunk = [0; 4096];
            match self.reader.try_read(&mut chunk) {
                Ok(0) => return false,
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return true;
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            tokio::select! {
                biased;
                ready = self.reader.readable() => if ready.is_err() { return false },
                () = ended.cancelled() => return self.read_what_is_there(),
            }
        }
    }
}
