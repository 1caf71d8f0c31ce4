//! The tables of the store: made in a new file, and looked for in every other. Knows no task.

use rusqlite::{Connection, ErrorCode};

use super::header::{APPLICATION, VERSION};

/// What is said of a file that another server has open.
pub(super) const IN_USE: &str = "another server uses it; give each one a directory of its own";

const TABLES: &str = "
CREATE TABLE tasks (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL UNIQUE,
    owner   TEXT NOT NULL,
    agent   TEXT,
    tool    TEXT NOT NULL,
    is_call INTEGER NOT NULL,
    status  TEXT NOT NULL,
    message TEXT,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    ttl     INTEGER NOT NULL,
    expires INTEGER,
    failed  INTEGER NOT NULL DEFAULT 0,
    bytes   INTEGER NOT NULL DEFAULT 0,
    result  TEXT,
    error   TEXT
) STRICT;
CREATE INDEX by_owner ON tasks (owner, seq);
CREATE INDEX calls_over ON tasks (owner, seq, bytes) WHERE is_call AND expires IS NOT NULL;
CREATE INDEX oldest_calls ON tasks (seq, bytes) WHERE is_call AND expires IS NOT NULL;
CREATE INDEX by_expiry ON tasks (expires) WHERE expires IS NOT NULL;
CREATE INDEX running ON tasks (id) WHERE expires IS NULL;
";

/// Since version 2: the results that are too large for one row.
const PIECES: &str = "
CREATE TABLE pieces (
    task   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    bytes  BLOB NOT NULL,
    PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER pieces_go AFTER DELETE ON tasks BEGIN DELETE FROM pieces WHERE task = OLD.seq; END;
";

/// Whether nothing was made in the file yet.
///
/// # Errors
/// It cannot be read.
pub(super) fn is_empty(db: &Connection) -> Result<bool, rusqlite::Error> {
    let sql = "SELECT count(*) FROM sqlite_schema";
    db.query_row(sql, [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

/// Makes the tables that a file of this version does not have yet; of version 0 is one that has none.
///
/// # Errors
/// They cannot be written.
pub(super) fn make(db: &Connection, version: i32) -> Result<(), rusqlite::Error> {
    let tables = match version {
        0 => TABLES,
        _ => "",
    };
    db.execute_batch(&format!(
        "BEGIN; {tables} {PIECES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
    ))
}

/// Looks whether the file is whole and its tables are those of its version.
///
/// # Errors
/// It is damaged, or it cannot be read.
pub(super) fn check(db: &Connection, version: i32) -> Result<(), rusqlite::Error> {
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(damaged(found));
    }
    let new = Connection::open_in_memory()?;
    new.execute_batch(TABLES)?;
    if version == VERSION {
        new.execute_batch(PIECES)?;
    }
    let (wanted, found) = (definitions(&new)?, definitions(db)?);
    let is_amiss = |(one, other): (&Definitions, &Definitions)| {
        let amiss = one.iter().find(|definition| !other.contains(definition));
        amiss.map(|(name, _)| name.clone())
    };
    match is_amiss((&wanted, &found)).or_else(|| is_amiss((&found, &wanted))) {
        Some(name) => Err(damaged(format!(
            "{name} in it is not as the server makes it"
        ))),
        None => Ok(()),
    }
}

/// Names and texts of what was made.
type Definitions = Vec<(String, Option<String>)>;

fn definitions(db: &Connection) -> Result<Definitions, rusqlite::Error> {
    // Statistics of SQLite's own change nothing.
    let sql =
        "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'";
    let mut query = db.prepare(sql)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn damaged(what: String) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(what))
}

/// What SQLite says, with what to do about it.
pub(super) fn explained(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => IN_USE.to_owned(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!(
            "it is damaged ({error}); put a copy back, or move it away to begin anew, with its journal (tasks.sqlite-wal) \
             where there is one: what they have is lost to clients then"
        ),
        _ => format!("{error}; the server must be able to write there"),
    }
}
