//! The log file: opened for its owner alone, rotated, and survived when the disk will not have it.
//!
//! Knows lines, not events. It lives on the log's writing thread, so nothing here holds up a call.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local, NaiveDate};
use tracing::Level;
use tracing_appender::non_blocking::NonBlocking;
use tracing_rolling_file::{RollingConditionBase, RollingFileAppenderBase};

use super::lines::Lines;
use super::queue::Loss;
use super::settings::{FileSettings, Rotation};

/// Pause before a file that failed is tried again, and before an outage counts as over.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const OVER_AFTER: Duration = Duration::from_secs(60);
/// Stands for "all" rotated files of a daily log: ten years of them.
const ALL_BACKUPS: usize = 3_650;
/// A file that smcp creates is for its owner: lines name sessions, agents and tools.
const NEW_FILE_MODE: u32 = 0o600;

/// The moment a line is written: the day decides about rotation, the instant about retries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) day: NaiveDate,
    pub(super) instant: Instant,
}

impl Now {
    pub(super) fn read() -> Self {
        Self {
            day: Local::now().date_naive(),
            instant: Instant::now(),
        }
    }
}

/// Where the log file tells its troubles.
pub(super) struct Notices {
    pub(super) console: NonBlocking,
    pub(super) lines: Lines,
}

impl Notices {
    fn write(&mut self, level: Level, message: &str) {
        // A console that cannot take the line counts it itself.
        let _ = self
            .console
            .write_all(self.lines.notice(level, message).as_bytes());
    }
}

/// The log file and what has become of it. Takes one whole line a write, and never fails: what it cannot write it counts.
pub(super) struct LogFile {
    settings: FileSettings,
    open: Option<OpenFile>,
    /// Lines given to the open file since they were last seen to arrive.
    unflushed: u64,
    retry_at: Option<Instant>,
    rotate_again_at: Option<Instant>,
    last_fault: Option<Instant>,
    loss: Loss,
    notices: Notices,
    /// When the present batch of lines began.
    batch: Option<Now>,
}

struct OpenFile {
    appender: RollingFileAppenderBase,
    bytes: u64,
    day: NaiveDate,
    /// Devices and pipes are written to, never moved.
    regular: bool,
    identity: (u64, u64),
}

impl LogFile {
    pub(super) fn new(settings: FileSettings, loss: Loss, notices: Notices) -> Self {
        Self {
            settings,
            open: None,
            unflushed: 0,
            retry_at: None,
            rotate_again_at: None,
            last_fault: None,
            loss,
            notices,
            batch: None,
        }
    }

    /// Opens the file before the first line, so that one that cannot be written is told at the start.
    pub(super) fn open_at(&mut self, now: Now) {
        if let Err(error) = self.open_if_due(now) {
            self.give_up(error, now);
        }
    }

    pub(super) fn append(&mut self, line: &[u8], now: Now) {
        if let Err(error) = self.try_append(line, now) {
            self.loss.add(1);
            self.give_up(error, now);
        }
    }

    fn try_append(&mut self, line: &[u8], now: Now) -> Result<(), Option<io::Error>> {
        self.close_if_moved();
        self.open_if_due(now)?;
        self.rotate_if_due(line.len() as u64, now);
        // A rotation that failed closed the file.
        self.open_if_due(now)?;
        let open = self.open.as_mut().ok_or(None)?;
        open.appender.write_all(line)?;
        open.bytes += line.len() as u64;
        self.unflushed += 1;
        Ok(())
    }

    pub(super) fn flush_at(&mut self, now: Now) {
        let Some(open) = &mut self.open else { return };
        match open.appender.flush() {
            Ok(()) => {
                self.unflushed = 0;
                self.note_recovery(now);
            }
            Err(error) => {
                self.give_up(Some(error), now);
            }
        }
    }

    fn open_if_due(&mut self, now: Now) -> Result<(), Option<io::Error>> {
        if self.open.is_some() {
            return Ok(());
        }
        if self.retry_at.is_some_and(|at| now.instant < at) {
            return Err(None);
        }
        self.open = Some(OpenFile::open(&self.settings, now)?);
        self.retry_at = None;
        Ok(())
    }

    /// Others may move the file (logrotate), cut it, or share it (a second server): what lies at the path counts.
    fn close_if_moved(&mut self) {
        let Some(open) = self.open.as_mut().filter(|open| open.regular) else {
            return;
        };
        // Once a batch of lines is often enough.
        if self.unflushed > 0 {
            return;
        }
        match fs::metadata(&self.settings.path) {
            Ok(metadata) if identity(&metadata) == open.identity => open.bytes = metadata.len(),
            _ => self.open = None,
        }
    }

