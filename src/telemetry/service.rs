//! What is known of the services of plugins, as `health` and the metrics have it. Knows no process.

use serde::Serialize;

/// One service of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginService {
    /// Whose it is.
    pub plugin: String,
    /// By which it is told from the plugin's others.
    pub name: String,
    /// Whether it runs.
    pub state: ServiceState,
    /// How long it has been in this state, in whole seconds.
    pub seconds: u64,
    /// How often it was started.
    pub starts: u64,
    /// How it ended the last time, with the last line that it printed, where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
    /// Why it is not run, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl PluginService {
    /// One that is not run, and why.
    pub fn not_run(plugin: String, name: String, state: ServiceState, reason: String) -> Self {
        Self {
            plugin,
            name,
            state,
            seconds: 0,
            starts: 0,
            last_end: None,
            reason: Some(reason),
        }
    }
}

/// Whether a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// Its program runs.
    Running,
    /// It has ended, and is started again after a pause; or what it needs is being installed.
    Waiting,
    /// It ought to run and does not, and its reason says why.
    Refused,
    /// Services are turned off.
    Off,
}
