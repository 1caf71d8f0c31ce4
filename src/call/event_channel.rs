//! The events channel of a running program: its events and questions in, answers back; lines of stderr.
//!
//! Lines of JSON over a socket pair, lines of text from stderr. Knows no client. Whatever a program
//! writes, reading it yields to others, and a program that writes what is no event is cut off.

mod bad_lines;
mod lines;
mod open_question;
mod parse;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::Shutdown;
use serde_json::value::{RawValue, to_raw_value};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::coop::consume_budget;
use tokio_util::sync::CancellationToken;

use super::event::{Event, LogLevel};
use crate::process::SideChannels;
use bad_lines::BadLines;
use lines::{Line, Lines, may_ask};
use open_question::{Counted, OpenQuestion, no_question, nobody_listens};
use parse::{BadLine, Parsed};

/// How many lines that are no events a call may write before its channel is closed.
const MAX_BAD_LINES: usize = 1_000;

/// Lines of stderr that may wait to be forwarded.
const WAITING_LINES: usize = 256;

/// Questions that may wait for their answers.
const WAITING_QUESTIONS: usize = 16;

/// How long what was written before the end may take to be forwarded after it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The server's end of the events channel of one running program.
#[derive(Debug)]
pub struct EventChannel {
    /// Never split: a half that is dropped would end the program's reading.
    events: Arc<UnixStream>,
    stderr: mpsc::Receiver<String>,
    forwarder: Forwarder,
}

/// Forwards events to the call's listener.
#[derive(Debug, Clone)]
struct Forwarder {
    tool: String,
    listener: Option<mpsc::Sender<Event>>,
    /// Ends the program.
    run: CancellationToken,
    /// How many lines of questions have no answer yet.
    open_questions: watch::Sender<usize>,
}

impl EventChannel {
    /// A channel to a run of `tool`, and the ends that the program gets. `run` is cancelled when the
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
        let held = ours.try_clone()?;
        let (lines, stderr) = mpsc::channel(WAITING_LINES);
        let (open_questions, open) = watch::channel(0);
        let forwarder = Forwarder {
            tool: tool.to_owned(),
            listener,
            run,
            open_questions,
        };
        let channel = Self {
            events: Arc::new(UnixStream::from_std(ours)?),
            stderr,
            forwarder,
        };
        let side_channels = SideChannels {
            events: Some(OwnedFd::from(theirs)),
            events_held: Some(OwnedFd::from(held)),
            stderr_lines: Some(lines),
            stdout_to_stderr: false,
            open_questions: Some(open),
        };
        Ok((channel, side_channels))
    }

    /// The server's end, to be held for as long as a process of the run is left: a program that finds its channel
    /// closed while it waits for an answer goes on without one.
    pub fn held(&self) -> impl Send + 'static {
        Arc::clone(&self.events)
    }

    /// Forwards events until the run has `ended`, and for a moment what was written by then. A run
    /// that is cancelled is not read any more, but its end of the channel stays open until it has
    /// ended: a program must find that it is to end before it finds its channel closed.
    pub async fn until(self, ended: CancellationToken) {
        let forwarder = self.forwarder;
        let reader = Arc::clone(&self.events);
        let (asked, questions) = mpsc::channel(WAITING_QUESTIONS);
        let reading = async {
            tokio::join!(
                forwarder.forward_events(Lines::new(reader), asked, &ended),
                forwarder.forward_stderr(self.stderr, &ended),
            );
        };
        let answering = async {
            forwarder.write_answers(questions, &self.events).await;
            // Events are forwarded all the same.
            std::future::pending::<()>().await;
        };
        let forwarding = async {
            tokio::select! {
                () = reading => {}
                () = answering => {}
            }
        };
        tokio::pin!(forwarding);
        tokio::select! {
            biased;
            () = forwarder.run.cancelled() => ended.cancelled().await,
            () = ended.cancelled() => {
                // A listener that is busy with a question must not hold the result back.
                tokio::select! {
                    () = forwarder.run.cancelled() => {}
                    () = tokio::time::sleep(DRAIN_TIMEOUT) => {}
                    () = &mut forwarding => {}
                }
            }
            () = &mut forwarding => {}
        }
    }
}

impl Forwarder {
    async fn forward_events(
        &self,
        mut lines: Lines,
        asked: mpsc::Sender<OpenQuestion>,
        ended: &CancellationToken,
    ) {
        let mut bad = BadLines::default();
        while let Some(line) = lines.next(ended).await {
            // A program that writes faster than is read would never let others run.
            consume_budget().await;
            let parsed = match &line {
                Line::Whole(bytes) => parse::line(bytes),
                Line::Blank => Err(BadLine::Blank),
                Line::TooLong { .. } => Err(BadLine::TooLong),
            };
            match parsed {
                Ok(Parsed::Event(event)) => self.forward(event).await,
                Ok(Parsed::Question(questions)) => {
                    let (question, answers) = self.open_question();
                    match &self.listener {
                        Some(_) => self.forward(Event::Ask { questions, answers }).await,
                        None => drop(answers.send(nobody_listens())),
                    }
                    let _ = asked.send(question).await;
                }
                Err(fault) => {
                    bad.log(&self.tool, &fault, &line);
                    if bad.count > MAX_BAD_LINES {
                        tracing::warn!(
                            tool = self.tool,
                            "more than {MAX_BAD_LINES} lines that are no events: its events channel is closed"
                        );
                        // In both directions: whoever writes on gets SIGPIPE.
                        let _ = rustix::net::shutdown(lines.socket(), Shutdown::Both);
                        return;
                    }
                    let asks = match &line {
                        Line::Whole(bytes) => may_ask(bytes),
                        Line::Blank => false,
                        Line::TooLong { may_ask } => *may_ask,
                    };
                    // A program that waits for what never comes would wait for ever.
                    if asks {
                        let (question, answers) = self.open_question();
                        drop(answers.send(no_question(&fault)));
                        let _ = asked.send(question).await;
                    }
                }
            }
        }
    }

    fn open_question(&self) -> (OpenQuestion, oneshot::Sender<Box<RawValue>>) {
        let (answers, coming) = oneshot::channel();
        let question = OpenQuestion {
            answers: coming,
            counted: Counted::in_all(&self.open_questions),
        };
        (question, answers)
    }

    async fn forward_stderr(&self, mut lines: mpsc::Receiver<String>, ended: &CancellationToken) {
        loop {
            let line = tokio::select! {
                biased;
                line = lines.recv() => line,
                () = ended.cancelled() => None,
            };
            let Some(line) = line else { return };
            tracing::debug!(tool = self.tool, "stderr: {line}");
            if let Ok(data) = to_raw_value(&line) {
                self.forward(Event::Log {
                    level: LogLevel::Debug,
                    data,
                })
                .await;
            }
        }
    }

    async fn forward(&self, event: Event) {
        if let Some(listener) = &self.listener {
            let _ = listener.send(event).await;
        }
    }

    /// Writes the answers in the order of the questions.
    async fn write_answers(
        &self,
        mut questions: mpsc::Receiver<OpenQuestion>,
        program: &UnixStream,
    ) {
        while let Some(OpenQuestion { answers, counted }) = questions.recv().await {
            let Ok(answers) = answers.await else {
                // A program that waits for what never comes would wait for ever.
                self.run.cancel();
                return;
            };
            // Whether the program reads it is its own affair, and its own time.
            drop(counted);
            let mut line = one_line(answers.get());
            line.push('\n');
            if write_all(program, line.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn write_all(socket: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// JSON may hold line ends between its tokens, and never within them.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests;
