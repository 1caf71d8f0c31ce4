//! The calls that run, the last ones that ended, and counts of the last hour: what the server's page shows of calls.
//!
//! Knows of a call what the audit log does and how far it has come: no argument, no result. Knows no transport.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::principal::{KeyId, Principal, Transport};
use crate::telemetry::OK;
use crate::telemetry::audit::session_beginning;
use crate::text;

/// Calls that are remembered after their end.
const MAX_ENDED: usize = 200;
/// Minutes that are counted.
const MAX_MINUTES: usize = 60;
/// Characters that are kept of a name.
const MAX_NAME: usize = 128;
/// Characters that are kept of what a program says of its progress.
const MAX_MESSAGE: usize = 200;

/// The calls of one server. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Tells this start of the server from others.
    start: u32,
    next: AtomicU64,
    calls: Mutex<Calls>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            start: RandomState::new().hash_one(()) as u32,
            next: AtomicU64::new(1),
            calls: Mutex::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Calls {
    running: BTreeMap<u64, Arc<Running>>,
    /// How many have ended, and the last of them.
    count: u64,
    ended: VecDeque<Arc<Ended>>,
    minutes: VecDeque<Minute>,
}

/// A call that begins.
#[derive(Debug, Clone, Copy)]
pub struct NewCall<'a> {
    /// The method.
    pub method: &'static str,
    /// The tool; for a prompt or a resource, by what it is found.
    pub name: &'a str,
    /// Through which transport it came.
    pub transport: Transport,
    /// The session's id; empty where there is none.
    pub session: &'a str,
    /// What the client calls itself.
    pub client: Option<&'a str>,
    /// Who sent it.
    pub principal: &'a Principal,
}

/// Who asked for what.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// Names the call, also beside those of another start.
    pub id: String,
    /// The tool; for a prompt or a resource, by what it is found.
    pub name: String,
    /// The method.
    pub method: &'static str,
    /// The transport.
    pub transport: &'static str,
    /// The beginning of the session's id; empty where there is none.
    pub session: String,
    /// What the client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The agent (`X-Agent-Id`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The key, as the audit log has it.
    #[serde(rename = "key", serialize_with = "fingerprint")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// When, in Unix milliseconds.
    pub began: u64,
}

fn fingerprint<S: serde::Serializer>(key: &Option<KeyId>, to: S) -> Result<S::Ok, S::Error> {
    key.map(|key| key.to_string()).serialize(to)
}

fn shared<S: serde::Serializer>(asked: &Arc<Asked>, to: S) -> Result<S::Ok, S::Error> {
    asked.as_ref().serialize(to)
}

/// How far a call has come, as its program says.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Progress {
    /// So far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// Of so much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// In words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A call that runs.
#[derive(Debug)]
pub struct Running {
    /// Who asked for what.
    pub asked: Arc<Asked>,
    began: Instant,
    run: CancellationToken,
    progress: Mutex<Progress>,
    is_asking: AtomicBool,
    is_stopped: AtomicBool,
}

impl Running {
    /// For how long.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How far.
    pub fn progress(&self) -> Progress {
        self.at().clone()
    }

    /// Whether it waits for an answer of its client.
    pub fn is_asking(&self) -> bool {
        self.is_asking.load(Ordering::Relaxed)
    }

    /// Whether it was stopped, and has not ended yet.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    fn at(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that has ended.
#[derive(Debug, Serialize)]
pub struct Ended {
    /// Who asked for what.
    #[serde(flatten, serialize_with = "shared")]
    pub asked: Arc<Asked>,
    /// Ends are counted from 1.
    pub number: u64,
    /// `ok`, or the code of the failure.
    pub outcome: &'static str,
    /// How long it took, in milliseconds.
    pub took: u64,
}

/// The calls that ended in one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Minute {
    /// Minutes since 1970.
    pub minute: u64,
    /// Those that went well.
    pub ok: u64,
    /// Those that did not.
    pub failed: u64,
    /// Those that somebody ended on purpose: cancelled by the client, or stopped on the page.
    pub stopped: u64,
    /// How long all of them took together, in milliseconds.
    pub took: u64,
    /// How long the longest took, in milliseconds.
    pub longest: u64,
}

impl Activity {
    /// Tells this start of the server from others.
    pub fn start(&self) -> String {
        format!("{:08x}", self.0.start)
    }

    /// A call begins; it ends with the returned [`Watched`]. `run` is cancelled when somebody stops it.
    pub fn begin(&self, call: &NewCall<'_>, run: CancellationToken) -> Watched {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let kept = |text: &str| text::cut(text, MAX_NAME).to_owned();
        let running = Arc::new(Running {
            asked: Arc::new(Asked {
                id: format!("{:08x}-{number}", self.0.start),
                name: kept(call.name),
                method: call.method,
                transport: call.transport.name(),
                session: session_beginning(call.session).to_owned(),
                client: call.client.map(kept),
                agent: call.principal.agent.as_deref().map(kept),
                key: call.principal.key,
                began: now().as_millis() as u64,
            }),
            began: Instant::now(),
            run,
            progress: Mutex::default(),
            is_asking: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
        });
        self.calls().running.insert(number, Arc::clone(&running));
        Watched {
            activity: self.clone(),
            number,
            running,
            outcome: OnceLock::new(),
        }
    }

