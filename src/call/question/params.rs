//! The parameters of a question as every client can read them: what says the same in another form is repaired, what is
//! wrong is named. Knows no client.

use serde_json::{Map, Value, json};

use crate::contract::client_requests;
use crate::text::excerpt;

/// How much of a wrong mode a message quotes, in bytes.
const QUOTED: usize = 200;

/// What kind of question it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionKind {
    /// To the user.
    Elicit,
    /// To the client's model.
    Sample,
    /// To the client, for the directories of its workspace.
    Roots,
}

impl QuestionKind {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Elicit, Self::Sample, Self::Roots];

    /// The member of a question that holds its parameters.
    pub(super) const fn member(self) -> &'static str {
        match self {
            Self::Elicit => "elicit",
            Self::Sample => "sample",
            Self::Roots => "roots",
        }
    }
}

/// The parameters, repaired where that leaves their meaning, without members that are `null` and may be absent.
///
/// # Errors
/// Where they are none of the protocol, and what has to be there.
pub fn readable(kind: QuestionKind, mut params: Value) -> Result<Value, String> {
    let form = match kind {
        QuestionKind::Elicit => match &params["mode"] {
            Value::Null => client_requests::ELICIT_FORM,
            mode if mode == "form" => client_requests::ELICIT_FORM,
            mode if mode == "url" => client_requests::ELICIT_URL,
            mode => {
                let mode = excerpt(mode, QUOTED);
                return Err(format!("mode must be form or url, not {mode}"));
            }
        },
        QuestionKind::Sample => client_requests::CREATE_MESSAGE,
        QuestionKind::Roots => client_requests::LIST_ROOTS,
    };
    if kind == QuestionKind::Elicit {
        repair(&mut params["requestedSchema"]);
        // Asking for a missing member has made it.
        if let Some(members) = params.as_object_mut() {
            members.retain(|name, value| name != "requestedSchema" || !value.is_null());
        }
    }
    let fitting = form.fitting(&params.to_string());
    let fitting = fitting.map_err(|misfit| misfit.to_string())?;
    serde_json::from_str(&fitting.json).map_err(|fault| fault.to_string())
}

/// Says in a form's schema what it leaves to be understood.
fn repair(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    if schema.get("properties").is_some_and(Value::is_object) {
        say(schema, "type", json!("object"));
    }
    if schema.get("type").is_some_and(|kind| kind == "object") {
        say(schema, "properties", json!({}));
    }
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    let fields = fields.into_iter().flat_map(Map::values_mut);
    for field in fields.filter_map(Value::as_object_mut) {
        say_type_of_choice(field, "oneOf");
        if let Some(items) = field.get_mut("items").and_then(Value::as_object_mut) {
            say_type_of_choice(items, "anyOf");
        }
    }
}

/// A choice among texts is a text, and a choice without a title is shown as what it stands for.
fn say_type_of_choice(field: &mut Map<String, Value>, titled: &str) {
    let values = field.get("enum").and_then(Value::as_array);
    if values.is_some_and(|values| !values.is_empty() && values.iter().all(Value::is_string)) {
        say(field, "type", json!("string"));
    }
    let choices = field.get_mut(titled).and_then(Value::as_array_mut);
    for choice in choices
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        if let Some(value) = choice.get("const").filter(|value| value.is_string()) {
            let title = value.clone();
            say(choice, "title", title);
        }
    }
}

/// Adds what is absent or `null`.
fn say(members: &mut Map<String, Value>, name: &str, value: Value) {
    if members.get(name).is_none_or(Value::is_null) {
        members.insert(name.to_owned(), value);
    }
}

