//! Calls whose results outlive the connection that asked for them: which run, and what became of the others.
//!
//! Knows no message of the protocol and runs nothing: `mcp` runs a call and says here how it ended.

mod beginning;
mod book;
mod ending;
mod file;
mod header;
mod journal;
mod keeper;
mod live;
mod lookup;
mod pieces;
mod reading;
mod room;
pub mod settings;
pub mod store;
mod tables;
mod task;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

pub use beginning::Begun;
use book::Book;
pub use book::{Refused, Tasks};
use keeper::Keeper;
pub use live::{Answer, Live, NoAnswer, OpenQuestion, Putting, State};
pub use reading::Ending;
use settings::MIN_TTL;
pub use settings::Settings;
use store::{Store, StoreError};
pub use task::{End, Kind, Owner, Status, Task};

use crate::telemetry::TaskCounts;

/// How long the server's start waits for the disk.
const OPENING: Duration = Duration::from_secs(5);
/// How often what is kept no longer is looked for, and what could not be written is written again.
const SWEEP: Duration = Duration::from_secs(15);
/// How many pieces of the file are given back in one go, so that what is new is looked at meanwhile.
const PIECES: usize = 64;

impl Tasks {
    /// Opens the store of a directory. Without a store that can be used there are no tasks, and everything else goes on.
    /// One that takes longer to open than the start can wait comes into use when it is open.
    pub async fn open(settings: Settings) -> Self {
        let book = Arc::new(Book::new(settings));
        let (done, opened) = oneshot::channel::<()>();
        let opening = Arc::clone(&book);
        // A thread of its own: the end of the process waits for those of the runtime.
        let thread = std::thread::Builder::new().name("tasks".to_owned());
        let started = thread.spawn(move || {
            opening.open();
            drop(done);
        });
        if let Err(fault) = started {
            let fault = StoreError::Fault(fault.to_string());
            tracing::error!("no results are kept, and no client is offered tasks: {fault}");
            let _ = book.store.set(Err(fault));
        } else if timeout(OPENING, opened).await.is_err() {
            let late = StoreError::Stuck(OPENING.as_secs());
            book.fault(&late);
            tracing::error!("no results are kept until it is open");
        }
        Self(Some(book))
    }

    /// Whether there are new tasks.
    pub fn are_on(&self) -> bool {
        self.0.as_ref().is_some_and(|book| book.keeps())
    }

    /// Whether those that there are can be asked for.
    pub fn can_be_fetched(&self) -> bool {
        self.book().is_some()
    }

    /// Why there are none although a directory is named.
    pub fn fault(&self) -> Option<String> {
        let book = self.0.as_ref()?;
        match book.store.get() {
            None => Some("the disk has not answered since the start; no results are kept until it does".to_owned()),
            Some(Err(why)) => Some(why.to_string()),
            Some(Ok(keeper)) if keeper.is_gone() => Some(
                "a fault of the server ended its store, and the log says more; no results are kept until it is restarted"
                    .to_owned(),
            ),
            Some(Ok(_)) => {
                let displaced = book.displaced().clone();
                let why = book.damage().cloned().or(displaced);
                why.map(|why| why.to_string())
            }
        }
    }

    /// For how long a task is kept whose client asks for `wanted` milliseconds.
    pub fn ttl(&self, wanted: Option<u64>) -> Duration {
        let longest = self.0.as_ref().map_or(MIN_TTL, |book| book.settings.ttl);
        let wanted = wanted.map_or(longest, Duration::from_millis);
        wanted.max(MIN_TTL).min(longest)
    }

    /// Forgets what is kept no longer and writes what could not be written, until the returned future is dropped.
    pub async fn sweep(&self) {
        if self.0.is_none() {
            return;
        }
        loop {
            tokio::time::sleep(SWEEP).await;
            // What it could not do is noted.
            let _ = self.sweep_once().await;
        }
    }

    async fn sweep_once(&self) -> Result<(), StoreError> {
        let Some((book, keeper)) = self.book() else {
            return Ok(());
        };
        let swept = self.swept(book, keeper).await;
        swept.inspect_err(|fault| book.fault(fault))
    }

