//! The log file: opened for its owner alone, rotated, and survived when the disk will not have it.
//!
//! Knows lines, not events. It lives on the log's writing thread, so nothing here holds up a call.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
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
    fn read() -> Self {
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
    fn tell(&mut self, level: Level, message: &str) {
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
}

struct OpenFile {
    appender: RollingFileAppenderBase,
    bytes: u64,
    day: NaiveDate,
    /// Devices and pipes are written to, never moved.
    regular: bool,
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
        }
    }

    pub(super) fn append(&mut self, line: &[u8], now: Now) {
        if let Err(error) = self.try_append(line, now) {
            self.loss.add(1);
            self.give_up(error, now);
        }
    }

    fn try_append(&mut self, line: &[u8], now: Now) -> Result<(), Option<io::Error>> {
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
                .tell(Level::WARN, &format!("the log file {path} {what}"));
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
            self.notices.tell(
                Level::INFO,
                &format!("the log file {path} is written again; lines lost so far: {lost}"),
            );
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line, Now::read());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
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
                Rotation::Time { .. } => now.day > self.day,
            }
    }

    fn rotate(&mut self, path: &Path, now: Now) -> io::Result<()> {
        // An administrator may have opened the log to a group; its successor is as open and no more.
        let mode =
            fs::metadata(path).map_or(NEW_FILE_MODE, |metadata| metadata.permissions().mode());
        self.appender.rollover()?;
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        self.bytes = 0;
        self.day = now.day;
        Ok(())
    }
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
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::{console, queue};
    use super::*;

    /// A log file in a directory of its own, with a console that remembers.
    struct Bench {
        directory: tempfile::TempDir,
        file: LogFile,
        loss: Loss,
        now: Now,
        console: Arc<Mutex<Vec<u8>>>,
        worker: Option<queue::Worker>,
    }

    impl Bench {
        fn new(rotation: Rotation) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("logs/mcp.log");
            Self::at(directory, FileSettings { path, rotation })
        }

        fn at(directory: tempfile::TempDir, settings: FileSettings) -> Self {
            let console = Arc::new(Mutex::new(Vec::new()));
            let sink = console::Sink {
                output: Box::new(Memory(Arc::clone(&console))),
                loss: Loss::default(),
            };
            let (handle, worker, _) = queue::spawn("test", sink, Loss::default());
            let notices = Notices {
                console: handle,
                lines: Lines::default(),
            };
            let loss = Loss::default();
            Self {
                file: LogFile::new(settings, loss.clone(), notices),
                directory,
                loss,
                now: Now {
                    day: NaiveDate::from_ymd_opt(2031, 5, 1).unwrap(),
                    instant: Instant::now(),
                },
                console,
                worker: Some(worker),
            }
        }

        fn write(&mut self, line: &str) {
            self.file.append(format!("{line}\n").as_bytes(), self.now);
            self.file.flush_at(self.now);
        }

        fn pass(&mut self, days: u64, time: Duration) {
            self.now.day = self.now.day + chrono::Days::new(days);
            self.now.instant += time;
        }

        fn read(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.directory.path().join("logs").join(name)).ok()
        }

        fn console(mut self) -> String {
            drop(self.worker.take());
            String::from_utf8(self.console.lock().unwrap().clone()).unwrap()
        }
    }

    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_file_becomes_number_one_and_the_oldest_goes() {
        let mut bench = Bench::new(Rotation::Size {
            max_bytes: 12,
            backups: 2,
        });
        for line in ["one", "two", "three", "four", "five", "six", "seven"] {
            bench.write(line);
        }
        assert_eq!(bench.read("mcp.log").unwrap(), "seven\n");
        assert_eq!(bench.read("mcp.log.1").unwrap(), "five\nsix\n");
        assert_eq!(bench.read("mcp.log.2").unwrap(), "three\nfour\n");
        assert_eq!(bench.read("mcp.log.3"), None);
        assert_eq!(bench.loss.lines(), 0);
    }

    #[test]
    fn size_counts_what_an_earlier_run_left() {
        let mut bench = Bench::new(Rotation::Size {
            max_bytes: 20,
            backups: 1,
        });
        fs::create_dir(bench.directory.path().join("logs")).unwrap();
        fs::write(
            bench.directory.path().join("logs/mcp.log"),
            "of an earlier run\n",
        )
        .unwrap();
        bench.write("new");
        assert_eq!(bench.read("mcp.log.1").unwrap(), "of an earlier run\n");
        assert_eq!(bench.read("mcp.log").unwrap(), "new\n");
    }

    #[test]
    fn no_backups_or_no_size_means_no_rotation() {
        for (max_bytes, backups) in [(10, 0), (0, 3)] {
            let mut bench = Bench::new(Rotation::Size { max_bytes, backups });
            bench.write("a line of more than ten bytes");
            bench.write("another one");
            assert_eq!(
                bench.read("mcp.log").unwrap(),
                "a line of more than ten bytes\nanother one\n"
            );
            assert_eq!(bench.read("mcp.log.1"), None);
        }
    }

    #[test]
    fn a_new_day_begins_a_new_file() {
        let mut bench = Bench::new(Rotation::Time { backups: 2 });
        for day in ["monday", "tuesday", "wednesday", "thursday"] {
            bench.write(day);
            bench.write("more");
            bench.pass(1, Duration::from_secs(86_400));
        }
        assert_eq!(bench.read("mcp.log").unwrap(), "thursday\nmore\n");
        assert_eq!(bench.read("mcp.log.1").unwrap(), "wednesday\nmore\n");
        assert_eq!(bench.read("mcp.log.2").unwrap(), "tuesday\nmore\n");
        assert_eq!(bench.read("mcp.log.3"), None);
    }

    #[test]
    fn a_restart_on_a_later_day_rotates_the_old_log() {
        let mut bench = Bench::new(Rotation::Time { backups: 0 });
        fs::create_dir(bench.directory.path().join("logs")).unwrap();
        fs::write(bench.directory.path().join("logs/mcp.log"), "long ago\n").unwrap();
        bench.write("today");
        assert_eq!(bench.read("mcp.log.1").unwrap(), "long ago\n");
    }

    #[test]
    fn without_rotation_a_file_only_grows() {
        let mut bench = Bench::new(Rotation::None);
        for _ in 0..3 {
            bench.write("line");
            bench.pass(1, Duration::from_secs(86_400));
        }
        assert_eq!(bench.read("mcp.log").unwrap(), "line\nline\nline\n");
        assert_eq!(
            fs::read_dir(bench.directory.path().join("logs"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn a_log_is_for_its_owner_unless_someone_opened_it() {
        let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut bench = Bench::new(Rotation::Size {
            max_bytes: 8,
            backups: 1,
        });
        let path = bench.directory.path().join("logs/mcp.log");
        bench.write("first");
        assert_eq!(mode_of(&path), 0o600);
        bench.write("second");
        assert_eq!(mode_of(&path), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        bench.write("third");
        assert_eq!(mode_of(&path), 0o640);
    }

    #[test]
    fn half_a_line_left_behind_is_not_continued() {
        let mut bench = Bench::new(Rotation::None);
        fs::create_dir(bench.directory.path().join("logs")).unwrap();
        fs::write(bench.directory.path().join("logs/mcp.log"), "half a li").unwrap();
        bench.write("whole");
        assert_eq!(bench.read("mcp.log").unwrap(), "half a li\nwhole\n");
    }

    #[test]
    fn a_full_disk_is_counted_and_told_once() {
        let settings = FileSettings {
            path: "/dev/full".into(),
            rotation: Rotation::Size {
                max_bytes: 10,
                backups: 2,
            },
        };
        let mut bench = Bench::at(tempfile::tempdir().unwrap(), settings);
        for _ in 0..50 {
            bench.write("this line finds no room");
            bench.pass(0, Duration::from_secs(3));
        }
        assert_eq!(bench.loss.lines(), 50);
        let console = bench.console();
        assert_eq!(console.lines().count(), 1, "{console}");
        assert!(
            console.contains("the log file /dev/full cannot be written: No space left"),
            "{console}"
        );
        assert!(Path::new("/dev/full").exists() && !Path::new("/dev/full.1").exists());
    }

    #[test]
    fn a_directory_that_appears_later_is_used_from_then_on() {
        let mut bench = Bench::new(Rotation::None);
        let blocker = bench.directory.path().join("logs");
        fs::write(&blocker, "a file where the directory should be").unwrap();
        bench.write("lost");
        bench.pass(0, Duration::from_secs(1));
        bench.write("lost too");
        fs::remove_file(&blocker).unwrap();
        bench.pass(0, RETRY_AFTER);
        bench.write("kept");
        bench.pass(0, OVER_AFTER);
        bench.write("kept too");
        assert_eq!(bench.read("mcp.log").unwrap(), "kept\nkept too\n");
        assert_eq!(bench.loss.lines(), 2);
        let console = bench.console();
        assert_eq!(console.lines().count(), 2, "{console}");
        assert!(
            console.contains("is written again; lines lost so far: 2"),
            "{console}"
        );
    }

    #[test]
    fn a_rotation_that_fails_loses_no_line() {
        let mut bench = Bench::new(Rotation::Size {
            max_bytes: 10,
            backups: 1,
        });
        bench.write("first");
        // A directory that is not empty can be neither removed nor renamed over.
        fs::create_dir_all(bench.directory.path().join("logs/mcp.log.1/in the way")).unwrap();
        for line in ["second", "third"] {
            bench.write(line);
        }
        assert_eq!(bench.read("mcp.log").unwrap(), "first\nsecond\nthird\n");
        assert_eq!(bench.loss.lines(), 0);
        let console = bench.console();
        assert_eq!(console.lines().count(), 1, "{console}");
        assert!(console.contains("cannot be rotated"), "{console}");
    }
}
