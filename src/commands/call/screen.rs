//! The terminal during a call: progress, messages, questions. All of it is on standard error; standard output is for the
//! result alone.

use std::collections::VecDeque;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::form::{Form, Next};
use crate::text::{cleaned, shown};

/// Questions that may be open at once. A program that asks more is told so.
const MAX_OPEN: usize = 32;
/// Steps of a bar. Progress is a fraction, whatever its unit.
const STEPS: u64 = 1_000;
/// How often a bar whose end is not known moves.
const TICK: Duration = Duration::from_millis(120);
/// How much of a message stands beside the bar, in characters.
const MAX_MESSAGE: usize = 60;

/// What the user sees, and what they are asked.
pub(super) struct Screen {
    has_terminal: bool,
    bar: Option<ProgressBar>,
    open: VecDeque<Open>,
    /// The lines of standard input, from the first question on.
    lines: Option<mpsc::Receiver<String>>,
    can_ask: bool,
}

/// A question of the server that waits for its answer; the first of them is on the screen.
struct Open {
    id: Value,
    form: Form,
}

impl Screen {
    /// The terminal of this process, if it has one. Where `reads_input`, standard input is read by somebody else, and
    /// nothing can be asked.
    pub(super) fn new(reads_input: bool) -> Self {
        let has_terminal = std::io::stderr().is_terminal();
        Self {
            has_terminal,
            bar: None,
            open: VecDeque::new(),
            lines: None,
            can_ask: has_terminal && !reads_input && std::io::stdin().is_terminal(),
        }
    }

    /// The capabilities of a client with this screen.
    pub(super) fn capabilities(&self) -> Value {
        match self.can_ask {
            true => json!({"elicitation": {"form": {}, "url": {}}}),
            false => json!({}),
        }
    }

    /// Shows how far a call is.
    pub(super) fn progress(&mut self, params: &Value) {
        if !self.has_terminal {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr())
        });
        let progress = params["progress"].as_f64().unwrap_or_default();
        let message = shown(params["message"].as_str().unwrap_or_default(), MAX_MESSAGE);
        match params["total"].as_f64().filter(|total| *total > 0.0) {
            Some(total) => {
                let done = (progress / total).clamp(0.0, 1.0);
                bar.set_style(style("[{bar:30}] {prefix} {msg}").progress_chars("#> "));
                bar.set_prefix(format!("{progress}/{total}"));
                bar.set_position((done * STEPS as f64) as u64);
            }
            None => {
                bar.set_style(style("{spinner} {prefix} {msg}"));
                bar.set_prefix(progress.to_string());
                bar.enable_steady_tick(TICK);
            }
        }
        bar.set_message(message);
    }

    /// Shows a message of the program's.
    pub(super) fn log(&mut self, params: &Value) {
        let level = shown(params["level"].as_str().unwrap_or("info"), 20);
        let text = match &params["data"] {
            Value::String(text) => cleaned(text),
            other => cleaned(&other.to_string()),
        };
        self.print(&format!("{level}: {text}\n"));
    }

    /// Puts a question of the server's. The answer comes by [`answer`](Self::answer).
    ///
    /// # Errors
    /// It cannot be put here.
    pub(super) fn ask(&mut self, id: Value, params: &Value) -> Result<(), String> {
        if !self.can_ask {
            return Err("nobody is there who could be asked".to_owned());
        }
        if self.open.len() >= MAX_OPEN {
            return Err(format!("{MAX_OPEN} questions are open already"));
        }
        let form = Form::read(params)?;
        self.open.push_back(Open { id, form });
        if self.open.len() == 1 {
            self.open_first();
        }
        Ok(())
    }

    /// Forgets a question that the server does not want an answer to any more.
    pub(super) fn withdraw(&mut self, id: &Value) {
        let was_first = self.open.front().is_some_and(|open| open.id == *id);
        self.open.retain(|open| open.id != *id);
        if was_first {
            self.print("\nthe question has been withdrawn\n");
            self.open_first();
        }
    }

    /// Waits until the user has answered a question, for ever where none is open. Gives its id and the answer.
    pub(super) async fn answer(&mut self) -> (Value, Value) {
        loop {
            if self.open.is_empty() {
                return std::future::pending().await;
            }
            let line = match &mut self.lines {
                Some(lines) => lines.recv().await,
                None => None,
            };
            let Some(open) = self.open.front_mut() else {
                continue;
            };
            let answer = match line {
                None => Form::cancelled(),
                Some(line) => match open.form.take(&line) {
                    Next::Answer(answer) => answer,
                    Next::Ask(prompt) => {
                        self.print(&prompt);
                        continue;
                    }
                },
            };
            let open = self.open.pop_front().expect("it was there");
            self.open_first();
            return (open.id, answer);
        }
    }

    /// Takes the bar away: the call is over.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn open_first(&mut self) {
        let Some(opening) = self.open.front().map(|open| open.form.opening()) else {
            if let Some(bar) = &self.bar {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            return;
        };
        self.lines.get_or_insert_with(lines_of_input);
        // A bar that is drawn again would take the line from whoever writes on it.
        if let Some(bar) = &self.bar {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        self.print(&format!("\n{opening}"));
    }

    fn print(&self, text: &str) {
        let write = || {
            let mut out = std::io::stderr();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant")
}

/// Lines from standard input, read by a thread that nothing can interrupt: it ends with the input, or with the process.
fn lines_of_input() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