    async fn swept(&self, book: &Arc<Book>, keeper: &Keeper) -> Result<(), StoreError> {
        let now = book.clock.now();
        book.forget_unwritten(now);
        if book.damage().is_some() {
            // It has been said, and a restart alone mends it.
            return Ok(());
        }
        let all = Arc::clone(book);
        // First: it may be the room of what has expired that the others need.
        let forgotten = keeper.run(move |store| {
            let place = store.check_place();
            if let Err(altered @ StoreError::Altered(_)) = place {
                // Nothing of this belongs into it any more.
                return Err(altered);
            }
            store.fail_orphans(|id| all.lock().contains_key(id), now)?;
            store.expire(now)?;
            all.counts.hold(store);
            place
        });
        let forgotten = unless_stuck(forgotten.await)?;
        match &forgotten {
            // What would be written now is lost as well.
            Some(fault) if fault.takes_no_promise() => return Err(fault.clone()),
            Some(_) => {}
            None => book.in_place(),
        }
        let written = unless_stuck(self.write_again().await)?;
        for _ in 0..PIECES {
            if !keeper.run(Store::shrink).await? {
                break;
            }
        }
        forgotten.or(written).map_or(Ok(()), Err)
    }

    /// Writes what could not be written until now, says how much of it is lost, and leaves files that the next server can
    /// open. It takes no longer than `limit`.
    pub async fn close(&self, limit: Duration) {
        let Some((book, keeper)) = self.book() else {
            return;
        };
        let mut fault = book.damage().cloned();
        if fault.is_none() && !book.unwritten().is_empty() {
            // There may be room again.
            let written = timeout(limit / 4 * 3, self.write_again()).await;
            let stuck = Err(StoreError::Stuck(limit.as_secs()));
            fault = written.unwrap_or(stuck).err();
        }
        let results = book.unwritten();
        let lost = results
            .iter()
            .filter(|(_, end)| end.as_ref().is_some_and(|end| end.room.is_some()));
        let lost = lost.count();
        drop(results);
        if lost > 0 {
            let why = fault.map_or_else(String::new, |fault| format!(": {fault}"));
            tracing::error!(
                "the results of {lost} tasks are lost: they could not be kept until the server ended{why}"
            );
        }
        let last = async {
            if book.damage().is_none() {
                self.write_without_results().await;
            }
            let _ = keeper.run(Store::finish).await;
        };
        let _ = timeout(limit / 4, last).await;
    }

    /// What is read of them when the server is scraped; `None` where no directory is named.
    pub fn counts(&self) -> Option<TaskCounts> {
        let book = self.0.as_ref()?;
        let live = book.lock();
        let of = |wanted: Status| {
            let states = live.values().map(|live| live.status());
            states.filter(|status| *status == wanted).count() as u64
        };
        let [working, input_required] = [Status::Working, Status::InputRequired].map(of);
        let ended = [Status::Completed, Status::Failed, Status::Cancelled];
        drop(live);
        let [refused, lost] = book.counts.by_reason();
        Some(TaskCounts {
            is_usable: book.keeps(),
            working,
            input_required,
            kept: book.counts.kept.load(Ordering::Relaxed),
            bytes: book.counts.bytes.load(Ordering::Relaxed),
            max_kept: book.settings.max_count as u64,
            max_bytes: book.settings.max_bytes,
            ended: ended.map(|status| {
                let count = &book.counts.ended[status as usize];
                (status.name(), count.load(Ordering::Relaxed))
            }),
            faults: book.counts.faults.load(Ordering::Relaxed),
            unwritten: book.unwritten().len() as u64,
            refused,
            lost,
        })
    }
}

/// The fault of a part of the sweep, after which the next part is tried all the same.
///
/// # Errors
/// The disk does not answer: it is not waited for once more.
fn unless_stuck(done: Result<(), StoreError>) -> Result<Option<StoreError>, StoreError> {
    match done {
        Ok(()) => Ok(None),
        Err(stuck @ StoreError::Stuck(_)) => Err(stuck),
        Err(fault) => Ok(Some(fault)),
    }
}

impl Book {
    /// Opens the store, and gives it to a thread of its own.
    fn open(&self) {
        let opened = Store::open(self.settings.clone(), &self.clock).and_then(|mut store| {
            store.expire(self.clock.now())?;
            self.counts.hold(&store);
            Keeper::start(store).map_err(|fault| StoreError::Fault(fault.to_string()))
        });
        match &opened {
            Ok(_) => tracing::info!(
                directory = %self.settings.directory.display(),
                tasks = self.counts.kept.load(Ordering::Relaxed),
                "results are kept"
            ),
            Err(why) => {
                tracing::error!("no results are kept, and no client is offered tasks: {why}")
            }
        }
        let _ = self.store.set(opened);
    }
}

#[cfg(test)]
mod tests;
