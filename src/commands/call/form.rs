//! One question of a program, asked line by line. Knows no terminal: lines go in, prompts come out.
//! <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation>

use serde_json::{Map, Value, json};

use crate::text::{cleaned, shown};

/// The line by which a user says no.
const NO: &str = ":no";
/// More fields than a form has.
const MAX_FIELDS: usize = 100;
/// The longest text of a server's that is shown as one line, in characters.
const MAX_SHOWN: usize = 500;

/// A question that is open.
#[derive(Debug)]
pub(super) struct Form {
    message: String,
    kind: Kind,
    content: Map<String, Value>,
}

#[derive(Debug)]
enum Kind {
    /// Fields to fill in, and which is the next.
    Fields { fields: Vec<Field>, at: usize },
    /// To be agreed to: an address to be opened, where there is one.
    Agreement { url: Option<String> },
}

#[derive(Debug)]
struct Field {
    name: String,
    schema: Value,
    is_required: bool,
}

/// What comes after a line.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Another line is needed. What to show before it.
    Ask(String),
    /// The answer, as the protocol has it.
    Answer(Value),
}

impl Form {
    /// Reads the parameters of `elicitation/create`.
    ///
    /// # Errors
    /// They are none that can be asked here.
    pub(super) fn read(params: &Value) -> Result<Self, String> {
        let message = params["message"].as_str().ok_or("message is missing")?;
        let message = cleaned(message);
        let kind = match params["mode"].as_str() {
            Some("url") => Kind::Agreement {
                url: Some(params["url"].as_str().ok_or("url is missing")?.to_owned()),
            },
            None | Some("form") => fields(&params["requestedSchema"])?,
            Some(mode) => return Err(format!("the mode {} is not known", shown(mode, 50))),
        };
        Ok(Self {
            message,
            kind,
            content: Map::new(),
        })
    }

    /// What is shown first.
    pub(super) fn opening(&self) -> String {
        let mut opening = format!("{}\n", self.message);
        match &self.kind {
            Kind::Fields { .. } => {
                opening.push_str(&format!("({NO} declines, Ctrl-D gives no answer)\n"));
            }
            Kind::Agreement { url: Some(url) } => {
                opening.push_str(&format!("{}\n", shown(url, 2048)));
            }
            Kind::Agreement { url: None } => {}
        }
        opening + &self.prompt()
    }

    /// The answer of somebody who gives none.
    pub(super) fn cancelled() -> Value {
        json!({"action": "cancel"})
    }

    fn prompt(&self) -> String {
        match &self.kind {
            Kind::Fields { fields, at } => fields[*at].prompt(),
            Kind::Agreement { url: Some(_) } => "opened and agreed? [y/n] ".to_owned(),
            Kind::Agreement { url: None } => "[y/n] ".to_owned(),
        }
    }

    /// Takes a line of the user's.
    pub(super) fn take(&mut self, line: &str) -> Next {
        let line = line.trim();
        let declined = || Next::Answer(json!({"action": "decline"}));
        if line == NO {
            return declined();
        }
        let Kind::Fields { fields, at } = &mut self.kind else {
            return match yes_or_no(line) {
                Some(true) if matches!(self.kind, Kind::Agreement { url: None }) => {
                    Next::Answer(json!({"action": "accept", "content": {}}))
                }
                Some(true) => Next::Answer(json!({"action": "accept"})),
                Some(false) => declined(),
                None => Next::Ask("please answer y or n: ".to_owned()),
            };
        };
        let field = &fields[*at];
        match field.read(line) {
            Ok(value) => {
                if let Some(value) = value {
                    self.content.insert(field.name.clone(), value);
                }
                *at += 1;
            }
            Err(why) => return Next::Ask(format!("{why}\n{}", field.prompt())),
        }
        if *at < fields.len() {
            return Next::Ask(self.prompt());
        }
        let content = std::mem::take(&mut self.content);
        Next::Answer(json!({"action": "accept", "content": content}))
    }
}

fn fields(schema: &Value) -> Result<Kind, String> {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    if properties.is_empty() {
        return Ok(Kind::Agreement { url: None });
    }
    if properties.len() > MAX_FIELDS {
        return Err(format!("a form has {MAX_FIELDS} fields at most"));
    }
    let required = schema["required"].as_array();
    let is_required =
        |name: &str| required.is_some_and(|required| required.iter().any(|known| known == name));
    let fields = properties.iter().map(|(name, schema)| Field {
        name: name.clone(),
        schema: schema.clone(),
        is_required: is_required(name),
    });
    Ok(Kind::Fields {
        fields: fields.collect(),
        at: 0,
    })
}

