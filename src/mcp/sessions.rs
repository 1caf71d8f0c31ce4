//! All sessions: opened, found, closed, swept. Knows no transport.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::Services;
use super::principal::{Principal, Transport};
use super::session::Session;
use crate::telemetry::OpenSession;

/// A reader that has taken nothing for this long is given up.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// A session without a stream and without a call ends after this long.
const IDLE_LIMIT: Duration = Duration::from_secs(60 * 60);
/// How often it is looked whether everything has been read.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often sessions are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// The sessions of all transports that have them.
#[derive(Debug)]
pub struct Sessions {
    services: Arc<Services>,
    max_sessions: usize,
    ended: CancellationToken,
    open: RwLock<HashMap<String, Open>>,
}

#[derive(Debug)]
struct Open {
    session: Arc<Session>,
    /// Counts the session as open.
    _counted: OpenSession,
}

/// As many sessions are open as may be, and none of them can make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {0} sessions are in use; close one, or raise MCP_MAX_SESSIONS")]
pub struct AllInUse(pub usize);

impl Sessions {
    /// No session yet, and never more than `max_sessions`. All end with `ended`.
    pub fn new(
        services: Arc<Services>,
        max_sessions: usize,
        ended: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            services,
            max_sessions,
            ended,
            open: RwLock::default(),
        })
    }

    /// What the sessions share.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Opens a session. At the cap the one that has been idle longest makes room, if any is.
    ///
    /// # Errors
    /// [`AllInUse`] when none is idle.
    pub fn open(
        &self,
        transport: Transport,
        principal: Principal,
    ) -> Result<Arc<Session>, AllInUse> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let session = Session::new(
            id,
            transport,
            principal,
            Arc::clone(&self.services),
            self.ended.child_token(),
        );
        let mut open = self.write();
        if open.len() >= self.max_sessions {
            let idle = open
                .values()
                .map(|open| &open.session)
                .filter(|session| !session.idle_for().is_zero());
            let idlest = idle
                .max_by_key(|session| session.idle_for())
                .cloned()
                .ok_or(AllInUse(self.max_sessions))
                .inspect_err(|_| self.services.counters.session_refused())?;
            open.remove(idlest.id());
            idlest.close();
            self.services.counters.idle_session_ended();
        }
        let counted = self.services.counters.session_opened(transport.name());
        open.insert(
            session.id().to_owned(),
            Open {
                session: Arc::clone(&session),
                _counted: counted,
            },
        );
        Ok(session)
    }

    /// The live session of that id, if it came through `transport` and `principal` has the key that opened it.
    pub fn find(
        &self,
        id: &str,
        transport: Transport,
        principal: &Principal,
    ) -> Option<Arc<Session>> {
        let session = Arc::clone(&self.read().get(id)?.session);
        (session.transport() == transport && session.principal().key == principal.key)
            .then_some(session)
    }

    /// Ends a session and forgets it.
    pub fn close(&self, session: &Session) {
        self.write().remove(session.id());
        session.close();
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.read().len()
    }

    /// Runs `what` for each open session.
    pub fn each(&self, mut what: impl FnMut(&Arc<Session>)) {
        let all: Vec<_> = self
            .read()
            .values()
            .map(|open| Arc::clone(&open.session))
            .collect();
        all.iter().for_each(&mut what);
    }

    /// Lets every stream end when what waits for it has been read, and waits for that.
    pub async fn drain(&self) {
        self.each(|session| session.finish());
        loop {
            let mut waiting = false;
            self.each(|session| waiting |= !session.is_read());
            if !waiting {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Passes changes on to the sessions, until all sessions end.
    pub async fn pass_changes_on(&self) {
        let mut changes = self.services.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = self.ended.cancelled() => return,
                change = changes.next() => change,
            };
            match change {
                Some(change) => self.each(|session| session.changed(&change)),
                None => return,
            }
        }
    }

    /// Ends streams whose readers have stalled, and sessions without any sign of life, until all
    /// sessions end.
    pub async fn sweep(&self) {
        loop {
            tokio::select! {
                () = self.ended.cancelled() => return,
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
            self.services.budget.cut_stalled(STALL_LIMIT);
            self.each(|session| {
                session.streams().forget_old();
                // Its first request may have been on its way while its key was taken away.
                let is_over =
                    session.ended().is_cancelled() || session.principal().validity.has_ended();
                if is_over || session.idle_for() >= IDLE_LIMIT {
                    self.close(session);
                }
            });
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, Open>> {
        self.open
            .read()
            .expect("no code that holds this lock can panic")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<String, Open>> {
        self.open
            .write()
            .expect("no code that holds this lock can panic")
    }
}
