//! Why a call gave no result: a sentence for people, a code for programs.

use std::time::Duration;

/// Why a call gave no result. Each has a stable code that a program can branch on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The name has neither form that a tool name can have.
    #[error("invalid tool name '{0}': expected plugin__command; call tools/list for the names")]
    InvalidToolName(String),
    /// No plugin of that name.
    #[error("plugin '{0}' not found; call tools/list for the tools there are")]
    PluginNotFound(String),
    /// A plugin of that name is there, but cannot be served.
    #[error("plugin '{0}' is not served; `smcp check` and the server's log say why")]
    PluginNotServed(String),
    /// The plugin has no such command.
    #[error("command '{command}' not found in plugin '{plugin}'; it has: {available}")]
    CommandNotFound {
        /// The plugin's name.
        plugin: String,
        /// The name that was asked for.
        command: String,
        /// The tools it has, separated by commas.
        available: String,
    },
    /// The arguments do not fit the declared schema; nothing was started.
    #[error("invalid arguments for {tool}: {}", faults.join("; "))]
    InvalidArguments {
        /// The tool's name.
        tool: String,
        /// Every fault, each naming the argument.
        faults: Vec<String>,
    },
    /// Larger than the system can pass to a program.
    #[error("{0}")]
    ArgumentsTooLarge(String),
    /// The program failed; the message is its own.
    #[error("{0}")]
    Plugin(String),
    /// The program says that what it is to read is not there.
    #[error("{0}")]
    NotFound(String),
    /// Over its time limit.
    #[error("{tool} was ended after {} s without finishing{}", after.as_secs_f64(), printed_so_far(printed))]
    TimedOut {
        /// The tool's name.
        tool: String,
        /// The limit that applied.
        after: Duration,
        /// What it had printed by then.
        printed: String,
    },
    /// More on stdout than is passed on.
    #[error(
        "{tool} printed more than {limit} bytes and was ended; let it print less, or write to a file and print its path, or raise MCP_MAX_OUTPUT_BYTES"
    )]
    OutputTooLarge {
        /// The tool's name.
        tool: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// Less than that on stdout, but too much to be passed on as it has to be.
    #[error("the output of {tool} is too large to be passed on: {why}")]
    ResultTooLarge {
        /// The tool's name.
        tool: String,
        /// What makes it grow.
        why: &'static str,
    },
    /// No permit to run it, and no room to wait for one.
    #[error("{0}")]
    Overloaded(String),
    /// The program could not be started.
    #[error("{0}")]
    SpawnFailed(String),
    /// The command needs what the client did not declare.
    #[error("{tool} needs a client with the capability {}; this client did not declare it", missing.join(", "))]
    MissingCapability {
        /// The tool's name.
        tool: String,
        /// The names of the capabilities.
        missing: Vec<&'static str>,
    },
    /// The governor has the tool detached for this client.
    #[error("{0}")]
    NotAttached(String),
    /// Somebody who watches the server has stopped it. The client waits for its answer.
    #[error("{0} was stopped by a person on this server's page; the program itself did not fail")]
    Stopped(String),
    /// Cancelled by the client, its disconnect or a shutdown: nobody waits for an answer.
    #[error("cancelled")]
    Cancelled,
    /// A fault of the server itself.
    #[error("{0}")]
    Internal(String),
}

impl CallError {
    /// The stable code of `structuredContent.error.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidToolName(_) => "invalid_tool_name",
            Self::PluginNotFound(_) | Self::PluginNotServed(_) => "plugin_not_found",
            Self::CommandNotFound { .. } => "command_not_found",
            Self::InvalidArguments { .. } => "invalid_arguments",
            Self::ArgumentsTooLarge(_) => "arguments_too_large",
            Self::Plugin(_) | Self::NotFound(_) | Self::MissingCapability { .. } => "plugin_error",
            Self::TimedOut { .. } => "timeout",
            Self::OutputTooLarge { .. } | Self::ResultTooLarge { .. } => "output_too_large",
            Self::Overloaded(_) => "overloaded",
            Self::SpawnFailed(_) => "spawn_failed",
            Self::NotAttached(_) => "tool_not_attached",
            Self::Stopped(_) => "stopped",
            Self::Cancelled => "cancelled",
            Self::Internal(_) => "internal_error",
        }
    }
}

