//! The methods that this server knows, and what is true of each. Knows no handler.

use crate::call::types::Listed;

/// A request's method. <https://modelcontextprotocol.io/specification/2025-11-25/schema>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `completion/complete`.
    Complete,
    /// `initialize`.
    Initialize,
    /// `logging/setLevel`.
    SetLevel,
    /// `ping`.
    Ping,
    /// `prompts/get`.
    GetPrompt,
    /// `prompts/list`.
    ListPrompts,
    /// `resources/list`.
    ListResources,
    /// `resources/read`.
    ReadResource,
    /// `resources/subscribe`.
    Subscribe,
    /// `resources/templates/list`.
    ListTemplates,
    /// `resources/unsubscribe`.
    Unsubscribe,
    /// `server/discover`, of 2026-07-28.
    Discover,
    /// `subscriptions/listen`, of 2026-07-28.
    Listen,
    /// `tasks/cancel`.
    CancelTask,
    /// `tasks/get`.
    GetTask,
    /// `tasks/list`, of 2025-11-25.
    ListTasks,
    /// `tasks/result`, of 2025-11-25.
    TaskResult,
    /// `tasks/update`, of 2026-07-28.
    UpdateTask,
    /// `tools/call`.
    CallTool,
    /// `tools/list`.
    ListTools,
    /// Any other.
    Unknown,
}

/// What a server may say it has: a family of methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `completions`.
    Completions,
    /// `prompts`.
    Prompts,
    /// `resources`.
    Resources,
    /// `tools`.
    Tools,
}

impl Family {
    /// All that there are.
    pub const ALL: [Self; 4] = [
        Self::Completions,
        Self::Prompts,
        Self::Resources,
        Self::Tools,
    ];

    /// Its name in `capabilities`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completions => "completions",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Tools => "tools",
        }
    }

    /// The family that a list belongs to.
    pub const fn of(list: Listed) -> Self {
        match list {
            Listed::Tools => Self::Tools,
            Listed::Prompts => Self::Prompts,
            Listed::Resources => Self::Resources,
        }
    }
}

/// What a request is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// A session, which began with `initialize`.
    Session,
    /// Nothing: one message by the rules of the newest revision with sessions.
    Direct,
    /// Nothing: one message of 2026-07-28, which brings what it needs.
    Stateless,
}

impl Method {
    /// All that are known.
    pub const ALL: [Self; 20] = [
        Self::Complete,
        Self::Initialize,
        Self::SetLevel,
        Self::Ping,
        Self::GetPrompt,
        Self::ListPrompts,
        Self::ListResources,
        Self::ReadResource,
        Self::Subscribe,
        Self::ListTemplates,
        Self::Unsubscribe,
        Self::Discover,
        Self::Listen,
        Self::CancelTask,
        Self::GetTask,
        Self::ListTasks,
        Self::TaskResult,
        Self::UpdateTask,
        Self::CallTool,
        Self::ListTools,
    ];

