//! Which snapshot is in place, and which loads were asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::snapshot::Snapshot;
use crate::call::types::Listed;

/// How often the catalogue has become another one, and at which of these times each list has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generations {
    /// The generation of the catalogue that is in place.
    pub catalogue: u64,
    tools: u64,
    prompts: u64,
    resources: u64,
}

impl Generations {
    /// The generation since which the list is as it is.
    pub fn of(&self, list: Listed) -> u64 {
        match list {
            Listed::Tools => self.tools,
            Listed::Prompts => self.prompts,
            Listed::Resources => self.resources,
        }
    }

    fn count(&mut self, before: &Snapshot, now: &Snapshot) {
        self.catalogue += 1;
        for list in Listed::ALL {
            let since = match list {
                Listed::Tools => &mut self.tools,
                Listed::Prompts => &mut self.prompts,
                Listed::Resources => &mut self.resources,
            };
            if !now.lists_the_same(before, list) {
                *since = self.catalogue;
            }
        }
    }
}

/// What the catalogue's users and the task that loads it share.
#[derive(Debug)]
pub struct State {
    current: ArcSwap<Snapshot>,
    changes: watch::Sender<Generations>,
    /// When the first load began.
    began: watch::Sender<Option<Instant>>,
    /// How many loads were asked for, and how many of these are done.
    wanted: watch::Sender<u64>,
    /// Whether whoever runs the server has asked for one of those that have not begun.
    is_anew: AtomicBool,
    done: watch::Sender<u64>,
    /// What plugins are asked with on top of what they inherit, once that is known.
    variables: OnceLock<Arc<[(String, String)]>>,
    stop: CancellationToken,
}

impl State {
    /// Nothing is loaded, and one load is asked for. `stop` ends all waiting.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            current: ArcSwap::default(),
            changes: watch::Sender::default(),
            began: watch::Sender::new(None),
            wanted: watch::Sender::new(1),
            is_anew: AtomicBool::new(false),
            done: watch::Sender::new(0),
            variables: OnceLock::new(),
            stop,
        }
    }

    /// The tools of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts `snapshot` in place. Nobody is notified of one that looks the same to clients.
    pub fn publish(&self, mut snapshot: Snapshot) {
        // Nobody else publishes.
        let before = self.current.load_full();
        snapshot.remember(&before);
        let now = Arc::new(snapshot);
        if now.looks_like(&before) {
            return self.current.store(now);
        }
        // Whoever finds the snapshot and then asks for its generation waits until this is done. Else a client that has
        // just read a list would be told that it has changed.
        self.changes.send_modify(|known| {
            known.count(&before, &now);
            self.current.store(Arc::clone(&now));
        });
    }

    /// Changes whenever a snapshot is in place that is not like the one before.
    pub fn changes(&self) -> watch::Receiver<Generations> {
        self.changes.subscribe()
    }

    /// Asks for a load for whoever runs the server, which takes nothing for lost that has failed before.
    pub fn reload(&self) {
        self.is_anew.store(true, Ordering::Release);
        self.ask_again();
    }

    /// Whether whoever runs the server has asked for the load that begins now.
    pub fn takes_anew(&self) -> bool {
        self.is_anew.swap(false, Ordering::AcqRel)
    }

    /// Asks for a load because of a call, or because a plugin says that it has changed: what has failed keeps its pauses,
    /// however often that happens.
    pub fn ask_again(&self) {
        self.wanted.send_modify(|loads| *loads += 1);
    }

    /// The number of loads that were asked for.
    pub fn wanted(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    /// Says that the first load begins now, and what plugins are asked with.
    pub fn begin(&self, variables: Arc<[(String, String)]>) {
        let _ = self.variables.set(variables);
        self.began.send_replace(Some(Instant::now()));
    }

    /// What plugins are asked with on top of what they inherit; nothing before the first load.
    pub fn variables(&self) -> Arc<[(String, String)]> {
        self.variables.get().map(Arc::clone).unwrap_or_default()
    }

    /// Says that so many of the loads that were asked for are done.
    pub fn have_loaded(&self, loads: u64) {
        self.done.send_replace(loads);
    }

    /// Done when the server stops.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Waits until every load that was asked for by now is done.
    pub async fn reloaded(&self) {
        let wanted = *self.wanted.borrow();
        let mut done = self.done.subscribe();
        tokio::select! {
            _ = done.wait_for(|done| *done >= wanted) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Waits until every plugin has answered or timed out, or until `limit` after the first load began.
    pub async fn complete_within(&self, limit: Duration) {
        let mut began = self.began.subscribe();
        let began = tokio::select! {
            began = began.wait_for(Option::is_some) => began.ok().and_then(|began| *began),
            () = self.stop.cancelled() => None,
        };
        if let Some(began) = began {
            let _ = timeout_at(began + limit, self.complete()).await;
        }
    }

    /// Waits until every plugin has answered or timed out.
    pub async fn complete(&self) {
        let mut changes = self.changes();
        while !self.snapshot().complete {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = self.stop.cancelled() => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn whoever_finds_a_snapshot_finds_its_generation_and_the_other_way_round() {
        const LAST: usize = 1_000;
        let state = State::new(CancellationToken::new());
        // Each has as many warnings as it has snapshots before it.
        let seen = || state.snapshot().warnings.len() as u64;
        let known = || state.changes().borrow().catalogue;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while seen() < LAST as u64 {
                    let seen = seen();
                    assert!(known() >= seen, "{seen} is there without its generation");
                }
            });
            scope.spawn(|| {
                while known() < LAST as u64 {
                    let known = known();
                    assert!(seen() >= known, "{known} is told without its snapshot");
                }
            });
            for count in 1..=LAST {
                let mut snapshot = Snapshot::default();
                snapshot.warnings = vec![String::new(); count];
                state.publish(snapshot);
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_of_a_wait_counts_from_when_plugins_can_be_asked() {
        let state = State::new(CancellationToken::new());
        let started = Instant::now();
        let before = Duration::from_secs(20);
        let asking = async {
            tokio::time::sleep(before).await;
            state.begin(Arc::default());
        };
        tokio::join!(asking, state.complete_within(LIMIT));
        assert_eq!(started.elapsed(), before + LIMIT);
        tokio::time::sleep(LIMIT).await;
        state.complete_within(LIMIT).await;
        assert_eq!(started.elapsed(), before + 2 * LIMIT, "it is over");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_for_the_last_answer_or_for_the_end() {
        let stop = CancellationToken::new();
        let state = State::new(stop.clone());
        let started = Instant::now();
        let answering = async {
            state.begin(Arc::default());
            let mut snapshot = Snapshot::default();
            snapshot.complete = true;
            state.publish(snapshot);
        };
        tokio::join!(state.complete_within(LIMIT), answering);
        let state = State::new(stop.clone());
        stop.cancel();
        state.complete_within(LIMIT).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
