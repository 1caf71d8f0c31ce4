//! `smcp config`: which settings are in force, and where each comes from.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::diagnostics::warn;
use super::setup::{BAD_SETTINGS, say};
use crate::config::{Kind, Origin, Report, Row, switch_value};

/// Up to where the values are filled up with white space, in characters; their sources stand behind one more.
const VALUE_WIDTH: usize = 43;

/// Prints the settings, as a settings file or as JSON, and says on standard error what is wrong with them.
pub(super) fn run(report: &Report, json: bool) -> ExitCode {
    if json {
        say(format_args!("{:#}", as_json(report)));
    } else {
        print(report);
    }
    warn(report.faults.iter().chain(&report.mistakes));
    match report.faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(BAD_SETTINGS),
    }
}

/// What a settings file would have to say for the same settings; secrets are left out.
fn print(report: &Report) {
    for file in &report.files {
        say(format_args!("# settings file: {}", file.display()));
    }
    for row in &report.rows {
        let key = row.setting.key();
        let source = source(row);
        match &row.value {
            None => say(format_args!("# {key} is not set")),
            Some(_) if row.is_hidden => {
                say(with_source(
                    &format!("# {key} is set, and not shown"),
                    &source,
                ));
            }
            Some(value) => {
                // A default that changes one day is to change with it.
                let unsaid = if row.origin.is_none() { "# " } else { "" };
                let text = format!("{unsaid}{key} = {}", literal(row.setting.kind, value));
                say(with_source(&text, &source));
            }
        }
    }
}

fn with_source(text: &str, source: &str) -> String {
    format!("{text:VALUE_WIDTH$} # {source}")
}

fn source(row: &Row) -> String {
    match &row.origin {
        None => "default".to_owned(),
        Some(Origin::Flag(flag)) => (*flag).to_owned(),
        Some(Origin::Environment) => row.setting.variable.to_owned(),
        Some(Origin::File(line)) => line.to_string(),
        Some(Origin::Elsewhere(place)) => place.clone(),
    }
}

fn as_json(report: &Report) -> Value {
    let files = report.files.iter().map(|file| file.display().to_string());
    json!({
        "settings": report.rows.iter().map(row_as_json).collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
        "faults": report.faults,
        "mistakes": report.mistakes,
    })
}

fn row_as_json(row: &Row) -> Value {
    let source = match &row.origin {
        None => json!({"kind": "default"}),
        Some(Origin::Flag(flag)) => json!({"kind": "flag", "name": flag}),
        Some(Origin::Environment) => {
            json!({"kind": "environment", "name": row.setting.variable})
        }
        Some(Origin::File(line)) => json!({
            "kind": "file",
            "file": line.file.display().to_string(),
            "line": line.number,
        }),
        Some(Origin::Elsewhere(place)) => json!({"kind": "elsewhere", "name": place}),
    };
    let value = row.value.as_ref().filter(|_| !row.is_hidden);
    json!({
        "key": row.setting.key(),
        "variable": row.setting.variable,
        "flag": row.setting.flag,
        "set": row.value.is_some(),
        "secret": row.is_hidden,
        "value": value.map(|value| typed(row.setting.kind, value)),
        "source": source,
    })
}

/// A value with the type that it has in a file; a text where it is none of that type.
fn typed(kind: Kind, value: &str) -> Value {
    let text = || Value::from(value);
    match kind {
        Kind::Text | Kind::Path | Kind::Program => text(),
        Kind::Switch => switch_value(value).map_or_else(text, Value::from),
        Kind::Whole => value.parse::<i64>().map_or_else(|_| text(), Value::from),
        Kind::Number | Kind::Time => match (value.parse::<i64>(), value.parse::<f64>()) {
            (Ok(whole), _) => Value::from(whole),
            (_, Ok(number)) if number.is_finite() => Value::from(number),
            _ => text(),
        },
        Kind::List => {
            let entries = value.split(',').map(str::trim);
            entries.filter(|entry| !entry.is_empty()).collect()
        }
    }
}

/// A value as TOML has it.
fn literal(kind: Kind, value: &str) -> String {
    let quoted = |text: &str| toml_edit::Value::from(text).to_string();
    match typed(kind, value) {
        Value::String(text) => quoted(&text),
        Value::Array(entries) => {
            let entries = entries.iter().filter_map(Value::as_str).map(quoted);
            format!("[{}]", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_stands_apart_from_its_value_however_long_that_is() {
        assert_eq!(
            with_source("port = 1", "x").find('#'),
            Some(VALUE_WIDTH + 1)
        );
        let long = "p".repeat(100);
        assert_eq!(with_source(&long, "x"), format!("{long} # x"));
    }

    #[test]
    fn values_have_the_types_of_a_file_and_stay_what_they_are() {
        for (kind, value, expected) in [
            (Kind::Text, "a \"b\"\\", r#"'a "b"\'"#),
            (Kind::Text, "8000", r#""8000""#),
            (Kind::Switch, "YES", "true"),
            (Kind::Switch, "perhaps", r#""perhaps""#),
            (Kind::Whole, "8000", "8000"),
            (Kind::Whole, "many", r#""many""#),
            (Kind::Time, "30s", r#""30s""#),
            (Kind::Time, "1.5", "1.5"),
            (Kind::Time, "inf", r#""inf""#),
            (Kind::List, "a, b,,c", r#"["a", "b", "c"]"#),
        ] {
            let written = literal(kind, value);
            assert_eq!(written, expected, "{kind:?} {value}");
            let line: toml_edit::DocumentMut = format!("x = {written}").parse().unwrap();
            assert!(line.get("x").is_some(), "{written}");
        }
    }
}
