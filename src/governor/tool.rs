//! `sanctum__tools`: what a client says to the governor, and what it is answered. Knows no transport.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::attachments::Attached;
use super::profiles::{Hint, Profiles};
use super::shelf::{Shelf, like, words};

/// The governor's own tool. It is always attached.
pub const NAME: &str = "sanctum__tools";
/// Exceptions from its profile that one client may make; more of them are a profile.
const MAX_EXCEPTIONS: usize = 1_000;
/// Unknown names that are answered one by one; the rest are counted.
const MAX_REFUSED: usize = 10;
/// Characters of a name or an intent that are looked at.
const MAX_TEXT: usize = 256;
/// Tools that an intent brings up, at most.
const MAX_MATCHES: usize = 20;

/// The actions and what each does, as `help` gives them.
const ACTIONS: [(&str, &str); 6] = [
    ("help", "how this works; with intent, the hints that fit it"),
    (
        "list-available",
        "every tool there is; with intent, those that fit it, described",
    ),
    ("list-attached", "the tools you can call now"),
    ("attach", "make a tool, or several tools, callable"),
    ("detach", "take a tool, or several tools, off your list"),
    (
        "attach-profile",
        "start over with the tools of one profile; without a name, the one you started with",
    ),
];

/// The `tools/list` entry.
pub fn definition(profiles: &Profiles) -> Box<RawValue> {
    let actions = ACTIONS.map(|(name, _)| name);
    let profiles: Vec<_> = profiles.names().collect();
    let definition = json!({
        "name": NAME,
        "title": "Attached tools",
        "description": "Choose which tools you can call: list what there is, attach and detach tools, \
                        or switch to a profile. A tool that is missing from your list may only be detached: \
                        ask with action list-available and your intent.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": actions, "description": "What to do; help explains it."},
                "tool": {"type": "string", "description": "For attach and detach: one tool's name."},
                "tools": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "For attach and detach: several tools' names.",
                },
                "profile": {"type": "string", "enum": profiles, "description": "For attach-profile: its name."},
                "intent": {
                    "type": "string",
                    "description": "For help and list-available: what you want to do, in a few words.",
                },
            },
            "required": ["action"],
            "additionalProperties": false,
        },
        "annotations": {
            "readOnlyHint": false,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false,
        },
    });
    serde_json::value::to_raw_value(&definition).expect("a Value whose keys are strings serialises")
}

/// What was asked for.
#[derive(Debug)]
pub enum Request {
    /// How this works.
    Help {
        /// Only hints that fit it.
        intent: Option<String>,
    },
    /// What there is.
    ListAvailable {
        /// Only tools that fit it.
        intent: Option<String>,
    },
    /// What can be called.
    ListAttached,
    /// Make these callable.
    Attach(Vec<String>),
    /// Take these off.
    Detach(Vec<String>),
    /// Start over from a profile; `None` is the one clients start with.
    AttachProfile(Option<String>),
}

impl Request {
    /// Reads the tool's arguments. The error says what is wrong and what is expected.
    pub fn parse(arguments: Option<&RawValue>) -> Result<Self, String> {
        let misfit = |why: String| format!("the arguments of {NAME} do not fit its schema: {why}");
        let given = arguments.map_or("{}", RawValue::get);
        // serde would take an array for the members in their order.
        if !given.starts_with('{') {
            return Err(misfit("they must be an object".to_owned()));
        }
        let given: Arguments =
            serde_json::from_str(given).map_err(|error| misfit(error.to_string()))?;
        let action = cut(given.action.as_deref().unwrap_or_default());
        match action.trim().to_lowercase().replace('_', "-").as_str() {
            "help" => Ok(Self::Help {
                intent: given.intent(),
            }),
            "list-available" => Ok(Self::ListAvailable {
                intent: given.intent(),
            }),
            "list-attached" => Ok(Self::ListAttached),
            "attach" => given.names("attach").map(Self::Attach),
            "detach" => given.names("detach").map(Self::Detach),
            "attach-profile" => {
                let name = said(given.profile).map(|name| cut(&name).to_owned());
                Ok(Self::AttachProfile(name))
            }
            "" => Err(format!("action is missing; say one of {}", actions())),
            _ => Err(format!(
                "unknown action: {action}; say one of {}",
                actions()
            )),
        }
    }
}

fn actions() -> String {
    ACTIONS.map(|(name, _)| name).join(", ")
}

#[derive(Deserialize)]
struct Arguments {
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    tool: Option<Names>,
    #[serde(default)]
    tools: Option<Names>,
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    intent: Option<String>,
}

/// Models mix up `tool` and `tools`, and some wrap a one-element array; what is meant is clear each time.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "tool and tools take a name or an array of names"
)]
enum Names {
    One(String),
    Many(Vec<String>),
    Wrapped { item: Box<Names> },
}

