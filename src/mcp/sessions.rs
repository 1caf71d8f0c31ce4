//! All sessions: opened, found, closed, swept. Knows no transport.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::context::Services;
use super::places::{GivenUp, Places};
use super::principal::{Principal, Transport};
use super::session::Session;
use crate::telemetry::OpenSession;
use crate::telemetry::audit::session_beginning;

pub use super::places::AllInUse;

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
    ended: CancellationToken,
    table: RwLock<Table>,
}

#[derive(Debug)]
struct Table {
    open: HashMap<Arc<str>, Open>,
    places: Places,
}

#[derive(Debug)]
struct Open {
    session: Arc<Session>,
    /// Counts the session as open.
    _counted: OpenSession,
}

impl Sessions {
    /// No session yet, and never more than `max_sessions`. All end with `ended`.
    pub fn new(
        services: Arc<Services>,
        max_sessions: usize,
        ended: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            services,
            ended,
            table: RwLock::new(Table {
                open: HashMap::new(),
                places: Places::new(max_sessions),
            }),
        })
    }

    /// What the sessions share.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Opens a session. When there are as many as may be, one makes room for it, as [`Places::room_for`] says.
    ///
    /// # Errors
    /// [`AllInUse`] when none can.
    pub fn open(
        &self,
        transport: Transport,
        principal: Principal,
    ) -> Result<Arc<Session>, AllInUse> {
        let id: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        let key = principal.key;
        let mut table = self.write();
        let room = table.places.room_for(key, Instant::now());
        let given_up = room.inspect_err(|_| self.services.counters.session_refused())?;
        let ended = given_up.and_then(|given_up| table.give_up(given_up));
        let session = Session::new(
            table.places.enter(Arc::clone(&id), key),
            transport,
            principal,
            Arc::clone(&self.services),
            self.ended.child_token(),
        );
        let open = Open {
            session: Arc::clone(&session),
            _counted: self.services.counters.session_opened(transport.name()),
        };
        table.open.insert(id, open);
        drop(table);
        if let Some(ended) = ended {
            self.end(&ended);
        }
        Ok(session)
    }

    /// The live session of that id, if it came through `transport` and `principal` has the key that opened it.
    pub fn find(
        &self,
        id: &str,
        transport: Transport,
        principal: &Principal,
    ) -> Option<Arc<Session>> {
        let session = Arc::clone(&self.read().open.get(id)?.session);
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
        self.read().open.len()
    }

    /// Runs `what` for each open session.
    pub fn each(&self, mut what: impl FnMut(&Arc<Session>)) {
        let all: Vec<_> = self
            .read()
            .open
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

    /// Ends a session that made room for another.
    fn end(&self, ended: &Ended) {
        let counters = &self.services.counters;
        ended.session.close();
        if ended.was_idle {
            counters.idle_session_ended();
        } else {
            counters.session_given_up();
        }
        if ended.is_to_be_said {
            let key = ended.session.principal().key;
            let key = key.map_or_else(|| "none".to_owned(), |key| key.to_string());
            tracing::warn!(
                key,
                session = session_beginning(ended.session.id()),
                "all sessions are in use, {} of them with this key: its sessions end for keys that hold fewer; \
                 let its clients hold fewer, or raise MCP_MAX_SESSIONS",
                ended.held
            );
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table
            .read()
            .expect("no code that holds this lock can panic")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Table> {
        self.table
            .write()
            .expect("no code that holds this lock can panic")
    }
}

/// A session that made room for another, and is still to be closed.
struct Ended {
    session: Arc<Session>,
    held: usize,
    was_idle: bool,
    is_to_be_said: bool,
}

impl Table {
    fn remove(&mut self, id: &str) -> Option<Open> {
        let open = self.open.remove(id)?;
        let session = &open.session;
        self.places.leave(session.usage(), session.principal().key);
        Some(open)
    }

    fn give_up(&mut self, given_up: GivenUp) -> Option<Ended> {
        let GivenUp {
            usage,
            key,
            held,
            was_idle,
        } = given_up;
        let open = self.remove(usage.session())?;
        Some(Ended {
            session: Arc::clone(&open.session),
            held,
            was_idle,
            is_to_be_said: !was_idle && self.places.is_to_be_said(key, Instant::now()),
        })
    }
}
