//! What came back, held against what the case expects.

use serde_json::Value;

use crate::case::Expect;
use crate::client::{Message, Outcome};
use crate::support::wire;
use crate::template::Words;

/// Fails unless the outcome is the expected one.
#[track_caller]
pub fn judge(expect: &Expect, outcome: &Outcome, message: &Message, words: &Words) {
    let shown: String = outcome.all.chars().take(600).collect();
    if expect.silence {
        assert!(outcome.answers.is_empty(), "an answer: {shown}");
        return;
    }
    if !expect.status.is_empty()
        && let Some(status) = outcome.status
    {
        assert!(
            expect.status.contains(&status),
            "{status} instead of one of {:?}: {shown}",
            expect.status
        );
    }
    if expect.closes {
        assert!(outcome.closed, "the connection stays open: {shown}");
    }
    for part in &expect.contains {
        let part = part.text(words);
        assert!(outcome.all.contains(&part), "no {part:?} in {shown}");
    }
    for part in &expect.lacks {
        assert!(!outcome.all.contains(part), "{part:?} is in {shown}");
    }
    if let Some(most) = expect.at_most_kib {
        let length = outcome.all.len();
        assert!(length <= most << 10, "{length} bytes of answer: {shown}");
    }
    let wants_message = !expect.rpc.is_empty()
        || !expect.code.is_empty()
        || expect.result
        || expect.any_answer
        || expect.text.is_some();
    if wants_message {
        one_message(expect, outcome, message, words, &shown);
    }
}

#[track_caller]
fn one_message(expect: &Expect, outcome: &Outcome, message: &Message, words: &Words, shown: &str) {
    assert_eq!(outcome.answers.len(), 1, "one answer is enough: {shown}");
    let text = &outcome.answers[0];
    // An id of 400 digits is read as a number by nobody here; what is expected of it stands in `contains`.
    let Ok(answer) = serde_json::from_str::<Value>(text) else {
        let plain = !message.id.is_empty() && message.id.len() < 300;
        assert!(!plain, "no JSON: {shown}");
        return;
    };
    if outcome.revision == wire::NEWEST
        && (answer.get("error").is_some() || !message.method.is_empty())
    {
        let method = (!message.method.is_empty()).then_some(message.method.as_str());
        if let Err(fault) = wire::judge(&answer, method, outcome.revision) {
            panic!("{fault}\nin the message {shown}");
        }
    }
    let error = &answer["error"]["code"];
    let result = &answer["result"];
    if !expect.rpc.is_empty() {
        let fits = error
            .as_i64()
            .is_some_and(|code| expect.rpc.contains(&code));
        // A list of both says that a transport may choose.
        let tool =
            code_of(result).is_some_and(|code| expect.code.iter().any(|wanted| wanted == code));
        assert!(
            fits || tool,
            "not {:?} {:?}: {shown}",
            expect.rpc,
            expect.code
        );
    } else if !expect.code.is_empty() {
        let code = code_of(result).unwrap_or("no error");
        assert!(
            expect.code.iter().any(|wanted| wanted == code),
            "{code} instead of one of {:?}: {shown}",
            expect.code
        );
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "an error without a word: {shown}");
    }
    if expect.result || expect.text.is_some() {
        assert!(result.is_object(), "no result: {shown}");
        if expect.code.is_empty() {
            assert_ne!(result["isError"], true, "an error: {shown}");
        }
    }
    if let Some(wanted) = &expect.text {
        let said = result["content"][0]["text"].as_str().unwrap_or_default();
        assert_eq!(said, wanted.text(words), "the text of {shown}");
    }
}

fn code_of(result: &Value) -> Option<&str> {
    let error = &result["structuredContent"]["error"]["code"];
    error.as_str().filter(|_| result["isError"] == true)
}
