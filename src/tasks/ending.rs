//! Tasks that end, and the way of their results to the disk.

use std::any::Any;
use std::sync::Arc;

use super::beginning;
use super::book::{Book, Lost, Tasks, unwritten};
use super::keeper::Keeper;
use super::live::{Held, Live};
use super::store::{Ended, Store, StoreError};
use super::task::{End, Status};

/// What the server says of a task that ran when it was shut down.
const SHUT_DOWN: &str = "the server was shut down while it ran; it was not run again";

/// What it says of one that had ended by then.
const UNWRITTEN: &str =
    "it ended, and its result is lost: the disk did not take it before the server was shut down";

impl Tasks {
    /// Notes how a task ended, if nobody has said so before. What it holds in `held` is given up before the disk is
    /// waited for.
    pub async fn end(&self, live: &Arc<Live>, end: End, held: impl Any + Send) {
        if !live.decide() {
            return;
        }
        let Some((book, keeper)) = self.book() else {
            // Who waits for it hears of it.
            live.ended(end.status(), None, None);
            return;
        };
        if book.is_known(live, end.status()) {
            let end = book.hold(end, None).await;
            drop(held);
            book.write_end(keeper, live, end).await;
        }
    }

    /// Cancels a task; whether it was not over. It is cancelled when this returns, whatever its program does.
    pub async fn cancel(&self, live: &Arc<Live>) -> bool {
        if !live.decide() {
            // It is over in a moment.
            live.over().await;
            return false;
        }
        live.cancel().cancel();
        let Some((book, keeper)) = self.book() else {
            live.ended(Status::Cancelled, None, None);
            return true;
        };
        if book.is_known(live, Status::Cancelled) {
            let end = book.hold(End::Cancelled, None).await;
            book.write_end(keeper, live, end).await;
        }
        true
    }

    /// Ends the run of a task because the server ends.
    pub async fn shut_down(&self, live: &Arc<Live>) {
        live.cancel().cancel();
        if !live.decide() {
            return;
        }
        let Some((book, keeper)) = self.book() else {
            live.ended(Status::Failed, None, None);
            return;
        };
        if book.is_known(live, Status::Failed) {
            book.write_end(keeper, live, Held::failed(SHUT_DOWN)).await;
        }
    }

    /// Writes what could not be written, one after the other. One that is too large for what is left of the disk keeps
    /// no other from it.
    ///
    /// # Errors
    /// The first fault; a disk that does not answer ends it.
    pub(super) async fn write_again(&self) -> Result<(), StoreError> {
        let Some((book, keeper)) = self.book() else {
            return Ok(());
        };
        let mut first = Ok(());
        for (live, end) in book.unwritten() {
            let written = match end {
                Some(end) => keeper.run(writing(book, &live, &end)).await,
                None => keeper.run(beginning::writing(book, &live)).await,
            };
            match written {
                Ok(()) | Err(StoreError::TooMany(_)) => {}
                Err(stuck @ StoreError::Stuck(_)) => return Err(stuck),
                Err(fault) => first = first.and(Err(fault)),
            }
        }
        first
    }

    /// Writes of those whose end the disk does not take that they have ended: that needs hardly any room.
    pub(super) async fn write_without_results(&self) {
        let Some((book, keeper)) = self.book() else {
            return;
        };
        for (live, end) in book.unwritten() {
            let Some(end) = end else {
                continue;
            };
            if end.room.is_some() {
                book.counts.lost(Lost::NotWritten);
            }
            let end = match &end.end {
                End::Result { .. } | End::Error(_) if end.room.is_some() => {
                    Arc::new(Held::failed(UNWRITTEN))
                }
                _ => end,
            };
            // There is nobody left to hear of a fault, and it has been said.
            let _ = keeper.run(writing(book, &live, &end)).await;
        }
    }
}

impl Book {
    /// Writes how a task ended. It is over after this, whatever became of the store.
    async fn write_end(self: &Arc<Self>, keeper: &Keeper, live: &Arc<Live>, end: Held) {
        let end = Arc::new(end);
        if matches!(end.end, End::Cancelled) {
            self.over(live, Status::Cancelled, None, Some(Arc::clone(&end)));
        }
        if let Err(fault) = keeper.run(writing(self, live, &end)).await {
            self.fault(&fault);
            let said = end.message.clone().unwrap_or_else(|| unwritten(&fault));
            self.over(live, end.end.status(), Some(said), Some(end));
        }
    }

    /// Whether somebody may ask for how a task ended; one that nobody can know is over with this.
    fn is_known(&self, live: &Live, status: Status) -> bool {
        if live.is_kept() {
            return true;
        }
        self.over(live, status, None, None);
        // It may have been kept in this very moment.
        if live.is_kept() {
            return true;
        }
        self.leave(live);
        false
    }
}

/// Writes how a task ended. Also where nobody waits for that any more: it is then in the store, and not in memory.
fn writing(
    book: &Arc<Book>,
    live: &Arc<Live>,
    end: &Arc<Held>,
) -> impl FnOnce(&mut Store) -> Result<(), StoreError> + Send + 'static {
    let (book, live, end) = (Arc::clone(book), Arc::clone(live), Arc::clone(end));
    move |store| {
        let task = live.task();
        let now = match task.status.is_over() {
            true => task.updated,
            false => book.clock.now(),
        };
        let message = end.message.as_deref();
        store.check_place()?;
        let ended = store.end(&task, live.owner(), &end.end, message, now)?;
        live.stored();
        book.counts.hold(store);
        let (status, message) = match ended {
            Ended::AsItDid => (end.end.status(), end.message.clone()),
            Ended::WithoutResult(why) => {
                book.counts.lost(Lost::NoRoom);
                (Status::Failed, Some(why))
            }
        };
        // Whoever hears that it is over finds it in the store.
        book.leave(&live);
        book.over(&live, status, message, None);
        Ok(())
    }
}
