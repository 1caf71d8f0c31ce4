//! What a program says while it runs, and the answers that go back to it.
//!
//! Lines of JSON over a socket pair, lines of text from stderr. Knows no client.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use rustix::net::RecvFlags;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::types::{Event, Listed};
use crate::process::SideChannels;
use crate::text::shown;

/// The longest line that is an event.
const MAX_LINE: usize = 1 << 20;

/// Lines of stderr that may wait to be passed on.
const WAITING_LINES: usize = 256;

/// Questions that may wait for their answers.
const WAITING_QUESTIONS: usize = 16;

/// How long what was said before the end may take to be passed on after it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The server's end of a conversation with one running program.
#[derive(Debug)]
pub struct EventChannel {
    events: UnixStream,
    stderr: mpsc::Receiver<String>,
    speaker: Speaker,
}

/// Who is heard, and who listens.
#[derive(Debug, Clone)]
struct Speaker {
    tool: String,
    listener: Option<mpsc::Sender<Event>>,
    /// Ends the program.
    run: CancellationToken,
}

impl EventChannel {
    /// A conversation with a run of `tool`, and the ends that the program gets. `run` is cancelled when the
    /// program asks what nobody will answer.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn open(
        tool: &str,
        listener: Option<mpsc::Sender<Event>>,
        run: CancellationToken,
    ) -> io::Result<(Self, SideChannels)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (lines, stderr) = mpsc::channel(WAITING_LINES);
        let speaker = Speaker {
            tool: tool.to_owned(),
            listener,
            run,
        };
        let channel = Self {
            events: UnixStream::from_std(ours)?,
            stderr,
            speaker,
        };
        let side_channels = SideChannels {
            events: Some(OwnedFd::from(theirs)),
            stderr_lines: Some(lines),
        };
        Ok((channel, side_channels))
    }

    /// Passes on what the program says until it has `ended`, and what it had said by then.
    pub async fn until(self, ended: CancellationToken) {
        let (reader, writer) = self.events.into_split();
        let (asked, questions) = mpsc::channel(WAITING_QUESTIONS);
        let listening = async {
            tokio::join!(
                self.speaker.hear_events(Lines::new(reader), asked, &ended),
                self.speaker.hear_stderr(self.stderr, &ended),
            );
        };
        let answering = async {
            self.speaker.answer(questions, writer).await;
            // Whoever answers no more still listens.
            std::future::pending::<()>().await;
        };
        let talking = async {
            tokio::select! {
                () = listening => {}
                () = answering => {}
            }
        };
        tokio::pin!(talking);
        tokio::select! {
            () = &mut talking => {}
            () = ended.cancelled() => {
                // A listener that is busy with a question must not hold the result back.
                let _ = tokio::time::timeout(DRAIN_TIMEOUT, talking).await;
            }
        }
    }
}

impl Speaker {
    async fn hear_events(
        &self,
        mut lines: Lines,
        asked: mpsc::Sender<Answers>,
        ended: &CancellationToken,
    ) {
        while let Some(line) = lines.next(ended).await {
            let event = match line {
                Line::Whole(bytes) => event(&bytes),
                Line::TooLong => Err(format!("it is longer than {MAX_LINE} bytes")),
            };
            match event {
                Ok(Said::Event(event)) => self.pass_on(event).await,
                Ok(Said::Question(questions)) => {
                    let (answers, coming) = oneshot::channel();
                    match &self.listener {
                        Some(_) => self.pass_on(Event::Ask { questions, answers }).await,
                        None => drop(answers.send(nobody_listens())),
                    }
                    let _ = asked.send(coming).await;
                }
                Err(fault) => tracing::warn!(tool = self.tool, "an event is passed over: {fault}"),
            }
        }
    }

    async fn hear_stderr(&self, mut lines: mpsc::Receiver<String>, ended: &CancellationToken) {
        loop {
            let line = tokio::select! {
                biased;
                line = lines.recv() => line,
                () = ended.cancelled() => None,
            };
            let Some(line) = line else { return };
            tracing::debug!(tool = self.tool, "stderr: {line}");
            if let Ok(data) = to_raw_value(&line) {
                self.pass_on(Event::Log {
                    level: "debug".to_owned(),
                    data,
                })
                .await;
            }
        }
    }

    async fn pass_on(&self, event: Event) {
        if let Some(listener) = &self.listener {
            let _ = listener.send(event).await;
        }
    }

