//! The tasks in their file: begun, ended, forgotten. Every function here waits for the disk: `keeper`
//! calls them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

pub use super::file::StoreError;
use super::file::{self, JOURNAL, Place};
pub use super::room::Kept;
use super::room::{Forgotten, no_room, room_for};
use super::settings::{MIN_TTL, Settings};
use super::task::{Clock, End, Kind, Owner, Status, Task, millis};
use super::{journal, pieces};

/// How many pages of the file are given back at once: what takes no longer than a large result takes to write.
const PIECE: u32 = 1_024;

/// What the server says of a task whose end it had not written when it ended.
pub const RESTARTED: &str = "the server was restarted while it ran, or before its end could be written; it was not run again";

/// What it says of one whose run is not there any more.
pub const ORPHANED: &str = "the server lost its run; it was not run again";

/// What was written of how a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All of it.
    AsItDid,
    /// That it failed, and why: its result finds no room.
    WithoutResult(String),
}

/// The tasks of one directory. Another server that opens it meanwhile is refused.
#[derive(Debug)]
pub struct Store {
    pub(super) db: Connection,
    place: Place,
    /// Whether the file is what this server has written. What is in its journal is not put into another one.
    is_sound: bool,
    settings: Settings,
    /// What is kept, of each owner and in all: counting it anew would take longer with each task.
    by_owner: HashMap<String, Kept>,
    all: Kept,
    /// Kept calls that were forgotten before their time since it was opened.
    made_room: u64,
}

impl Store {
    /// Opens the store of a directory, which is made where it is not there. Tasks that ran when the server ended last
    /// have failed.
    ///
    /// # Errors
    /// The directory or the file cannot be used: another server has it, it is no store, it is damaged, it was made by a
    /// later version, it cannot be written.
    pub fn open(settings: Settings, clock: &Clock) -> Result<Self, StoreError> {
        let (db, place) = file::open(&settings)?;
        let mut store = Self {
            db,
            place,
            is_sound: true,
            settings,
            by_owner: HashMap::new(),
            all: Kept::default(),
            made_room: 0,
        };
        store.count()?;
        store.fail_all_that_ran(clock.now())?;
        Ok(store)
    }

    /// Ends the tasks that are said to run and do not. What was made while the clock was ahead is kept no longer than
    /// what is made now.
    fn fail_all_that_ran(&self, now: i64) -> Result<(), rusqlite::Error> {
        self.db.execute(
            "UPDATE tasks SET status = 'failed', message = ?1, updated = ?2, expires = max(created + ttl, ?2 + ?3)
             WHERE expires IS NULL",
            params![RESTARTED, now, millis(MIN_TTL)],
        )?;
        self.db.execute(
            "UPDATE tasks SET expires = ?1 + ttl WHERE expires > ?1 + ttl",
            [now],
        )?;
        Ok(())
    }

