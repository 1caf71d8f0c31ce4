//! The thread that has the store: nothing else waits for the disk. Knows no task that runs.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::store::{Store, StoreError};

/// How much may wait for the disk at once. Who finds no room waits itself.
const MAX_WAITING: usize = 64;
/// How long anybody waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce(&mut Store) + Send>;

/// Does work on a store, one piece after the other.
#[derive(Debug)]
pub struct Keeper {
    work: mpsc::Sender<Work>,
}

impl Keeper {
    /// Gives a store to a thread of its own, which ends when this value is dropped and everything is done.
    ///
    /// # Errors
    /// The system has no thread.
    pub fn start(mut store: Store) -> std::io::Result<Self> {
        let (work, mut waiting) = mpsc::channel::<Work>(MAX_WAITING);
        // From now on nobody else changes its files.
        let _ = store.turn(|_| Ok(()));
        std::thread::Builder::new()
            .name("tasks".to_owned())
            .spawn(move || {
                while let Some(next) = waiting.blocking_recv() {
                    next(&mut store);
                }
            })?;
        Ok(Self { work })
    }

    /// Whether it does no more work: a fault of the server has ended the thread.
    pub fn is_gone(&self) -> bool {
        self.work.is_closed()
    }

    /// Leaves a piece of work to be done, if there is a place for it.
    pub fn leave(&self, work: impl FnOnce(&mut Store) + Send + 'static) {
        let turn = |store: &mut Store| {
            work(store);
            Ok(())
        };
        let _ = self.work.try_send(Box::new(|store| drop(store.turn(turn))));
    }

    /// Does a piece of work and waits for what comes of it. Once it waits for its turn it is done, also when nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// What the work says; [`StoreError::Stuck`] when the disk does not answer.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, done) = oneshot::channel();
        let work: Work = Box::new(move |store| {
            // Said when it is noted how the files were left: what is done to them from then on is somebody else's. Who asked
            // may have gone.
            let done = store.turn(work);
            let _ = sender.send(done);
        });
        let asked = async {
            let gone = || StoreError::Fault("it was closed".to_owned());
            self.work.send(work).await.map_err(|_| gone())?;
            done.await.map_err(|_| gone())?
        };
        let stuck = StoreError::Stuck(PATIENCE.as_secs());
        timeout(PATIENCE, asked).await.unwrap_or(Err(stuck))
    }
}
