//! What is held while a program starts or computes, and when it is given back although nothing was reported.
//!
//! Knows no process: it is told what the supervisor has seen.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The longest that anything is held for a program that computes on and on. Without an end, as many programs as may
/// compute at once would keep all others out for as long as they like; what runs is never stopped to give way.
pub(super) const MAX_BUSY: Duration = Duration::from_secs(10);

/// What is held while a program is busy. Given back once, or dropped with the run.
pub(super) struct Busy {
    held: Option<Box<dyn Send>>,
    until: Instant,
    /// A program that waits for a person does not compute.
    open_questions: Option<watch::Receiver<usize>>,
}

impl Busy {
    /// Holds from now on.
    pub(super) fn new(
        held: impl Send + 'static,
        open_questions: Option<watch::Receiver<usize>>,
    ) -> Self {
        Self {
            held: Some(Box::new(held)),
            until: Instant::now() + MAX_BUSY,
            open_questions,
        }
    }

    /// The program waits, or has ended.
    pub(super) fn give_back(&mut self) {
        self.held = None;
        self.open_questions = None;
    }

    /// Ready when it is to be given back: a question is open, or it was held for as long as may be. Never ready
    /// once it is given back. Safe to drop while it waits.
    pub(super) async fn is_over(&mut self) {
        if self.held.is_none() {
            return pending().await;
        }
        let asked = async {
            if let Some(open) = &mut self.open_questions
                && open.wait_for(|open| *open > 0).await.is_ok()
            {
                return;
            }
            // Nobody can ask any more.
            self.open_questions = None;
            pending().await
        };
        tokio::select! {
            () = asked => {}
            () = sleep_until(self.until) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_program_that_computes_on_and_on_gives_back_after_a_while() {
        let held = Arc::new(());
        let mut busy = Busy::new(Arc::clone(&held), None);
        let began = Instant::now();
        busy.is_over().await;
        assert_eq!(began.elapsed(), MAX_BUSY);
        busy.give_back();
        assert_eq!(Arc::strong_count(&held), 1);
        let again = tokio::time::timeout(MAX_BUSY * 2, busy.is_over()).await;
        assert!(again.is_err(), "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_gives_back_at_once_and_the_end_of_questions_does_not() {
        let (questions, open) = watch::channel(0);
        let mut busy = Busy::new((), Some(open.clone()));
        let began = Instant::now();
        let early = tokio::time::timeout(MAX_BUSY / 2, busy.is_over()).await;
        assert!(early.is_err());
        questions.send_modify(|open| *open += 1);
        busy.is_over().await;
        assert_eq!(began.elapsed(), MAX_BUSY / 2);
        let mut busy = Busy::new((), Some(open));
        questions.send_modify(|open| *open -= 1);
        drop(questions);
        let began = Instant::now();
        busy.is_over().await;
        assert_eq!(began.elapsed(), MAX_BUSY);
    }
}
