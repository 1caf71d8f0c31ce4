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
use super::error::CallError;
use super::queue::Held;

/// The size in bytes above which arguments are read off the event loop: below it, that takes about a millisecond.
const LARGE: usize = 64 << 10;

/// How many large arguments are read at once. More threads would only take the processors away from small calls.
pub const MAX_LARGE_AT_ONCE: usize = 2;

/// The command line of a call of `run` under the name `tool`. Large arguments take turns by `large`;
/// those that wait for their turn hold memory, which `hold` is asked for: twice their size, for they
/// stay with whoever answers the request too.
///
/// # Errors
/// Arguments that do not fit, that no command line can carry, or that there is no room for.
pub async fn line(
    tool: &str,
    run: &Arc<Runnable>,
    arguments: Option<Box<RawValue>>,
    large: &Arc<Semaphore>,
    hold: impl FnOnce(usize) -> Result<Held, CallError>,
) -> Result<Line, CallError> {
    let size = arguments.as_ref().map_or(0, |raw| raw.get().len());
    if size <= LARGE {
        return line_of(tool, run, arguments.as_deref());
    }
    let turn = match Arc::clone(large).try_acquire_owned() {
        Ok(turn) => turn,
        Err(_) => {
            let _held = hold(2 * size)?;
            let turn = Arc::clone(large).acquire_owned().await;
            turn.map_err(|closed| CallError::Internal(closed.to_string()))?
        }
    };
    let (tool, run) = (tool.to_owned(), Arc::clone(run));
    let reading = tokio::task::spawn_blocking(move || {
        // With the thread and not with whoever waits for it: that one may be cancelled first.
        let _turn = turn;
        line_of(&tool, &run, arguments.as_deref())
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{self, schema};

    fn runnable() -> Runnable {
        let entry =
            serde_json::json!({"commands": [{"name": "run", "parameters": [{"name": "a"}]}]});
        let description = contract::read(&entry).expect("it keeps the contract");
        let command = description.commands.into_iter().next().expect("one");
        Runnable {
            held: None,
            plugin: "p".to_owned(),
            directory: "/".into(),
            start: Vec::new(),
            input: schema::of_input(&command).expect("a schema"),
            command,
            output: None,
            plugin_limit: None,
            warm_question: None,
        }
    }

    #[tokio::test]
    async fn large_arguments_that_wait_for_their_turn_hold_twice_their_size() {
        let run = Arc::new(runnable());
        let large = Arc::new(Semaphore::new(0));
        let text = format!("{{\"a\":\"{}\"}}", "x".repeat(LARGE));
        let arguments = || Some(RawValue::from_string(text.clone()).expect("JSON"));
        let mut asked = None;
        let refused = line("t", &run, arguments(), &large, |bytes| {
            asked = Some(bytes);
            Err(CallError::Overloaded("full".to_owned()))
        });
        let refused = refused.await.expect_err("there is no room");
        assert_eq!(refused.code(), "overloaded");
        assert_eq!(asked, Some(2 * text.len()));
        large.add_permits(1);
        let read = line("t", &run, arguments(), &large, |_| {
            panic!("what need not wait holds nothing while it waits")
        });
        assert!(read.await.is_ok());
    }
}
