//! Background jobs: what programs that ended with success have left running on purpose.
//!
//! Knows no way to end a process: a job's token does that, through the run that it belongs to. What one
//! program left is one job, however many processes it has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::process::Pid;
use tokio_util::sync::CancellationToken;

use super::job::{self, BackgroundJob, JobProcess, Owner};
use super::tree::{self, Member};
use crate::telemetry::JobCounts;
use crate::text::cleaned;

/// All background jobs. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Background {
    table: Arc<Mutex<Table>>,
    /// How many there may be in all.
    limit: usize,
}

#[derive(Debug, Default)]
struct Table {
    /// No more is kept.
    closed: bool,
    next: u64,
    jobs: BTreeMap<u64, Entry>,
    /// By plugin.
    counts: BTreeMap<String, JobCounts>,
}

#[derive(Debug)]
struct Entry {
    owner: Owner,
    keeper: Pid,
    since: Instant,
    end: CancellationToken,
    /// Why it is being ended.
    reason: Option<EndReason>,
}

/// Why a job is over; in the order of [`JobCounts::REASONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndReason {
    /// Its processes ended by themselves.
    ByItself,
    /// Somebody asked for it.
    Asked,
    /// There are as many as there may be.
    Limit,
    /// The call that it comes from failed after all.
    CallFailed,
    /// The server ends.
    Shutdown,
    /// Its supervisor was killed or hangs.
    KeeperLost,
}

/// A job that is kept. Dropped when its processes are gone.
#[derive(Debug)]
pub(super) struct Kept {
    id: u64,
    background: Background,
    end: CancellationToken,
}