    /// Ends the tasks that are said to run although nothing that `runs` is theirs.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn fail_orphans(
        &mut self,
        runs: impl Fn(&str) -> bool,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut query = self
            .db
            .prepare("SELECT id FROM tasks WHERE expires IS NULL")?;
        let ids = query.query_map([], |row| row.get(0))?;
        let ids = ids.collect::<Result<Vec<String>, _>>()?;
        drop(query);
        for id in ids.iter().filter(|id| !runs(id)) {
            self.db.execute(
                "UPDATE tasks SET status = 'failed', message = ?2, updated = ?3, expires = max(created + ttl, ?3 + ?4)
                 WHERE id = ?1 AND expires IS NULL",
                params![id, ORPHANED, now, millis(MIN_TTL)],
            )?;
        }
        Ok(())
    }

    /// Whether what is written now is in the file that the next server opens. Where the journal alone is gone, all that
    /// stands in it is put into the file: this server still has it open, and the next one would never see it.
    ///
    /// # Errors
    /// [`StoreError::Displaced`], [`StoreError::JournalDisplaced`] or [`StoreError::Altered`] when it is not; or the
    /// system does not say.
    pub fn check_place(&self) -> Result<(), StoreError> {
        let place = self.place.check();
        let is_journal = matches!(&place, Err(StoreError::Displaced(name)) if *name == JOURNAL);
        // What others have written over is not written to: that would make it worse.
        if !is_journal || !self.place.is_as_left() {
            return place;
        }
        match self.settle() {
            Ok(()) => Err(StoreError::JournalDisplaced),
            // The next look at the place tries it again.
            Err(fault) => {
                tracing::error!(
                    "what only the journal has of the results could not be saved: {fault}"
                );
                place
            }
        }
    }

    /// Does work on it, and notes how that leaves the files.
    ///
    /// # Errors
    /// What the work says.
    pub fn turn<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // What others did to them is seen later as well.
        let is_as_left = self.place.is_as_left();
        if is_as_left && self.is_sound && self.place.begins_a_journal() {
            // Without room for it, it is one that does not say to which file it belongs.
            let _ = journal::begin(&self.db);
            self.place.leave();
        }
        let done = work(self);
        if done.as_ref().is_err_and(StoreError::is_lasting) {
            self.distrust();
        }
        // SQLite would do it as well, and begin the next journal without a mark.
        if is_as_left && self.is_sound && self.place.has_a_long_journal() {
            // Without room for it, the next turn tries it again.
            let _ = self.settle();
        }
        if is_as_left {
            self.place.leave();
        }
        done
    }

    /// The file is not what this server has written: nothing more is put into it, also when it is closed.
    pub fn distrust(&mut self) {
        self.is_sound = false;
        // It is an option of the connection: SQLite takes it at any time.
        let _ = journal::stays(&self.db, true);
    }

    /// Leaves files that the next server can open: everything is in the file, or the journal lies beside it under another
    /// name, so that it is not applied to a copy that is put back.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        if self.place.is_altered() {
            self.distrust();
        }
        match self.is_sound {
            true => self.settle(),
            false => self.place.set_journal_aside(),
        }
    }

    /// Keeps a task that begins; one that is there already is left as it is.
    ///
    /// # Errors
    /// [`StoreError::TooMany`]; or it cannot be written.
    pub fn insert(&mut self, task: &Task, owner: &Owner) -> Result<(), StoreError> {
        if self.find(&task.id, &owner.key)?.is_some() {
            return Ok(());
        }
        let change = self.db.transaction()?;
        let of_one = self.settings.max_count_of_one() as u64;
        let max = self.settings.max_count as u64;
        let own = self.by_owner.get(&owner.key).map_or(0, |own| own.count);
        let mut forgotten = Forgotten::default();
        loop {
            // Where the owner has more than its share, its own make room; else whoever's are the oldest.
            let whose = if own - forgotten.of(&owner.key).count >= of_one {
                Some(&*owner.key)
            } else if self.all.count - forgotten.all.count >= max {
                None
            } else {
                break;
            };
            if !forgotten.oldest_call(&change, whose)? {
                return Err(StoreError::TooMany(format!(
                    "there are too many tasks (at most {max}, {of_one} of them with one key); wait until some expire, or \
                     ask for a shorter ttl (MCP_MAX_TASKS)"
                )));
            }
        }
        change.execute(
            "INSERT INTO tasks (id, owner, agent, tool, is_call, status, message, created, updated, ttl)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                task.id,
                owner.key,
                owner.agent,
                task.tool,
                task.kind == Kind::Call,
                task.status.name(),
                task.message,
                task.created,
                task.updated,
                task.ttl
            ],
        )?;
        change.commit()?;
        self.forget(&forgotten);
        self.more(&owner.key, 1, 0);
        Ok(())
    }

    /// Keeps how a task ended. Its begin is written with it where that is not there yet. One that has ended already is
    /// left as it is. A result that finds no room is left out: that a task has ended can always be written.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] where its begin is not there and finds no room; or it cannot be written.
    pub fn end(
        &mut self,
        task: &Task,
        owner: &Owner,
        end: &End,
        message: Option<&str>,
        now: i64,
    ) -> Result<Ended, StoreError> {
        self.insert(task, owner)?;
        let bytes = end.bytes() as u64;
        let own = self.by_owner.get(&owner.key).copied().unwrap_or_default();
        let change = self.db.transaction()?;
        let room = room_for(&change, &self.settings, (self.all, own), owner, bytes)?;
        let ended = match &room {
            Some(_) => Ended::AsItDid,
            None => Ended::WithoutResult(no_room(&self.settings, bytes)),
        };
        let (status, message, end, bytes) = match &ended {
            Ended::AsItDid => (end.status(), message, Some(end), bytes),
            Ended::WithoutResult(why) => (Status::Failed, Some(why.as_str()), None, 0),
        };
        let (result, error, has_failed) = match end {
            Some(End::Result { text, has_failed }) => (Some(text.get()), None, *has_failed),
            Some(End::Error(error)) => (None, Some(error.get()), false),
            Some(End::Cancelled) | None => (None, None, false),
        };
        let (large, result) = match result {
            Some(text) if text.len() > pieces::PIECE => (Some(text), None),
            result => (None, result),
        };
        let written = change.query_row(
            "UPDATE tasks SET status = ?2, message = ?3, updated = ?4, result = ?5, error = ?6, failed = ?7,
             bytes = ?8, expires = max(created + ttl, ?4 + ?9) WHERE id = ?1 AND expires IS NULL RETURNING seq",
            params![
                task.id,
                status.name(),
                message,
                now,
                result,
                error,
                has_failed,
                bytes,
                millis(MIN_TTL)
            ],
            |row| row.get(0),
        );
        let Some(seq) = written.optional()? else {
            return Ok(Ended::AsItDid);
        };
        if let Some(text) = large {
            pieces::write(&change, seq, text)?;
        }
        change.commit()?;
        self.forget(&room.unwrap_or_default());
        self.more(&owner.key, 0, bytes);
        Ok(ended)
    }

    /// Forgets a task.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove(&mut self, id: &str) -> Result<(), StoreError> {
        self.delete(
            "DELETE FROM tasks WHERE id = ?1 RETURNING owner, bytes",
            [id],
        )?;
        Ok(())
    }

    fn delete(&mut self, sql: &str, values: impl rusqlite::Params) -> Result<bool, StoreError> {
        let mut query = self.db.prepare(sql)?;
        let gone = query.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let gone = gone.collect::<Result<Vec<(String, u64)>, _>>()?;
        drop(query);
        for (owner, bytes) in &gone {
            self.less(
                owner,
                Kept {
                    count: 1,
                    bytes: *bytes,
                },
            );
        }
        Ok(!gone.is_empty())
    }

    fn count(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT owner, count(*), sum(bytes) FROM tasks GROUP BY owner";
        let mut query = self.db.prepare(sql)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let rows = rows.collect::<Result<Vec<(String, u64, u64)>, _>>()?;
        drop(query);
        for (owner, count, bytes) in rows {
            self.more(&owner, count, bytes);
        }
        Ok(())
    }

    fn more(&mut self, owner: &str, count: u64, bytes: u64) {
        let own = self.by_owner.entry(owner.to_owned()).or_default();
        for kept in [own, &mut self.all] {
            kept.count += count;
            kept.bytes += bytes;
        }
    }

    fn forget(&mut self, forgotten: &Forgotten) {
        self.made_room += forgotten.all.count;
        for (owner, kept) in &forgotten.by_owner {
            self.less(owner, *kept);
        }
    }

    fn less(&mut self, owner: &str, freed: Kept) {
        let Some(own) = self.by_owner.get_mut(owner) else {
            return;
        };
        for kept in [&mut *own, &mut self.all] {
            kept.count -= freed.count;
            kept.bytes -= freed.bytes;
        }
        if own.count == 0 {
            self.by_owner.remove(owner);
        }
    }

    /// Forgets what is kept no longer.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn expire(&mut self, now: i64) -> Result<Kept, StoreError> {
        let sql = "DELETE FROM tasks WHERE expires <= ?1 RETURNING owner, bytes";
        self.delete(sql, [now])?;
        Ok(self.kept())
    }

    /// Gives a piece of the room that nothing takes back to the file system, and says whether there is more.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn shrink(&mut self) -> Result<bool, StoreError> {
        // Each step gives back one page.
        let mut query = self
            .db
            .prepare(&format!("PRAGMA incremental_vacuum({PIECE})"))?;
        let mut pages = query.query([])?;
        while pages.next()?.is_some() {}
        drop(pages);
        drop(query);
        let free = self
            .db
            .pragma_query_value(None, "freelist_count", |row| row.get::<_, u64>(0))?;
        Ok(free > 0)
    }

    /// Everything is in the file itself, and nothing beside it.
    ///
    /// # Errors
    /// It cannot be written; or the file is not what this server has written.
    pub fn settle(&self) -> Result<(), StoreError> {
        if !self.is_sound {
            let why = "the file is damaged, or others have written to it";
            return Err(StoreError::Fault(why.to_owned()));
        }
        Ok(journal::settle(&self.db)?)
    }

    /// What is kept now.
    pub fn kept(&self) -> Kept {
        self.all
    }

    /// How many kept calls have made room for others since it was opened.
    pub fn made_room(&self) -> u64 {
        self.made_room
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // To close it puts the journal into the file, and removes what lies at the journal's name.
        if self.place.check().is_err() {
            self.distrust();
        }
    }
}

#[cfg(test)]
impl Store {
    /// From now on nothing can be written.
    pub fn break_for_test(&mut self) -> Result<(), StoreError> {
        Ok(self.db.pragma_update(None, "query_only", true)?)
    }

    /// From now on the file takes no more room than it has.
    pub fn fill_for_test(&mut self) -> Result<(), StoreError> {
        let pages: i64 = (self.db).pragma_query_value(None, "page_count", |row| row.get(0))?;
        Ok(self.db.pragma_update(None, "max_page_count", pages)?)
    }

    /// The time of all that is over has come.
    pub fn age_for_test(&mut self) -> Result<(), StoreError> {
        let sql = "UPDATE tasks SET expires = 1 WHERE expires IS NOT NULL";
        self.db.execute(sql, [])?;
        Ok(())
    }

    /// From now on it can again.
    pub fn mend_for_test(&mut self) -> Result<(), StoreError> {
        Ok(self.db.pragma_update(None, "query_only", false)?)
    }
}

#[cfg(test)]
mod tests;
