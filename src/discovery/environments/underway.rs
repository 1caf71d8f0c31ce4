//! An environment that is being made, as those see it who could use it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long an installer that has found nothing yet is waited for by what can do without it, and how long one call is
/// held up at most.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Others are made before it.
    Queued,
    /// Nothing was found yet: the index may not answer at all.
    Begun {
        /// Since when.
        since: Instant,
    },
    /// The installer has found what it installs.
    Coming,
    /// It is over.
    Over {
        /// Whether it is there.
        is_made: bool,
    },
}

/// An environment that is being made. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Underway {
    why: String,
    stage: watch::Receiver<Stage>,
    is_first: bool,
}

impl Underway {
    /// One that begins when its turn comes; `is_first` unless that was tried in vain before.
    pub(super) fn new(why: String, stage: watch::Receiver<Stage>, is_first: bool) -> Self {
        Self {
            why,
            stage,
            is_first,
        }
    }

    /// What is made, for people.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Whether whoever made it is gone without a word.
    pub(super) fn is_forsaken(&self) -> bool {
        let is_over = matches!(*self.stage.borrow(), Stage::Over { .. });
        !is_over && self.stage.has_changed().is_err()
    }

    /// Whether it is there, or will not be.
    pub fn is_over(&self) -> bool {
        let is_over = matches!(*self.stage.borrow(), Stage::Over { .. });
        is_over || self.stage.has_changed().is_err()
    }

    /// Whether it is over, and there.
    pub(super) fn is_made(&self) -> bool {
        *self.stage.borrow() == Stage::Over { is_made: true }
    }

    /// Whether a call of a plugin that answers without it, or a service of one, should wait for it: it is the first time
    /// that it is made, and it is on its way, or may be: the installer may take `patience` to find something.
    pub fn is_worth_waiting(&self, now: Instant, patience: Duration) -> bool {
        let stage = *self.stage.borrow();
        self.is_first
            && match stage {
                Stage::Begun { since } => now < since + patience && !self.is_over(),
                Stage::Queued | Stage::Coming => !self.is_over(),
                Stage::Over { is_made } => is_made,
            }
    }

    /// Waits until it is over. False where nothing was found `patience` after the beginning, if there is one.
    pub(super) async fn over(&self, patience: Option<Duration>) -> bool {
        let mut stage = self.stage.clone();
        if let Some(patience) = patience {
            let its_turn = stage.wait_for(|stage| *stage != Stage::Queued).await;
            let Ok(its_turn) = its_turn.map(|stage| *stage) else {
                return true;
            };
            if let Stage::Begun { since } = its_turn {
                let found = tokio::select! {
                    // What was found counts, also after that time.
                    biased;
                    found = stage.wait_for(|stage| !matches!(stage, Stage::Begun { .. })) => found.is_ok(),
                    () = sleep_until(since + patience) => return false,
                };
                if !found {
                    return true;
                }
            }
        }
        // Whoever makes it has its own limits.
        let _ = stage
            .wait_for(|stage| matches!(stage, Stage::Over { .. }))
            .await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_can_do_without_waits_only_for_what_is_on_its_way() {
        let (sender, stage) = watch::channel(Stage::Queued);
        let first = Underway::new(String::new(), stage.clone(), true);
        let again = Underway::new(String::new(), stage, false);
        let (found, ()) = tokio::join!(first.over(Some(PATIENCE)), async {
            // Others are made before it.
            tokio::time::sleep(PATIENCE * 3).await;
            assert!(first.is_worth_waiting(Instant::now(), PATIENCE));
            let since = Instant::now();
            sender.send_replace(Stage::Begun { since });
            tokio::time::sleep(PATIENCE / 2).await;
            assert!(first.is_worth_waiting(Instant::now(), PATIENCE));
        });
        assert!(!found, "nothing was found");
        let since = Instant::now();
        sender.send_replace(Stage::Begun { since });
        assert!(first.is_worth_waiting(Instant::now(), PATIENCE));
        assert!(
            !again.is_worth_waiting(Instant::now(), PATIENCE),
            "it failed before"
        );
        assert!(!first.over(Some(PATIENCE)).await);
        assert!(
            !first.is_worth_waiting(Instant::now(), PATIENCE),
            "nothing was found"
        );
        sender.send_replace(Stage::Coming);
        assert!(first.is_worth_waiting(Instant::now(), PATIENCE));
        let (over, ()) = tokio::join!(first.over(Some(PATIENCE)), async {
            tokio::time::sleep(PATIENCE * 3).await;
            sender.send_replace(Stage::Over { is_made: true });
        });
        assert!(over && first.is_made());
        assert!(
            first.is_worth_waiting(Instant::now(), PATIENCE),
            "until it is used"
        );
        sender.send_replace(Stage::Over { is_made: false });
        assert!(!first.is_worth_waiting(Instant::now(), PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_nobody_makes_any_more_is_over() {
        let (sender, stage) = watch::channel(Stage::Queued);
        let underway = Underway::new(String::new(), stage, true);
        drop(sender);
        assert!(underway.over(Some(PATIENCE)).await && underway.over(None).await);
        assert!(underway.is_over() && underway.is_forsaken() && !underway.is_made());
        assert!(!underway.is_worth_waiting(Instant::now(), PATIENCE));
    }
}
