//! Warm interpreters where the system has no sub-reapers: there are none, and every program is executed.

use super::engine::Engine;
use super::job::{Job, Warmable};
use super::pool::Supervisor;
use crate::telemetry::WarmInterpreter;

/// What may be said about warm interpreters.
#[derive(Debug, Clone, Copy)]
pub struct WarmSettings {
    /// How much memory all of them may take, in bytes.
    pub max_bytes: u64,
}

/// No warm interpreters.
#[derive(Debug, Clone)]
pub(super) struct Warm;

impl Warm {
    pub(super) fn new(_engine: Engine, _settings: WarmSettings) -> Self {
        Self
    }

    /// Never a lane: the program is executed.
    pub(super) async fn lane(&self, _job: &Job, _warmable: &Warmable) -> Option<Supervisor> {
        None
    }

    /// None.
    pub(super) fn parents(&self) -> Vec<WarmInterpreter> {
        Vec::new()
    }

    /// There is nothing to end.
    pub(super) async fn end(&self) {}
}