impl CallError {
    /// Whether it is the client that has to do something else: it asked for what there is not, or did not wait; or
    /// somebody stopped the call on purpose. No alert tells an operator of it. A code is of one kind alone, so a plugin
    /// that is not served counts here; that it is not has an alert of its own.
    pub fn is_the_clients(&self) -> bool {
        match self {
            Self::InvalidToolName(_)
            | Self::PluginNotFound(_)
            | Self::PluginNotServed(_)
            | Self::CommandNotFound { .. }
            | Self::InvalidArguments { .. }
            | Self::ArgumentsTooLarge(_)
            | Self::NotAttached(_)
            | Self::Stopped(_)
            | Self::Cancelled => true,
            Self::Plugin(_)
            | Self::NotFound(_)
            | Self::MissingCapability { .. }
            | Self::TimedOut { .. }
            | Self::OutputTooLarge { .. }
            | Self::ResultTooLarge { .. }
            | Self::Overloaded(_)
            | Self::SpawnFailed(_)
            | Self::Internal(_) => false,
        }
    }
}

fn printed_so_far(printed: &str) -> String {
    if printed.is_empty() {
        "; it had printed nothing".to_owned()
    } else {
        format!("; it had printed: {printed}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// One of each.
    fn all() -> Vec<CallError> {
        let text = String::new;
        vec![
            CallError::InvalidToolName(text()),
            CallError::PluginNotFound(text()),
            CallError::PluginNotServed(text()),
            CallError::CommandNotFound {
                plugin: text(),
                command: text(),
                available: text(),
            },
            CallError::InvalidArguments {
                tool: text(),
                faults: Vec::new(),
            },
            CallError::ArgumentsTooLarge(text()),
            CallError::Plugin(text()),
            CallError::NotFound(text()),
            CallError::TimedOut {
                tool: text(),
                after: Duration::ZERO,
                printed: text(),
            },
            CallError::OutputTooLarge {
                tool: text(),
                limit: 0,
            },
            CallError::ResultTooLarge {
                tool: text(),
                why: "",
            },
            CallError::Overloaded(text()),
            CallError::SpawnFailed(text()),
            CallError::MissingCapability {
                tool: text(),
                missing: Vec::new(),
            },
            CallError::NotAttached(text()),
            CallError::Stopped(text()),
            CallError::Cancelled,
            CallError::Internal(text()),
        ]
    }

    /// The outcomes that each filter of this text leaves out, `ok` aside.
    fn left_out(text: &str) -> Vec<BTreeSet<&str>> {
        let filters = text.split("outcome!~").skip(1);
        let words = filters.map(|filter| {
            let filter = filter.trim_start_matches(['\\', '"']);
            filter.split(['\\', '"']).next().unwrap_or_default()
        });
        let words = words.map(|words| words.split('|').filter(|word| *word != "ok").collect());
        words.collect()
    }

    #[test]
    fn alerts_and_dashboard_leave_out_what_is_the_clients_and_nothing_else() {
        let (clients, others): (Vec<_>, Vec<_>) =
            all().into_iter().partition(CallError::is_the_clients);
        let codes = |errors: Vec<CallError>| -> BTreeSet<&str> {
            errors.iter().map(CallError::code).collect()
        };
        let (clients, others) = (codes(clients), codes(others));
        assert!(clients.is_disjoint(&others), "{clients:?} {others:?}");
        for (name, text, filters) in [
            (
                "alerts.yml",
                include_str!("../../docs/monitoring/alerts.yml"),
                3,
            ),
            (
                "dashboard.json",
                include_str!("../../docs/monitoring/dashboard.json"),
                1,
            ),
        ] {
            let found = left_out(text);
            assert_eq!(found.len(), filters, "{name}");
            for words in found {
                assert_eq!(words, clients, "{name}");
            }
        }
    }
}
