//! What a program printed and how it ended, to a tool result. Knows no process.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::call::{CallError, ToolResult};
use super::contract::{Command, Output};
use super::process::{Ending, Finished};

/// The result of a run, or the error that it stands for.
pub fn result(
    tool: &str,
    command: &Command,
    output_schema: Option<&jsonschema::Validator>,
    limits: &Limits,
    finished: &Finished,
) -> Result<ToolResult, CallError> {
    let stdout = String::from_utf8_lossy(&finished.stdout);
    let stdout = stdout.trim();
    match finished.ending {
        Ending::Exited(0) => success(tool, command, output_schema, stdout),
        Ending::Exited(status) => Err(CallError::Plugin(failure(stdout, finished, || {
            format!("exited with status {status}")
        }))),
        Ending::Signalled(signal) => {
            let how = format!("was ended by signal {signal} ({})", signal_name(signal));
            Err(CallError::Plugin(
                match failure(stdout, finished, String::new) {
                    said if said.is_empty() => format!("{tool} {how}"),
                    said => format!("{tool} {how}: {said}"),
                },
            ))
        }
        Ending::TimedOut => Err(CallError::TimedOut {
            tool: tool.to_owned(),
            after: limits.time.unwrap_or_default(),
            printed: stdout.to_owned(),
        }),
        Ending::Cancelled => Err(CallError::Cancelled),
        Ending::OutputTooLarge => Err(CallError::OutputTooLarge {
            tool: tool.to_owned(),
            limit: limits.stdout,
        }),
        Ending::SupervisorLost => Err(CallError::Internal(format!(
            "the supervisor of {tool} was killed; its processes have been ended"
        ))),
    }
}

/// The bounds that a run had.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Seconds of wall clock.
    pub time: Option<std::time::Duration>,
    /// Bytes of stdout.
    pub stdout: usize,
}

fn success(
    tool: &str,
    command: &Command,
    schema: Option<&jsonschema::Validator>,
    stdout: &str,
) -> Result<ToolResult, CallError> {
    match command.output {
        Output::Content => content(tool, stdout, schema),
        Output::Json => structured(tool, stdout, schema),
        Output::Text if schema.is_some() => structured(tool, stdout, schema),
        Output::Text => Ok(text(stdout, None)),
    }
}

fn text(stdout: &str, structured_content: Option<Box<RawValue>>) -> ToolResult {
    ToolResult {
        content: raw(&json!([{"type": "text", "text": stdout}])),
        structured_content,
        is_error: false,
        other: Vec::new(),
    }
}

fn structured(
    tool: &str,
    stdout: &str,
    schema: Option<&jsonschema::Validator>,
) -> Result<ToolResult, CallError> {
    let value: Value = serde_json::from_str(stdout).map_err(|error| {
        CallError::Plugin(format!(
            "{tool} printed no JSON, which it declares: {error}"
        ))
    })?;
    fits(tool, &value, schema)?;
    let structured = RawValue::from_string(stdout.to_owned())
        .map_err(|error| CallError::Internal(error.to_string()))?;
    Ok(text(
        stdout,
        (schema.is_some() || value.is_object()).then_some(structured),
    ))
}

fn content(
    tool: &str,
    stdout: &str,
    schema: Option<&jsonschema::Validator>,
) -> Result<ToolResult, CallError> {
    let wrong = |why: String| {
        CallError::Plugin(format!(
            "{tool} printed no tool result, which it declares: {why}"
        ))
    };
    let members: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(stdout).map_err(|error| wrong(error.to_string()))?;
    let mut result = ToolResult {
        content: raw(&json!([])),
        structured_content: None,
        is_error: false,
        other: Vec::new(),
    };
    for (name, value) in members {
        match name.as_str() {
            "content" if value.get().starts_with('[') => result.content = value,
            "content" => return Err(wrong("content must be an array".to_owned())),
            "structuredContent" => result.structured_content = Some(value),
            "isError" => result.is_error = value.get() == "true",
            _ => result.other.push((name, value)),
        }
    }
    if let (Some(structured), false) = (&result.structured_content, result.is_error) {
        let value =
            serde_json::from_str(structured.get()).map_err(|error| wrong(error.to_string()))?;
        fits(tool, &value, schema)?;
    }
    Ok(result)
}

fn fits(
    tool: &str,
    value: &Value,
    schema: Option<&jsonschema::Validator>,
) -> Result<(), CallError> {
    match schema.and_then(|schema| schema.iter_errors(value).next()) {
        Some(error) => Err(CallError::Plugin(format!(
            "{tool} printed what its output_schema does not allow: {} at {}",
            error,
            error.instance_path()
        ))),
        None => Ok(()),
    }
}

/// What a failed program says of it: `error` of a JSON object on stdout, else stdout, else the end of stderr.
fn failure(stdout: &str, finished: &Finished, otherwise: impl Fn() -> String) -> String {
    if let Ok(Value::Object(members)) = serde_json::from_str(stdout)
        && let Some(error) = members.get("error").filter(|error| !error.is_null())
    {
        return error
            .as_str()
            .map_or_else(|| error.to_string(), str::to_owned);
    }
    if !stdout.is_empty() {
        return stdout.to_owned();
    }
    let stderr = String::from_utf8_lossy(&finished.stderr_tail);
    if stderr.trim().is_empty() {
        otherwise()
    } else {
        stderr.trim().to_owned()
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => "unnamed",
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("a JSON value is JSON")
}