    /// Writes the answers in the order of the questions.
    async fn answer(&self, mut questions: mpsc::Receiver<Answers>, mut writer: OwnedWriteHalf) {
        while let Some(coming) = questions.recv().await {
            let Ok(answers) = coming.await else {
                // A program that waits for what never comes would wait for ever.
                self.run.cancel();
                return;
            };
            let mut line = one_line(answers.get());
            line.push('\n');
            if writer.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

type Answers = oneshot::Receiver<Box<RawValue>>;

fn nobody_listens() -> Box<RawValue> {
    let text = r#"{"error":{"code":-32601,"message":"nobody can be asked: this call has no client that listens"}}"#;
    RawValue::from_string(text.to_owned()).expect("the text above is JSON")
}

/// JSON may hold line ends between its tokens, and never within them.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

enum Said {
    Event(Event),
    Question(Box<RawValue>),
}

/// A line as an event.
fn event(line: &[u8]) -> Result<Said, String> {
    #[derive(Deserialize)]
    struct Spoken {
        progress: Option<Box<RawValue>>,
        total: Option<Box<RawValue>>,
        message: Option<String>,
        log: Option<String>,
        data: Option<Box<RawValue>>,
        changed: Option<String>,
        updated: Option<String>,
        ask: Option<Box<RawValue>>,
        reconnect: Option<u64>,
    }
    let quoted = || shown(&String::from_utf8_lossy(line), 120);
    let spoken: Spoken =
        serde_json::from_slice(line).map_err(|fault| format!("{fault}: {}", quoted()))?;
    let event = match spoken {
        Spoken {
            progress: Some(progress),
            total,
            message,
            ..
        } => {
            if !is_number(&progress) || !total.as_deref().is_none_or(is_number) {
                return Err(format!("progress and total must be numbers: {}", quoted()));
            }
            Event::Progress {
                progress,
                total,
                message,
            }
        }
        Spoken {
            log: Some(level),
            data,
            message,
            ..
        } => {
            let data = data.or_else(|| message.and_then(|message| to_raw_value(&message).ok()));
            match data {
                Some(data) if LEVELS.contains(&level.as_str()) => Event::Log { level, data },
                Some(_) => {
                    return Err(format!(
                        "log must be one of {}: {}",
                        LEVELS.join(", "),
                        quoted()
                    ));
                }
                None => return Err(format!("a log needs its data: {}", quoted())),
            }
        }
        Spoken {
            changed: Some(list),
            ..
        } => match list.as_str() {
            "tools" => Event::Changed(Listed::Tools),
            "prompts" => Event::Changed(Listed::Prompts),
            "resources" => Event::Changed(Listed::Resources),
            _ => {
                return Err(format!(
                    "changed must be tools, prompts or resources: {}",
                    quoted()
                ));
            }
        },
        Spoken {
            updated: Some(uri), ..
        } => Event::Updated(uri),
        Spoken {
            reconnect: Some(after),
            ..
        } => Event::Reconnect(Duration::from_millis(after)),
        Spoken {
            ask: Some(questions),
            ..
        } => return Ok(Said::Question(questions)),
        _ => {
            return Err(format!(
                "it has none of progress, log, changed, updated, ask: {}",
                quoted()
            ));
        }
    };
    Ok(Said::Event(event))
}

const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

fn is_number(value: &RawValue) -> bool {
    value
        .get()
        .starts_with(|letter: char| letter.is_ascii_digit() || letter == '-')
}

/// The lines of a socket, bounded.
struct Lines {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
    /// How much of the buffer holds no line end.
    searched: usize,
    /// Whether the rest of a line that was too long is still to come.
    is_skipping: bool,
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

impl Lines {
    fn new(reader: OwnedReadHalf) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            searched: 0,
            is_skipping: false,
        }
    }

    /// The next line that is not blank; `None` at the end, or when the program has ended and nothing is left.
    async fn next(&mut self, ended: &CancellationToken) -> Option<Line> {
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
        loop {
            let Some(length) = self.buffer[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n')
            else {
                self.searched = self.buffer.len();
                if self.buffer.len() > MAX_LINE {
                    self.buffer.clear();
                    self.searched = 0;
                    if !std::mem::replace(&mut self.is_skipping, true) {
                        return Some(Line::TooLong);
                    }
                }
                return None;
            };
            let end = self.searched + length;
            let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
            self.searched = 0;
            line.pop();
            if std::mem::take(&mut self.is_skipping) || line.trim_ascii().is_empty() {
                continue;
            }
            return Some(if line.len() > MAX_LINE {
                Line::TooLong
            } else {
                Line::Whole(line)
            });
        }
    }

    /// What stands after the last line end.
    fn last_line(&mut self) -> Option<Line> {
        let rest = std::mem::take(&mut self.buffer);
        self.searched = 0;
        let counts = !std::mem::take(&mut self.is_skipping) && !rest.trim_ascii().is_empty();
        counts.then_some(Line::Whole(rest))
    }

    /// Reads without waiting: somebody who outlives the program may keep the socket open for ever. Asks the
    /// system itself, for the runtime may not have heard yet of what was said last.
    fn read_what_is_there(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let read = rustix::net::recv(self.reader.as_ref(), &mut chunk[..], RecvFlags::DONTWAIT);
        let count = read.map_or(0, |(count, _)| count);
        self.buffer.extend_from_slice(&chunk[..count]);
        count > 0
    }

    async fn read_more(&mut self, ended: &CancellationToken) -> bool {
        loop {
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

#[cfg(test)]
mod tests;
