//! What a revision of the protocol cannot say, said so that its clients can read it: they refuse a whole list, or a
//! whole result, for one value of a type that they do not know.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::ser::SerializeMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::revision::Revision;
use crate::call::types::{BlockKind, Content};
use crate::jsonrpc::{self, Members};
use crate::text::cut;

/// The member that holds structured content which has to be an object and is none.
const WRAPPER: &str = "result";

/// The most that a text repeats of a block which the client cannot read, in characters.
const MAX_REPEATED: usize = 64 << 10;

/// Keywords whose value is data and no schema.
const DATA: [&str; 5] = ["const", "default", "enum", "enumNames", "examples"];

/// The schema of structured content in a tool's `tools/list` entry.
const SCHEMA: &str = "outputSchema";

/// What a tool gave, as the members `content` and `structuredContent` of a result. It may be large, and is adapted
/// where it is written.
/// <https://modelcontextprotocol.io/specification/2025-11-25/server/tools#structured-content>
#[derive(Debug)]
pub struct Given {
    /// What the tool gave.
    pub content: Content,
    /// Whether its structured content, which would have to be an object, is wrapped as `{"result": …}`.
    pub wrapped: bool,
    /// The revision whose clients do not know all of its blocks.
    pub blocks_for: Option<Revision>,
}

impl Given {
    /// What a tool gave, for clients who can read all of it.
    pub fn new(content: Content) -> Self {
        Self {
            content,
            wrapped: false,
            blocks_for: None,
        }
    }

    /// Has blocks written so that clients of the revision can read them.
    pub fn adapt_blocks(&mut self, revision: Revision) {
        if let Content::Own { youngest, .. } = &self.content {
            self.blocks_for = (!knows(revision, *youngest)).then_some(revision);
        }
    }

    /// Writes both members into `object`.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn write<M: SerializeMap>(&self, object: &mut M) -> Result<(), M::Error> {
        match (&self.content, self.blocks_for) {
            (Content::Own { blocks: own, .. }, Some(revision)) => {
                object.serialize_entry("content", &blocks(own, revision))?;
            }
            (content, _) => object.serialize_entry("content", &content.blocks())?,
        }
        match self.content.structured() {
            Some(structured) if self.wrapped => {
                let wrapped = BTreeMap::from([(WRAPPER, structured)]);
                object.serialize_entry("structuredContent", &wrapped)
            }
            Some(structured) => object.serialize_entry("structuredContent", structured),
            None => Ok(()),
        }
    }
}

/// Whether a tool's entry shows a schema of what it prints.
pub fn has_output_schema(definition: &RawValue) -> bool {
    definition.get().contains(SCHEMA)
        && Members::parse(definition.get()).is_ok_and(|members| members.get(SCHEMA).is_some())
}

/// The `tools/list` entry of a tool whose structured content is wrapped, with its schema to match;
/// `None` where the schema describes an object, or there is none.
pub fn wrapped_definition(definition: &RawValue) -> Option<Box<RawValue>> {
    if !definition.get().contains(SCHEMA) {
        return None;
    }
    let mut members = Members::parse(definition.get()).ok()?;
    let mut schema: Value = serde_json::from_str(members.get(SCHEMA)?.get()).ok()?;
    if schema.get("type").and_then(Value::as_str) == Some("object") {
        return None;
    }
    let dialect = schema
        .as_object_mut()
        .and_then(|schema| schema.remove("$schema"));
    move_references(&mut schema);
    let mut wrapped = json!({
        "type": "object",
        "properties": {WRAPPER: schema},
        "required": [WRAPPER],
    });
    if let Some(dialect) = dialect {
        wrapped["$schema"] = dialect;
    }
    members.set(SCHEMA, jsonrpc::to_raw(&wrapped));
    Some(jsonrpc::to_raw(&members))
}

