//! Warm interpreters: which plugin has one, how many there are, and what becomes of them.
//!
//! Knows no call and no client. A plugin gets its interpreter after its first call, by a task of its own; until that is
//! done, and wherever it fails, its programs are executed.

mod entry;
mod fault;
mod files;
mod hook;
mod idle;
mod lane;
mod learning;
mod packets;
mod parent;
mod round;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::entry::{Entry, Look, Phase};
use self::fault::Fault;
use self::files::Sources;
use self::idle::Counts;
use self::lane::NoLane;
pub(super) use self::learning::Lesson;
use self::learning::{Learner, Lessons};
use self::parent::Parent;
pub use self::round::Round;
use super::engine::Engine;
use super::job::{Job, WarmSettings, Warmable};
use super::pool::Supervisor;
use crate::telemetry::WarmInterpreter;

/// Between two looks at all interpreters.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How long a call waits to know whether its plugin's files have changed.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// How many calls in a row may wait for a lane in vain: an interpreter that is stopped, or stuck, starts none.
const MAX_LATE: u32 = 3;

/// How many programs are known at once.
const MAX_ENTRIES: usize = 10_000;

/// What one call gets.
#[derive(Debug, Default)]
pub(super) struct Warmth {
    /// A lane, where there is one.
    pub(super) lane: Option<Supervisor>,
    /// What is to be learned once the call is over: the plugin may keep others out while it runs.
    pub(super) lesson: Option<Lesson>,
}

/// All warm interpreters. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Warm(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    settings: WarmSettings,
    table: Mutex<Table>,
    /// How many are made at once.
    learning: Semaphore,
    /// Everything that works for interpreters, and they themselves.
    tracker: TaskTracker,
    end: CancellationToken,
}

#[derive(Debug, Default)]
struct Table {
    closed: bool,
    /// By interpreter and script.
    entries: HashMap<(OsString, OsString), Entry>,
    /// Whether somebody looks after the entries.
    is_kept: bool,
}

/// A plugin at the moment of a call.
struct Known {
    /// The interpreter that there is.
    parent: Option<Arc<Parent>>,
    /// What is counted of its calls.
    counts: Arc<Counts>,
    /// What is to be learned after this one.
    lesson: Option<Lesson>,
}

impl Table {
    /// Forgets the program that was called longest ago, where there are too many.
    fn make_room_for(&mut self, key: &(OsString, OsString)) {
        if self.entries.len() < MAX_ENTRIES || self.entries.contains_key(key) {
            return;
        }
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_call);
        if let Some(key) = oldest.map(|(key, _)| key.clone())
            && let Some(mut entry) = self.entries.remove(&key)
        {
            entry.forget();
        }
    }
}

