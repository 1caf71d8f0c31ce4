//! A log file through full disks, moved files, new days and restarts, by a clock that the tests hold.

use std::sync::{Arc, Mutex};

use super::*;
use crate::telemetry::{console, queue};

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
        let sink = console::Sink::new(Box::new(Memory(Arc::clone(&console))), Loss::default());
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
fn a_clock_that_was_ahead_for_years_stops_no_rotation() {
    let mut bench = Bench::new(Rotation::Time { backups: 3 });
    let day = |year, day| NaiveDate::from_ymd_opt(year, 5, day).unwrap();
    for (today, line) in [
        (day(2041, 1), "ahead"),
        (day(2031, 1), "monday"),
        (day(2031, 2), "tuesday"),
    ] {
        bench.now.day = today;
        bench.write(line);
    }
    assert_eq!(bench.read("mcp.log").unwrap(), "tuesday\n");
    assert_eq!(bench.read("mcp.log.1").unwrap(), "monday\n");
    assert_eq!(bench.read("mcp.log.2").unwrap(), "ahead\n");
}

#[test]
fn a_clock_that_is_put_back_over_midnight_does_not_rotate_twice() {
    let mut bench = Bench::new(Rotation::Time { backups: 3 });
    let day = |day| NaiveDate::from_ymd_opt(2031, 5, day).unwrap();
    for today in [day(2), day(1), day(2)] {
        bench.now.day = today;
        bench.write("line");
    }
    assert_eq!(bench.read("mcp.log").unwrap(), "line\nline\nline\n");
}

#[test]
fn a_directory_that_cannot_be_written_is_told_before_the_first_line() {
    let directory = tempfile::tempdir().unwrap();
    let blocker = directory.path().join("logs");
    fs::write(&blocker, "a file where the directory should be").unwrap();
    let path = blocker.join("mcp.log");
    let rotation = Rotation::None;
    let mut bench = Bench::at(directory, FileSettings { path, rotation });
    bench.file.open_at(bench.now);
    drop(bench.worker.take());
    let said = String::from_utf8(bench.console.lock().unwrap().clone()).unwrap();
    assert!(said.contains("cannot be written"), "{said}");
    assert_eq!(bench.loss.lines(), 0, "no line is lost yet");
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

#[test]
fn a_file_moved_or_removed_by_others_is_begun_anew() {
    let mut bench = Bench::new(Rotation::None);
    let directory = bench.directory.path().join("logs");
    bench.write("before");
    fs::rename(directory.join("mcp.log"), directory.join("moved.log")).unwrap();
    bench.write("after the move");
    fs::remove_file(directory.join("mcp.log")).unwrap();
    bench.write("after the removal");
    assert_eq!(bench.read("moved.log").unwrap(), "before\n");
    assert_eq!(bench.read("mcp.log").unwrap(), "after the removal\n");
    assert_eq!(bench.loss.lines(), 0);
}

#[test]
fn two_servers_on_one_file_rotate_it_together() {
    let mut one = Bench::new(Rotation::Size {
        max_bytes: 24,
        backups: 3,
    });
    let mut other = Bench::at(tempfile::tempdir().unwrap(), one.file.settings.clone());
    for number in 0..3 {
        one.write(&format!("one {number:04}"));
        other.write(&format!("other {number}"));
    }
    assert_eq!(one.read("mcp.log.2").unwrap(), "one 0000\nother 0\n");
    assert_eq!(one.read("mcp.log.1").unwrap(), "one 0001\nother 1\n");
    assert_eq!(one.read("mcp.log").unwrap(), "one 0002\nother 2\n");
}
