//! The time that a program may take. It does not run while the program waits for an answer.
//!
//! Knows no process: it is told how many questions are open.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What is left of a program's time.
#[derive(Debug)]
pub(super) struct TimeLimit {
    /// At [`TimeLimit::since`]; `None` is no limit.
    left: Option<Duration>,
    /// From when on it runs; `None` while it stands still.
    since: Option<Instant>,
    /// How many questions are open; `None` when none can be.
    open_questions: Option<watch::Receiver<usize>>,
}

impl TimeLimit {
    /// A limit that begins to run now; `None` is none. While `open_questions` is above zero it stands still.
    pub(super) fn new(
        limit: Option<Duration>,
        open_questions: Option<watch::Receiver<usize>>,
    ) -> Self {
        Self {
            left: limit,
            since: Some(Instant::now()),
            open_questions: open_questions.filter(|_| limit.is_some()),
        }
    }

    /// Ready when the time has been used up; never without a limit. Safe to drop while it waits.
    pub(super) async fn is_over(&mut self) {
        loop {
            self.look();
            let over = at(self.since.zip(self.left).map(|(since, left)| since + left));
            let Some(open_questions) = &mut self.open_questions else {
                return over.await;
            };
            tokio::select! {
                biased;
                changed = open_questions.changed() => if changed.is_err() {
                    // Nobody can ask any more.
                    self.open_questions = None;
                },
                () = over => return,
            }
        }
    }

    /// Stops the time when a question is open, and lets it go on when none is.
    fn look(&mut self) {
        let open_questions = self.open_questions.as_mut();
        let waits = open_questions.is_some_and(|open| *open.borrow_and_update() > 0);
        if !waits {
            self.since.get_or_insert_with(Instant::now);
        } else if let Some(since) = self.since.take() {
            let left = self.left;
            self.left = left.map(|left| left.saturating_sub(since.elapsed()));
        }
    }
}

/// Ready at that moment; never without one.
pub(super) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn used_up_after(time: &mut TimeLimit) -> Duration {
        let began = Instant::now();
        time.is_over().await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_runs_out_and_none_never_does() {
        assert_eq!(
            used_up_after(&mut TimeLimit::new(Some(LIMIT), None)).await,
            LIMIT
        );
        let mut none = TimeLimit::new(None, None);
        let never = tokio::time::timeout(LIMIT * 100, none.is_over()).await;
        assert!(never.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn it_stands_still_while_a_question_is_open() {
        let (questions, open) = watch::channel(0);
        let mut time = TimeLimit::new(Some(LIMIT), Some(open));
        let asking = async {
            for _ in 0..3 {
                tokio::time::sleep(LIMIT / 5).await;
                questions.send_modify(|open| *open += 2);
                tokio::time::sleep(LIMIT * 50).await;
                questions.send_modify(|open| *open -= 1);
                tokio::time::sleep(LIMIT * 50).await;
                questions.send_modify(|open| *open -= 1);
            }
        };
        let (used, ()) = tokio::join!(used_up_after(&mut time), asking);
        assert_eq!(used, LIMIT * 301);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_used_counts_although_nobody_waited_for_the_end() {
        let (questions, open) = watch::channel(0);
        let mut time = TimeLimit::new(Some(LIMIT), Some(open));
        let early = tokio::time::timeout(LIMIT / 2, time.is_over()).await;
        assert!(early.is_err());
        questions.send_modify(|open| *open += 1);
        let open = tokio::time::timeout(LIMIT * 2, time.is_over()).await;
        assert!(open.is_err());
        // The end of the channel is the end of every question.
        drop(questions);
        assert_eq!(used_up_after(&mut time).await, LIMIT / 2);
    }
}
