//! Large results in the store, piece by piece. SQLite would have two more copies of a whole one while it writes it.
//! Knows no task that runs.

use rusqlite::{Connection, params};

/// A result with more bytes than this is kept in pieces of so many.
pub(super) const PIECE: usize = 256 << 10;

/// Writes the text of the task with this number.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(db: &Connection, task: i64, text: &str) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO pieces (task, number, bytes) VALUES (?1, ?2, ?3)";
    let mut query = db.prepare(sql)?;
    for (number, piece) in text.as_bytes().chunks(PIECE).enumerate() {
        query.execute(params![task, number, piece])?;
    }
    Ok(())
}

/// Reads the text of the task with this number, of so many bytes. What is missing of it is missing in the text.
///
/// # Errors
/// It cannot be read.
pub(super) fn read(db: &Connection, task: i64, bytes: usize) -> Result<Vec<u8>, rusqlite::Error> {
    let sql = "SELECT bytes FROM pieces WHERE task = ?1 ORDER BY number";
    let mut query = db.prepare(sql)?;
    let mut rows = query.query([task])?;
    let mut text = Vec::with_capacity(bytes);
    while let Some(row) = rows.next()? {
        text.extend_from_slice(row.get_ref(0)?.as_blob()?);
    }
    Ok(text)
}
