//! What the command of a resource, a prompt or a completion printed: the protocol's own result, or plain text.
//!
//! Knows no program and no message.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::CallError;
use super::json_size;
use crate::contract::protocol::{COMPLETE_RESULT, PROMPT_RESULT, READ_RESULT};
use crate::contract::shape::{Form, object};
use crate::contract::{OfferKind, Prints};
use crate::text::shown;

/// The most values that the answer to one completion may have.
/// <https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/completion#completion-results>
const MAX_VALUES: usize = 100;

/// What a command printed that serves a resource, a prompt or a completion.
#[derive(Debug)]
pub enum Printed {
    /// The protocol's own result object, held against its types.
    Result(Box<RawValue>),
    /// Plain text.
    Text(String),
}

/// Reads what the command printed that serves `name`, an entry of this `kind`. `prints` is what its description says
/// of that; where it says nothing, an object counts as a result that has the member of one.
///
/// # Errors
/// [`CallError::Plugin`] with what is wrong with the result.
pub fn read(
    text: String,
    name: &str,
    kind: &OfferKind,
    prints: Option<Prints>,
) -> Result<Printed, CallError> {
    let is_result = match prints {
        Some(Prints::Text) => false,
        Some(Prints::Result) => true,
        None => looks_like_result(&text, kind),
    };
    if !is_result {
        return Ok(Printed::Text(text));
    }
    let form = match kind {
        OfferKind::Resource | OfferKind::Template(_) => READ_RESULT,
        OfferKind::Prompt(_) => PROMPT_RESULT,
        OfferKind::Completion { .. } => COMPLETE_RESULT,
    };
    let json = fitting(&form, &text).map_err(|fault| {
        let what = "printed what is no result of the protocol";
        CallError::Plugin(format!("{name} {what}: {fault}: {}", shown(&text, 300)))
    })?;
    drop(text);
    let json = match kind {
        OfferKind::Completion { .. } => bounded(json),
        _ => json,
    };
    RawValue::from_string(json)
        .map(Printed::Result)
        .map_err(|fault| CallError::Internal(fault.to_string()))
}

fn fitting(form: &Form, text: &str) -> Result<String, String> {
    json_size::of(text).map_err(|fault| fault.to_string())?;
    let fitting = form.fitting(text).map_err(|misfit| misfit.to_string())?;
    Ok(fitting.json)
}

/// Whether `text` is an object with the member that the result has. A file may have a member `contents` as well: that
/// of a result has an address in each of its items.
fn looks_like_result(text: &str, kind: &OfferKind) -> bool {
    let text = text.trim();
    let Ok(members) = object(text) else {
        return false;
    };
    let has = |wanted: &str| members.iter().find(|(name, _)| name == wanted);
    match kind {
        OfferKind::Prompt(_) => has("messages").is_some(),
        OfferKind::Completion { .. } => has("completion").is_some(),
        OfferKind::Resource | OfferKind::Template(_) => {
            #[derive(Deserialize)]
            struct Addressed {
                #[serde(rename = "uri")]
                _uri: String,
            }
            let contents = has("contents").map(|(_, value)| value.get());
            let contents =
                contents.and_then(|json| serde_json::from_str::<Vec<Addressed>>(json).ok());
            contents.is_some_and(|contents| !contents.is_empty() || members.len() == 1)
        }
    }
}

/// The result of a completion with as many values as it may have.
fn bounded(json: String) -> String {
    let Ok(mut result) = serde_json::from_str::<Value>(&json) else {
        return json;
    };
    let completion = &mut result["completion"];
    let Some(values) = completion["values"].as_array_mut() else {
        return json;
    };
    let count = values.len();
    if count <= MAX_VALUES {
        return json;
    }
    values.truncate(MAX_VALUES);
    completion["hasMore"] = true.into();
    if completion["total"].is_null() {
        completion["total"] = count.into();
    }
    result.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::Reference;

    fn result(printed: &Value, kind: &OfferKind, prints: Option<Prints>) -> Option<Value> {
        match read(printed.to_string(), "p thing", kind, prints).expect("it is served") {
            Printed::Result(json) => Some(serde_json::from_str(json.get()).expect("it is JSON")),
            Printed::Text(text) => {
                assert_eq!(text, printed.to_string());
                None
            }
        }
    }

    fn completion() -> OfferKind {
        OfferKind::Completion {
            reference: Reference::Prompt("p".to_owned()),
            argument: None,
        }
    }

    #[test]
    fn a_file_that_has_contents_stays_a_file() {
        let resource = OfferKind::Resource;
        for file in [
            json!({"contents": ["chapter one"]}),
            json!({"contents": {"a": 1}}),
            json!({"contents": [], "title": "a book"}),
            json!({"contents": [{"page": 1}]}),
            json!([1]),
            json!("text"),
        ] {
            assert_eq!(result(&file, &resource, None), None, "{file}");
        }
        let printed = json!({"contents": [{"uri": "notes://1", "text": "a", "mimeType": null}]});
        let read = json!({"contents": [{"uri": "notes://1", "text": "a"}]});
        assert_eq!(result(&printed, &resource, None), Some(read.clone()));
        assert_eq!(
            result(&printed, &resource, Some(Prints::Result)),
            Some(read)
        );
        assert_eq!(result(&printed, &resource, Some(Prints::Text)), None);
        let none = json!({"contents": []});
        assert_eq!(result(&none, &resource, None), Some(none));
    }

    #[test]
    fn what_is_no_result_is_refused_with_the_name_of_who_printed_it() {
        let prompt = OfferKind::Prompt(Vec::new());
        for (text, kind, prints, said) in [
            (
                r#"{"contents":[{"uri":"notes://1"}]}"#,
                &OfferKind::Resource,
                None,
                "contents[0] has neither text nor blob",
            ),
            (
                "{}",
                &OfferKind::Resource,
                Some(Prints::Result),
                "has no contents",
            ),
            ("text", &prompt, Some(Prints::Result), "expected"),
            (
                r#"{"messages":[{"role":"system","content":{"type":"text","text":"a"}}]}"#,
                &prompt,
                None,
                "messages[0].role must be one of user, assistant",
            ),
            (
                r#"{"messages":[{"role":"user","content":"a"}]}"#,
                &prompt,
                None,
                "messages[0].content must be an object",
            ),
            (
                r#"{"completion":{"values":[1]}}"#,
                &completion(),
                None,
                "completion.values[0] must be a string",
            ),
        ] {
            let fault = read(text.to_owned(), "p thing", kind, prints).expect_err("it is wrong");
            assert_eq!(fault.code(), "plugin_error");
            let message = fault.to_string();
            assert!(
                message.starts_with("p thing ") && message.contains(said),
                "{message}"
            );
        }
    }

    #[test]
    fn a_completion_has_a_hundred_values_and_says_that_there_are_more() {
        let values = |count: usize| -> Vec<String> { (0..count).map(|n| n.to_string()).collect() };
        let few = json!({"completion": {"values": values(100)}});
        assert_eq!(result(&few, &completion(), None), Some(few));
        let many =
            json!({"completion": {"values": values(101), "hasMore": false}, "_meta": {"k": 1}});
        let cut = json!({"completion": {"values": values(100), "hasMore": true, "total": 101}, "_meta": {"k": 1}});
        assert_eq!(result(&many, &completion(), None), Some(cut));
        let counted = json!({"completion": {"values": values(20_000), "total": 50_000}});
        let cut = json!({"completion": {"values": values(100), "total": 50_000, "hasMore": true}});
        assert_eq!(result(&counted, &completion(), None), Some(cut));
    }
}
