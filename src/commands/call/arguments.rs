//! The arguments of `smcp call`: pairs, or one JSON object from the command line, a file or standard input.

use std::io::Read as _;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt as _;

use crate::cli::CallArgs;
use crate::commands::setup::{misuse, quoted};
use crate::jsonrpc::strict;

/// The longest object that is read, in bytes: no server takes more in a message.
const MAX_BYTES: u64 = crate::mcp::inbound::MAX_MESSAGE as u64;

/// What was given.
pub(super) enum Given {
    /// `name=value`, to be read as the tool's schema has it.
    Pairs(Vec<String>),
    /// All of them.
    Object(Map<String, Value>),
}

impl Given {
    /// Whether the arguments come from standard input.
    pub(super) fn reads_input(args: &CallArgs) -> bool {
        args.arguments == ["-"]
    }

    /// Reads what can be read without the tool's schema.
    ///
    /// # Errors
    /// A file cannot be read, or is no JSON object.
    pub(super) async fn read(args: &CallArgs) -> anyhow::Result<Self> {
        if let Some(json) = &args.json {
            let read = object(json, "--json").map_err(misuse);
            return read.map(Self::Object);
        }
        let [only] = args.arguments.as_slice() else {
            return Ok(Self::Pairs(args.arguments.clone()));
        };
        let (place, text) = match only.strip_prefix('@') {
            _ if only == "-" => ("standard input", from_input().await?),
            Some(path) if !path.is_empty() && !only.contains('=') => {
                (only.as_str(), from_file(path).await?)
            }
            _ => return Ok(Self::Pairs(args.arguments.clone())),
        };
        object(&text, place).map(Self::Object)
    }

    /// The arguments as one object. A name that is given several times is a list, where the tool takes one.
    ///
    /// # Errors
    /// An argument is no pair, or is given several times where one value is taken.
    pub(super) fn against(self, schema: &Value) -> anyhow::Result<Map<String, Value>> {
        match self {
            Self::Pairs(pairs) => from_pairs(&pairs, schema).map_err(misuse),
            Self::Object(object) => Ok(object),
        }
    }
}

fn object(text: &str, place: &str) -> anyhow::Result<Map<String, Value>> {
    let shown = crate::text::quoted(text);
    let object = serde_json::from_str(text).with_context(|| {
        format!("{place} '{shown}' is no JSON object; write it as '{{\"name\": \"value\"}}'")
    })?;
    // Of two members with one name the parser would silently take the last.
    strict::check(text).with_context(|| place.to_owned())?;
    Ok(object)
}

async fn from_input() -> anyhow::Result<String> {
    let mut text = String::new();
    let mut input = tokio::io::stdin().take(MAX_BYTES + 1);
    input
        .read_to_string(&mut text)
        .await
        .context("reading the arguments from standard input")?;
    bounded(text, "standard input")
}

/// Beside the runtime: a pipe may be waited for.
async fn from_file(path: &str) -> anyhow::Result<String> {
    let opened = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        let file = std::fs::File::open(opened)?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        std::io::Result::Ok(text)
    });
    let text = reading
        .await?
        .with_context(|| format!("reading the arguments from '{path}'"))?;
    bounded(text, path)
}

fn bounded(text: String, place: &str) -> anyhow::Result<String> {
    ensure!(
        text.len() as u64 <= MAX_BYTES,
        "{place} has more than {MAX_BYTES} bytes; send less, or pass a path to a file"
    );
    Ok(text)
}

fn from_pairs(pairs: &[String], schema: &Value) -> anyhow::Result<Map<String, Value>> {
    let mut object: Map<String, Value> = Map::new();
    for argument in pairs {
        let Some((name, value)) = argument.split_once('=') else {
            bail!(
                "'{argument}' is not NAME=VALUE; {}",
                as_pair(argument, pairs, schema)
            );
        };
        let declared = &schema["properties"][name];
        let is_list = is_of(declared, "array");
        let repeated = pairs.iter().filter(|other| {
            other
                .split_once('=')
                .is_some_and(|(other, _)| other == name)
        });
        if repeated.count() == 1 {
            object.insert(name.to_owned(), read(value, is_of(declared, "string")));
            continue;
        }
        if !is_list {
            bail!("'{name}' is given several times, but the tool takes one value for it");
        }
        let items = object
            .entry(name)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(items) = items {
            items.push(read(value, is_of(&declared["items"], "string")));
        }
    }
    Ok(object)
}

