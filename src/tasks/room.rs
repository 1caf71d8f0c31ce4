//! Room for tasks and their results: what is forgotten for what comes. Knows no task that runs.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row};

use super::settings::Settings;
use super::task::Owner;

/// What is kept at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Tasks, running ones included.
    pub count: u64,
    /// What their results take, in bytes.
    pub bytes: u64,
}

/// What is said of a result of so many bytes that finds no room.
pub(super) fn no_room(settings: &Settings, bytes: u64) -> String {
    let (max, of_one) = (settings.max_bytes, settings.max_bytes_of_one());
    format!(
        "it ended, and its result is lost: its {bytes} bytes find no room among those that are kept (at most {max} bytes, \
         {of_one} of them with one key); let it print less, or raise MCP_MAX_TASK_BYTES"
    )
}

/// Makes room for a result, and says what was forgotten for that; `None`, and nothing is forgotten, where there is none.
///
/// # Errors
/// The store cannot be read or written.
pub(super) fn room_for(
    db: &Connection,
    settings: &Settings,
    (all, own): (Kept, Kept),
    owner: &Owner,
    bytes: u64,
) -> Result<Option<Forgotten>, rusqlite::Error> {
    let of_one = settings.max_bytes_of_one();
    let missing = (all.bytes + bytes).saturating_sub(settings.max_bytes);
    let missing_of_own = (own.bytes + bytes).saturating_sub(of_one);
    let mut forgotten = Forgotten::default();
    let may_be_forgotten = |whose: Option<&str>| {
        let sql = "SELECT coalesce(sum(bytes), 0) FROM tasks
                   WHERE (?1 IS NULL OR owner = ?1) AND is_call AND expires IS NOT NULL";
        db.query_row(sql, [whose], |row| row.get::<_, u64>(0))
    };
    if bytes == 0 {
        return Ok(Some(forgotten));
    }
    if bytes > of_one
        || (missing_of_own > 0 && may_be_forgotten(Some(&owner.key))? < missing_of_own)
        || (missing > 0 && may_be_forgotten(None)? < missing)
    {
        return Ok(None);
    }
    while forgotten.of(&owner.key).bytes < missing_of_own
        && forgotten.oldest_call(db, Some(&owner.key))?
    {}
    while forgotten.all.bytes < missing && forgotten.oldest_call(db, None)? {}
    Ok(Some(forgotten))
}

/// Calls that were kept unasked, were over, and made room.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// Of each owner.
    pub(super) by_owner: HashMap<String, Kept>,
    /// Of all together.
    pub(super) all: Kept,
}

impl Forgotten {
    /// Those of one owner.
    pub(super) fn of(&self, owner: &str) -> Kept {
        self.by_owner.get(owner).copied().unwrap_or_default()
    }

    /// Forgets the oldest such call: of this owner, or of whoever has it. Whether there was one.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn oldest_call(
        &mut self,
        db: &Connection,
        whose: Option<&str>,
    ) -> Result<bool, rusqlite::Error> {
        let forget = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
            let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?));
            db.query_row(sql, values, read).optional()
        };
        let gone = match whose {
            Some(owner) => forget(
                "DELETE FROM tasks WHERE seq = (SELECT min(seq) FROM tasks
                 WHERE owner = ?1 AND is_call AND expires IS NOT NULL) RETURNING owner, bytes",
                &[&owner],
            )?,
            None => forget(
                "DELETE FROM tasks WHERE seq = (SELECT min(seq) FROM tasks
                 WHERE is_call AND expires IS NOT NULL) RETURNING owner, bytes",
                &[],
            )?,
        };
        let Some((owner, bytes)) = gone else {
            return Ok(false);
        };
        for kept in [self.by_owner.entry(owner).or_default(), &mut self.all] {
            kept.count += 1;
            kept.bytes += bytes;
        }
        Ok(true)
    }
}
