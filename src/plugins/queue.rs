//! Places to run in: so many at once, so many waiting, none of them all for one caller.
//!
//! Knows no program.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::call::CallError;

/// Calls that may wait for a place.
const MAX_WAITING: usize = 1024;

/// The places of the whole server.
#[derive(Debug)]
pub struct Queue {
    all: Arc<Semaphore>,
    most: usize,
    waiting: AtomicUsize,
    sessions: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// Held while a call runs.
#[derive(Debug)]
pub struct Place {
    _own: Option<OwnedSemaphorePermit>,
    _session: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

impl Queue {
    /// `most` calls at once.
    pub fn new(most: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most)),
            most,
            waiting: AtomicUsize::new(0),
            sessions: Mutex::default(),
        }
    }

    /// Waits for a place; `own` are the places of the command itself, where it has a limit.
    pub async fn enter(
        &self,
        session: &str,
        own: Option<&Arc<Semaphore>>,
        cancel: &CancellationToken,
    ) -> Result<Place, CallError> {
        let _waiting = Waiting::begin(&self.waiting)?;
        let session = self.share_of(session);
        let places = async {
            // The narrowest first: who waits for its own place must not hold one that others could use.
            let own = take(own).await;
            let session = take(session.as_ref()).await;
            let all = take(Some(&self.all)).await;
            Place {
                _own: own,
                _session: session,
                _all: all.expect("the queue's places are asked for"),
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CallError::Cancelled),
            place = places => Ok(place),
        }
    }

    /// A session may have three quarters of the places, so that another always finds one.
    fn share_of(&self, session: &str) -> Option<Arc<Semaphore>> {
        if session.is_empty() || self.most < 2 {
            return None;
        }
        let mut sessions = self
            .sessions
            .lock()
            .expect("no code that holds this lock can panic");
        if let Some(share) = sessions.get(session).and_then(Weak::upgrade) {
            return Some(share);
        }
        sessions.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new((self.most * 3 / 4).max(1)));
        sessions.insert(session.to_owned(), Arc::downgrade(&share));
        Some(share)
    }
}

async fn take(places: Option<&Arc<Semaphore>>) -> Option<OwnedSemaphorePermit> {
    let places = places?;
    Some(
        Arc::clone(places)
            .acquire_owned()
            .await
            .expect("the semaphores of the queue are never closed"),
    )
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Result<Self, CallError> {
        if waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(CallError::Overloaded(format!(
                "{MAX_WAITING} calls wait already; try again in a moment, or raise MCP_MAX_CALLS"
            )));
        }
        Ok(Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