impl Field {
    fn prompt(&self) -> String {
        let text = |member: &str| self.schema[member].as_str();
        let title = text("title").unwrap_or(&self.name);
        let mut prompt = shown(title, MAX_SHOWN);
        if let Some(description) = text("description") {
            prompt.push_str(&format!(" ({})", shown(description, MAX_SHOWN)));
        }
        let choices = self.choices();
        for (number, (_, title)) in choices.iter().enumerate() {
            prompt.push_str(&format!("\n  {}. {}", number + 1, shown(title, MAX_SHOWN)));
        }
        if !choices.is_empty() {
            prompt.push('\n');
            if self.is_list() {
                prompt.push_str("one or more, separated by commas");
            } else {
                prompt.push_str("which one");
            }
        }
        if self.schema["type"] == "boolean" {
            prompt.push_str(" [y/n]");
        }
        match &self.schema["default"] {
            Value::Null if self.is_required => {}
            Value::Null => prompt.push_str(" [may be empty]"),
            Value::String(text) => prompt.push_str(&format!(" [{}]", shown(text, MAX_SHOWN))),
            other => prompt.push_str(&format!(" [{}]", shown(&other.to_string(), MAX_SHOWN))),
        }
        prompt.push_str(": ");
        prompt
    }

    fn is_list(&self) -> bool {
        self.schema["type"] == "array"
    }

    /// What may be chosen: each value, and how it is shown.
    fn choices(&self) -> Vec<(&str, &str)> {
        let of = if self.is_list() {
            &self.schema["items"]
        } else {
            &self.schema
        };
        let titled = [&of["oneOf"], &of["anyOf"]];
        if let Some(titled) = titled.into_iter().find_map(Value::as_array) {
            return titled
                .iter()
                .filter_map(|one| {
                    let value = one["const"].as_str()?;
                    Some((value, one["title"].as_str().unwrap_or(value)))
                })
                .collect();
        }
        let names = self.schema["enumNames"].as_array();
        let values = of["enum"].as_array().into_iter().flatten();
        let named = values.enumerate().filter_map(|(index, value)| {
            let value = value.as_str()?;
            let name = names.and_then(|names| names.get(index)?.as_str());
            Some((value, name.unwrap_or(value)))
        });
        named.collect()
    }

    /// The value that a line stands for; `None` where the field stays empty.
    fn read(&self, line: &str) -> Result<Option<Value>, String> {
        if line.is_empty() {
            return match &self.schema["default"] {
                Value::Null if self.is_required => Err("an answer is needed here".to_owned()),
                Value::Null => Ok(None),
                default => Ok(Some(default.clone())),
            };
        }
        let value = match self.schema["type"].as_str() {
            Some("boolean") => yes_or_no(line)
                .map(Value::from)
                .ok_or("please answer y or n")?,
            Some("integer" | "number") => {
                let number = serde_json::from_str::<serde_json::Number>(line);
                Value::Number(number.map_err(|_| "that is no number")?)
            }
            Some("array") => {
                let chosen = line.split(',').map(|one| self.choice(one.trim()));
                Value::Array(chosen.collect::<Result<_, _>>()?)
            }
            _ => self.choice(line)?,
        };
        self.check(&value)?;
        Ok(Some(value))
    }

    /// A choice by its number, its value or its title; any text where there are no choices.
    fn choice(&self, line: &str) -> Result<Value, String> {
        let choices = self.choices();
        if choices.is_empty() {
            return Ok(line.into());
        }
        let named = choices
            .iter()
            .find(|(value, title)| line == *value || line == *title);
        let by_number = || choices.get(line.parse::<usize>().ok()?.checked_sub(1)?);
        let (value, _) = named.or_else(by_number).ok_or_else(|| {
            format!(
                "that is none of them; give a number from 1 to {}",
                choices.len()
            )
        })?;
        Ok((*value).into())
    }

    /// What else the field's schema asks for. One that cannot be read asks for nothing.
    fn check(&self, value: &Value) -> Result<(), String> {
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&self.schema);
        let Ok(validator) = validator else {
            return Ok(());
        };
        let checked = validator.validate(value);
        checked.map_err(|fault| shown(&fault.to_string(), MAX_SHOWN))
    }
}

