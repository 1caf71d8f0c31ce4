//! The tasks that run, those whose end is not on the disk yet, and counts of all. Knows no client.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::keeper::Keeper;
use super::live::{Held, Live};
use super::settings::{MIN_TTL, Settings};
use super::store::{Store, StoreError};
use super::task::{Clock, End, Status, millis};

/// How many tasks may run at once, and how many with one key: more than calls wait for their turn. As many again may
/// have ended and wait for the disk.
pub(super) const MAX_RUNNING: usize = 1_024;
pub(super) const MAX_RUNNING_OF_ONE: usize = 256;
/// What results may take that are not on the disk yet, in KiB: several of the largest.
pub(super) const UNWRITTEN_KIB: u32 = 32 << 10;
/// What results that are being read for clients may take, in KiB.
pub(super) const READING_KIB: u32 = 64 << 10;
/// How long a result waits for room among them: longer than a disk that works takes for one.
const ROOM_PATIENCE: Duration = Duration::from_secs(1);

/// The tasks of a server, where it keeps any.
#[derive(Debug, Clone, Default)]
pub struct Tasks(pub(super) Option<Arc<Book>>);

impl Tasks {
    pub(super) fn book(&self) -> Option<(&Arc<Book>, &Keeper)> {
        let book = self.0.as_ref()?;
        Some((book, book.keeper()?))
    }
}

/// Tasks that are kept, or why they cannot be.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    /// Nothing until it is open.
    pub(super) store: OnceLock<Result<Keeper, StoreError>>,
    /// Those that run, and those whose end is not on the disk.
    live: Mutex<HashMap<String, Arc<Live>>>,
    /// Why what is written goes into a file that the next server does not open.
    displaced: Mutex<Option<StoreError>>,
    /// What only a restart mends.
    damage: OnceLock<StoreError>,
    pub(super) unwritten: Arc<Semaphore>,
    pub(super) reading: Arc<Semaphore>,
    pub(super) counts: Counts,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) kept: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) ended: [AtomicU64; Status::ALL.len()],
    pub(super) faults: AtomicU64,
    refused: [AtomicU64; Refused::REASONS.len()],
    lost: [AtomicU64; Lost::REASONS.len()],
}

/// Why a result is not there although it was to be kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lost {
    /// It found no room among those that are kept.
    NoRoom,
    /// The disk did not take it.
    NotWritten,
    /// It was a call's that was kept unasked, and made room for another one.
    MadeRoom,
}

impl Lost {
    /// The names of all, in their order.
    const REASONS: [&str; 3] = ["no_room", "not_written", "made_room"];
}

/// Why there is no task.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// Too many run.
    #[error(
        "{running} tasks run already, {of_one} of them with this key; wait until some are over"
    )]
    TooManyRun {
        /// How many run.
        running: usize,
        /// How many of this owner.
        of_one: usize,
    },
    /// Too many have ended and wait for the disk.
    #[error("the ends of {0} tasks wait for the disk (health says more); try again later")]
    TooManyWait(usize),
    /// Too many are kept.
    #[error(transparent)]
    TooManyKept(StoreError),
    /// Nobody could fetch its result after a restart.
    #[error("no results are kept: {0}")]
    NoStore(StoreError),
}

impl Refused {
    /// The names of all, in their order.
    const REASONS: [&str; 3] = ["running", "unwritten", "kept"];

    /// Among the reasons; none where it is counted as a fault of the store.
    const fn index(&self) -> Option<usize> {
        match self {
            Self::TooManyRun { .. } => Some(0),
            Self::TooManyWait(_) => Some(1),
            Self::TooManyKept(_) => Some(2),
            Self::NoStore(_) => None,
        }
    }
}

