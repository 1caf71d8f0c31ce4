//! `sanctum__tools` as a client sees it: its definition, and the arguments of a call. Answers nothing.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::profiles::Profiles;
use crate::text::cut;

/// The governor's own tool. It is always attached.
pub use crate::catalog::GOVERNOR_TOOL as NAME;
/// Exceptions from its profile that one client may make; more of them are a profile.
pub const MAX_EXCEPTIONS: usize = 1_000;
/// Characters of a name or an intent that are looked at: comparing takes time that grows with them.
const MAX_TEXT: usize = 256;

/// The actions and what each does, as `help` gives them.
pub const ACTIONS: [(&str, &str); 6] = [
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

/// Why a request cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Something of another type than the schema says.
    #[error("the arguments of {NAME} do not fit its schema: {0}")]
    Misfit(String),
    /// No action is named.
    #[error("action is missing; say one of {}", actions())]
    NoAction,
    /// No action has this name.
    #[error("unknown action: {0}; say one of {known}", known = actions())]
    UnknownAction(String),
    /// More names than one client may have exceptions.
    #[error(
        "{action} takes at most {MAX_EXCEPTIONS} names, but got {given}; a profile can hold more"
    )]
    TooManyNames {
        /// The action.
        action: &'static str,
        /// How many there were.
        given: usize,
    },
    /// A name begins like this and goes on for too long.
    #[error("'{0}…' is no tool's name: none is that long")]
    LongName(String),
}

impl Request {
    /// Reads the tool's arguments.
    ///
    /// # Errors
    /// What is wrong and what is expected, for the model to read.
    pub fn parse(arguments: Option<&RawValue>) -> Result<Self, InvalidRequest> {
        let misfit = InvalidRequest::Misfit;
        let given = arguments.map_or("{}", RawValue::get);
        // serde would take an array for the members in their order.
        if !given.starts_with('{') {
            return Err(misfit("they must be an object".to_owned()));
        }
        let given: Arguments =
            serde_json::from_str(given).map_err(|error| misfit(error.to_string()))?;
        let action = cut(given.action.as_deref().unwrap_or_default(), MAX_TEXT);
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
                let name = said(given.profile).map(|name| cut(&name, MAX_TEXT).to_owned());
                Ok(Self::AttachProfile(name))
            }
            "" => Err(InvalidRequest::NoAction),
            _ => Err(InvalidRequest::UnknownAction(action.to_owned())),
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
        said(self.intent).map(|intent| cut(&intent, MAX_TEXT).to_owned())
    }

    fn names(self, action: &'static str) -> Result<Vec<String>, InvalidRequest> {
        let both = [self.tool, self.tools].into_iter().flatten();
        let given: Vec<String> = both.flat_map(Names::into_vec).collect();
        if given.len() > MAX_EXCEPTIONS {
            return Err(InvalidRequest::TooManyNames {
                action,
                given: given.len(),
            });
        }
        if let Some(long) = given.iter().find(|name| cut(name, MAX_TEXT) != *name) {
            return Err(InvalidRequest::LongName(cut(long, MAX_TEXT).to_owned()));
        }
        let mut seen = HashSet::new();
        let names = given.iter().map(|name| name.trim().to_owned());
        Ok(names
            .filter(|name| !name.is_empty() && seen.insert(name.clone()))
            .collect())
    }
}

fn said(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}
