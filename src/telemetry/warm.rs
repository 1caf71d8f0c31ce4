//! What is known of warm interpreters, by plugin, as `health` and the counters have it. Knows no process.

use serde::Serialize;

/// The warm interpreter of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WarmInterpreter {
    /// Whose it is.
    pub plugin: String,
    /// Whether it is there.
    pub state: WarmState,
    /// Why it is not, where that lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Calls that might have been warm.
    pub calls: u64,
    /// Of them, those that were.
    pub hits: u64,
    /// Of them, those that were executed although a warm interpreter was there.
    pub fallbacks: u64,
    /// Memory of the interpreter's own, in MiB.
    pub resident_mib: u64,
    /// How long it has been there, in whole seconds.
    pub age_seconds: u64,
}

/// Whether a plugin has a warm interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WarmState {
    /// One is being made.
    Learning,
    /// It has one.
    Warm,
    /// It has none.
    Cold,
}

impl WarmState {
    /// As counters have it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}