/// How a word that is no pair may have been meant: as the name of an argument, or as the value of the first that is
/// missing.
fn as_pair(word: &str, pairs: &[String], schema: &Value) -> String {
    let required = schema["required"].as_array().into_iter().flatten();
    let required = required.filter_map(Value::as_str);
    let properties = schema["properties"].as_object().into_iter().flatten();
    let names: Vec<&str> = properties.map(|(name, _)| name.as_str()).collect();
    if names.contains(&word) {
        return format!("write it as {word}=…, or give all arguments with --json");
    }
    let is_given = |name: &str| {
        let mut given = pairs.iter().filter_map(|pair| pair.split_once('='));
        given.any(|(known, _)| known == name)
    };
    let missing = required.chain(names.iter().copied());
    let mut missing = missing.filter(|name| !is_given(name));
    match missing.next() {
        Some(name) => {
            let pair = quoted(&format!("{name}={word}"));
            format!("write it as {pair}, or give all arguments with --json")
        }
        None if names.is_empty() => "the tool declares no arguments; leave it out".to_owned(),
        None => "leave it out, or give all arguments with --json".to_owned(),
    }
}

fn is_of(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|known| known == kind),
        known => known == kind,
    }
}

fn read(value: &str, is_text: bool) -> Value {
    let json = (!is_text)
        .then(|| serde_json::from_str(value).ok())
        .flatten();
    json.unwrap_or_else(|| Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(arguments: &[&str], schema: &Value) -> Result<Value, String> {
        let pairs = arguments.iter().map(|text| (*text).to_owned()).collect();
        let read = Given::Pairs(pairs).against(schema);
        read.map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_given_several_times_is_a_list_or_an_error() {
        let schema = json!({"properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "sizes": {"type": "array", "items": {"type": "integer"}},
            "name": {"type": "string"},
        }});
        assert_eq!(
            given(&["tags=1", "sizes=2", "tags=a=b", "sizes=3"], &schema),
            Ok(json!({"tags": ["1", "a=b"], "sizes": [2, 3]}))
        );
        assert_eq!(
            given(&["name=1", "tags=[\"x\"]"], &schema),
            Ok(json!({"name": "1", "tags": ["x"]}))
        );
        for name in ["name", "unknown"] {
            let twice = given(&[&format!("{name}=1"), &format!("{name}=2")], &schema);
            assert!(
                twice.is_err_and(|why| why.contains("several times")),
                "{name}"
            );
        }
    }

    #[test]
    fn a_word_that_is_no_pair_is_shown_as_the_pair_that_it_may_be() {
        let schema = json!({
            "properties": {"loud": {"type": "boolean"}, "name": {"type": "string"}},
            "required": ["name"],
        });
        for (arguments, hint) in [
            (vec!["Ada"], "write it as name=Ada, or"),
            (vec!["Ada L."], "write it as 'name=Ada L.', or"),
            (vec!["name=Ada", "true"], "write it as loud=true, or"),
            (vec!["loud"], "write it as loud=…, or"),
            (vec!["name=Ada", "loud=true", "x"], "leave it out"),
        ] {
            let refused = given(&arguments, &schema).unwrap_err();
            assert!(refused.contains(hint), "{refused}");
        }
        let refused = given(&["x"], &json!({"type": "object"})).unwrap_err();
        assert!(refused.contains("declares no arguments"), "{refused}");
    }

    #[test]
    fn json_that_names_a_member_twice_is_refused() {
        for json in [r#"{"a":1,"a":2}"#, r#"{"o":{"a":1,"a":2}}"#] {
            let refused = object(json, "--json").unwrap_err();
            assert!(
                format!("{refused:#}").contains("'a' is repeated"),
                "{refused:#}"
            );
        }
    }
}
