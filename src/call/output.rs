//! Tool results from what programs printed and how they ended.
//!
//! What a program printed is kept as it came, and escaped where the answer is written. Only what is
//! held against a schema becomes a tree of values.

use std::collections::HashSet;
use std::fmt;

use serde_json::value::RawValue;

use super::content::{Content, JsonText, LossyText, replaced_size};
use super::error::CallError;
use super::failure;
use super::json_size;
use super::printed_text::{into_text, repeated, trimmed, whole_text};
use super::types::{Limits, ToolResult};
use crate::contract::Output;
use crate::contract::protocol::TOOL_RESULT;
use crate::contract::schema::Schema;
use crate::contract::shape::Form;
use crate::jsonrpc::members;
use crate::process::{Ending, Finished, StartError};
use crate::text::shown;

/// How much of the end of stderr is kept, in bytes.
pub const STDERR_TAIL: usize = 64 << 10;

/// What a command's output has to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The tool's name, for messages.
    pub tool: &'a str,
    /// The style of its stdout.
    pub output: Output,
    /// The schema that it has to fit.
    pub schema: Option<&'a Schema>,
    /// The limits that applied.
    pub limits: Limits,
}

/// The text of a run that went well, as it was printed: the white space around a file belongs to it. Bytes that are no
/// UTF-8 are replaced.
///
/// # Errors
/// How it failed, in the words of the program where it has any; [`CallError::NotFound`] when it says that.
pub fn text(finished: Finished, tool: &str, limits: Limits) -> Result<String, CallError> {
    if matches!(finished.ending, Ending::Exited(status) if status != 0)
        && let Some(words) = failure::not_found(&finished.stdout)
    {
        let mut words = repeated(words.as_bytes());
        if words.is_empty() {
            words = format!("{tool} says that it is not there");
        }
        return Err(CallError::NotFound(words));
    }
    let printed = printed(finished, tool, limits)?;
    if replaced_size(&printed) > limits.escaped() {
        return Err(too_large(tool, "it is not UTF-8 and would grow as text"));
    }
    Ok(whole_text(printed))
}

/// The result of a tool call.
///
/// # Errors
/// How it failed, or what is wrong with its output.
pub fn result(finished: Finished, expected: Expected<'_>) -> Result<ToolResult, CallError> {
    let printed = printed(finished, expected.tool, expected.limits)?;
    match (expected.output, expected.schema) {
        (Output::Text, None) => text_result(trimmed(printed), expected),
        (Output::Text | Output::Json, _) => structured_result(into_text(printed), expected),
        (Output::Content, _) => complete_result(into_text(printed), expected),
    }
}

/// Stdout of a run that went well.
fn printed(finished: Finished, tool: &str, limits: Limits) -> Result<Vec<u8>, CallError> {
    match finished.ending {
        Ending::Exited(0) => Ok(finished.stdout),
        Ending::TimedOut => Err(CallError::TimedOut {
            tool: tool.to_owned(),
            after: limits.time.unwrap_or_default(),
            printed: repeated(&finished.stdout),
        }),
        Ending::Cancelled => Err(CallError::Cancelled),
        Ending::OutputTooLarge => Err(CallError::OutputTooLarge {
            tool: tool.to_owned(),
            limit: limits.bytes,
        }),
        Ending::SupervisorLost => Err(CallError::Internal(format!(
            "the supervisor of {tool} ended before the program had, and the program was ended with it; what it had done by then is not known"
        ))),
        Ending::Exited(_) | Ending::Signalled(_) => {
            Err(CallError::Plugin(failure::message(&finished, tool)))
        }
    }
}

/// The error of a program that could not be started.
pub fn not_started(fault: StartError) -> CallError {
    match fault {
        StartError::TooLarge => CallError::ArgumentsTooLarge(fault.to_string()),
        StartError::Program { .. } | StartError::Busy { .. } | StartError::System(_) => {
            CallError::SpawnFailed(fault.to_string())
        }
    }
}

/// A result of one content block, which is text.
fn text_result(text: Vec<u8>, expected: Expected<'_>) -> Result<ToolResult, CallError> {
    let text = LossyText::new(text);
    bounded(text.escaped_size(), expected)?;
    Ok(plain(Content::Text(text)))
}

