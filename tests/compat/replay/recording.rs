//! The recording: its rows, and the ways in which it shortened answers.

use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Names that the recording kept of each list in an answer of `sanctum__tools`.
const KEPT: usize = 4;

/// One question with the answer of version 3.1.0.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its line in the file, from 1.
    pub number: usize,
    /// All of it but the answer. The same question may stand twice: what came between has changed the answer.
    pub question: Value,
    /// The arguments of a call as they were written; empty for other rows.
    pub arguments: String,
    /// What version 3.1.0 answered.
    pub answer: Value,
}

impl Row {
    /// A text of the question.
    pub fn text(&self, member: &str) -> &str {
        self.question[member].as_str().expect("a text")
    }
}

/// Where the recording is.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/smcp-3.1.0")
}

/// The rows of one area, in the order of the file.
pub fn rows(area: &str) -> Vec<Row> {
    let file = folder().join("behaviour.jsonl");
    let text = std::fs::read_to_string(file).expect("the recording");
    let rows = text
        .lines()
        .enumerate()
        .map(|(index, line)| row(index + 1, line));
    let rows: Vec<Row> = rows.filter(|row| row.text("area") == area).collect();
    assert!(!rows.is_empty(), "the recording has no area {area:?}");
    rows
}

fn row(number: usize, line: &str) -> Row {
    #[derive(serde::Deserialize)]
    struct Spelled<'a> {
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
    }
    let spelled: Spelled<'_> = serde_json::from_str(line).expect("a row is JSON");
    let mut question: Map<String, Value> = serde_json::from_str(line).expect("a row is an object");
    let answer = question.remove("answer").expect("a row has an answer");
    Row {
        number,
        arguments: spelled.arguments.map_or("", RawValue::get).to_owned(),
        question: Value::Object(question),
        answer,
    }
}

/// JSON without the white space between its tokens, as clients send it. Numbers keep their spelling.
pub fn compact(json: &str) -> String {
    let mut inside = false;
    let mut escaped = false;
    json.chars()
        .filter(|letter| {
            if !escaped && *letter == '"' {
                inside = !inside;
            }
            escaped = inside && !escaped && *letter == '\\';
            inside || !letter.is_ascii_whitespace()
        })
        .collect()
}

/// The answer of `sanctum__tools` as the recording would have kept it, that of `health` without what changes with
/// the time; other answers are left alone.
pub fn shortened(row: &Row, mut answer: Value) -> Value {
    let tool = row.text("tool");
    if !["sanctum__tools", "health"].contains(&tool) {
        return answer;
    }
    let text = answer["content"][0]["text"].as_str().unwrap_or_default();
    let Ok(Value::Object(mut said)) = serde_json::from_str::<Value>(text) else {
        return answer;
    };
    // The rest of it are counts and times.
    said.retain(|name, _| tool != "health" || name == "status");
    for list in said.values_mut().filter_map(Value::as_array_mut) {
        list.truncate(KEPT);
    }
    if let Some(note) = said.get_mut("note") {
        *note = json!("…");
    }
    answer["content"][0]["text"] = json!(as_python_writes(&Value::Object(said)));
    answer
}

/// JSON with a space after each comma and colon and nothing but ASCII, as Python's `json.dumps` writes it.
fn as_python_writes(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(as_python_writes).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let text = |name: &String| as_python_writes(&json!(name));
            let members = members.iter();
            let members: Vec<_> = members
                .map(|(name, value)| format!("{}: {}", text(name), as_python_writes(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::String(text) => {
            let written = json!(text).to_string();
            let mut units = [0; 2];
            let escaped = written.chars().map(|letter| match letter {
                letter if letter.is_ascii() => letter.to_string(),
                letter => letter
                    .encode_utf16(&mut units)
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}"))
                    .collect(),
            });
            escaped.collect()
        }
        other => other.to_string(),
    }
}

/// A definition without its texts: the recording of the demo plugins leaves them out.
pub fn without_descriptions(definition: Value) -> Value {
    match definition {
        Value::Object(members) => {
            let told = |name: &str, value: &Value| name == "description" && value.is_string();
            let members = members
                .into_iter()
                .filter(|(name, value)| !told(name, value))
                .map(|(name, value)| (name, without_descriptions(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => items.into_iter().map(without_descriptions).collect(),
        other => other,
    }
}
