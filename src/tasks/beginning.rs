//! Tasks that begin, and become known to their clients.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::book::{Book, Refused, Tasks, unwritten};
use super::live::{Held, Live};
use super::store::{Store, StoreError};
use super::task::{Kind, Owner, Status, Task, millis};

/// What is said of a task whose run is gone without an end.
const LOST: &str = "internal error; the server's log says more";

/// A task that has begun. Dropped before somebody has said how it ended, it is over.
#[derive(Debug)]
pub struct Begun {
    book: Arc<Book>,
    live: Arc<Live>,
    runs: bool,
}

impl Begun {
    /// It is run from now on: who asked for it may have heard of it.
    pub fn runs(&mut self) {
        self.runs = true;
    }
}

impl Deref for Begun {
    type Target = Arc<Live>;

    fn deref(&self) -> &Arc<Live> {
        &self.live
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let (book, live) = (&self.book, &self.live);
        if !live.decide() {
            return;
        }
        live.cancel().cancel();
        if self.runs && live.is_kept() {
            // The next sweep writes it.
            let lost = Arc::new(Held::failed(LOST));
            book.over(live, Status::Failed, lost.message.clone(), Some(lost));
            return;
        }
        book.over(live, Status::Cancelled, None, None);
        book.leave(live);
        // Where its begin is written after this, whoever writes it sees that it is over.
        if live.is_stored()
            && let Some(keeper) = book.keeper()
        {
            let id = live.id().to_owned();
            // Without a place for that it has failed after the next sweep.
            keeper.leave(move |store| drop(store.remove(&id)));
        }
    }
}

/// Whoever waits for what is decided here waits no longer, however it ends.
struct Deciding<'a>(&'a Live);

impl Drop for Deciding<'_> {
    fn drop(&mut self) {
        self.0.keep(self.0.is_kept());
    }
}

impl Tasks {
    /// Begins a task: it is on the disk when this returns. One that cannot be written is there all the same, for as long
    /// as the server lives, and says so. A task that `waits_to_be_kept` is neither, and known to nobody, until
    /// [`keep`](Self::keep).
    ///
    /// # Errors
    /// [`Refused`] when there are too many.
    pub async fn begin(
        &self,
        owner: Owner,
        tool: &str,
        kind: Kind,
        ttl: Duration,
        waits_to_be_kept: bool,
    ) -> Result<Begun, Refused> {
        let Some((book, _)) = self.book() else {
            return Err(Refused::TooManyRun {
                running: 0,
                of_one: 0,
            });
        };
        let now = book.clock.now();
        let task = Task {
            id: uuid::Uuid::new_v4().to_string(),
            tool: tool.to_owned(),
            kind,
            status: Status::Working,
            has_failed: false,
            message: None,
            created: now,
            updated: now,
            ttl: millis(ttl),
        };
        let live = Arc::new(Live::new(task, owner, book.clock, false));
        book.enter(&live)?;
        let begun = Begun {
            book: Arc::clone(book),
            live,
            runs: false,
        };
        if !waits_to_be_kept {
            self.keep(&begun).await?;
        }
        Ok(begun)
    }

    /// Keeps a task that runs, from now on.
    ///
    /// # Errors
    /// [`Refused`] when too many are kept.
    pub async fn keep(&self, live: &Arc<Live>) -> Result<(), Refused> {
        let Some((book, keeper)) = self.book() else {
            return Ok(());
        };
        if let Some(damage) = book.damage() {
            return Err(Refused::NoStore(damage.clone()));
        }
        live.begin_keeping();
        let _deciding = Deciding(live);
        match keeper.run(writing(book, live)).await {
            Ok(()) => Ok(()),
            Err(refused @ StoreError::TooMany(_)) => {
                let refused = Refused::TooManyKept(refused);
                book.counts.refused(&refused);
                Err(refused)
            }
            Err(fault) if fault.takes_no_promise() => {
                book.fault(&fault);
                Err(Refused::NoStore(fault))
            }
            Err(fault) => {
                book.fault(&fault);
                live.note(unwritten(&fault));
                live.keep(true);
                Ok(())
            }
        }
    }
}

/// Writes that a task has begun, unless it is over.
pub(super) fn writing(
    book: &Arc<Book>,
    live: &Arc<Live>,
) -> impl FnOnce(&mut Store) -> Result<(), StoreError> + Send + 'static {
    let (book, live) = (Arc::clone(book), Arc::clone(live));
    move |store| {
        if live.is_over() {
            return Ok(());
        }
        store.check_place()?;
        store.insert(&live.task(), live.owner())?;
        live.stored();
        live.keep(true);
        if live.is_over() {
            // Where somebody may know it, its end is written after this.
            store.remove(live.id())?;
        }
        book.counts.hold(store);
        Ok(())
    }
}