fn yes_or_no(line: &str) -> Option<bool> {
    match line.to_lowercase().as_str() {
        "y" | "yes" | "true" => Some(true),
        "n" | "no" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to these lines, and what was shown on the way.
    fn answered(params: &Value, lines: &[&str]) -> (Value, String) {
        let mut form = Form::read(params).unwrap();
        let mut shown = form.opening();
        for line in lines {
            match form.take(line) {
                Next::Ask(prompt) => shown.push_str(&prompt),
                Next::Answer(answer) => return (answer, shown),
            }
        }
        panic!("not answered by {lines:?}: {shown}");
    }

    fn form(properties: Value, required: &[&str]) -> Value {
        json!({"message": "Well?", "requestedSchema": {
            "type": "object", "properties": properties, "required": required
        }})
    }

    #[test]
    fn every_type_of_field_is_read_as_its_schema_has_it() {
        let colours = json!(["red", "green"]);
        for (schema, line, value) in [
            (json!({"type": "string"}), "Ada", json!("Ada")),
            (json!({"type": "string"}), "7", json!("7")),
            (json!({"type": "integer"}), "7", json!(7)),
            (json!({"type": "number"}), "-1.5", json!(-1.5)),
            (json!({"type": "boolean"}), "Yes", json!(true)),
            (json!({"type": "boolean"}), "n", json!(false)),
            (
                json!({"type": "string", "enum": colours}),
                "2",
                json!("green"),
            ),
            (
                json!({"type": "string", "enum": colours}),
                "red",
                json!("red"),
            ),
            (
                json!({"type": "string", "enum": colours, "enumNames": ["Rot", "Grün"]}),
                "Grün",
                json!("green"),
            ),
            (
                json!({"type": "string", "oneOf": [{"const": "a", "title": "An A"}]}),
                "An A",
                json!("a"),
            ),
            (
                json!({"type": "array", "items": {"type": "string", "enum": colours}}),
                "2, red",
                json!(["green", "red"]),
            ),
            (
                json!({"type": "array", "items": {"anyOf": [{"const": "a", "title": "A"}]}}),
                "1",
                json!(["a"]),
            ),
            (json!({"type": "string", "default": "x"}), "", json!("x")),
        ] {
            let params = form(json!({"field": schema}), &["field"]);
            let (answer, _) = answered(&params, &[line]);
            assert_eq!(
                answer,
                json!({"action": "accept", "content": {"field": value}}),
                "{schema} {line}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_asked_again_with_the_reason() {
        for (schema, wrong, why) in [
            (json!({"type": "integer"}), "many", "no number"),
            (
                json!({"type": "integer", "maximum": 5}),
                "9",
                "maximum of 5",
            ),
            (json!({"type": "integer"}), "1.5", "integer"),
            (json!({"type": "boolean"}), "perhaps", "y or n"),
            (
                json!({"type": "string", "minLength": 3}),
                "ab",
                "3 characters",
            ),
            (json!({"type": "string", "format": "email"}), "ada", "email"),
            (json!({"type": "string", "enum": ["a"]}), "2", "from 1 to 1"),
            (json!({"type": "string"}), "", "is needed"),
        ] {
            let params = form(json!({"field": schema}), &["field"]);
            let (answer, shown) = answered(&params, &[wrong, ":no"]);
            assert_eq!(answer, json!({"action": "decline"}));
            assert!(shown.contains(why), "{wrong}: {shown}");
        }
    }

    #[test]
    fn fields_follow_each_other_and_those_that_may_be_empty_are_left_out() {
        let properties = json!({
            "name": {"type": "string", "title": "Your name", "description": "in full"},
            "age": {"type": "integer"},
        });
        let (answer, shown) = answered(&form(properties, &["name"]), &["Ada", ""]);
        assert_eq!(
            answer,
            json!({"action": "accept", "content": {"name": "Ada"}})
        );
        assert!(
            shown.contains("Well?") && shown.contains("Your name (in full): "),
            "{shown}"
        );
        assert!(shown.contains("age [may be empty]: "), "{shown}");
    }

    #[test]
    fn what_has_nothing_to_fill_in_is_agreed_to_or_not() {
        let plain = form(json!({}), &[]);
        let url = json!({"message": "Sign in", "mode": "url", "url": "https://h.example/x"});
        assert_eq!(
            answered(&plain, &["what", "y"]).0,
            json!({"action": "accept", "content": {}})
        );
        let (answer, shown) = answered(&url, &["y"]);
        assert_eq!(answer, json!({"action": "accept"}));
        assert!(shown.contains("https://h.example/x"), "{shown}");
        assert_eq!(answered(&url, &["n"]).0, json!({"action": "decline"}));
    }

    #[test]
    fn nothing_of_a_servers_texts_steers_the_terminal() {
        let properties =
            json!({"a\u{1b}[2J": {"type": "string", "description": "x\u{1b}]0;t\u{7}"}});
        let mut params = form(properties, &[]);
        params["message"] = json!("\u{1b}[31mred\u{202e}");
        let opening = Form::read(&params).unwrap().opening();
        assert!(!opening.contains(['\u{1b}', '\u{7}']), "{opening:?}");
    }
}
