//! What of a client's answer a program reads: an answer of the form that the protocol gives it, and nothing that
//! can be taken for another. Knows no channel and no round.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::call::types::{Question, QuestionKind};
use crate::jsonrpc::{INTERNAL_ERROR, to_raw};
use crate::text::excerpt;

/// How much of what a client sent instead of an error a program is told, in bytes.
const QUOTED: usize = 200;

/// The answer as the program reads it. What is filled into a form is handed on with `accept` alone, and never as
/// null: a program that only looks for it must find it only where its user has agreed.
///
/// # Errors
/// Why it is no answer to this question.
pub fn usable<'a>(question: &Question, answer: &'a Value) -> Result<Cow<'a, Value>, String> {
    let answer = match question.kind {
        QuestionKind::Elicit => elicited(answer)?,
        QuestionKind::Sample => sampled(answer).map(|()| Cow::Borrowed(answer))?,
        QuestionKind::Roots => listed(answer).map(|()| Cow::Borrowed(answer))?,
    };
    question.check(&answer)?;
    Ok(answer)
}

/// The error object that a program reads for the one that a client sent.
pub fn error(sent: Box<RawValue>) -> Box<RawValue> {
    let value: Value = serde_json::from_str(sent.get()).unwrap_or_default();
    if value["code"].is_i64() && value["message"].is_string() {
        return sent;
    }
    let why = excerpt(&value, QUOTED);
    let message = format!("the client sent an error without a code and a message: {why}");
    to_raw(&json!({"code": INTERNAL_ERROR, "message": message}))
}

fn elicited(answer: &Value) -> Result<Cow<'_, Value>, String> {
    let keeps = match (answer["action"].as_str(), answer.get("content")) {
        (_, None) => true,
        (Some("accept"), Some(Value::Object(_))) => true,
        (Some("accept"), Some(content)) if !content.is_null() => {
            return Err("its content is no object".to_owned());
        }
        _ => false,
    };
    let mut answer = Cow::Borrowed(answer);
    if !keeps && let Some(members) = answer.to_mut().as_object_mut() {
        members.shift_remove("content");
    }
    Ok(answer)
}

fn sampled(answer: &Value) -> Result<(), String> {
    if !matches!(answer["role"].as_str(), Some("user" | "assistant")) {
        return Err("its role is neither user nor assistant".to_owned());
    }
    let is_block = |block: &Value| block["type"].is_string();
    let content = &answer["content"];
    // Since revision 2025-11-25 there may be several.
    let has_content = match content.as_array() {
        Some(blocks) => blocks.iter().all(is_block),
        None => is_block(content),
    };
    let why = || "its content is none: each block of it must be an object with a type".to_owned();
    has_content.then_some(()).ok_or_else(why)
}

fn listed(answer: &Value) -> Result<(), String> {
    let roots = answer["roots"].as_array();
    let roots = roots.ok_or_else(|| "it has no list of roots".to_owned())?;
    let all = roots.iter().all(|root| root["uri"].is_string());
    let why = || "one of its roots has no uri".to_owned();
    all.then_some(()).ok_or_else(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(asked: &Value) -> Question {
        let mut questions = Question::read_all(&to_raw(&json!({"k": asked}))).unwrap();
        questions.remove(0)
    }

    fn form() -> Question {
        let agree = json!({"type": "object", "properties": {"agree": {"type": "boolean"}}});
        question(&json!({"elicit": {"message": "Delete?", "requestedSchema": agree}}))
    }

    #[test]
    fn content_is_handed_on_with_accept_alone_and_never_as_null() {
        let form = form();
        let agree = json!({"agree": true});
        for action in ["decline", "cancel"] {
            for content in [agree.clone(), json!(null), json!("yes")] {
                let answer = json!({"action": action, "content": content});
                assert_eq!(*usable(&form, &answer).unwrap(), json!({"action": action}));
            }
        }
        let accepted = json!({"action": "accept", "content": agree});
        assert_eq!(*usable(&form, &accepted).unwrap(), accepted);
        let nothing = json!({"action": "accept", "content": null});
        assert_eq!(
            *usable(&form, &nothing).unwrap(),
            json!({"action": "accept"})
        );
        let address =
            json!({"elicit": {"mode": "url", "message": "?", "url": "https://example.org"}});
        for question in [form, question(&address)] {
            for content in [json!("agree"), json!(["agree"]), json!(true)] {
                let answer = json!({"action": "accept", "content": content});
                assert!(usable(&question, &answer).is_err(), "{answer}");
            }
        }
    }

    #[test]
    fn an_answer_that_the_protocol_does_not_know_is_none() {
        let sample = question(&json!({"sample": {"messages": [], "maxTokens": 9}}));
        let text = json!({"type": "text", "text": "!"});
        for (role, content, is_answer) in [
            (json!("assistant"), text.clone(), true),
            (json!("assistant"), json!([text, text]), true),
            (json!(""), text.clone(), false),
            (json!(1), text.clone(), false),
            (json!("assistant"), json!(null), false),
            (json!("assistant"), json!(5), false),
            (json!("assistant"), json!("text"), false),
            (json!("assistant"), json!([text, 5]), false),
        ] {
            let answer = json!({"role": role, "content": content, "model": "m"});
            assert_eq!(usable(&sample, &answer).is_ok(), is_answer, "{answer}");
        }
        let roots = question(&json!({"roots": {}}));
        for (listed, is_answer) in [
            (json!([]), true),
            (json!([{"uri": "file:///a"}]), true),
            (json!([1, null]), false),
            (json!([{"uri": "file:///a"}, {}]), false),
            (json!({}), false),
        ] {
            let answer = json!({"roots": listed});
            assert_eq!(usable(&roots, &answer).is_ok(), is_answer, "{answer}");
        }
    }

    #[test]
    fn an_error_has_a_code_and_a_message_whatever_the_client_sent() {
        let read =
            |sent: &Value| -> Value { serde_json::from_str(error(to_raw(sent)).get()).unwrap() };
        let own = json!({"code": -1, "message": "User rejected", "data": [1]});
        assert_eq!(read(&own), own);
        for sent in [
            json!("no"),
            json!(null),
            json!({"code": "x"}),
            json!({"message": "no"}),
        ] {
            let error = read(&sent);
            assert_eq!(error["code"], INTERNAL_ERROR, "{error}");
            assert!(error["message"].is_string(), "{error}");
        }
    }
}