impl Background {
    /// No jobs yet, and at most `limit` at once.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            table: Arc::default(),
            limit,
        }
    }

    /// How many there may be in all.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many there may be for one plugin: half of all, so that one never takes the place of all others.
    pub(super) fn plugin_limit(&self) -> usize {
        self.limit.div_ceil(2)
    }

    /// Enters what `keeper` keeps, and says so in the log. `None` when it has to end; the log says why.
    pub(super) fn admit(
        &self,
        background: &job::Background,
        keeper: Pid,
        processes: usize,
    ) -> Option<Kept> {
        let owner = &background.owner;
        let mut table = self.table();
        let of_plugin = table.jobs.values();
        let of_plugin = of_plugin.filter(|job| job.owner.plugin == owner.plugin);
        let refused = if table.closed {
            Some(EndReason::Shutdown)
        } else if background.end.is_cancelled() {
            Some(EndReason::CallFailed)
        } else if table.jobs.len() >= self.limit || of_plugin.count() >= self.plugin_limit() {
            Some(EndReason::Limit)
        } else {
            None
        };
        let counts = table.counts.entry(owner.plugin.clone()).or_default();
        if let Some(reason) = refused {
            *counts.ended.entry(reason.word()).or_default() += 1;
            drop(table);
            self.log_refused(owner, processes, reason);
            return None;
        }
        counts.kept += 1;
        counts.running += 1;
        let id = table.next + 1;
        table.next = id;
        let entry = Entry {
            owner: owner.clone(),
            keeper,
            since: Instant::now(),
            end: background.end.clone(),
            reason: None,
        };
        table.jobs.insert(id, entry);
        drop(table);
        tracing::info!(
            id,
            plugin = owner.plugin,
            tool = owner.tool,
            agent = owner.agent,
            processes,
            "background job: the call has ended, what it detached goes on"
        );
        Some(Kept {
            id,
            background: self.clone(),
            end: background.end.clone(),
        })
    }

    /// The jobs of this moment with their processes, the oldest first. Reads `/proc`: not for the
    /// runtime's threads.
    pub(super) fn list(&self) -> Vec<BackgroundJob> {
        let jobs: Vec<_> = {
            let table = self.table();
            let jobs = table.jobs.iter();
            jobs.map(|(id, job)| (*id, job.owner.clone(), job.since.elapsed(), job.keeper))
                .collect()
        };
        let keepers: Vec<Pid> = jobs.iter().map(|(.., keeper)| *keeper).collect();
        let members = tree::below(&keepers);
        let listed = jobs.into_iter().map(|(id, owner, age, keeper)| {
            // A job without any is about to be over.
            let members = members.get(&keeper).map(Vec::as_slice).unwrap_or_default();
            BackgroundJob {
                id,
                owner,
                age_seconds: age.as_secs(),
                processes: members.iter().map(process).collect(),
            }
        });
        listed.collect()
    }

    /// How many jobs there are and were, by plugin.
    pub(super) fn counts(&self) -> BTreeMap<String, JobCounts> {
        self.table().counts.clone()
    }

    /// Begins to end a job: SIGTERM, and SIGKILL for what is left after five seconds. False when there is none
    /// of this id.
    pub(super) fn end(&self, id: u64) -> bool {
        let mut table = self.table();
        let Some(job) = table.jobs.get_mut(&id) else {
            return false;
        };
        job.reason.get_or_insert(EndReason::Asked);
        job.end.cancel();
        true
    }

    /// Begins to end all jobs, and keeps none from now on. How many there were.
    pub(super) fn close(&self) -> usize {
        let mut table = self.table();
        table.closed = true;
        for job in table.jobs.values_mut() {
            job.reason.get_or_insert(EndReason::Shutdown);
            job.end.cancel();
        }
        table.jobs.len()
    }

    fn log_refused(&self, owner: &Owner, processes: usize, reason: EndReason) {
        let (plugin, tool) = (&owner.plugin, &owner.tool);
        match reason {
            EndReason::Limit => tracing::warn!(
                plugin,
                tool,
                agent = owner.agent,
                processes,
                "what the call detached is ended: there may be {} background jobs, {} of one plugin (MCP_MAX_BACKGROUND)",
                self.limit,
                self.plugin_limit(),
            ),
            other => tracing::info!(
                plugin,
                tool,
                agent = owner.agent,
                processes,
                reason = other.word(),
                "what the call detached is ended"
            ),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in between can panic: the table is whole at every moment.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Cancelled when the job has to end.
    pub(super) fn end(&self) -> &CancellationToken {
        &self.end
    }

    /// The supervisor that kept it is gone, and what it left is being ended.
    pub(super) fn keeper_is_lost(&self) {
        if let Some(job) = self.background.table().jobs.get_mut(&self.id) {
            job.reason.get_or_insert(EndReason::KeeperLost);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut table = self.background.table();
        let Some(job) = table.jobs.remove(&self.id) else {
            return;
        };
        let unasked = if job.end.is_cancelled() {
            EndReason::CallFailed
        } else {
            EndReason::ByItself
        };
        let reason = job.reason.unwrap_or(unasked);
        let counts = table.counts.entry(job.owner.plugin.clone()).or_default();
        counts.running -= 1;
        *counts.ended.entry(reason.word()).or_default() += 1;
        drop(table);
        tracing::info!(
            id = self.id,
            plugin = job.owner.plugin,
            tool = job.owner.tool,
            agent = job.owner.agent,
            seconds = job.since.elapsed().as_secs(),
            reason = reason.word(),
            "background job is over"
        );
    }
}

impl EndReason {
    /// As counters and the log have it.
    fn word(self) -> &'static str {
        JobCounts::REASONS[self as usize]
    }
}

fn process(member: &Member) -> JobProcess {
    let name = std::fs::read(format!("/proc/{}/comm", member.pid)).unwrap_or_default();
    JobProcess {
        pid: member.pid.as_raw_pid(),
        command: cleaned(String::from_utf8_lossy(&name).trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpid;

    use super::*;
    use crate::process::job::Keep;

    fn of(plugin: &str) -> job::Background {
        job::Background {
            keep: Keep::Detached,
            owner: Owner {
                plugin: plugin.to_owned(),
                tool: format!("{plugin}__start"),
                agent: Some("agent".to_owned()),
            },
            end: CancellationToken::new(),
        }
    }

    fn ended(background: &Background, plugin: &str, reason: &str) -> u64 {
        let counts = background.counts();
        let ended = counts
            .get(plugin)
            .and_then(|counts| counts.ended.get(reason));
        ended.copied().unwrap_or_default()
    }

    #[test]
    fn one_plugin_takes_half_of_all_places_and_an_ended_job_frees_its_own() {
        let background = Background::new(3);
        let admit = |plugin| background.admit(&of(plugin), getpid(), 1);
        let mut kept = vec![admit("a"), admit("a")];
        assert!(kept.iter().all(Option::is_some));
        assert!(admit("a").is_none(), "two of three places are a's share");
        let third = admit("b");
        assert!(third.is_some());
        assert!(admit("c").is_none(), "all three places are taken");
        assert_eq!(ended(&background, "a", "limit"), 1);
        assert_eq!(ended(&background, "c", "limit"), 1);
        kept.pop();
        assert_eq!(ended(&background, "a", "itself"), 1);
        assert!(admit("c").is_some());
    }

    #[test]
    fn one_place_is_for_whoever_comes_first() {
        let background = Background::new(1);
        let kept = background.admit(&of("a"), getpid(), 1);
        assert!(kept.is_some());
        assert!(background.admit(&of("b"), getpid(), 1).is_none());
    }

    #[test]
    fn the_first_reason_to_end_a_job_is_the_one_that_counts() {
        let background = Background::new(8);
        let first = background.admit(&of("a"), getpid(), 1).expect("a place");
        let second = background.admit(&of("a"), getpid(), 1).expect("a place");
        assert!(background.end(first.id) && first.end().is_cancelled());
        assert_eq!(background.close(), 2);
        assert!(second.end().is_cancelled());
        assert!(background.admit(&of("a"), getpid(), 1).is_none(), "closed");
        let id = first.id;
        drop((first, second));
        assert_eq!(ended(&background, "a", "asked"), 1);
        assert_eq!(ended(&background, "a", "shutdown"), 2);
        assert!(!background.end(id), "it is over");
        assert_eq!(background.counts()["a"].running, 0);
    }

    #[test]
    fn what_a_failed_call_left_is_not_kept() {
        let background = Background::new(8);
        let failed = of("a");
        failed.end.cancel();
        assert!(background.admit(&failed, getpid(), 1).is_none());
        assert_eq!(ended(&background, "a", "call_failed"), 1);
    }
}
