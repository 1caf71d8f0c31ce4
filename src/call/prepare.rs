//! The command line of a call, from what its client sent: arguments checked, then written.
//!
//! Starts nothing and waits for no place. Large arguments are read on a thread of their own: the event loop has other
//! clients.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use super::arguments;
use super::argv::{self, Line, Unwritable};
use super::command::Runnable;
use super::types::CallError;

/// The size in bytes above which arguments are read off the event loop: below it, that takes about a millisecond.
const LARGE: usize = 64 << 10;

/// How many large arguments are read at once. More threads would only take the processors away from small calls.
pub const MAX_LARGE_AT_ONCE: usize = 2;

/// The command line of a call of `run` under the name `tool`. Large arguments take turns by `large`.
///
/// # Errors
/// Arguments that do not fit, or that no command line can carry.
pub async fn line(
    tool: &str,
    run: &Arc<Runnable>,
    arguments: Option<Box<RawValue>>,
    large: &Semaphore,
) -> Result<Line, CallError> {
    if arguments
        .as_ref()
        .is_none_or(|raw| raw.get().len() <= LARGE)
    {
        return line_of(tool, run, arguments.as_deref());
    }
    let _turn = large.acquire().await;
    let (tool, run) = (tool.to_owned(), Arc::clone(run));
    let reading = tokio::task::spawn_blocking(move || line_of(&tool, &run, arguments.as_deref()));
    let given_up = |fault| CallError::Internal(format!("its arguments were not read: {fault}"));
    reading.await.map_err(given_up)?
}

fn line_of(tool: &str, run: &Runnable, arguments: Option<&RawValue>) -> Result<Line, CallError> {
    let invalid = |faults: Vec<String>| CallError::InvalidArguments {
        tool: tool.to_owned(),
        faults,
    };
    let arguments = arguments::check(&run.command, &run.input, arguments)
        .map_err(|faults| invalid(faults.into_vec()))?;
    argv::write(&run.command, &arguments).map_err(|refused| match refused {
        Unwritable::Faults(faults) => invalid(faults.into_vec()),
        Unwritable::TooLarge(message) => CallError::ArgumentsTooLarge(message),
    })
}
