//! One plugin: its warm interpreter, or why it has none.
//!
//! Knows no other plugin and starts nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, Shared};

use super::files::Sources;
use super::idle::Counts;
use super::parent::Parent;
use crate::telemetry::{WarmInterpreter, WarmState};

/// How often it is looked whether a plugin's files have changed, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many calls one interpreter serves: what they leave in it, if anything, does not grow for ever.
const MAX_SERVED: u64 = 1000;

/// How long an interpreter is kept without a call.
const IDLE_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The first pause after an interpreter was lost or had to give way; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(10 * 60);

/// How many calls in a row an interpreter may leave to programs that are executed.
const MAX_REFUSED: u32 = 20;

/// One plugin.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its name.
    pub(super) plugin: String,
    /// Whether it has an interpreter.
    pub(super) phase: Phase,
    /// Whether an interpreter is being made; the one that there is serves until then.
    pub(super) is_learning: bool,
    /// Its calls.
    pub(super) counts: Arc<Counts>,
    /// When it was called last.
    pub(super) last_call: Instant,
    /// When its files were looked at last.
    pub(super) looked: Instant,
    /// What its interpreter, or the judgement that it gets none, depends on.
    pub(super) sources: Sources,
    /// What they were then.
    pub(super) fingerprint: Option<u64>,
    /// How often in a row an interpreter was lost.
    pub(super) lost: u32,
    /// None is made before.
    pub(super) not_before: Option<Instant>,
    /// Why the last attempt to make one has failed, where another may go well.
    pub(super) fault: Option<String>,
    /// The look at its files that is not over yet.
    pub(super) look: Option<Look>,
}

/// A look at files, which all calls that come meanwhile wait for. Ready when it is over.
pub(super) type Look = Shared<BoxFuture<'static, ()>>;

/// Whether a plugin has an interpreter.
#[derive(Debug)]
pub(super) enum Phase {
    /// The next call has one made.
    Unknown,
    /// It has one, since then.
    Warm(Arc<Parent>, Instant),
    /// Until the plugin's files change.
    Cold(String),
}

impl Entry {
    /// Of a plugin of which nothing is known.
    pub(super) fn new(plugin: &str, now: Instant) -> Self {
        Self {
            plugin: plugin.to_owned(),
            phase: Phase::Unknown,
            is_learning: false,
            counts: Arc::default(),
            last_call: now,
            looked: now,
            sources: Sources::default(),
            fingerprint: None,
            lost: 0,
            not_before: None,
            fault: None,
            look: None,
        }
    }

    /// Whether it is time to see whether its files have changed.
    pub(super) fn is_to_be_looked_at(&self, now: Instant) -> bool {
        let is_old = now.duration_since(self.looked) >= LOOK_EVERY;
        is_old && self.fingerprint.is_some() && !self.is_learning
    }

    /// Whether one is to be made, the first or one in place of one that has served for long.
    pub(super) fn wants_an_interpreter(&self, now: Instant) -> bool {
        let wanted = match &self.phase {
            Phase::Unknown => true,
            Phase::Warm(parent, _) => parent.served.load(Ordering::Relaxed) >= MAX_SERVED,
            Phase::Cold(_) => false,
        };
        let may = self.not_before.is_none_or(|moment| moment <= now);
        wanted && may && !self.is_learning
    }

    /// Takes notice of an interpreter that has ended or crashed, and ends lanes that are not used any more.
    pub(super) fn look(&mut self, now: Instant, kept: usize) {
        let Phase::Warm(parent, since) = &self.phase else {
            return;
        };
        let old = parent.lanes().take_old(kept);
        drop(old);
        if let Some(signal) = parent.crash() {
            let reason = format!("a program of it ended by signal {signal} in a warm interpreter");
            tracing::warn!(
                plugin = self.plugin,
                reason,
                "the plugin gets no warm interpreter until its files change"
            );
            return self.become_cold(reason);
        }
        if parent.refused.load(Ordering::Relaxed) >= MAX_REFUSED {
            let reason = format!(
                "its warm interpreter has left {MAX_REFUSED} calls in a row to be started, as where they bring \
                 variables that were read before"
            );
            tracing::info!(
                plugin = self.plugin,
                reason,
                "the plugin gets no warm interpreter until its files change"
            );
            return self.become_cold(reason);
        }
        if parent.over.is_cancelled() {
            tracing::warn!(
                plugin = self.plugin,
                pid = parent.pid,
                "the plugin's warm interpreter has ended; calls are executed without it until there is another"
            );
            return self.lose();
        }
        if now.duration_since(*since) > MAX_PAUSE {
            self.lost = 0;
        }
        if now.duration_since(self.last_call) >= IDLE_LIMIT {
            tracing::debug!(
                plugin = self.plugin,
                "the plugin's warm interpreter was idle for long"
            );
            self.forget();
        }
    }

    /// Its interpreter.
    pub(super) fn parent(&self) -> Option<&Arc<Parent>> {
        match &self.phase {
            Phase::Warm(parent, _) => Some(parent),
            Phase::Unknown | Phase::Cold(_) => None,
        }
    }

    /// The memory of its interpreter, as it was last looked at.
    pub(super) fn memory(&self) -> u64 {
        self.parent()
            .map_or(0, |parent| parent.memory.load(Ordering::Relaxed))
    }

    /// Its interpreter is lost, or has to give way: none is made for a while.
    pub(super) fn lose(&mut self) {
        self.forget();
        self.pause();
    }

    /// None could be made; one that there is goes on to serve.
    pub(super) fn fail(&mut self, fault: String) {
        self.fault = Some(fault);
        self.pause();
    }

    fn pause(&mut self) {
        self.lost += 1;
        let pause = FIRST_PAUSE.saturating_mul(1 << self.lost.saturating_sub(1).min(16));
        self.not_before = Some(Instant::now() + pause.min(MAX_PAUSE));
    }

    /// Ends its interpreter; the next call has one made.
    pub(super) fn forget(&mut self) {
        self.replace(Phase::Unknown);
    }

    /// Lets it have none until its files change.
    pub(super) fn become_cold(&mut self, reason: String) {
        self.replace(Phase::Cold(reason));
    }

    /// Gives it an interpreter.
    pub(super) fn become_warm(&mut self, parent: Arc<Parent>, now: Instant) {
        self.fault = None;
        self.replace(Phase::Warm(parent, now));
    }

    fn replace(&mut self, phase: Phase) {
        if let Phase::Warm(parent, _) = std::mem::replace(&mut self.phase, phase) {
            parent.retire();
        }
    }

    /// As people and counters see it.
    pub(super) fn shown(&self) -> WarmInterpreter {
        let count = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
        let (given, fallbacks) = (count(&self.counts.given), count(&self.counts.fell_back));
        let (memory, age) = match &self.phase {
            Phase::Warm(parent, since) => (count(&parent.memory), since.elapsed().as_secs()),
            Phase::Unknown | Phase::Cold(_) => (0, 0),
        };
        let (state, reason) = match &self.phase {
            Phase::Warm(..) => (WarmState::Warm, None),
            Phase::Cold(reason) => (WarmState::Cold, Some(reason.clone())),
            Phase::Unknown if self.is_learning => (WarmState::Learning, None),
            Phase::Unknown => (WarmState::Cold, self.fault.clone()),
        };
        WarmInterpreter {
            plugin: self.plugin.clone(),
            state,
            reason,
            calls: count(&self.counts.calls),
            hits: given.saturating_sub(fallbacks),
            fallbacks,
            resident_mib: memory >> 20,
            age_seconds: age,
        }
    }
}