impl Warm {
    pub(super) fn new(engine: Engine, settings: WarmSettings) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let tracker = TaskTracker::new();
        tracker.close();
        Self(Arc::new(Shared {
            engine,
            settings,
            table: Mutex::default(),
            learning: Semaphore::new(cores.div_ceil(2)),
            tracker,
            end: CancellationToken::new(),
        }))
    }

    /// A lane for the job where there is one; without, the program is executed.
    pub(super) async fn lane(&self, job: &Job, warmable: &Warmable) -> Warmth {
        let [interpreter, script, ..] = &job.argv[..] else {
            return Warmth::default();
        };
        let key = (interpreter.clone(), script.clone());
        if let Some(look) = self.look_at_files(&key) {
            // A file system that does not answer costs the warmth of these calls, and nothing else.
            if timeout(LOOK_LIMIT, look).await.is_err() {
                return Warmth::default();
            }
        }
        let Some(known) = self.known(key, job, warmable) else {
            return Warmth::default();
        };
        let lane = match &known.parent {
            Some(parent) => self.lane_of(parent, &known.counts, warmable.reuse).await,
            None => None,
        };
        Warmth {
            lane,
            lesson: known.lesson,
        }
    }

    async fn lane_of(
        &self,
        parent: &Arc<Parent>,
        counts: &Arc<Counts>,
        reuse: bool,
    ) -> Option<Supervisor> {
        let lane = parent.lane(counts, reuse).await;
        counts.given.fetch_add(1, Ordering::Relaxed);
        let fault = match lane {
            Ok(lane) => return Some(lane),
            Err(fault) => fault,
        };
        counts.fell_back.fetch_add(1, Ordering::Relaxed);
        let is_lost = match fault {
            NoLane::Lost => true,
            NoLane::Late => parent.late.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_LATE,
            NoLane::Shortage(_) => false,
        };
        match fault {
            // Nothing is wrong with the interpreter.
            NoLane::Shortage(_) => {}
            NoLane::Lost | NoLane::Late => self.0.missed(parent, &fault, is_lost),
        }
        None
    }

    /// What is to be waited for, where it is time to see whether the plugin's files have changed: a call must not find
    /// what was there before.
    fn look_at_files(&self, key: &(OsString, OsString)) -> Option<Look> {
        let mut table = self.0.table();
        let closed = table.closed;
        let entry = table.entries.get_mut(key).filter(|_| !closed)?;
        if entry.look.is_none() && entry.is_to_be_looked_at(Instant::now()) {
            let (shared, key) = (Arc::clone(&self.0), key.clone());
            let (sources, fingerprint) = (entry.sources.clone(), entry.fingerprint);
            let looking = self.0.tracker.spawn(async move {
                let found = sources.fingerprint_aside().await;
                shared.compare(&key, fingerprint, found.ok());
            });
            entry.look = Some(looking.map(|_| ()).boxed().shared());
        }
        entry.look.clone()
    }

    /// Takes note of a call of the plugin.
    fn known(&self, key: (OsString, OsString), job: &Job, warmable: &Warmable) -> Option<Known> {
        let now = Instant::now();
        let mut table = self.0.table();
        if table.closed {
            return None;
        }
        table.make_room_for(&key);
        if !std::mem::replace(&mut table.is_kept, true) {
            let shared = Arc::downgrade(&self.0);
            self.0.tracker.spawn(keep(shared, self.0.end.clone()));
        }
        let entry = table
            .entries
            .entry(key)
            .or_insert_with(|| Entry::new(&warmable.plugin, now));
        entry.last_call = now;
        entry.counts.calls.fetch_add(1, Ordering::Relaxed);
        let lesson = entry
            .wants_an_interpreter(now)
            .then(|| Lesson::new(job, warmable));
        Some(Known {
            parent: entry.parent().cloned(),
            counts: Arc::clone(&entry.counts),
            lesson,
        })
    }

    /// Has an interpreter made, where none is being made already.
    pub(super) fn learn(&self, lesson: Lesson) {
        let [interpreter, script] = &lesson.start[..] else {
            return;
        };
        let key = (interpreter.clone(), script.clone());
        let mut table = self.0.table();
        let closed = table.closed;
        let entry = table.entries.get_mut(&key).filter(|_| !closed);
        if let Some(entry) = entry
            && entry.wants_an_interpreter(Instant::now())
        {
            entry.is_learning = true;
            let shared = Arc::clone(&self.0);
            self.0.tracker.spawn(shared.learn(key, lesson));
        }
    }

    /// A round of questions to many programs; see [`Round`].
    #[allow(
        clippy::unnecessary_wraps,
        reason = "elsewhere there is none, see no_warm.rs"
    )]
    pub(super) fn round(&self, environment: Vec<(OsString, OsString)>) -> Option<Round> {
        let shared = &*self.0;
        Some(Round::new(
            shared.engine.clone(),
            shared.tracker.clone(),
            shared.end.clone(),
            environment,
        ))
    }

    /// What there is at this moment, by plugin.
    pub(super) fn parents(&self) -> Vec<WarmInterpreter> {
        let table = self.0.table();
        let mut entries: Vec<&Entry> = table.entries.values().collect();
        // The last called first: of a plugin that was moved, the older one has no calls any more.
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.last_call));
        let mut parents: BTreeMap<&str, WarmInterpreter> = BTreeMap::new();
        for entry in entries {
            let shown = entry.shown();
            parents
                .entry(&entry.plugin)
                .and_modify(|newer| {
                    newer.calls += shown.calls;
                    newer.hits += shown.hits;
                    newer.fallbacks += shown.fallbacks;
                })
                .or_insert(shown);
        }
        parents.into_values().collect()
    }

    /// Ends all of them, and makes none from now on.
    pub(super) async fn end(&self) {
        let entries = {
            let mut table = self.0.table();
            table.closed = true;
            std::mem::take(&mut table.entries)
        };
        for mut entry in entries.into_values() {
            entry.forget();
        }
        self.0.end.cancel();
        self.0.tracker.wait().await;
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in between can panic: the table is whole at every moment.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn learn(self: Arc<Self>, key: (OsString, OsString), lesson: Lesson) {
        let learner = Learner {
            engine: &self.engine,
            tracker: &self.tracker,
            end: &self.end,
        };
        let known = lesson.known_sources();
        let learning = async {
            let _permit = self.learning.acquire().await;
            let before = known.clone().fingerprint_aside().await.ok();
            (before, learner.learn(&lesson).await)
        };
        let (before, learnt) = tokio::select! {
            learnt = learning => learnt,
            () = self.end.cancelled() => return,
        };
        self.enter(&key, learnt, known, before);
    }

    /// Enters what was learned.
    fn enter(
        &self,
        key: &(OsString, OsString),
        learnt: Result<Lessons, Fault>,
        known: Sources,
        before: Option<u64>,
    ) {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(key) else {
            return;
        };
        entry.is_learning = false;
        let now = Instant::now();
        entry.looked = now;
        match learnt {
            Ok(lessons) => {
                lessons.parent.look_at_memory();
                entry.sources = lessons.sources;
                entry.fingerprint = Some(lessons.fingerprint);
                entry.become_warm(lessons.parent, now);
                tracing::info!(
                    plugin = entry.plugin,
                    memory_mib = entry.memory() >> 20,
                    "the plugin has a warm interpreter from now on"
                );
            }
            Err(fault) if fault.passes() => {
                tracing::info!(
                    plugin = entry.plugin,
                    %fault,
                    "no warm interpreter could be made of the plugin; its calls start a new one each until one can"
                );
                entry.fail(fault.to_string());
            }
            Err(fault) => {
                entry.sources = known;
                entry.fingerprint = before;
                tracing::info!(
                    plugin = entry.plugin,
                    reason = %fault,
                    "the plugin gets no warm interpreter until its files change; its calls start a new one each"
                );
                entry.become_cold(fault.to_string());
            }
        }
    }

    /// Ends an interpreter that was made of other files than there are now.
    fn compare(&self, key: &(OsString, OsString), fingerprint: Option<u64>, found: Option<u64>) {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(key) else {
            return;
        };
        entry.looked = Instant::now();
        entry.look = None;
        if entry.fingerprint == fingerprint
            && found.is_some_and(|found| entry.fingerprint != Some(found))
            && !entry.is_learning
        {
            tracing::debug!(plugin = entry.plugin, "the plugin's files have changed");
            entry.lost = 0;
            entry.not_before = None;
            entry.fingerprint = None;
            entry.forget();
        }
    }

    /// A call has waited for an interpreter in vain, which is given up where it `is_lost`.
    fn missed(&self, parent: &Arc<Parent>, fault: &NoLane, is_lost: bool) {
        let mut table = self.table();
        let mut entries = table.entries.values_mut();
        let entry = entries.find(
            |entry| matches!(&entry.phase, Phase::Warm(known, _) if Arc::ptr_eq(known, parent)),
        );
        let Some(entry) = entry else { return };
        let (plugin, pid) = (&entry.plugin, parent.pid);
        if is_lost {
            tracing::warn!(
                plugin,
                pid,
                %fault,
                "the plugin's warm interpreter is given up and ended; calls are executed without it until there is another"
            );
            entry.lose();
        } else {
            tracing::warn!(
                plugin,
                pid,
                %fault,
                "a call waited for the plugin's warm interpreter in vain, and is executed without it"
            );
        }
    }

    /// One look at all entries. Reads `/proc`.
    fn look(&self) {
        let now = Instant::now();
        let kept = self.engine.supervisors.kept();
        let parents: Vec<Arc<Parent>> = {
            let mut table = self.table();
            let entries = table.entries.values_mut();
            entries
                .filter_map(|entry| {
                    entry.look(now, kept);
                    entry.parent().cloned()
                })
                .collect()
        };
        let total = parents.iter().map(|parent| parent.look_at_memory()).sum();
        if total > self.settings.max_bytes {
            self.make_room(total);
        }
    }

    /// Ends the interpreters that were not used for longest, as long as all together take too much memory.
    fn make_room(&self, mut total: u64) {
        let mut table = self.table();
        let entries = table.entries.values_mut();
        let mut entries: Vec<&mut Entry> =
            entries.filter(|entry| entry.parent().is_some()).collect();
        entries.sort_by_key(|entry| entry.last_call);
        for entry in entries {
            if total <= self.settings.max_bytes {
                return;
            }
            let bytes = entry.memory();
            total = total.saturating_sub(bytes);
            tracing::info!(
                plugin = entry.plugin,
                memory_mib = bytes >> 20,
                "the plugin's warm interpreter gives way: all together take more than MCP_WARM_MAX_MB"
            );
            entry.lose();
        }
    }
}

/// Looks after the entries until nobody has them any more.
async fn keep(shared: Weak<Shared>, end: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = end.cancelled() => return,
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        // It reads a line of /proc for each interpreter.
        let looking = tokio::task::spawn_blocking(move || shared.look());
        let _ = looking.await;
    }
}