/// What only clients from revision 2025-11-25 on can read in parameters that every later one can.
pub fn recent(kind: QuestionKind, params: &Value) -> Option<&'static str> {
    let items = |list: &Value, is: fn(&Value) -> bool| match list {
        Value::Array(items) => items.iter().any(is),
        Value::Object(items) => items.values().any(is),
        _ => false,
    };
    match kind {
        QuestionKind::Elicit => {
            let fields = &params["requestedSchema"]["properties"];
            items(fields, |field| field["type"] == "array").then_some("a list as a field of a form")
        }
        QuestionKind::Sample => items(&params["messages"], |message| message["content"].is_array())
            .then_some("several contents in one message"),
        QuestionKind::Roots => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(schema: &Value) -> Value {
        json!({"message": "?", "requestedSchema": schema})
    }

    fn field(field: &Value) -> Value {
        form(&json!({"type": "object", "properties": {"k": field}}))
    }

    #[test]
    fn what_says_the_same_in_another_form_is_repaired() {
        for (given, repaired) in [
            (
                form(&json!({"properties": {"k": {"type": "boolean", "default": null}}})),
                form(&json!({"properties": {"k": {"type": "boolean"}}, "type": "object"})),
            ),
            (
                form(&json!({"type": "object"})),
                form(&json!({"type": "object", "properties": {}})),
            ),
            (
                field(&json!({"enum": ["a", "b"]})),
                field(&json!({"enum": ["a", "b"], "type": "string"})),
            ),
            (
                field(&json!({"type": "string", "oneOf": [{"const": "a"}]})),
                field(&json!({"type": "string", "oneOf": [{"const": "a", "title": "a"}]})),
            ),
            (
                field(&json!({"type": "array", "items": {"enum": ["a"]}})),
                field(&json!({"type": "array", "items": {"enum": ["a"], "type": "string"}})),
            ),
        ] {
            assert_eq!(readable(QuestionKind::Elicit, given), Ok(repaired));
        }
    }

    #[test]
    fn what_the_protocol_has_goes_through_unchanged() {
        for kept in [
            field(
                &json!({"type": "string", "minLength": 1, "maxLength": 9, "format": "email",
                "title": "T", "description": "D", "default": "x", "pattern": "x"}),
            ),
            field(&json!({"type": "string", "enum": ["a"], "enumNames": ["A"]})),
            field(&json!({"type": "integer", "minimum": 1.5, "default": 3, "enum": [3, 4]})),
            field(&json!({"type": "number", "oneOf": [{"const": 20, "title": "a"}]})),
            form(
                &json!({"$schema": "http://json-schema.org/draft-07/schema#", "title": "T",
                "type": "object", "properties": {}, "required": [], "additionalProperties": false}),
            ),
            json!({"message": "?", "mode": "url", "url": "https://example.org/a", "more": null}),
        ] {
            assert_eq!(readable(QuestionKind::Elicit, kept.clone()), Ok(kept));
        }
        let text = json!({"type": "text", "text": "?"});
        let used = json!({"type": "tool_use", "id": "1", "name": "t", "input": {}});
        let sample = json!({"maxTokens": 9.0, "temperature": 0.5, "more": [1], "messages": [
            {"role": "user", "content": text}, {"role": "assistant", "content": [text, used]}],
            "tools": [{"name": "t", "inputSchema": {"type": "object"}}]});
        assert_eq!(readable(QuestionKind::Sample, sample.clone()), Ok(sample));
        assert_eq!(readable(QuestionKind::Roots, json!({})), Ok(json!({})));
    }

    #[test]
    fn what_no_client_reads_is_named_with_its_place() {
        let at = "requestedSchema.properties.k";
        for (given, said) in [
            (
                json!({"requestedSchema": {"type": "object"}}),
                "has no message".to_owned(),
            ),
            (json!({"message": "?"}), "has no requestedSchema".to_owned()),
            (
                json!({"message": "?", "mode": "form", "requestedSchema": null}),
                "has no requestedSchema".to_owned(),
            ),
            (
                json!({"message": 5}),
                "message must be a string, not 5".to_owned(),
            ),
            (form(&json!({})), "requestedSchema has no type".to_owned()),
            (
                form(&json!({"type": "array"})),
                "requestedSchema.type must be one of object".to_owned(),
            ),
            (
                form(&json!({"type": "object", "required": "k"})),
                "requestedSchema.required must be an array".to_owned(),
            ),
            (
                field(&json!(true)),
                format!("{at} must be an object, not true"),
            ),
            (
                field(&json!({"$ref": "#/$defs/a"})),
                format!("{at} has no type: one of string, number"),
            ),
            (
                field(&json!({"enum": [1, 2]})),
                format!("{at} has no type: one of string, number"),
            ),
            (
                field(&json!({"type": ["integer", "null"]})),
                format!("{at}.type must be one of string"),
            ),
            (
                field(&json!({"type": "object"})),
                format!("{at}.type must be one of string"),
            ),
            (
                field(&json!({"type": "integer", "default": "x"})),
                format!("{at}.default must be a number"),
            ),
            (
                field(&json!({"type": "string", "format": "phone"})),
                format!("{at}.format must be one of email"),
            ),
            (
                field(&json!({"type": "integer", "title": 5})),
                format!("{at}.title must be a string"),
            ),
            (
                field(&json!({"type": "array", "items": {"type": "string"}})),
                format!("{at}.items has neither enum nor anyOf"),
            ),
            (
                json!({"mode": "url", "message": "?"}),
                "has no url".to_owned(),
            ),
            (
                json!({"mode": "url", "message": "?", "url": "here"}),
                "url must be an address".to_owned(),
            ),
        ] {
            let fault = readable(QuestionKind::Elicit, given).expect_err("it is wrong");
            assert!(fault.starts_with(&said), "{fault}");
        }
        let message = |content: Value| json!({"maxTokens": 9, "messages": [{"role": "user", "content": content}]});
        for (given, said) in [
            (json!({"messages": []}), "has no maxTokens"),
            (json!({"maxTokens": 9}), "has no messages"),
            (
                json!({"messages": [], "maxTokens": "9"}),
                "maxTokens must be a whole number",
            ),
            (message(json!("?")), "messages[0].content must be an object"),
            (
                message(json!({"type": "resource"})),
                "messages[0].content.type must be one of text",
            ),
            (
                message(json!([{"type": "text"}])),
                "messages[0].content[0] has no text",
            ),
        ] {
            let fault = readable(QuestionKind::Sample, given).expect_err("it is wrong");
            assert!(fault.starts_with(said), "{fault}");
        }
        let token = json!({"_meta": {"progressToken": {}}});
        let fault = readable(QuestionKind::Roots, token).expect_err("it is wrong");
        assert!(fault.starts_with("_meta.progressToken must be"), "{fault}");
    }
}