impl Names {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name],
            Self::Many(names) => names,
            Self::Wrapped { item } => item.into_vec(),
        }
    }
}

impl Arguments {
    fn intent(self) -> Option<String> {
        said(self.intent).map(|intent| cut(&intent).to_owned())
    }

    fn names(self, action: &str) -> Result<Vec<String>, String> {
        let both = [self.tool, self.tools].into_iter().flatten();
        let given: Vec<String> = both.flat_map(Names::into_vec).collect();
        if given.len() > MAX_EXCEPTIONS {
            return Err(format!(
                "{action} takes at most {MAX_EXCEPTIONS} names, but got {}; a profile can hold more",
                given.len()
            ));
        }
        if let Some(long) = given.iter().find(|name| cut(name) != *name) {
            return Err(format!(
                "'{}…' is no tool's name: none is that long",
                cut(long)
            ));
        }
        let mut seen = HashSet::new();
        let names = given.iter().map(|name| name.trim().to_owned());
        let names: Vec<String> = names
            .filter(|name| !name.is_empty() && seen.insert(name.clone()))
            .collect();
        if names.is_empty() {
            return Err(format!(
                "{action} needs tool or tools, such as {{\"action\":\"{action}\",\"tool\":\"plugin__command\"}}"
            ));
        }
        Ok(names)
    }
}

/// The part of a text that is looked at: comparing takes time that grows with what the client sends.
fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_TEXT).map(|(end, _)| end);
    &text[..end.unwrap_or(text.len())]
}

fn said(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// What a request may look at.
#[derive(Debug)]
pub struct View<'a> {
    /// The tools there are.
    pub shelf: &'a Shelf<'a>,
    /// Whether more may still appear, because plugins have not all answered.
    pub loading: bool,
    /// The profiles there are.
    pub profiles: &'a Profiles,
}

/// An answer, or a refusal with its reason: both are the JSON that the client gets.
pub type Answer = Result<Value, Value>;