    /// A rotation that fails is no reason to lose lines: the file grows on and rotation is tried later.
    fn rotate_if_due(&mut self, incoming: u64, now: Now) {
        let Some(open) = &mut self.open else { return };
        if !open.is_due(self.settings.rotation, incoming, now)
            || self.rotate_again_at.is_some_and(|at| now.instant < at)
        {
            return;
        }
        match open.rotate(&self.settings.path, now) {
            Ok(()) => {
                self.unflushed = 0;
                self.rotate_again_at = None;
            }
            Err(error) => {
                // Half of the moves may have happened: what lies at the path now is opened afresh.
                self.open = None;
                self.rotate_again_at = Some(now.instant + OVER_AFTER);
                self.note_fault(
                    &format!("cannot be rotated: {error}; it grows until it can be"),
                    now,
                );
            }
        }
    }

    /// Closes the file after a failure, `None` being one already told; lines that were under way count as lost.
    fn give_up(&mut self, error: Option<io::Error>, now: Now) {
        self.loss.add(std::mem::take(&mut self.unflushed));
        let Some(error) = error else { return };
        self.open = None;
        self.retry_at = Some(now.instant + RETRY_AFTER);
        self.note_fault(
            &format!("cannot be written: {error}; lines are lost and counted until it can be"),
            now,
        );
    }

    /// One warning an outage: a console flooded about the log is a second outage.
    fn note_fault(&mut self, what: &str, now: Now) {
        if self.last_fault.replace(now.instant).is_none() {
            let path = self.settings.path.display();
            self.notices
                .write(Level::WARN, &format!("the log file {path} {what}"));
        }
    }

    fn note_recovery(&mut self, now: Now) {
        if self
            .last_fault
            .is_some_and(|at| now.instant.duration_since(at) >= OVER_AFTER)
        {
            self.last_fault = None;
            let path = self.settings.path.display();
            let lost = self.loss.lines();
            self.notices.write(
                Level::INFO,
                &format!("the log file {path} is written again; lines lost so far: {lost}"),
            );
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A batch takes a moment, and the day is looked up in the rules of the time zone.
        let now = *self.batch.get_or_insert_with(Now::read);
        self.append(line, now);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.batch = None;
        self.flush_at(Now::read());
        Ok(())
    }
}

impl OpenFile {
    fn open(settings: &FileSettings, now: Now) -> io::Result<Self> {
        let path = &settings.path;
        if path.to_str().is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "its path is not UTF-8",
            ));
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(NEW_FILE_MODE)
            .open(path)?;
        let metadata = file.metadata()?;
        let regular = metadata.is_file();
        if regular && metadata.len() > 0 && !ends_with_newline(path)? {
            // Half a line is left of a crash or a full disk; the next one must not continue it.
            file.write_all(b"\n")?;
        }
        // A log that ended yesterday rotates today, also when the server was restarted in between.
        let day = match metadata.modified() {
            Ok(modified) if regular && metadata.len() > 0 => {
                DateTime::<Local>::from(modified).date_naive()
            }
            _ => now.day,
        };
        // The crate's own conditions panic where a day has no midnight and retry at every line, so
        // when to rotate is decided here and only the moving is its work.
        let never = RollingConditionBase::new();
        Ok(Self {
            appender: RollingFileAppenderBase::new(path, never, backups(settings.rotation))?,
            bytes: metadata.len(),
            day,
            regular,
            identity: identity(&metadata),
        })
    }

    fn is_due(&self, rotation: Rotation, incoming: u64, now: Now) -> bool {
        self.regular
            && self.bytes > 0
            && match rotation {
                Rotation::Size { max_bytes: 0, .. }
                | Rotation::Size { backups: 0, .. }
                | Rotation::None => false,
                Rotation::Size { max_bytes, .. } => self.bytes + incoming >= max_bytes,
                Rotation::Time { .. } => is_another_day(self.day, now.day),
            }
    }

    fn rotate(&mut self, path: &Path, now: Now) -> io::Result<()> {
        // An administrator may have opened the log to a group; its successor is as open and no more.
        let mode =
            fs::metadata(path).map_or(NEW_FILE_MODE, |metadata| metadata.permissions().mode());
        self.appender.rollover()?;
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        self.identity = identity(&fs::metadata(path)?);
        self.bytes = 0;
        self.day = now.day;
        Ok(())
    }
}

/// Whether the day of the file's last line is over. A day to come is one too, but for the next one: a clock that
/// was ahead for years and is right again must not stop rotation, and one that is put back by a second at
/// midnight must not rotate twice.
fn is_another_day(written: NaiveDate, today: NaiveDate) -> bool {
    today > written || written.signed_duration_since(today).num_days() > 1
}

/// What tells one file from another at the same path: device and inode.
fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn backups(rotation: Rotation) -> usize {
    match rotation {
        Rotation::Size { backups, .. } => backups,
        Rotation::Time { backups: 0 } => ALL_BACKUPS,
        Rotation::Time { backups } => backups,
        Rotation::None => 0,
    }
}

fn ends_with_newline(path: &Path) -> io::Result<bool> {
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        // Allowed to write but not to read: then there is no telling.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(true),
        Err(error) => return Err(error),
    };
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests;
