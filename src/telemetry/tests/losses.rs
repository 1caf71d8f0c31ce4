//! Files that are rotated, and logs that cannot be written.

use super::*;

#[test]
fn size_rotation_and_backup_count_shape_the_real_files() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        file: Some(FileSettings {
            path: log_path(directory.path(), Path::new(DEFAULT_FILE_NAME)),
            rotation: Rotation::Size {
                max_bytes: 2000,
                backups: 3,
            },
        }),
        ..Settings::default()
    };
    console_of(&settings, false, || {
        for number in 0..200 {
            info!(target: "smcp::x", number, "a line of about seventy bytes");
        }
    });
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["log", "log.1", "log.2", "log.3"].map(|end| format!("mcp_server.{end}"))
    );
    let read = |name: &String| fs::read_to_string(directory.path().join(name)).unwrap();
    assert!(names.iter().all(|name| read(name).len() < 2000));
    let oldest_first: String = names.iter().rev().map(read).collect();
    let numbers: Vec<u32> = oldest_first
        .lines()
        .map(|line| line.rsplit('=').next().unwrap().parse().unwrap())
        .collect();
    let first = numbers[0];
    assert_eq!(
        numbers,
        (first..200).collect::<Vec<_>>(),
        "no line is missing or split between files"
    );
}

#[test]
fn a_full_disk_costs_log_lines_and_nothing_else() {
    let settings = Settings {
        file: Some(FileSettings {
            path: "/dev/full".into(),
            rotation: Rotation::None,
        }),
        ..Settings::default()
    };
    let (console, losses) = console_of(&settings, false, || {
        for number in 0..20 {
            info!(number, "work goes on");
        }
    });
    assert_eq!(losses.file.lines(), 20);
    assert_eq!(losses.console.lines(), 0);
    assert_eq!(
        console
            .lines()
            .filter(|line| line.contains("work goes on"))
            .count(),
        20
    );
    assert_eq!(
        console
            .lines()
            .filter(|line| line.contains("cannot be written"))
            .count(),
        1
    );
    assert_eq!(Counters::new(losses).snapshot().log_lines_lost, 20);
}

/// A console whose reader is gone: every write fails.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_console_that_is_gone_costs_its_own_lines_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcp.log");
    let settings = Settings {
        file: Some(FileSettings {
            path: path.clone(),
            rotation: Rotation::None,
        }),
        ..Settings::default()
    };
    let output = console::Output {
        writer: Box::new(Gone),
        terminal: false,
    };
    let (subscriber, guard) = build_with(&settings, output);
    let losses = guard.losses();
    tracing::subscriber::with_default(subscriber, || (0..5).for_each(|_| info!("hello")));
    drop(guard);
    assert_eq!((losses.console.lines(), losses.file.lines()), (5, 0));
    assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 5);
}

/// A console whose reader stopped reading: a write does not return until the test lets go.
struct Stalled(Arc<Mutex<()>>);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        drop(self.0.lock());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_console_that_nobody_reads_holds_up_nothing() {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let output = console::Output {
        writer: Box::new(Stalled(Arc::clone(&gate))),
        terminal: false,
    };
    let (subscriber, guard) = build_with(&Settings::default(), output);
    let losses = guard.losses();
    let events = 20_000;
    // Returns only because logging does not wait for the console: its writer is stuck all the while.
    tracing::subscriber::with_default(subscriber, || (0..events).for_each(|_| info!("hello")));
    drop(guard);
    let lost = losses.console.lines();
    assert!(lost > 0 && lost < events, "{lost} of {events}");
    drop(closed);
}