    /// The method of that name.
    pub fn parse(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == name)
            .unwrap_or(Self::Unknown)
    }

    /// Its name; `other` stands for all that are unknown, for clients could invent them without end.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "completion/complete",
            Self::Initialize => "initialize",
            Self::SetLevel => "logging/setLevel",
            Self::Ping => "ping",
            Self::GetPrompt => "prompts/get",
            Self::ListPrompts => "prompts/list",
            Self::ListResources => "resources/list",
            Self::ReadResource => "resources/read",
            Self::Subscribe => "resources/subscribe",
            Self::ListTemplates => "resources/templates/list",
            Self::Unsubscribe => "resources/unsubscribe",
            Self::Discover => "server/discover",
            Self::Listen => "subscriptions/listen",
            Self::CancelTask => "tasks/cancel",
            Self::GetTask => "tasks/get",
            Self::ListTasks => "tasks/list",
            Self::TaskResult => "tasks/result",
            Self::UpdateTask => "tasks/update",
            Self::CallTool => "tools/call",
            Self::ListTools => "tools/list",
            Self::Unknown => "other",
        }
    }

    /// Whether it runs a program, so that others of the same client must not wait behind it.
    pub const fn runs_a_program(self) -> bool {
        matches!(
            self,
            Self::CallTool | Self::GetPrompt | Self::ReadResource | Self::Complete
        )
    }

    /// Whether it is about tasks, and waits for the disk at least.
    pub const fn is_about_tasks(self) -> bool {
        matches!(
            self,
            Self::CancelTask
                | Self::GetTask
                | Self::ListTasks
                | Self::TaskResult
                | Self::UpdateTask
        )
    }

    /// Whether it goes on until it is ended.
    pub const fn is_open_ended(self) -> bool {
        matches!(self, Self::Listen)
    }

    /// Whether its program may ask the client while it runs.
    pub const fn may_ask(self) -> bool {
        matches!(self, Self::CallTool | Self::GetPrompt | Self::ReadResource)
    }

    /// Whether it exists in that setting.
    pub const fn exists_in(self, setting: Setting) -> bool {
        match (self, setting) {
            (Self::Unknown, _) => false,
            (Self::Discover | Self::Listen | Self::UpdateTask, _) => {
                matches!(setting, Setting::Stateless)
            }
            (Self::Subscribe | Self::Unsubscribe, _) => matches!(setting, Setting::Session),
            (
                Self::Initialize | Self::Ping | Self::SetLevel | Self::ListTasks | Self::TaskResult,
                Setting::Stateless,
            ) => false,
            _ => true,
        }
    }

    /// Whether a session answers it before its handshake.
    pub const fn needs_no_handshake(self) -> bool {
        matches!(self, Self::Initialize | Self::Ping)
    }

    /// Whether its result says for how long it holds (2026-07-28, `ttlMs` and `cacheScope`).
    pub const fn is_cacheable(self) -> bool {
        matches!(
            self,
            Self::Discover
                | Self::ListTools
                | Self::ListPrompts
                | Self::ListResources
                | Self::ListTemplates
                | Self::ReadResource
        )
    }

    /// Whether it is served once all plugins have answered: its answer would otherwise be wrong.
    pub const fn needs_all_plugins(self) -> bool {
        matches!(self, Self::ListTools) || self.family().is_some()
    }

    /// Whether an answer is owed even when the request was cancelled: `initialize` cannot be.
    pub const fn cannot_be_cancelled(self) -> bool {
        matches!(self, Self::Initialize)
    }

    /// The list that it reads.
    pub const fn list(self) -> Option<Listed> {
        match self {
            Self::ListTools => Some(Listed::Tools),
            Self::ListPrompts => Some(Listed::Prompts),
            Self::ListResources | Self::ListTemplates => Some(Listed::Resources),
            _ => None,
        }
    }

    /// The member of its params that the header `Mcp-Name` repeats.
    pub const fn named_by(self) -> Option<&'static str> {
        match self {
            Self::CallTool | Self::GetPrompt => Some("name"),
            Self::ReadResource => Some("uri"),
            Self::CancelTask | Self::GetTask | Self::UpdateTask => Some("taskId"),
            _ => None,
        }
    }

    /// The family that must be declared for it to exist.
    pub const fn family(self) -> Option<Family> {
        match self {
            Self::GetPrompt | Self::ListPrompts => Some(Family::Prompts),
            Self::ListResources
            | Self::ListTemplates
            | Self::ReadResource
            | Self::Subscribe
            | Self::Unsubscribe => Some(Family::Resources),
            Self::Complete => Some(Family::Completions),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_is_its_method_and_any_other_is_unknown() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.name()), method);
        }
        for name in ["", "other", "Tools/Call", "tools/call ", "notifications/x"] {
            assert_eq!(Method::parse(name), Method::Unknown, "{name}");
        }
    }

    #[test]
    fn each_setting_has_its_own_methods() {
        let missing = |setting| -> Vec<&str> {
            Method::ALL
                .into_iter()
                .filter(|method| !method.exists_in(setting))
                .map(Method::name)
                .collect()
        };
        let newest = ["server/discover", "subscriptions/listen", "tasks/update"];
        assert_eq!(missing(Setting::Session), newest);
        assert_eq!(
            missing(Setting::Direct),
            [
                "resources/subscribe",
                "resources/unsubscribe",
                newest[0],
                newest[1],
                newest[2]
            ]
        );
        assert_eq!(
            missing(Setting::Stateless),
            [
                "initialize",
                "logging/setLevel",
                "ping",
                "resources/subscribe",
                "resources/unsubscribe",
                "tasks/list",
                "tasks/result"
            ]
        );
    }
}
