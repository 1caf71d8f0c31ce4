//! Questions without an answer yet: each counted while it is open, and the answers that the server gives itself.

use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};

use super::parse::BadLine;
use crate::jsonrpc::members::to_raw;

/// The code of an error that says that a question is wrong: JSON-RPC's of invalid parameters.
const WRONG_QUESTION: i64 = -32602;

/// A line of questions whose answers are still to come.
#[derive(Debug)]
pub(super) struct OpenQuestion {
    /// Where they come.
    pub(super) answers: oneshot::Receiver<Box<RawValue>>,
    /// Dropped when the answers are there.
    pub(super) counted: Counted,
}

/// One of the questions that are open, until it is dropped: what nobody waits for any more is not open.
#[derive(Debug)]
pub(super) struct Counted(watch::Sender<usize>);

impl Counted {
    /// One more in the number of all.
    pub(super) fn in_all(open_questions: &watch::Sender<usize>) -> Self {
        open_questions.send_modify(|open| *open += 1);
        Self(open_questions.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// What a program reads whose questions nobody will see.
pub(super) fn nobody_listens() -> Box<RawValue> {
    let text = r#"{"error":{"code":-32021,"message":"nobody can be asked: this call has no client that listens"}}"#;
    RawValue::from_string(text.to_owned()).expect("the text above is JSON")
}

/// What a program reads whose question cannot be read, and is not asked.
pub(super) fn no_question(fault: &BadLine) -> Box<RawValue> {
    let message = format!("this line cannot be asked: {fault}");
    to_raw(&json!({"error": {"code": WRONG_QUESTION, "message": message}}))
}
