//! What a program printed and how it ended, to a tool result.

use std::collections::HashSet;
use std::time::Duration;

use rustix::process::Signal;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::types::{CallError, ToolResult};
use crate::contract::Output;
use crate::contract::schema::Schema;
use crate::jsonrpc::members;
use crate::process::{Ending, Finished, StartError};
use crate::text::shown;

/// The most that a program may print.
pub const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// How much of stderr is kept.
pub const STDERR_TAIL: usize = 64 << 10;

/// How much of what was printed an error message repeats.
const MAX_REPEATED: usize = 64 << 10;

/// What a command's output has to be.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The tool's name, for messages.
    pub tool: &'a str,
    /// What stdout is.
    pub output: Output,
    /// What it has to fit.
    pub schema: Option<&'a Schema>,
    /// The time limit that applied.
    pub time_limit: Option<Duration>,
}

/// The text of a run that went well: stdout without the white space around it, bytes that are no UTF-8 replaced.
///
/// # Errors
/// How it failed, in the words of the program where it has any.
pub fn text(
    finished: Finished,
    tool: &str,
    time_limit: Option<Duration>,
) -> Result<String, CallError> {
    match finished.ending {
        Ending::Exited(0) => Ok(trimmed(finished.stdout)),
        Ending::TimedOut => Err(CallError::TimedOut {
            tool: tool.to_owned(),
            after: time_limit.unwrap_or_default(),
            printed: repeated(&trimmed(finished.stdout)),
        }),
        Ending::Cancelled => Err(CallError::Cancelled),
        Ending::OutputTooLarge => Err(CallError::OutputTooLarge {
            tool: tool.to_owned(),
            limit: MAX_OUTPUT_BYTES,
        }),
        Ending::SupervisorLost => Err(CallError::Internal(format!(
            "the supervisor of {tool} was killed from outside, and the program with it; call again"
        ))),
        Ending::Exited(_) | Ending::Signalled(_) => {
            Err(CallError::Plugin(complaint(finished, tool)))
        }
    }
}

/// The result of a tool call.
///
/// # Errors
/// How it failed, or what is wrong with its output.
pub fn result(finished: Finished, expected: Expectation<'_>) -> Result<ToolResult, CallError> {
    let text = text(finished, expected.tool, expected.time_limit)?;
    match (expected.output, expected.schema) {
        (Output::Content, schema) => content(&text, schema, expected.tool),
        (Output::Text, None) => Ok(text_result(&text, None)),
        (Output::Text | Output::Json, schema) => {
            let value = parse(&text, expected.tool)?;
            fits(schema, &value, expected.tool)?;
            let structured = RawValue::from_string(text.clone()).map_err(internal)?;
            Ok(text_result(&text, Some(structured)))
        }
    }
}

/// Why a program was not even started.
pub fn not_started(fault: StartError) -> CallError {
    match fault {
        StartError::TooLarge => CallError::ArgumentsTooLarge(fault.to_string()),
        StartError::Program { .. } | StartError::System(_) => {
            CallError::SpawnFailed(fault.to_string())
        }
    }
}

fn text_result(text: &str, structured_content: Option<Box<RawValue>>) -> ToolResult {
    let content = json!([{"type": "text", "text": text}]);
    ToolResult {
        content: to_raw_value(&content).expect("a value without odd keys is JSON"),
        structured_content,
        is_error: false,
        other: Vec::new(),
    }
}

fn content(text: &str, schema: Option<&Schema>, tool: &str) -> Result<ToolResult, CallError> {
    #[derive(Deserialize)]
    struct Printed {
        #[serde(rename = "content")]
        _blocks: Vec<Map<String, Value>>,
        #[serde(rename = "structuredContent")]
        structured_content: Option<Value>,
        #[serde(rename = "isError")]
        is_error: Option<bool>,
    }
    let wrong = |fault: &dyn std::fmt::Display| {
        let what = "declares the output 'content', but what it printed is no tool result";
        CallError::Plugin(format!("{tool} {what}: {fault}: {}", shown(text, 300)))
    };
    let printed: Printed = serde_json::from_str(text).map_err(|fault| wrong(&fault))?;
    let is_error = printed.is_error.unwrap_or(false);
    if let (Some(schema), false) = (schema, is_error) {
        let value = printed.structured_content.as_ref();
        let value = value
            .ok_or_else(|| wrong(&"it has no structuredContent, which output_schema asks for"))?;
        fits(Some(schema), value, tool)?;
    }
    let mut members = members::members(text).map_err(internal)?;
    let mut take = |name: &str| {
        let index = members.iter().position(|(known, _)| known == name)?;
        Some(members.remove(index).1)
    };
    let content = take("content").ok_or_else(|| internal("a result that was read has content"))?;
    let structured_content = take("structuredContent").filter(|value| value.get() != "null");
    take("isError");
    Ok(ToolResult {
        content,
        structured_content,
        is_error,
        other: members,
    })
}

fn parse(text: &str, tool: &str) -> Result<Value, CallError> {
    serde_json::from_str(text).map_err(|fault| {
        CallError::Plugin(format!(
            "{tool} declares JSON, but what it printed is none: {fault}: {}",
            shown(text, 300)
        ))
    })
}

fn fits(schema: Option<&Schema>, value: &Value, tool: &str) -> Result<(), CallError> {
    let faults = schema
        .map(|schema| schema.faults(value, &HashSet::new()))
        .unwrap_or_default();
    if faults.is_empty() {
        return Ok(());
    }
    Err(CallError::Plugin(format!(
        "{tool} printed what its own output_schema refuses: {faults}"
    )))
}

/// What a program that failed has to say: `error` of an object on stdout, else stdout, else the end of
/// stderr, else how it ended.
fn complaint(finished: Finished, tool: &str) -> String {
    let stderr = trimmed(finished.stderr_tail);
    let stdout = trimmed(finished.stdout);
    if let Some(error) = error_member(&stdout) {
        return repeated(&error);
    }
    if !stdout.is_empty() {
        return repeated(&stdout);
    }
    if !stderr.is_empty() {
        return stderr;
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

/// `error` of the object that stdout is, or that its last line is: logs may stand before it.
fn error_member(stdout: &str) -> Option<String> {
    let last_line = stdout.lines().next_back().unwrap_or_default();
    [stdout, last_line].into_iter().find_map(|text| {
        let mut object: Map<String, Value> = serde_json::from_str(text).ok()?;
        match object.remove("error")? {
            Value::Null => None,
            Value::String(message) if message.is_empty() => None,
            Value::String(message) => Some(message),
            other => Some(other.to_string()),
        }
    })
}

fn signal_name(signal: i32) -> String {
    let known = SIGNALS.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(
        || format!("signal {signal}"),
        |(_, name)| format!("{name} (signal {signal})"),
    )
}

/// Those that end programs in practice.
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

fn trimmed(bytes: Vec<u8>) -> String {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
    };
    let inner = text.trim();
    if inner.len() == text.len() {
        text
    } else {
        inner.to_owned()
    }
}

fn repeated(text: &str) -> String {
    if text.len() <= MAX_REPEATED {
        return text.to_owned();
    }
    let end = (0..=MAX_REPEATED)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{}… ({} bytes in all)", &text[..end], text.len())
}

fn internal(fault: impl std::fmt::Display) -> CallError {
    CallError::Internal(fault.to_string())
}

#[cfg(test)]
mod tests;