    /// Stops the call with this id if `may_stop` says so. Whether there is one that may be stopped.
    pub fn stop(&self, id: &str, may_stop: impl Fn(&Asked) -> bool) -> bool {
        let calls = self.calls();
        let mut running = calls.running.values();
        let Some(call) = running.find(|call| call.asked.id == id && may_stop(&call.asked)) else {
            return false;
        };
        call.is_stopped.store(true, Ordering::Relaxed);
        call.run.cancel();
        true
    }

    /// The calls that run and that `may_see` lets through, the oldest first.
    pub fn running(&self, may_see: impl Fn(&Asked) -> bool) -> Vec<Arc<Running>> {
        let calls = self.calls();
        let seen = calls.running.values().filter(|call| may_see(&call.asked));
        seen.cloned().collect()
    }

    /// Of the last calls that ended after the one with this number, those that `may_see` lets through, the oldest
    /// first.
    pub fn ended_after(&self, number: u64, may_see: impl Fn(&Asked) -> bool) -> Vec<Arc<Ended>> {
        let calls = self.calls();
        let newer = calls.ended.iter().filter(|call| call.number > number);
        newer.filter(|call| may_see(&call.asked)).cloned().collect()
    }

    /// How many calls ended in each minute of the last hour in which any did, the oldest first.
    pub fn minutes(&self) -> Vec<Minute> {
        let oldest = this_minute().saturating_sub(MAX_MINUTES as u64 - 1);
        let calls = self.calls();
        let recent = calls
            .minutes
            .iter()
            .filter(|minute| minute.minute >= oldest);
        recent.copied().collect()
    }

    fn end(&self, watched: &Watched) {
        let running = &watched.running;
        let outcome = watched.outcome.get().copied().unwrap_or("cancelled");
        let took = running.elapsed().as_millis() as u64;
        let mut calls = self.calls();
        calls.running.remove(&watched.number);
        calls.count += 1;
        let ended = Arc::new(Ended {
            asked: Arc::clone(&running.asked),
            number: calls.count,
            outcome,
            took,
        });
        if calls.ended.len() == MAX_ENDED {
            calls.ended.pop_front();
        }
        calls.ended.push_back(ended);
        let minute = calls.minute(this_minute());
        *match outcome {
            OK => &mut minute.ok,
            "cancelled" | "stopped" => &mut minute.stopped,
            _ => &mut minute.failed,
        } += 1;
        minute.took += took;
        minute.longest = minute.longest.max(took);
    }

    /// Calls stay usable after a panic elsewhere: none is left half entered.
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    /// The counts of a minute. A clock that was set back counts on in the last one.
    fn minute(&mut self, minute: u64) -> &mut Minute {
        if self.minutes.back().is_none_or(|last| last.minute < minute) {
            if self.minutes.len() == MAX_MINUTES {
                self.minutes.pop_front();
            }
            self.minutes.push_back(Minute {
                minute,
                ..Minute::default()
            });
        }
        self.minutes
            .back_mut()
            .expect("one was pushed if there was none")
    }
}

/// A call for as long as it runs. Dropped without an outcome, it was cancelled.
#[derive(Debug)]
#[must_use = "a call that is dropped at once has ended"]
pub struct Watched {
    activity: Activity,
    number: u64,
    running: Arc<Running>,
    outcome: OnceLock<&'static str>,
}

impl Watched {
    /// Notes with which outcome it ends: [`OK`] or a code. The first counts.
    pub fn ends(&self, outcome: &'static str) {
        let _ = self.outcome.set(outcome);
    }

    /// Notes what the program says of its progress.
    pub fn progress(&self, progress: &RawValue, total: Option<&RawValue>, message: Option<&str>) {
        let number = |raw: &RawValue| raw.get().parse().ok();
        let mut at = self.running.at();
        at.progress = number(progress);
        at.total = total.and_then(number);
        at.message.clear();
        at.message
            .push_str(text::cut(message.unwrap_or_default(), MAX_MESSAGE));
    }

    /// Notes whether it waits for an answer of its client.
    pub fn asks(&self, asks: bool) {
        self.running.is_asking.store(asks, Ordering::Relaxed);
    }

    /// Whether somebody has stopped it.
    pub fn is_stopped(&self) -> bool {
        self.running.is_stopped()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.activity.end(self);
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn this_minute() -> u64 {
    now().as_secs() / 60
}

#[cfg(test)]
mod tests;