/// A schema that has become a member of another is found one level deeper. One with a name of its own (`$id`) is
/// still found by its own references.
fn move_references(schema: &mut Value) {
    match schema {
        Value::Object(members) if members.get("$id").is_some_and(Value::is_string) => {}
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(pointer)
                        if matches!(name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef")
                            && (pointer == "#" || pointer.starts_with("#/")) =>
                    {
                        *pointer = format!("#/properties/{WRAPPER}{}", &pointer[1..]);
                    }
                    _ if DATA.contains(&name.as_str()) => {}
                    other => move_references(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(move_references),
        _ => {}
    }
}

/// Whether clients of the revision know a type of content block.
fn knows(revision: Revision, kind: BlockKind) -> bool {
    match kind {
        BlockKind::Basic => true,
        BlockKind::Audio => revision.has_audio(),
        BlockKind::ResourceLink => revision.has_resource_links(),
        BlockKind::Other => false,
    }
}

/// Content blocks, those of types that clients of the revision do not know as texts.
fn blocks(blocks: &RawValue, revision: Revision) -> Box<RawValue> {
    let Ok(each) = serde_json::from_str::<Vec<&RawValue>>(blocks.get()) else {
        return blocks.to_owned();
    };
    let each: Vec<Box<RawValue>> = each
        .into_iter()
        .map(|one| block(one, revision).unwrap_or_else(|| one.to_owned()))
        .collect();
    jsonrpc::to_raw(&each)
}

/// The result of a prompt, its messages' blocks of types that clients of the revision do not know as texts.
pub fn prompt(mut result: Members, revision: Revision) -> Members {
    let messages = result.get("messages");
    let messages = messages.and_then(|raw| serde_json::from_str::<Vec<Members>>(raw.get()).ok());
    let Some(mut messages) = messages else {
        return result;
    };
    let mut changed = false;
    for message in &mut messages {
        let text = message
            .get("content")
            .and_then(|content| block(content, revision));
        if let Some(text) = text {
            message.set("content", text);
            changed = true;
        }
    }
    if changed {
        result.set("messages", jsonrpc::to_raw(&messages));
    }
    result
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    r#type: String,
    mime_type: Option<String>,
    uri: Option<String>,
    name: Option<String>,
    title: Option<String>,
    description: Option<String>,
}

/// A block as a text, where clients of the revision do not know its type.
fn block(raw: &RawValue, revision: Revision) -> Option<Box<RawValue>> {
    // Another type may use these names for other things.
    let kind = jsonrpc::Members::parse(raw.get()).ok()?.string("type")?;
    let known = match kind.as_str() {
        "text" | "image" | "resource" => BlockKind::Basic,
        "audio" => BlockKind::Audio,
        "resource_link" => BlockKind::ResourceLink,
        _ => BlockKind::Other,
    };
    if knows(revision, known) {
        return None;
    }
    let read = || serde_json::from_str::<Block>(raw.get()).ok();
    let text = match known {
        BlockKind::Audio => read().map(|audio| {
            let kind = audio.mime_type.unwrap_or_default();
            format!("[audio ({kind}), which revision {revision} of the protocol cannot carry]")
        }),
        BlockKind::ResourceLink => read().map(|link| link_as_text(&link)),
        _ => None,
    };
    let text = text.unwrap_or_else(|| {
        let shown = cut(raw.get(), MAX_REPEATED);
        if shown.len() == raw.get().len() {
            shown.to_owned()
        } else {
            format!("{shown}… ({} bytes in all)", raw.get().len())
        }
    });
    Some(jsonrpc::to_raw(&json!({"type": "text", "text": text})))
}

fn link_as_text(link: &Block) -> String {
    let name = link.title.as_ref().or(link.name.as_ref());
    let mut text = format!(
        "{}: {}",
        name.map_or(link.r#type.as_str(), String::as_str),
        link.uri.as_deref().unwrap_or_default()
    );
    if let Some(description) = &link.description {
        text.extend([" (", description, ")"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        jsonrpc::to_raw(value)
    }

    fn wrapped_schema(schema: &Value) -> Value {
        let definition = raw(&json!({"name": "t", "outputSchema": schema}));
        let wrapped = wrapped_definition(&definition).expect("it is wrapped");
        let entry: Value = serde_json::from_str(wrapped.get()).expect("it is JSON");
        entry["outputSchema"].clone()
    }

    #[test]
    fn an_output_schema_that_is_no_object_is_wrapped_with_its_references() {
        let cases = [
            (
                json!({"type": "array", "items": {"$ref": "#/$defs/item"}, "$defs": {"item": {"type": "integer"}}}),
                json!([1, 2]),
                json!(["a"]),
            ),
            (
                json!({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}}]}),
                json!([1, [2]]),
                json!(["a"]),
            ),
            (
                json!({"$id": "urn:own", "type": "array", "items": {"$ref": "#/$defs/item"}, "$defs": {"item": {"type": "integer"}}}),
                json!([1]),
                json!(["a"]),
            ),
            (
                json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [{"type": "integer"}]}),
                json!([1, "a"]),
                json!(["a"]),
            ),
            (
                json!({"enum": [{"$ref": "#/x"}, 5]}),
                json!({"$ref": "#/x"}),
                json!(6),
            ),
            (json!({}), json!(null), json!(null)),
        ];
        for (schema, fits, does_not) in cases {
            let wrapped = wrapped_schema(&schema);
            assert_eq!(wrapped["type"], "object");
            assert_eq!(wrapped["required"], json!(["result"]));
            let validator = jsonschema::validator_for(&wrapped).expect("a schema");
            assert!(validator.is_valid(&json!({"result": fits})), "{wrapped}");
            if schema != json!({}) {
                assert!(
                    !validator.is_valid(&json!({"result": does_not})),
                    "{wrapped}"
                );
            }
        }
    }

    #[test]
    fn an_output_schema_of_an_object_and_none_at_all_are_left_alone() {
        for definition in [
            json!({"name": "t"}),
            json!({"outputSchema": {"type": "object"}}),
        ] {
            assert!(
                wrapped_definition(&raw(&definition)).is_none(),
                "{definition}"
            );
        }
    }

    #[test]
    fn blocks_that_a_revision_does_not_know_are_texts() {
        let given = json!([
            {"type": "text", "text": "a"},
            {"type": "audio", "data": "", "mimeType": "audio/wav"},
            {"type": "resource_link", "uri": "notes://1", "name": "one", "description": "the first"},
            {"type": "hologram", "uri": 5},
        ]);
        let shown = |revision| -> Vec<String> {
            let adapted = blocks(&raw(&given), revision);
            let adapted: Vec<Value> = serde_json::from_str(adapted.get()).expect("it is JSON");
            adapted
                .iter()
                .map(|block| match block["type"].as_str() {
                    Some("text") => block["text"].as_str().unwrap_or_default().to_owned(),
                    other => format!("<{}>", other.unwrap_or_default()),
                })
                .collect()
        };
        let hologram = r#"{"type":"hologram","uri":5}"#;
        let link = "one: notes://1 (the first)";
        let silence = "[audio (audio/wav), which revision 2024-11-05 of the protocol cannot carry]";
        assert_eq!(shown(Revision::V2024_11_05), ["a", silence, link, hologram]);
        assert_eq!(
            shown(Revision::V2025_03_26),
            ["a", "<audio>", link, hologram]
        );
        for revision in [
            Revision::V2025_06_18,
            Revision::V2025_11_25,
            Revision::V2026_07_28,
        ] {
            assert_eq!(
                shown(revision),
                ["a", "<audio>", "<resource_link>", hologram]
            );
        }
    }

    #[test]
    fn messages_are_adapted_like_blocks() {
        let result = Members::from(json!({"messages": [
            {"role": "user", "content": {"type": "audio", "data": "", "mimeType": "audio/wav"}},
        ], "description": "d"}));
        let kept = prompt(result.clone(), Revision::V2025_03_26);
        assert_eq!(raw_of(&kept), raw_of(&result));
        let adapted = prompt(result, Revision::V2024_11_05);
        let messages: Value =
            serde_json::from_str(adapted.get("messages").expect("it is there").get())
                .expect("it is JSON");
        assert_eq!(messages[0]["role"], "user");
        assert_eq!(messages[0]["content"]["type"], "text");
        assert_eq!(adapted.string("description").as_deref(), Some("d"));
    }

    fn raw_of(members: &Members) -> String {
        jsonrpc::to_raw(members).get().to_owned()
    }
}
