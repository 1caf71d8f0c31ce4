//! What a running program asks of the client: each question, what it needs, and what its answer must be.
//!
//! Knows no client: it is told what one declares and what one answers.

mod params;

use jsonschema::Validator;
use serde_json::Value;
use serde_json::value::RawValue;

pub use params::QuestionKind;

use crate::contract::{Capability, ClientCapabilities};
use crate::jsonrpc::members;
use crate::text::{excerpt, in_quotes};

/// How many questions one line may hold.
const MAX_QUESTIONS: usize = 64;

/// How large the schemas of all forms of a line may be, in bytes as JSON: they are compiled on the event loop.
const MAX_SCHEMAS: usize = 64 << 10;

/// How large the content of a form may be that is held against its schema, in bytes as JSON.
const MAX_CONTENT: usize = 256 << 10;

/// How much of a fault a message quotes, in bytes.
const QUOTED: usize = 200;

/// The key that an answer line has when there are no answers.
const ERROR: &str = "error";

/// One question of a program.
#[derive(Debug)]
pub struct Question {
    /// By which the program finds the answer; unique in its line.
    pub key: String,
    /// What kind of question it is.
    pub kind: QuestionKind,
    /// What is asked, as every client can read it.
    pub params: Value,
    /// What the content of an accepted form must be.
    form: Option<Validator>,
}

impl Question {
    /// The questions of one line, in their order. `asked` is the object of questions by key.
    ///
    /// # Errors
    /// What is wrong with one of them, in words for the program's author.
    pub fn read_all(asked: &RawValue) -> Result<Vec<Self>, String> {
        let asked = members::members(asked.get())
            .map_err(|_| "ask must be an object of questions by key".to_owned())?;
        if asked.len() > MAX_QUESTIONS {
            return Err(format!(
                "{} questions at once; at most {MAX_QUESTIONS} can be asked in one line",
                asked.len()
            ));
        }
        let mut questions: Vec<Self> = Vec::new();
        let mut room = MAX_SCHEMAS;
        for (key, question) in asked {
            if questions.iter().any(|known| known.key == key) {
                return Err(key_used_twice(&key));
            }
            questions.push(Self::read(key, &question, &mut room)?);
        }
        Ok(questions)
    }

    fn read(key: String, question: &RawValue, room: &mut usize) -> Result<Self, String> {
        let name = in_quotes(&key);
        if key == ERROR {
            return Err(format!(
                "a question must not have the key {name}: it stands for a failure"
            ));
        }
        let mut question: Value = serde_json::from_str(question.get())
            .map_err(|fault| format!("question {name}: {fault}"))?;
        let kind = QuestionKind::ALL
            .into_iter()
            .find(|kind| question.get(kind.member()).is_some_and(Value::is_object))
            .ok_or_else(|| {
                format!("question {name} must have one object: elicit, sample or roots")
            })?;
        let asked = question[kind.member()].take();
        let read = || {
            take_room(&asked, room)?;
            let params = params::readable(kind, asked)?;
            let form = form(&params)?;
            Ok((params, form))
        };
        let (params, form) = read().map_err(|fault: String| format!("question {name}: {fault}"))?;
        Ok(Self {
            key,
            kind,
            params,
            form,
        })
    }

    /// The name of what the question needs and a client does not declare.
    pub fn missing(&self, declared: ClientCapabilities) -> Option<&'static str> {
        let params = &self.params;
        let has = |member: &str| params.get(member).is_some();
        let needed = match self.kind {
            QuestionKind::Elicit if self.is_address() => {
                vec![Capability::Elicitation, Capability::ElicitationUrl]
            }
            QuestionKind::Elicit => vec![Capability::Elicitation, Capability::ElicitationForm],
            QuestionKind::Sample => {
                let mut needed = vec![Capability::Sampling];
                if has("tools") || has("toolChoice") {
                    needed.push(Capability::SamplingTools);
                }
                if params
                    .get("includeContext")
                    .is_some_and(|context| context != "none")
                {
                    needed.push(Capability::SamplingContext);
                }
                needed
            }
            QuestionKind::Roots => vec![Capability::Roots],
        };
        let missing = declared.missing(needed.into_iter().collect());
        missing.first().copied()
    }

    /// What it uses that only clients from revision 2025-11-25 on can read.
    pub fn recent(&self) -> Option<&'static str> {
        params::recent(self.kind, &self.params)
    }

    /// Whether it sends the user to an address.
    pub fn is_address(&self) -> bool {
        self.kind == QuestionKind::Elicit && self.params["mode"] == "url"
    }

    /// Whether `answer` is one to this question, accepted content included.
    ///
    /// # Errors
    /// Why it is none.
    pub fn check(&self, answer: &Value) -> Result<(), String> {
        match self.kind {
            QuestionKind::Elicit => self.check_elicited(answer),
            QuestionKind::Sample if !answer["role"].is_string() => Err("it has no role".to_owned()),
            QuestionKind::Sample if answer.get("content").is_none() => {
                Err("it has no content".to_owned())
            }
            QuestionKind::Roots if !answer["roots"].is_array() => {
                Err("it has no list of roots".to_owned())
            }
            QuestionKind::Sample | QuestionKind::Roots => Ok(()),
        }
    }

    fn check_elicited(&self, answer: &Value) -> Result<(), String> {
        let nothing = Value::Object(serde_json::Map::new());
        match (answer["action"].as_str(), &self.form) {
            (Some("accept"), Some(form)) => {
                let given = answer.get("content");
                let content = given.filter(|content| !content.is_null());
                let content = content.unwrap_or(&nothing);
                let length = content.to_string().len();
                if length > MAX_CONTENT {
                    return Err(format!(
                        "its content has {length} bytes; the limit is {MAX_CONTENT}"
                    ));
                }
                form.validate(content).map_err(|fault| {
                    let place = fault.instance_path().as_str();
                    format!("content{place}: {}", excerpt(&fault, QUOTED))
                })
            }
            (Some("accept" | "decline" | "cancel"), _) => Ok(()),
            _ => Err("its action is none of accept, decline, cancel".to_owned()),
        }
    }
}

/// What a program is told that asks a second question by the key of another.
pub fn key_used_twice(key: &str) -> String {
    format!(
        "the key {} stands for another question of this run already; give each question a key of its own",
        in_quotes(key)
    )
}

/// Takes what the schema of a form needs from `room`: how large all of them may be.
fn take_room(params: &Value, room: &mut usize) -> Result<(), String> {
    let Some(schema) = params.get("requestedSchema") else {
        return Ok(());
    };
    *room = room.checked_sub(schema.to_string().len()).ok_or_else(|| {
        format!("requestedSchema is too large; all schemas of a line may have {MAX_SCHEMAS} bytes")
    })?;
    Ok(())
}

/// The check for what is filled into a form; `None` for what is no form.
fn form(params: &Value) -> Result<Option<Validator>, String> {
    let is_address = params["mode"] == "url";
    let Some(schema) = params.get("requestedSchema").filter(|_| !is_address) else {
        return Ok(None);
    };
    // Fetches nothing: a reference that leaves the schema is a fault of the schema.
    let validator = jsonschema::validator_for(schema).map_err(|fault| {
        format!(
            "requestedSchema is no valid JSON Schema: {}",
            excerpt(&fault, QUOTED)
        )
    })?;
    Ok(Some(validator))
}

#[cfg(test)]
mod tests;
