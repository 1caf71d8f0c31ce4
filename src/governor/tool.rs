//! What `sanctum__tools` does and answers, action by action. Knows no transport.

use serde_json::{Value, json};

use super::attachments::Attached;
use super::profiles::{Hint, Profiles};
use super::request::{ACTIONS, MAX_EXCEPTIONS, NAME};
use super::tool_index::{ToolIndex, like, words};

/// Unknown names that are answered one by one; the rest are counted.
const MAX_REFUSED: usize = 10;
/// Tools that an intent brings up, at most.
const MAX_MATCHES: usize = 20;

/// What a request may look at.
#[derive(Debug)]
pub struct View<'a> {
    /// The tools there are.
    pub tool_index: &'a ToolIndex<'a>,
    /// Whether more may still appear, because plugins have not all answered.
    pub loading: bool,
    /// The profiles there are.
    pub profiles: &'a Profiles,
}

/// An answer, or a refusal with its reason: both are the JSON that the client gets.
pub type Outcome = Result<Value, Value>;

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
                let names = sorted(self.tool_index.names());
                let detached = sorted(self.tool_index.names().filter(|n| !attached.holds(n)));
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
            .tool_index
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
    pub fn attach(&self, names: &[String], attached: &mut Attached) -> Outcome {
        let mut done = Vec::new();
        let mut unknown = Vec::new();
        for name in names {
            if name == NAME {
                done.push(NAME);
            } else if let Some(tool) = self.tool_index.find(name) {
                attached.add(tool);
                done.push(tool);
            } else {
                unknown.push(name.as_str());
            }
        }
        self.finish("attached", &done, self.refused(&unknown), attached)
    }

    /// `detach`.
    pub fn detach(&self, names: &[String], attached: &mut Attached) -> Outcome {
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
            match self.tool_index.find(name).map(str::to_owned).or(gone) {
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
    pub fn attach_profile(&self, name: Option<&str>, attached: &mut Attached) -> Outcome {
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
        let names = self.tool_index.names().filter(|name| attached.holds(name));
        sorted(names.chain([NAME]))
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
        let near = self.tool_index.like(name);
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

    fn finish(&self, what: &str, done: &[&str], faults: Vec<Value>, after: &Attached) -> Outcome {
        if after.exceptions() > MAX_EXCEPTIONS {
            return Err(json!({"error": format!(
                "more than {MAX_EXCEPTIONS} exceptions from the profile '{}'; nothing was changed: \
                 ask for a profile that fits, or attach-profile to another one", after.profile().name
            )}));
        }
        let mut answer = json!({what: done});
        if !faults.is_empty() {
            answer["refused"] = json!(faults);
        }
        answer["attached_set"] = json!(self.attached_set(after));
        Ok(answer)
    }
}

/// Names in alphabetical order, as version 3 gave them.
fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
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
