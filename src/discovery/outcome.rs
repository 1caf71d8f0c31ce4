//! What a run that answered a question printed and how it ended, in words for the plugin's author.

use crate::process::{Ending, Finished};
use crate::text::{cleaned, shown};

/// What a program printed, as text that can be shown.
pub(super) fn cleaned_text(bytes: &[u8]) -> String {
    cleaned(&String::from_utf8_lossy(bytes))
}

/// What a program printed: its standard error where there is nothing else.
pub(super) fn printed(finished: &Finished) -> String {
    let bytes = if finished.stdout.trim_ascii().is_empty() {
        &finished.stderr_tail
    } else {
        &finished.stdout
    };
    cleaned_text(bytes)
}

/// How a run ended, with the last line of its standard error.
pub(super) fn ending(finished: &Finished) -> String {
    let how = match finished.ending {
        Ending::Exited(status) => format!("exited with status {status}"),
        Ending::Signalled(signal) => format!("was ended by signal {signal}"),
        _ => "was ended".to_owned(),
    };
    match last_line(&finished.stderr_tail) {
        line if line.is_empty() => how,
        line => format!("{how} ({line})"),
    }
}

/// The fault of a Python program that cannot even be read: no other question would be answered. Python's last
/// line names the fault, and the last `File "…", line N` before it the place.
pub(super) fn syntax_error(stderr: &[u8]) -> Option<String> {
    let last = last_line(stderr);
    let (kind, what) = last.split_once(": ")?;
    if !["SyntaxError", "IndentationError", "TabError"].contains(&kind) {
        return None;
    }
    let text = String::from_utf8_lossy(stderr);
    let place = text.lines().rev().find_map(|line| {
        let (file, line) = line
            .trim()
            .strip_prefix("File \"")?
            .split_once("\", line ")?;
        let number: String = line.chars().take_while(char::is_ascii_digit).collect();
        let name = file.rsplit('/').next().unwrap_or(file);
        Some(format!(" in line {number} of {}", shown(name, 100)))
    });
    Some(format!(
        "a syntax error{}: {what}",
        place.unwrap_or_default()
    ))
}

/// The last line with something on it, cut for a message.
pub(super) fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    shown(line.unwrap_or_default().trim(), 300)
}