fn bounded(escaped: usize, expected: Expected<'_>) -> Result<(), CallError> {
    if escaped > expected.limits.escaped() {
        let why = "too many of its bytes have to be escaped in JSON";
        return Err(too_large(expected.tool, why));
    }
    Ok(())
}

fn plain(content: Content) -> ToolResult {
    ToolResult {
        content,
        is_error: false,
        other: Vec::new(),
        permit: None,
    }
}

/// A result that is one JSON value, given as structure and as text.
fn structured_result(text: String, expected: Expected<'_>) -> Result<ToolResult, CallError> {
    let tool = expected.tool;
    let size = json_size::of(&text).map_err(|fault| {
        CallError::Plugin(format!(
            "{tool} declares JSON, but what it printed is none: {fault}: {}",
            shown(&text, 300)
        ))
    })?;
    check(&text, size, expected)?;
    let text = JsonText::new(RawValue::from_string(text).map_err(internal)?);
    bounded(text.escaped_size(), expected)?;
    Ok(plain(Content::Json(text)))
}

/// A result that the program wrote whole: its blocks held against the protocol's types, the rest passed on as it is.
fn complete_result(text: String, expected: Expected<'_>) -> Result<ToolResult, CallError> {
    let tool = expected.tool;
    let wrong = |fault: &dyn fmt::Display| {
        let what = "declares the output 'content', but what it printed is no tool result";
        CallError::Plugin(format!("{tool} {what}: {fault}: {}", shown(&text, 300)))
    };
    json_size::of(&text).map_err(|fault| wrong(&fault))?;
    let whole = Form::Shape(&TOOL_RESULT)
        .fitting(&text)
        .map_err(|misfit| wrong(&misfit))?;
    // It may be large, and is not needed beside what was made of it.
    drop(text);
    let mut members = members::members(&whole.json).map_err(internal)?;
    let mut take = |name: &str| {
        let index = members.iter().position(|(known, _)| known == name)?;
        Some(members.remove(index).1)
    };
    let blocks = take("content").ok_or_else(|| internal("a result that was read has content"))?;
    let structured = take("structuredContent");
    let is_error = take("isError").is_some_and(|value| value.get() == "true");
    // How a result ends is said by the server.
    take("resultType");
    let structured = checked_structure(structured, is_error, expected)?;
    Ok(ToolResult {
        content: Content::Own {
            blocks,
            youngest: whole.youngest,
            structured,
        },
        is_error,
        other: members,
        permit: None,
    })
}

/// Structured content as `output_schema` has it. That of a failure is left out where it is something else, for a
/// client would show its own complaint instead of the failure.
fn checked_structure(
    structured: Option<Box<RawValue>>,
    is_error: bool,
    expected: Expected<'_>,
) -> Result<Option<Box<RawValue>>, CallError> {
    if expected.schema.is_none() {
        return Ok(structured);
    }
    let Some(value) = structured else {
        if is_error {
            return Ok(None);
        }
        return Err(CallError::Plugin(format!(
            "{} printed a result without structuredContent, which its output_schema asks for",
            expected.tool
        )));
    };
    let size = json_size::of(value.get()).map_err(internal)?;
    match check(value.get(), size, expected) {
        Ok(()) => Ok(Some(value)),
        Err(_) if is_error => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Holds a JSON text against the schema; `size` is what it takes as a tree of values, in bytes.
fn check(text: &str, size: usize, expected: Expected<'_>) -> Result<(), CallError> {
    let Some(schema) = expected.schema else {
        return Ok(());
    };
    let tool = expected.tool;
    if size > expected.limits.tree() {
        return Err(too_large(
            tool,
            "it has too many values to be held against its output_schema; declare none, or let it print fewer",
        ));
    }
    let value = serde_json::from_str(text).map_err(internal)?;
    let faults = schema.faults(&value, &HashSet::new());
    if faults.is_empty() {
        return Ok(());
    }
    Err(CallError::Plugin(format!(
        "{tool} printed what its own output_schema refuses: {faults}"
    )))
}

fn too_large(tool: &str, why: &'static str) -> CallError {
    CallError::ResultTooLarge {
        tool: tool.to_owned(),
        why,
    }
}

fn internal(fault: impl fmt::Display) -> CallError {
    CallError::Internal(fault.to_string())
}

#[cfg(test)]
mod tests;