impl Book {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            clock: Clock::start(),
            store: OnceLock::new(),
            live: Mutex::default(),
            displaced: Mutex::default(),
            damage: OnceLock::new(),
            unwritten: Arc::new(Semaphore::new(UNWRITTEN_KIB as usize)),
            reading: Arc::new(Semaphore::new(READING_KIB as usize)),
            counts: Counts::default(),
        }
    }

    /// What has the store, if that can be used.
    pub(super) fn keeper(&self) -> Option<&Keeper> {
        let keeper = self.store.get()?.as_ref().ok()?;
        (!keeper.is_gone()).then_some(keeper)
    }

    /// Whether new tasks can be promised to be there after a restart.
    pub(super) fn keeps(&self) -> bool {
        self.keeper().is_some() && self.displaced().is_none() && self.damage().is_none()
    }

    /// Why nothing more is kept until the server is restarted.
    pub(super) fn damage(&self) -> Option<&StoreError> {
        self.damage.get()
    }

    /// Why the file is not where the next server looks for it.
    pub(super) fn displaced(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.displaced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The file is where the next server looks for it.
    pub(super) fn in_place(&self) {
        if self.displaced().take().is_some() {
            tracing::info!("the file of the results is back where it was; results are kept again");
        }
    }

    pub(super) fn enter(&self, new: &Arc<Live>) -> Result<(), Refused> {
        let entered = self.enter_uncounted(new);
        entered.inspect_err(|why| self.counts.refused(why))
    }

    fn enter_uncounted(&self, new: &Arc<Live>) -> Result<(), Refused> {
        let mut live = self.lock();
        let (mut all, mut own) = ([0, 0], [0, 0]);
        for other in live.values() {
            let is_over = usize::from(other.is_over());
            all[is_over] += 1;
            own[is_over] += usize::from(other.owner().key == new.owner().key);
        }
        let is_full = |over: usize| all[over] >= MAX_RUNNING || own[over] >= MAX_RUNNING_OF_ONE;
        if is_full(0) {
            let (running, of_one) = (all[0], own[0]);
            return Err(Refused::TooManyRun { running, of_one });
        }
        if is_full(1) {
            return Err(Refused::TooManyWait(all[1]));
        }
        live.insert(new.id().to_owned(), Arc::clone(new));
        Ok(())
    }

    pub(super) fn leave(&self, live: &Live) {
        self.lock().remove(live.id());
    }

    /// Takes an end into memory until it is on the disk. It takes nothing else meanwhile, and is lost without room.
    pub(super) async fn hold(&self, end: End, message: Option<String>) -> Held {
        let room = match end.bytes() {
            0 => None,
            bytes => {
                let kib = u32::try_from(bytes >> 10).unwrap_or(UNWRITTEN_KIB);
                let room = Arc::clone(&self.unwritten);
                let room = room.acquire_many_owned(kib.saturating_add(1).min(UNWRITTEN_KIB));
                let Ok(Ok(room)) = timeout(ROOM_PATIENCE, room).await else {
                    self.counts.lost(Lost::NotWritten);
                    return Held::failed(
                        "it ended, and its result is lost: the disk does not take what is to be kept, and there is no \
                         room in memory",
                    );
                };
                Some(room)
            }
        };
        Held { end, message, room }
    }

    /// A task is over.
    pub(super) fn over(
        &self,
        live: &Live,
        status: Status,
        said: Option<String>,
        end: Option<Arc<Held>>,
    ) {
        if live.ended(status, said, end) {
            self.counts.ended[status as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those whose end is not on the disk, and those that run whose begin is not.
    pub(super) fn unwritten(&self) -> Vec<(Arc<Live>, Option<Arc<Held>>)> {
        let all = self.lock();
        let unwritten = all.values().filter_map(|live| {
            let end = live.watch().borrow().end.clone();
            let is_begin = live.is_kept() && !live.is_stored() && !live.is_over();
            (end.is_some() || is_begin).then(|| (Arc::clone(live), end))
        });
        unwritten.collect()
    }

    /// Forgets those that would be kept no longer on the disk either.
    pub(super) fn forget_unwritten(&self, now: i64) {
        self.lock().retain(|_, live| {
            let task = live.task();
            let until = task.created.saturating_add(task.ttl);
            let until = until.max(task.updated.saturating_add(millis(MIN_TTL)));
            let stays = !task.status.is_over() || until > now;
            let held = live.watch().borrow().end.clone();
            if !stays && held.is_some_and(|held| held.room.is_some()) {
                self.counts.lost(Lost::NotWritten);
            }
            stays
        });
    }

    pub(super) fn fault(&self, fault: &StoreError) {
        let before = self.counts.faults.fetch_add(1, Ordering::Relaxed);
        if fault.takes_no_promise() {
            let is_new = match fault.is_lasting() {
                true => self.damage.set(fault.clone()).is_ok(),
                // Once, until it is back.
                false => self.displaced().replace(fault.clone()).is_none(),
            };
            if is_new {
                tracing::error!(
                    directory = %self.settings.directory.display(),
                    "no more results are kept, and no client is offered tasks; what can be read of the others can be \
                     fetched until the server ends: {fault}"
                );
            }
            return;
        }
        // The first of many; the others are counted.
        if before.is_multiple_of(100) {
            tracing::error!("results of tasks: {fault}");
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    pub(super) fn hold(&self, store: &Store) {
        let kept = store.kept();
        self.kept.store(kept.count, Ordering::Relaxed);
        self.bytes.store(kept.bytes, Ordering::Relaxed);
        let made_room = &self.lost[Lost::MadeRoom as usize];
        made_room.store(store.made_room(), Ordering::Relaxed);
    }

    pub(super) fn refused(&self, why: &Refused) {
        if let Some(index) = why.index() {
            self.refused[index].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn lost(&self, why: Lost) {
        self.lost[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many were refused, and how many results were lost, by reason.
    pub(super) fn by_reason(&self) -> [[(&'static str, u64); 3]; 2] {
        let named = |names: [&'static str; 3], counts: &[AtomicU64; 3]| {
            std::array::from_fn(|index| (names[index], counts[index].load(Ordering::Relaxed)))
        };
        [
            named(Refused::REASONS, &self.refused),
            named(Lost::REASONS, &self.lost),
        ]
    }
}

impl Held {
    /// An end that says why it is none.
    pub(super) fn failed(message: &str) -> Self {
        Self {
            end: End::failed(message),
            message: Some(message.to_owned()),
            room: None,
        }
    }
}

pub(super) fn unwritten(fault: &StoreError) -> String {
    format!("it could not be kept yet and is lost when the server ends: {fault}")
}
