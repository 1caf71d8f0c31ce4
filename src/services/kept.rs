//! One service that runs, or is being ended, and what becomes of it when its plugin is another.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::keep::{Starter, keep_running};
use super::pace::{MIN_RUN, Pace};
use super::status::Status;
use crate::catalog::Service;

/// A service that is kept running, or that is being ended.
#[derive(Debug)]
pub(super) struct Kept {
    /// As it was started.
    service: Arc<Service>,
    pub(super) status: Status,
    /// Cancelled when it is not wanted any more.
    pub(super) end: CancellationToken,
    /// Its task, which waits for that of the service that it has replaced.
    pub(super) task: TaskTracker,
    pace: Pace,
    /// Whether it runs on although another one is to take its place.
    is_late: bool,
}

/// What becomes of a service that runs, now that its plugin is as it is.
pub(super) enum Next {
    /// It is what is wanted.
    Stays,
    /// Another one is wanted, and may take its place at this moment at the earliest.
    Later(Instant),
    /// Another one takes its place, with this pace.
    Replaced(Pace),
}

impl Kept {
    /// Starts a service once nothing is left of what ran before in its place.
    pub(super) fn start(
        service: &Arc<Service>,
        before: Option<TaskTracker>,
        pace: Pace,
        starter: &Starter,
        end: &CancellationToken,
    ) -> Self {
        let status = Status::of(service);
        let end = end.child_token();
        let task = TaskTracker::new();
        let running = keep_running(
            Arc::clone(service),
            starter.clone(),
            status.clone(),
            end.clone(),
        );
        let ended = end.clone();
        task.spawn(async move {
            if let Some(before) = before {
                // Two of one service at once would do its work twice. What does not end at all ends with the server.
                before.wait().await;
            }
            if !ended.is_cancelled() {
                running.await;
            }
        });
        task.close();
        Self {
            service: Arc::clone(service),
            status,
            end,
            task,
            pace,
            is_late: false,
        }
    }

    /// Ends it. Returns what is empty when nothing is left of it.
    pub(super) fn make_way(&self) -> TaskTracker {
        self.end.cancel();
        self.task.clone()
    }

    /// What becomes of it when `wanted` is to run.
    pub(super) fn next(&mut self, wanted: &Arc<Service>, now: Instant) -> Next {
        if self.end.is_cancelled() {
            return Next::Replaced(Pace::first(now));
        }
        let Some(why) = wanted.changed_since(&self.service) else {
            self.is_late = false;
            // What could not be seen of its plugin when it was started can be seen by now.
            if wanted.content.is_whole() {
                self.service = Arc::clone(wanted);
            }
            return Next::Stays;
        };
        let (plugin, service) = (&wanted.plugin, &wanted.name);
        let due = self.pace.due();
        if due <= now {
            tracing::info!(plugin, service, "the service is replaced: {why}");
            return Next::Replaced(self.pace.next(now));
        }
        if !std::mem::replace(&mut self.is_late, true) {
            tracing::warn!(
                plugin,
                service,
                "{why}, and the service was replaced again and again: it runs on for now, until it has run for {} s. A \
                 service that writes programs keeps them outside its plugin's directory",
                MIN_RUN.as_secs()
            );
        }
        Next::Later(due)
    }
}
