//! The last lines of the log, kept for whoever looks at the server's page. Knows no destination.
//!
//! Lines below `INFO` are left out, for they have what plugins write to standard error; so is the audit, which has a
//! line for each request and is told otherwise.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::audit;
use super::lines::text_of;
use crate::text;

/// Lines that are kept.
const MAX_LINES: usize = 300;
/// Characters that are kept of each.
const MAX_LINE: usize = 1_000;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TailLine {
    /// Lines are counted from 1.
    pub number: u64,
    /// Unix time in milliseconds.
    pub time: u64,
    /// `ERROR`, `WARN` or `INFO`.
    pub level: &'static str,
    /// The part of the program.
    pub target: &'static str,
    /// The message and its values, escaped as in the log.
    pub text: String,
}

/// The last lines of the log. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// How many there have been.
    count: u64,
    lines: VecDeque<TailLine>,
}

impl Tail {
    /// The lines that are kept of those after the one with this number, the oldest first.
    pub fn after(&self, number: u64) -> Vec<TailLine> {
        let kept = self.kept();
        let newer = kept.lines.iter().filter(|line| line.number > number);
        newer.cloned().collect()
    }

    fn keep(&self, level: Level, target: &'static str, text: String) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut kept = self.kept();
        kept.count += 1;
        if kept.lines.len() == MAX_LINES {
            kept.lines.pop_front();
        }
        let line = TailLine {
            number: kept.count,
            time: time.unwrap_or_default().as_millis() as u64,
            level: level.as_str(),
            target,
            text,
        };
        kept.lines.push_back(line);
    }

    /// Lines stay readable after a panic elsewhere: none is left half written.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Tail {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target() == audit::TARGET {
            return;
        }
        let whole = text_of(event);
        let cut = text::cut(whole.trim_start(), MAX_LINE);
        let more = if cut.len() < whole.trim_start().len() {
            "…"
        } else {
            ""
        };
        self.keep(*metadata.level(), metadata.target(), format!("{cut}{more}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn tail_of(work: impl FnOnce()) -> Tail {
        let tail = Tail::default();
        let subscriber = Registry::default().with(tail.clone());
        tracing::subscriber::with_default(subscriber, work);
        tail
    }

    #[test]
    fn lines_are_kept_with_their_values_and_escaped() {
        let tail = tail_of(|| tracing::warn!(plugin = "a b", "it\nfailed\u{1b}[31m"));
        let lines = tail.after(0);
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(
            (line.level, line.number, line.target),
            ("WARN", 1, module_path!())
        );
        assert_eq!(line.text, "it\\nfailed\\u{1b}[31m plugin=\"a b\"");
    }

    #[test]
    fn what_plugins_write_and_the_audit_are_left_out() {
        let tail = tail_of(|| {
            tracing::debug!("a plugin's standard error");
            tracing::trace!("more of it");
            tracing::info!(target: audit::TARGET, method = "ping");
            tracing::info!("kept");
        });
        let kept: Vec<_> = tail.after(0).into_iter().map(|line| line.text).collect();
        assert_eq!(kept, ["kept"]);
    }

    #[test]
    fn so_many_lines_are_kept_and_so_much_of_each() {
        let tail = tail_of(|| {
            for number in 0..MAX_LINES + 10 {
                tracing::info!("{number} {}", "é".repeat(MAX_LINE));
            }
        });
        let lines = tail.after(0);
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines[0].number, 11, "the oldest are gone");
        assert!(
            lines
                .iter()
                .all(|line| line.text.chars().count() == MAX_LINE + 1)
        );
        assert_eq!(tail.after(309).len(), 1, "only what is newer");
        assert!(tail.after(310).is_empty());
    }
}
