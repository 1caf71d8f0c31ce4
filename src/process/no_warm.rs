//! Warm interpreters where the system has no sub-reapers: there are none, and every program is executed.

use std::ffi::{OsStr, OsString};

use super::engine::Engine;
use super::job::{Job, WarmSettings, Warmable};
use super::pool::Supervisor;
use crate::telemetry::WarmInterpreter;

/// Nothing is ever learned.
#[derive(Debug)]
pub(super) enum Lesson {}

/// What one call gets.
#[derive(Debug, Default)]
pub(super) struct Warmth {
    /// Never one.
    pub(super) lane: Option<Supervisor>,
    /// Never one.
    pub(super) lesson: Option<Lesson>,
}

/// No warm interpreters.
#[derive(Debug, Clone)]
pub(super) struct Warm;

/// Never one.
#[derive(Debug)]
pub enum Round {}

impl Round {
    /// There is none.
    pub(super) async fn lane(&self, _interpreter: &OsStr) -> Option<(Supervisor, ())> {
        match *self {}
    }
}

impl Warm {
    pub(super) fn new(_engine: Engine, _settings: WarmSettings) -> Self {
        Self
    }

    /// Never a lane: the program is executed.
    pub(super) async fn lane(&self, _job: &Job, _warmable: &Warmable) -> Warmth {
        Warmth::default()
    }

    /// There is nothing to learn.
    pub(super) fn learn(&self, lesson: Lesson) {
        match lesson {}
    }

    /// None: programs are executed to be asked.
    pub(super) fn round(&self, _environment: Vec<(OsString, OsString)>) -> Option<Round> {
        None
    }

    /// None.
    pub(super) fn parents(&self) -> Vec<WarmInterpreter> {
        Vec::new()
    }

    /// There is nothing to end.
    pub(super) async fn end(&self) {}
}