impl View<'_> {
    /// `help`.
    pub fn help(&self, intent: Option<&str>, attached: &Attached) -> Value {
        let hints = self.profiles.hints().iter();
        let matches: Vec<_> = hints
            .filter(|hint| intent.is_none_or(|intent| fits(hint, intent)))
            .map(|hint| &hint.entry)
            .collect();
        let names: Vec<_> = self.profiles.names().collect();
        let actions: serde_json::Map<_, _> = ACTIONS
            .iter()
            .map(|(name, what)| ((*name).to_owned(), json!(what)))
            .collect();
        json!({
            "matches": matches,
            "actions": actions,
            "profile": attached.profile().name,
            "profiles": names,
            "note": format!(
                "Calling a detached tool answers how to attach it. \
                 Use attach-profile with one of: {}.", names.join(", ")
            ),
        })
    }

    /// `list-available`.
    pub fn list_available(&self, intent: Option<&str>, attached: &Attached) -> Value {
        let mut answer = match intent {
            None => {
                let names: Vec<_> = self.shelf.names().collect();
                let detached: Vec<_> = self.shelf.names().filter(|n| !attached.holds(n)).collect();
                json!({"tools": names, "detached": detached})
            }
            Some(intent) => self.fitting(intent, attached),
        };
        if self.loading {
            answer["note"] = json!("Some plugins are still loading; more tools may appear.");
        }
        answer
    }

    fn fitting(&self, intent: &str, attached: &Attached) -> Value {
        let hints: Vec<&Hint> = self.profiles.hints().iter().collect();
        let hints: Vec<&Hint> = hints.into_iter().filter(|h| fits(h, intent)).collect();
        let hint_for = |name: &str| hints.iter().find(|hint| hint.tool == name);
        let found = self
            .shelf
            .for_intent(intent, |name| hint_for(name).is_some());
        let found = &found[..found.len().min(MAX_MATCHES)];
        let matches: Vec<_> = found
            .iter()
            .map(|offer| {
                let mut entry = json!({
                    "tool": offer.name,
                    "description": offer.description(),
                    "attached": attached.holds(offer.name),
                });
                if let Some(hint) = hint_for(offer.name) {
                    entry["hint"] = hint.entry.clone();
                }
                entry
            })
            .collect();
        let names: Vec<_> = found.iter().map(|offer| offer.name).collect();
        json!({"tools": names, "matches": matches})
    }

    /// `list-attached`.
    pub fn list_attached(&self, attached: &Attached) -> Value {
        json!({
            "tools": self.attached_set(attached),
            "profile": attached.profile().name,
        })
    }

    /// `attach`.
    pub fn attach(&self, names: &[String], attached: &mut Attached) -> Answer {
        let mut done = Vec::new();
        let mut unknown = Vec::new();
        for name in names {
            if name == NAME {
                done.push(NAME);
            } else if let Some(tool) = self.shelf.find(name) {
                attached.add(tool);
                done.push(tool);
            } else {
                unknown.push(name.as_str());
            }
        }
        self.finish("attached", &done, self.refused(&unknown), attached)
    }

    /// `detach`.
    pub fn detach(&self, names: &[String], attached: &mut Attached) -> Answer {
        let mut done = Vec::new();
        let mut idle = Vec::new();
        let mut unknown = Vec::new();
        for name in names {
            if name == NAME {
                unknown.push(NAME);
                continue;
            }
            // A tool that has gone from the catalogue may still be on the client's own list.
            let gone = attached.added().find(|added| added == name);
            let gone = gone.map(str::to_owned);
            match self.shelf.find(name).map(str::to_owned).or(gone) {
                Some(tool) if attached.holds(&tool) => {
                    attached.remove(&tool);
                    done.push(tool);
                }
                Some(tool) => idle.push(tool),
                None => unknown.push(name.as_str()),
            }
        }
        let done: Vec<&str> = done.iter().map(String::as_str).collect();
        let mut answer = self.finish("detached", &done, self.refused(&unknown), attached);
        if !idle.is_empty() {
            let (Ok(answer) | Err(answer)) = &mut answer;
            answer["not_attached"] = json!(idle);
        }
        answer
    }

    /// `attach-profile`.
    pub fn attach_profile(&self, name: Option<&str>, attached: &mut Attached) -> Answer {
        let profile = match name {
            None => Some(self.profiles.start()),
            Some(name) => self.profiles.find(name),
        };
        let Some(profile) = profile else {
            let name = name.unwrap_or_default();
            let names: Vec<_> = self.profiles.names().collect();
            return Err(json!({
                "error": format!("unknown profile: {name}; there are: {}", names.join(", ")),
                "did_you_mean": like(name, self.profiles.names()),
                "profiles": names,
            }));
        };
        *attached = Attached::by(std::sync::Arc::clone(profile));
        Ok(json!({"profile": profile.name, "attached": self.attached_set(attached)}))
    }

    /// What the client can call now, the governor's own tool included.
    fn attached_set(&self, attached: &Attached) -> Vec<&str> {
        let names = self.shelf.names().filter(|name| attached.holds(name));
        names.chain([NAME]).collect()
    }

    fn refused(&self, names: &[&str]) -> Vec<Value> {
        let named = names.iter().take(MAX_REFUSED);
        let mut refused: Vec<_> = named.map(|name| self.refusal(name)).collect();
        if let Some(more) = names
            .len()
            .checked_sub(MAX_REFUSED)
            .filter(|more| *more > 0)
        {
            refused.push(json!({"reason": format!("{more} more names are unknown")}));
        }
        refused
    }

    fn refusal(&self, name: &str) -> Value {
        if name == NAME {
            let reason = format!("{NAME} cannot be detached: it is the way back");
            return json!({"tool": name, "reason": reason});
        }
        let near = self.shelf.like(name);
        let mut reason = if near.is_empty() {
            format!("no tool '{name}'; list-available names those there are")
        } else {
            format!("no tool '{name}'")
        };
        if self.loading {
            reason.push_str("; some plugins are still loading, so try again in a moment");
        }
        json!({"tool": name, "reason": reason, "did_you_mean": near})
    }

    fn finish(&self, what: &str, done: &[&str], faults: Vec<Value>, after: &Attached) -> Answer {
        if after.exceptions() > MAX_EXCEPTIONS {
            return Err(json!({"error": format!(
                "more than {MAX_EXCEPTIONS} exceptions from the profile '{}'; nothing was changed: \
                 ask for a profile that fits, or attach-profile to another one", after.profile().name
            )}));
        }
        let mut answer = json!({});
        if let [first, ..] = &faults[..]
            && done.is_empty()
        {
            answer["error"] = first["reason"].clone();
        }
        answer[what] = json!(done);
        if !faults.is_empty() {
            answer["refused"] = json!(faults);
        }
        answer["attached_set"] = json!(self.attached_set(after));
        if answer.get("error").is_some() {
            Err(answer)
        } else {
            Ok(answer)
        }
    }
}

/// Whether a hint speaks of an intent: it contains it, or the intent has all of the hint's words.
fn fits(hint: &Hint, intent: &str) -> bool {
    let intent = intent.to_lowercase();
    if hint.intent.to_lowercase().contains(&intent) || hint.tool.to_lowercase().contains(&intent) {
        return true;
    }
    let said = words(&intent);
    let about = words(&hint.intent);
    !about.is_empty() && about.iter().all(|word| said.contains(word))
}
