//! Names that tools had a moment ago: clients call what their list said when they read it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::plugin::Tool;

/// How long a former name is understood.
const UNDERSTOOD: Duration = Duration::from_secs(10 * 60);

/// How many of them are.
const MAX_NAMES: usize = 256;

/// Former names of commands that are served under another one now.
#[derive(Debug, Default)]
pub struct FormerNames(HashMap<String, Former>);

#[derive(Debug, Clone)]
struct Former {
    plugin: String,
    command: String,
    until: Instant,
}

impl FormerNames {
    /// Those `before` that still count, and those of `tools`, which were served before, that `is_served` no more.
    pub fn after<'a>(
        before: &Self,
        tools: impl Iterator<Item = &'a Arc<Tool>>,
        is_served: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Self {
        let known = before.0.iter().filter(|(_, former)| former.until > now);
        let known = known.map(|(name, former)| (name.clone(), former.clone()));
        let fresh = tools.map(|tool| {
            let former = Former {
                plugin: tool.plugin.clone(),
                command: tool.run.command.name.clone(),
                until: now + UNDERSTOOD,
            };
            (tool.name.clone(), former)
        });
        let all = fresh.chain(known).filter(|(name, _)| !is_served(name));
        Self(all.take(MAX_NAMES).collect())
    }

    /// Whether `name` was that of the command behind `tool`.
    pub fn mean(&self, name: &str, tool: &Tool, now: Instant) -> bool {
        self.0.get(name).is_some_and(|former| {
            former.until > now
                && former.plugin == tool.plugin
                && former.command == tool.run.command.name
        })
    }
}
