//! The events channel of one run: lines that a program writes while it works, and the answers it
//! reads. Knows no client.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use super::call::{Event, Listed};

/// The longest line, in bytes.
const MAX_LINE: usize = 1 << 20;

/// The server's end of the channel, and the program's.
pub fn channel() -> std::io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs.into()))
}

/// Passes events on until the program's end is closed.
pub async fn pass_on(channel: UnixStream, events: mpsc::Sender<Event>, tool: &str) {
    let (reading, mut writing) = channel.into_split();
    let mut reading = BufReader::new(reading);
    let mut line = Vec::new();
    while let Some(whole) = next_line(&mut reading, &mut line).await {
        let event = if whole {
            parse(&line)
        } else {
            Err(format!("a line is over {MAX_LINE} bytes"))
        };
        match event {
            Ok(Said::Event(event)) => {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Ok(Said::Ask(questions)) => {
                let (answers, answered) = oneshot::channel();
                if events
                    .send(Event::Ask { questions, answers })
                    .await
                    .is_err()
                {
                    return;
                }
                // Without an answer the run is about to be ended.
                if let Ok(answers) = answered.await {
                    let line = format!("{}\n", answers.get().replace(['\n', '\r'], " "));
                    let _ = writing.write_all(line.as_bytes()).await;
                }
            }
            Ok(Said::Nothing) => {}
            Err(why) => tracing::warn!(tool, "an event was passed over: {why}"),
        }
    }
}

/// Reads one line; false when it was too long and is lost. `None` at the end.
async fn next_line(
    reading: &mut (impl AsyncBufReadExt + Unpin),
    line: &mut Vec<u8>,
) -> Option<bool> {
    line.clear();
    let read = (&mut *reading)
        .take(MAX_LINE as u64 + 1)
        .read_until(b'\n', line)
        .await
        .ok()?;
    if read == 0 {
        return None;
    }
    if line.ends_with(b"\n") || read <= MAX_LINE {
        return Some(true);
    }
    let mut rest = Vec::new();
    loop {
        rest.clear();
        let more = (&mut *reading)
            .take(MAX_LINE as u64)
            .read_until(b'\n', &mut rest)
            .await
            .ok()?;
        if more == 0 || rest.ends_with(b"\n") {
            return Some(false);
        }
    }
}

enum Said {
    Event(Event),
    Ask(Box<RawValue>),
    Nothing,
}

#[derive(Deserialize)]
struct Line {
    progress: Option<Box<RawValue>>,
    total: Option<Box<RawValue>>,
    message: Option<String>,
    log: Option<String>,
    data: Option<Box<RawValue>>,
    changed: Option<String>,
    updated: Option<String>,
    reconnect: Option<u64>,
    ask: Option<Box<RawValue>>,
}

fn parse(line: &[u8]) -> Result<Said, String> {
    if line.trim_ascii().is_empty() {
        return Ok(Said::Nothing);
    }
    let line: Line =
        serde_json::from_slice(line).map_err(|error| format!("it is no JSON event: {error}"))?;
    let is_number = |value: &RawValue| {
        value
            .get()
            .starts_with(|first: char| first == '-' || first.is_ascii_digit())
    };
    if let Some(progress) = line.progress {
        if !is_number(&progress) || !line.total.as_deref().is_none_or(is_number) {
            return Err("progress and total must be numbers".to_owned());
        }
        return Ok(Said::Event(Event::Progress {
            progress,
            total: line.total,
            message: line.message,
        }));
    }
    if let Some(level) = line.log {
        let data = line
            .data
            .unwrap_or_else(|| to_raw_value("").expect("a string is JSON"));
        return Ok(Said::Event(Event::Log { level, data }));
    }
    if let Some(list) = line.changed {
        let list = match list.as_str() {
            "tools" => Listed::Tools,
            "prompts" => Listed::Prompts,
            "resources" => Listed::Resources,
            _ => return Err("changed must be tools, prompts or resources".to_owned()),
        };
        return Ok(Said::Event(Event::Changed(list)));
    }
    match (line.updated, line.reconnect, line.ask) {
        (Some(uri), _, _) => Ok(Said::Event(Event::Updated(uri))),
        (_, Some(pause), _) => Ok(Said::Event(Event::Reconnect(Duration::from_millis(
            pause.min(60_000),
        )))),
        (_, _, Some(questions)) => Ok(Said::Ask(questions)),
        _ => Err("it has none of progress, log, changed, updated, reconnect and ask".to_owned()),
    }
}
