//! What commands say on standard error, and the one place where that is written: names and texts of servers, plugins and
//! files are in it, and none of them may give the terminal an order.

use std::fmt::Display;
use std::io::Write as _;

use crate::text::cleaned;

/// Says lines, each with the program's name before it.
pub(super) fn warn(lines: impl IntoIterator<Item = impl Display>) {
    for line in lines {
        note(format_args!("smcp: {line}"));
    }
}

/// Says a line as it is.
pub(super) fn note(line: impl Display) {
    write(&format!("{line}\n"));
}

/// Asks something that is answered on the same line.
pub(super) fn prompt(question: impl Display) {
    write(&format!("{question} "));
}

/// Nobody can be told that nothing can be said.
fn write(text: &str) {
    let mut out = std::io::stderr();
    let written = out.write_all(cleaned(text).as_bytes());
    let _ = written.and_then(|()| out.flush());
}
