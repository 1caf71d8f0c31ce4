//! The journal beside the store's file: to which file it belongs, and how it is set aside. SQLite applies whatever lies
//! there to whatever file it finds, also to a copy that was put back. Knows no table.
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::header::{HEADER, Mark, is_sqlite, mark};

/// What may stand in it before it is put into the file.
pub(super) const MAX_BYTES: u64 = 4 << 20;
/// How many may lie there set aside.
const MAX_ASIDE: u32 = 1_000;

/// Bytes before the first frame, and before the page in each.
const START: usize = 32;
const FRAME: usize = 24;

/// Begins an empty journal with the first page of the file and a new mark in it, whose upper half is the lower half of
/// the mark that the file has. SQLite counts changes of the tables in that place, and only looks whether it is another.
///
/// # Errors
/// It cannot be written.
pub(super) fn begin(db: &Connection) -> Result<(), rusqlite::Error> {
    let before: i32 = db.pragma_query_value(None, "schema_version", |row| row.get(0))?;
    let [.., upper, lower] = before.to_be_bytes();
    let [.., one, other] = *uuid::Uuid::new_v4().as_bytes();
    let new = i32::from_be_bytes([upper, lower, one, other.max(1)]);
    db.pragma_update(None, "schema_version", new)
}

/// Puts all of it into the file, and leaves it empty.
///
/// # Errors
/// It cannot be written.
pub(super) fn settle(db: &Connection) -> Result<(), rusqlite::Error> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Whether SQLite leaves the journal as it is when it closes the file, else it puts it into that.
///
/// # Errors
/// SQLite does not take it.
pub(super) fn stays(db: &Connection, stays: bool) -> Result<(), rusqlite::Error> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, stays)?;
    Ok(())
}

/// Whether a journal may belong to the file with this header. One that does not say it was begun by an earlier version,
/// or nothing of it counts.
pub(super) fn belongs(header: &[u8; HEADER], journal: &Path, flags: i32) -> bool {
    if !is_sqlite(header) {
        return true;
    }
    let opened = File::options().read(true).custom_flags(flags).open(journal);
    let Ok(Some(marks)) = opened.and_then(|journal| marks(&journal)) else {
        return true;
    };
    let of_file = mark(header);
    // Either nothing of it is in the file yet, or the first page, which SQLite writes there in one piece.
    marks[0][..2] == of_file[2..] || marks.contains(&of_file)
}

/// The marks in a journal, from the one with which [`begin`] began it; `None` where it did not.
fn marks(journal: &File) -> io::Result<Option<Vec<Mark>>> {
    let mut start = [0; START];
    journal.read_exact_at(&mut start, 0)?;
    let page = u64::from(number(&start, 8));
    if number(&start, 0) & !1 != 0x377f_0682 || !(512..=1 << 16).contains(&page) {
        return Ok(None);
    }
    let length = journal.metadata()?.len();
    let frames = (START as u64..length).step_by(FRAME + usize::try_from(page).unwrap_or(FRAME));
    let mut marks = Vec::new();
    for at in frames {
        let mut frame = [0; FRAME + HEADER];
        // One whose end is missing does not count.
        if journal.read_exact_at(&mut frame, at).is_err() || frame[8..16] != start[16..24] {
            break;
        }
        let (is_first_page, is_whole) = (number(&frame, 0) == 1, number(&frame, 4) != 0);
        if marks.is_empty() && !(is_first_page && is_whole) {
            return Ok(None);
        }
        if is_first_page {
            let mut header = [0; HEADER];
            header.copy_from_slice(&frame[FRAME..]);
            marks.push(mark(&header));
        }
    }
    Ok((!marks.is_empty()).then_some(marks))
}

/// Gives a journal another name beside its own, where SQLite does not look for it, and says which.
///
/// # Errors
/// The system refuses; or there are too many already.
pub(super) fn set_aside(journal: &Path) -> io::Result<PathBuf> {
    for number in 1..=MAX_ASIDE {
        let mut name = journal.as_os_str().to_owned();
        name.push(format!(".aside-{number}"));
        let name = PathBuf::from(name);
        match std::fs::symlink_metadata(&name) {
            Ok(_) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                std::fs::rename(journal, &name)?;
                return Ok(name);
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(io::Error::other(format!(
        "there are {MAX_ASIDE} others already; move them away"
    )))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes[at..at + 4].try_into().expect("four of them");
    u32::from_be_bytes(bytes)
}
