//! What a program that failed says about it: its message, and whether what it was to read is not there.

use rustix::process::Signal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::printed_text::{repeated, trim};
use crate::process::{Ending, Finished};

/// The code by which a program says that what it was to read is not there.
const NOT_FOUND: &str = "not_found";

/// The words of a failed program whose `stdout` says that what it was to read is not there; empty when it has none.
pub(super) fn not_found(stdout: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Failure<'a> {
        #[serde(borrow)]
        code: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let mut objects = objects(stdout.trim_ascii());
    let failure = objects.find_map(|text| serde_json::from_slice::<Failure<'_>>(text).ok())?;
    let text =
        |value: Option<&RawValue>| -> Option<String> { serde_json::from_str(value?.get()).ok() };
    let is_not_found = text(failure.code).as_deref() == Some(NOT_FOUND);
    is_not_found.then(|| text(failure.error).unwrap_or_default())
}

/// The message of a program that failed: `error` of an object on stdout, else stdout, else the end of
/// stderr, else how it ended.
pub(super) fn message(finished: &Finished, tool: &str) -> String {
    let stdout = trim(&finished.stdout);
    let stderr = trim(&finished.stderr_tail);
    if let Some(error) = error_member(stdout) {
        return repeated(error.as_bytes());
    }
    if !stdout.is_empty() {
        return repeated(stdout);
    }
    if !stderr.is_empty() {
        return repeated(stderr);
    }
    match finished.ending {
        Ending::Signalled(signal) => format!(
            "{tool} was ended by {} and printed nothing",
            signal_name(signal)
        ),
        Ending::Exited(status) => format!("{tool} exited with status {status} and printed nothing"),
        other => format!("{tool} ended: {other:?}"),
    }
}

/// The member `error` of the object that a program printed.
fn error_member(stdout: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Failure<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    objects(stdout).find_map(|text| {
        let error = serde_json::from_slice::<Failure<'_>>(text)
            .ok()?
            .error?
            .get();
        if !error.starts_with('"') {
            return (error != "null").then(|| error.to_owned());
        }
        let message: String = serde_json::from_str(error).ok()?;
        (!message.is_empty()).then_some(message)
    })
}

/// The text that may be the object a program printed: all of `stdout`, or its last line, for logs may stand before it.
fn objects(stdout: &[u8]) -> impl Iterator<Item = &[u8]> {
    let last_line = stdout.rsplit(|byte| *byte == b'\n').next();
    let texts = [Some(stdout), last_line].into_iter().flatten();
    texts.filter(|text| text.starts_with(b"{"))
}

fn signal_name(signal: i32) -> String {
    let known = SIGNALS.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(
        || format!("signal {signal}"),
        |(_, name)| format!("{name} (signal {signal})"),
    )
}

/// The signals that end programs in practice.
const SIGNALS: [(Signal, &str); 14] = [
    (Signal::HUP, "SIGHUP"),
    (Signal::INT, "SIGINT"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::ILL, "SIGILL"),
    (Signal::TRAP, "SIGTRAP"),
    (Signal::ABORT, "SIGABRT"),
    (Signal::BUS, "SIGBUS"),
    (Signal::FPE, "SIGFPE"),
    (Signal::KILL, "SIGKILL"),
    (Signal::SEGV, "SIGSEGV"),
    (Signal::PIPE, "SIGPIPE"),
    (Signal::ALARM, "SIGALRM"),
    (Signal::TERM, "SIGTERM"),
    (Signal::XCPU, "SIGXCPU"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_that_something_is_not_there_by_a_code_and_by_nothing_else() {
        for (stdout, expected) in [
            (
                r#"{"code":"not_found","error":"no note 7"}"#,
                Some("no note 7"),
            ),
            (" {\"error\":\"é\",\n\"code\":\"not_found\"}\n", Some("é")),
            ("looking\n{\"code\":\"not_found\"}\n", Some("")),
            (r#"{"code":"not_found","error":{"no":"text"}}"#, Some("")),
            (r#"{"code":"other","error":"not_found"}"#, None),
            (r#"{"error":"no note 7"}"#, None),
            (r#"["not_found"]"#, None),
            ("not_found", None),
            ("", None),
        ] {
            assert_eq!(
                not_found(stdout.as_bytes()).as_deref(),
                expected,
                "{stdout}"
            );
        }
    }
}
