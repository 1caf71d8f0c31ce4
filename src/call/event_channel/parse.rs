//! One line of a program's events channel, as an event or a question.
//!
//! Knows no socket and no client.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::lines::MAX_LINE;
use crate::call::event::{Event, Listed};

/// What a line says.
pub(super) enum Parsed {
    /// To be forwarded.
    Event(Event),
    /// The object of questions that the program waits for the answers to.
    Question(Box<RawValue>),
}

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadLine {
    #[error("it is blank")]
    Blank,
    #[error("it is longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("{0}")]
    NotJson(#[from] serde_json::Error),
    #[error("progress and total must be numbers")]
    NotANumber,
    #[error("log: {0}")]
    UnknownLevel(serde_json::Error),
    #[error("a log needs its data")]
    NoData,
    #[error("changed must be tools, prompts or resources")]
    UnknownList,
    #[error("it has ask and another event; write each on a line of its own")]
    EventAndQuestion,
    #[error("detach must be true")]
    NotDetached,
    #[error("it has none of progress, log, changed, updated, reconnect, detach, ask")]
    NoMember,
}

#[derive(Deserialize)]
struct Members {
    progress: Option<Box<RawValue>>,
    total: Option<Box<RawValue>>,
    message: Option<String>,
    log: Option<String>,
    data: Option<Box<RawValue>>,
    changed: Option<String>,
    updated: Option<String>,
    ask: Option<Box<RawValue>>,
    reconnect: Option<u64>,
    detach: Option<bool>,
}

/// Reads one line. Of several members that say what it is, the first of progress, log, changed,
/// updated, reconnect, detach counts; a question is on a line of its own, for its program waits.
///
/// # Errors
/// Why it is no event.
pub(super) fn line(line: &[u8]) -> Result<Parsed, BadLine> {
    let members: Members = serde_json::from_slice(line)?;
    if let Some(questions) = members.ask {
        let is_event = members.progress.is_some()
            || members.log.is_some()
            || members.changed.is_some()
            || members.updated.is_some()
            || members.reconnect.is_some()
            || members.detach.is_some();
        return match is_event {
            true => Err(BadLine::EventAndQuestion),
            false => Ok(Parsed::Question(questions)),
        };
    }
    if let Some(progress) = members.progress {
        return progress_event(progress, members.total, members.message).map(Parsed::Event);
    }
    if let Some(level) = members.log {
        return log_event(level, members.data, members.message).map(Parsed::Event);
    }
    if let Some(list) = members.changed {
        return changed_event(&list).map(Parsed::Event);
    }
    if let Some(uri) = members.updated {
        return Ok(Parsed::Event(Event::Updated(uri)));
    }
    if let Some(pause) = members.reconnect {
        let pause = Duration::from_millis(pause);
        return Ok(Parsed::Event(Event::Reconnect(pause)));
    }
    match members.detach {
        Some(true) => Ok(Parsed::Event(Event::Detach)),
        Some(false) => Err(BadLine::NotDetached),
        None => Err(BadLine::NoMember),
    }
}

fn progress_event(
    progress: Box<RawValue>,
    total: Option<Box<RawValue>>,
    message: Option<String>,
) -> Result<Event, BadLine> {
    if !is_number(&progress) || !total.as_deref().is_none_or(is_number) {
        return Err(BadLine::NotANumber);
    }
    Ok(Event::Progress {
        progress,
        total,
        message,
    })
}

/// The message stands for the data where there is none.
fn log_event(
    level: String,
    data: Option<Box<RawValue>>,
    message: Option<String>,
) -> Result<Event, BadLine> {
    let data = data.or_else(|| message.and_then(|message| to_raw_value(&message).ok()));
    let data = data.ok_or(BadLine::NoData)?;
    let level = serde_json::from_value(level.into()).map_err(BadLine::UnknownLevel)?;
    Ok(Event::Log { level, data })
}

fn changed_event(list: &str) -> Result<Event, BadLine> {
    match list {
        "tools" => Ok(Event::Changed(Listed::Tools)),
        "prompts" => Ok(Event::Changed(Listed::Prompts)),
        "resources" => Ok(Event::Changed(Listed::Resources)),
        _ => Err(BadLine::UnknownList),
    }
}

fn is_number(value: &RawValue) -> bool {
    value
        .get()
        .starts_with(|letter: char| letter.is_ascii_digit() || letter == '-')
}
