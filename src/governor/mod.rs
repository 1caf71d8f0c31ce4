//! The governor: which tools a client sees and may call.
//!
//! A convenience and no access control: whoever may call may attach. Knows no session and no
//! protocol; a caller is a [`Client`], and [`Governor`] is all that the floors above need.

pub mod attachments;
pub mod profile_error;
mod profile_files;
mod profiles;
pub mod request;
pub mod tool;
pub mod tool_index;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;
use serde_json::{Value, json};

pub use attachments::Client;
use attachments::{Attached, Attachments};
pub use profiles::{Error, FULL, Profiles, Settings};
pub use request::NAME;
use request::Request;
use tool::{Outcome, View};
use tool_index::{IndexedTool, ToolIndex};

use crate::call::types::CallError;
use crate::catalog::{Snapshot, Visible};

/// Profiles, and who has what attached.
#[derive(Debug)]
pub struct Governor {
    profiles: Profiles,
    attachments: Attachments,
    definition: Box<RawValue>,
}

/// What `sanctum__tools` answers.
#[derive(Debug)]
pub struct Reply {
    /// One JSON object, for a text block.
    pub json: String,
    /// Whether it is a refusal.
    pub is_error: bool,
    /// Whether the caller's list is another one now: every session of the same [`Client`] is to be told.
    pub changed: bool,
}

impl Governor {
    /// A governor by these profiles, with nothing changed by anybody.
    pub fn new(profiles: Profiles) -> Self {
        Self {
            attachments: Attachments::new(Arc::clone(profiles.start())),
            definition: request::definition(&profiles),
            profiles,
        }
    }

    /// The `tools/list` entry of `sanctum__tools`.
    pub fn definition(&self) -> &RawValue {
        &self.definition
    }

    /// Which tools of the catalogue `who` sees.
    pub fn visible(&self, who: &Client, snapshot: &Snapshot) -> Visible {
        let attached = self.attachments.of(who, Instant::now());
        if attached.holds_all() {
            return Visible::All;
        }
        let tools = snapshot.tools.iter();
        Visible::Only(tools.map(|tool| attached.holds(&tool.name)).collect())
    }

    /// Lets `who` call a tool.
    ///
    /// # Errors
    /// The tool is not attached; the text says how to attach it.
    pub fn admit(&self, who: &Client, tool: &str) -> Result<(), CallError> {
        if self.attachments.of(who, Instant::now()).holds(tool) {
            return Ok(());
        }
        Err(CallError::NotAttached(refusal(who, tool)))
    }

    /// Runs one call of `sanctum__tools`.
    pub fn run_tool(
        &self,
        who: &Client,
        snapshot: &Snapshot,
        arguments: Option<&RawValue>,
    ) -> Reply {
        let tool_index = ToolIndex::of(snapshot.tools.iter().map(|tool| IndexedTool {
            name: &tool.name,
            definition: &tool.definition,
        }));
        let view = View {
            tool_index: &tool_index,
            loading: !snapshot.complete,
            profiles: &self.profiles,
        };
        self.answer(who, &view, arguments)
    }

    /// Forgets what a session had attached. Call it when the session's last call has ended.
    pub fn forget_session(&self, session: &str) {
        self.attachments.forget_session(session);
    }

    /// What profiles ask for and no plugin gives: one sentence each, for the log and `smcp check`.
    pub fn unmatched(&self, snapshot: &Snapshot) -> Vec<String> {
        let names: HashSet<&str> = snapshot.tools.iter().map(|tool| &*tool.name).collect();
        let profiles = self.profiles.all();
        profiles
            .flat_map(|profile| {
                let missing = profile.unmatched(&names).into_iter();
                missing.map(|what| {
                    let name = &profile.name;
                    format!("the profile '{name}' asks for {what}, which no plugin gives")
                })
            })
            .collect()
    }

    fn answer(&self, who: &Client, view: &View<'_>, arguments: Option<&RawValue>) -> Reply {
        let now = Instant::now();
        let attached = self.attachments.of(who, now);
        let (answer, changed) = match Request::parse(arguments) {
            Err(why) => (Err(json!({"error": why.to_string()})), false),
            Ok(Request::Help { intent }) => (Ok(view.help(intent.as_deref(), &attached)), false),
            Ok(Request::ListAvailable { intent }) => {
                (Ok(view.list_available(intent.as_deref(), &attached)), false)
            }
            Ok(Request::ListAttached) => (Ok(view.list_attached(&attached)), false),
            Ok(_) if *who == Client::Nobody => (Err(json!({"error": FIXED})), false),
            Ok(Request::Attach(names)) => {
                self.change(who, view, now, |attached| view.attach(&names, attached))
            }
            Ok(Request::Detach(names)) => {
                self.change(who, view, now, |attached| view.detach(&names, attached))
            }
            Ok(Request::AttachProfile(name)) => self.change(who, view, now, |attached| {
                view.attach_profile(name.as_deref(), attached)
            }),
        };
        let is_error = answer.is_err();
        let (Ok(json) | Err(json)) = answer;
        Reply {
            json: json.to_string(),
            is_error,
            changed,
        }
    }

    fn change(
        &self,
        who: &Client,
        view: &View<'_>,
        now: Instant,
        change: impl FnOnce(&mut Attached) -> Outcome,
    ) -> (Outcome, bool) {
        let outcome = self.attachments.change(who, now, |attached| {
            let before = attached.clone();
            let answer = change(attached)?;
            let mut names = view.tool_index.names();
            let changed = names.any(|name| before.holds(name) != attached.holds(name));
            Ok::<_, Value>((answer, changed))
        });
        match outcome {
            Ok((answer, changed)) => (Ok(answer), changed),
            Err(refusal) => (Err(refusal), false),
        }
    }
}

/// Why a request that nothing identifies cannot attach.
const FIXED: &str = "this request carries nothing that attachments could belong to, so its list is \
                     the start profile's; send an API key, or use a revision with sessions";

fn refusal(who: &Client, tool: &str) -> String {
    if *who == Client::Nobody {
        return format!("{tool} is not attached: {FIXED}");
    }
    format!(
        "{tool} is not attached; call {NAME} with {{\"action\":\"attach\",\"tool\":\"{tool}\"}}, \
         or with action attach-profile"
    )
}

#[cfg(test)]
mod tests;
