//! An entry put into the text of a client's file, of which everything else stays as it is.

use anyhow::{anyhow, bail};
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::Value;
use toml_edit::{DocumentMut, Item, Table};

use super::place::Form;
use super::snippets::{Entry, as_item};

/// Members that say how a server is reached. Those that a new entry does not have must not be left over in an old one:
/// a server with a command and an address is refused, or reached in the old way.
const OF_TRANSPORT: [&str; 13] = [
    "type",
    "command",
    "args",
    "env",
    "envFile",
    "cwd",
    "url",
    "serverUrl",
    "headers",
    "bearer_token_env_var",
    "env_vars",
    "http_headers",
    "env_http_headers",
];
/// Of them, those that a user may have added to a command.
const OF_COMMAND: [&str; 4] = ["env", "envFile", "cwd", "env_vars"];

/// What editors of Windows write before a text. The parsers take it for a part of that.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file with the entry in it; the same text where it has the entry already.
///
/// # Errors
/// The text cannot be read as what it should be, so that nothing in it may be touched.
pub fn with_entry(text: &str, form: Form, entry: &Entry) -> anyhow::Result<String> {
    match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => Ok(format!("{BYTE_ORDER_MARK}{}", in_text(rest, form, entry)?)),
        None => in_text(text, form, entry),
    }
}

fn in_text(text: &str, form: Form, entry: &Entry) -> anyhow::Result<String> {
    if text.trim().is_empty() {
        return Ok(match form {
            Form::Json | Form::JsonWithComments => entry.as_json(),
            Form::Toml => entry.as_toml(),
        });
    }
    match form {
        Form::Json => {
            // The editor lets a comment behind the last brace pass.
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|error| anyhow!("it is no JSON: {error}"))?;
            in_json(text, &strict(), entry)
        }
        Form::JsonWithComments => {
            let options = ParseOptions {
                allow_comments: true,
                allow_trailing_commas: true,
                ..strict()
            };
            in_json(text, &options, entry)
        }
        Form::Toml => in_toml(text, entry),
    }
}

/// Whether a member of an old entry has to go.
fn is_left_over(member: &str, entry: &Entry) -> bool {
    let is_added = entry.members.contains_key("command") && OF_COMMAND.contains(&member);
    OF_TRANSPORT.contains(&member) && !entry.members.contains_key(member) && !is_added
}

fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn in_json(text: &str, options: &ParseOptions, entry: &Entry) -> anyhow::Result<String> {
    let root =
        CstRootNode::parse(text, options).map_err(|error| anyhow!("it is no JSON: {error}"))?;
    let Some(whole) = root.object_value() else {
        bail!("it is no JSON object");
    };
    let servers = object_in(&whole, entry.group)?;
    let server = object_in(&servers, &entry.name)?;
    set_members(&server, entry)?;
    if let Some(input) = &entry.input {
        add_input(&whole, input)?;
    }
    Ok(root.to_string())
}

fn set_members(server: &CstObject, entry: &Entry) -> anyhow::Result<()> {
    names(server)?;
    for property in server.properties() {
        let name = property.decoded_name().unwrap_or_default();
        if is_left_over(&name, entry) {
            property.remove();
        }
    }
    for (name, member) in &entry.members {
        match server.get(name) {
            Some(known) if known.to_serde_value().as_ref() == Some(member) => {}
            Some(known) => known.set_value(as_input(member)),
            None => {
                server.append(name, as_input(member));
            }
        }
    }
    Ok(())
}

/// Adds what the client asks for, unless it does so already.
fn add_input(whole: &CstObject, input: &Value) -> anyhow::Result<()> {
    if whole.get("inputs").is_none() {
        // It stands before what refers to it, as people write it.
        whole.insert(0, "inputs", as_input(&Value::Array(vec![input.clone()])));
        return Ok(());
    }
    let Some(inputs) = whole.array_value("inputs") else {
        bail!("its member inputs is no list");
    };
    let mut known = inputs
        .elements()
        .into_iter()
        .filter_map(|one| one.to_serde_value());
    if !known.any(|one| one["id"] == input["id"]) {
        inputs.append(as_input(input));
    }
    Ok(())
}

/// The object of this name, added where there is none.
fn object_in(object: &CstObject, name: &str) -> anyhow::Result<CstObject> {
    names(object)?;
    object
        .object_value_or_create(name)
        .ok_or_else(|| anyhow!("its member {name} is no object"))
}

/// # Errors
/// A name is there twice: which of the two the client reads is not known.
fn names(object: &CstObject) -> anyhow::Result<()> {
    let mut names: Vec<_> = object
        .properties()
        .iter()
        .filter_map(|property| property.decoded_name())
        .collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => bail!("'{}' stands there twice", pair[0]),
        None => Ok(()),
    }
}

fn as_input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(on) => CstInputValue::Bool(*on),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(as_input).collect()),
        Value::Object(members) => {
            let members = members.iter();
            CstInputValue::Object(
                members
                    .map(|(name, member)| (name.clone(), as_input(member)))
                    .collect(),
            )
        }
    }
}

fn in_toml(text: &str, entry: &Entry) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        anyhow!("it is no TOML: line {line}: {}", error.message())
    })?;
    let mut implicit = Table::new();
    implicit.set_implicit(true);
    let servers = document.entry(entry.group).or_insert(Item::Table(implicit));
    let Some(servers) = servers.as_table_like_mut() else {
        bail!("its member {} is no table", entry.group);
    };
    let server = servers
        .entry(&entry.name)
        .or_insert_with(|| Item::Table(Table::new()));
    let Some(server) = server.as_table_like_mut() else {
        bail!("its member {}.{} is no table", entry.group, entry.name);
    };
    let known: Vec<String> = server.iter().map(|(name, _)| name.to_owned()).collect();
    for name in known.iter().filter(|name| is_left_over(name, entry)) {
        server.remove(name);
    }
    for (name, member) in &entry.members {
        let mut item = as_item(member);
        match server.get_mut(name) {
            Some(known) if is_same(known, &item) => {}
            Some(known) => {
                // The comment behind a value stays behind the new one.
                if let (Some(old), Some(new)) = (known.as_value(), item.as_value_mut()) {
                    *new.decor_mut() = old.decor().clone();
                }
                *known = item;
            }
            None => {
                server.insert(name, item);
            }
        }
    }
    let new = document.to_string();
    // The document has forgotten how its lines ended.
    let is_crlf = text.matches('\n').count() == text.matches("\r\n").count();
    Ok(if is_crlf && text.contains('\n') {
        new.replace("\r\n", "\n").replace('\n', "\r\n")
    } else {
        new
    })
}

/// Whether two items say the same, however they are written.
fn is_same(known: &Item, item: &Item) -> bool {
    let texts = |item: &Item| {
        let items = item.as_array()?.iter();
        items
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
    };
    match (known.as_str(), item.as_str()) {
        (Some(known), Some(text)) => known == text,
        (None, None) => texts(known).is_some() && texts(known) == texts(item),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
