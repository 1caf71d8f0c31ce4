//! A directory of small files that only this user writes, shared by servers. Knows no descriptions.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{self, AtFlags, Mode, OFlags};

/// How long a file is kept that nobody has written since.
pub const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The largest file that is written or read, in bytes.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// How much all files take at most after a sweep, in bytes.
const MAX_BYTES: u64 = 128 << 20;

/// How many files there are at most after a sweep.
const MAX_FILES: usize = 10_000;

/// How long a file may be written; one that is older was left by a process that died.
const MAX_WRITING: Duration = Duration::from_secs(60 * 60);

/// How many hexadecimal digits the names of files begin with: a SHA-256.
const KEY_LENGTH: usize = 64;

/// How the names of finished files end, and of those that are being written.
const ENDINGS: [&str; 2] = [".json", ".new"];

/// The open directory.
#[derive(Debug)]
pub struct Store {
    directory: OwnedFd,
    /// Distinguishes the files that this process writes at the same time.
    written: AtomicU64,
}

/// What is known of one file.
struct Known {
    name: String,
    bytes: u64,
    age: Duration,
}

impl Store {
    /// Opens the directory at `path`; makes it, and those above it, where they are missing.
    ///
    /// # Errors
    /// Why it cannot be used: the system's words, or who else could write there.
    pub fn open(path: &Path) -> Result<Self, String> {
        let directory = open_directory(path)?;
        Ok(Self {
            directory,
            written: AtomicU64::new(0),
        })
    }

    /// The file `name` and how long ago it was written. Nothing where it is missing, is no regular file
    /// that this user alone can write, or comes from the future.
    pub fn read(&self, name: &str) -> Option<(Vec<u8>, Duration)> {
        // A file that somebody else has put there may be a link, or a pipe without a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = fs::openat(&self.directory, file_name(name), flags, Mode::empty()).ok()?;
        let stat = fs::fstat(&file).ok()?;
        let file = File::from(file);
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || !is_ours(&stat) || metadata.len() > MAX_FILE_BYTES {
            return None;
        }
        let age = SystemTime::now()
            .duration_since(metadata.modified().ok()?)
            .ok()?;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        Some((bytes, age))
    }

    /// Puts a file in place of what is there, whole or not at all.
    ///
    /// # Errors
    /// The system's error, or that it is too large.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.written.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{name}-{}-{count}{}", std::process::id(), ENDINGS[1]);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        // What a process of this number has left behind is not needed any more.
        let _ = fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
        let file = fs::openat(&self.directory, &temporary, flags, mode)?;
        let put = File::from(file).write_all(bytes).and_then(|()| {
            let (from, to) = (&temporary, file_name(name));
            fs::renameat(&self.directory, from, &self.directory, to).map_err(io::Error::from)
        });
        if put.is_err() {
            let _ = fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
        }
        put
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) {
        let _ = fs::unlinkat(&self.directory, file_name(name), AtFlags::empty());
    }

    /// Removes what is old, and the oldest of what is too much.
    pub fn sweep(&self) {
        let mut files = self.files();
        files.sort_by_key(|file| file.age);
        let (mut bytes, mut count) = (0, 0);
        for file in files {
            bytes += file.bytes;
            count += 1;
            let is_finished = file.name.ends_with(ENDINGS[0]);
            let max_age = if is_finished { MAX_AGE } else { MAX_WRITING };
            if file.age > max_age || bytes > MAX_BYTES || count > MAX_FILES {
                // Another server may have been quicker.
                let _ = fs::unlinkat(&self.directory, &file.name, AtFlags::empty());
            }
        }
    }

    fn files(&self) -> Vec<Known> {
        let now = SystemTime::now();
        let Ok(entries) = fs::Dir::read_from(&self.directory) else {
            return Vec::new();
        };
        let names = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().to_str().ok()?;
            is_file_name(name).then(|| name.to_owned())
        });
        let known = names.filter_map(|name| {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let stat = fs::statat(&self.directory, &name, flags).ok()?;
            let written = u64::try_from(stat.st_mtime).unwrap_or_default();
            let written = SystemTime::UNIX_EPOCH + Duration::from_secs(written);
            Some(Known {
                name,
                bytes: u64::try_from(stat.st_size).unwrap_or_default(),
                // What comes from the future is never read.
                age: now.duration_since(written).unwrap_or(Duration::MAX),
            })
        });
        known.collect()
    }
}

/// Whether a file of this name was written here: what else lies in the directory is somebody else's.
fn is_file_name(name: &str) -> bool {
    let is_key = |text: &str| {
        text.len() == KEY_LENGTH
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let Some(rest) = name.strip_suffix(ENDINGS[1]) else {
        return name.strip_suffix(ENDINGS[0]).is_some_and(is_key);
    };
    let mut parts = rest.split('-');
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u64>().is_ok());
    parts.next().is_some_and(is_key)
        && is_number(parts.next())
        && is_number(parts.next())
        && parts.next().is_none()
}

fn file_name(name: &str) -> String {
    format!("{name}{}", ENDINGS[0])
}

/// Opens a directory that only this user writes; makes it, and those above it, where they are missing.
///
/// # Errors
/// Why it cannot be used: the system's words, or who else could write there.
pub fn open_directory(path: &Path) -> Result<OwnedFd, String> {
    let refused = |why: String| format!("{} cannot be used: {why}", path.display());
    let of_system = |fault: io::Error| refused(fault.to_string());
    check_owner_above(path).map_err(refused)?;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(of_system)?;
    // A link would lead to what belongs to somebody else.
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY | OFlags::NOFOLLOW;
    let directory =
        fs::open(path, flags, Mode::empty()).map_err(|fault| of_system(fault.into()))?;
    let stat = fs::fstat(&directory).map_err(|fault| of_system(fault.into()))?;
    if !is_ours(&stat) {
        let why = "it belongs to another user, or others may write there; chmod 700 it, or name another directory";
        return Err(refused(why.to_owned()));
    }
    fs::accessat(
        &directory,
        ".",
        fs::Access::WRITE_OK | fs::Access::EXEC_OK,
        AtFlags::empty(),
    )
    .map_err(|fault| of_system(fault.into()))?;
    Ok(directory)
}

fn is_ours(stat: &fs::Stat) -> bool {
    let others = Mode::WGRP | Mode::WOTH;
    stat.st_uid == rustix::process::geteuid().as_raw()
        && !Mode::from_raw_mode(stat.st_mode).intersects(others)
}

/// What is made in a directory of another user, such as by `sudo` with the user's own `HOME`, would be in that user's
/// way.
fn check_owner_above(path: &Path) -> Result<(), String> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let nearest = whole.ancestors().find_map(|above| {
        let metadata = std::fs::metadata(above).ok()?;
        Some((above.to_owned(), metadata.uid()))
    });
    match nearest {
        Some((above, owner)) if owner != 0 && owner != rustix::process::geteuid().as_raw() => {
            Err(format!("{} belongs to another user", above.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn opened() -> (tempfile::TempDir, Store) {
        let above = tempfile::tempdir().expect("there is room");
        let store = Store::open(&above.path().join("a/b")).expect("it is ours");
        (above, store)
    }

    fn key(digit: char) -> String {
        digit.to_string().repeat(KEY_LENGTH)
    }

    fn names(path: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(path).expect("it is there");
        let names = entries.map(|entry| entry.expect("it is there").file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn aged(path: &Path, age: Duration) {
        let file = File::options().write(true).open(path).expect("it is ours");
        file.set_modified(SystemTime::now() - age)
            .expect("it is ours");
    }

    #[test]
    fn what_was_written_is_read_and_nobody_else_can() {
        let (above, store) = opened();
        assert_eq!(store.read("one"), None);
        store.write("one", b"first").expect("there is room");
        store.write("one", b"second").expect("there is room");
        assert_eq!(store.read("one").expect("it is there").0, b"second");
        let directory = above.path().join("a/b");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join("one.json")), 0o600);
        assert_eq!(names(&directory), ["one.json"], "nothing is left beside it");
        store.remove("one");
        assert_eq!(store.read("one"), None);
    }

    #[test]
    fn a_file_that_others_can_write_or_that_is_none_is_not_read_and_is_replaced() {
        let (above, store) = opened();
        let path = above.path().join("a/b/one.json");
        let good = above.path().join("good");
        std::fs::write(&good, "x").expect("there is room");
        type Make<'a> = Box<dyn Fn() + 'a>;
        let cases: [(&str, Make<'_>); 5] = [
            (
                "group-writable",
                Box::new(|| {
                    std::fs::write(&path, "x").unwrap();
                    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o620)).unwrap();
                }),
            ),
            ("a link", Box::new(|| symlink(&good, &path).unwrap())),
            (
                "a pipe",
                Box::new(|| {
                    let (kind, mode) = (fs::FileType::Fifo, Mode::RWXU);
                    fs::mknodat(fs::CWD, &path, kind, mode, 0).unwrap();
                }),
            ),
            (
                "too large",
                Box::new(|| {
                    std::fs::write(&path, "x").unwrap();
                    let file = File::options().write(true).open(&path).unwrap();
                    file.set_len(MAX_FILE_BYTES + 1).unwrap();
                }),
            ),
            (
                "from the future",
                Box::new(|| {
                    std::fs::write(&path, "x").unwrap();
                    let file = File::options().write(true).open(&path).unwrap();
                    let later = SystemTime::now() + Duration::from_secs(3600);
                    file.set_modified(later).unwrap();
                }),
            ),
        ];
        for (what, make) in cases {
            make();
            assert_eq!(store.read("one"), None, "{what}");
            store.write("one", b"ours").expect("there is room");
            assert_eq!(store.read("one").expect(what).0, b"ours");
            store.remove("one");
        }
        assert_eq!(std::fs::read(&good).unwrap(), b"x", "the link's target");
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused_and_so_is_one_that_is_none() {
        let above = tempfile::tempdir().expect("there is room");
        let open = above.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o770)).unwrap();
        let refused = |path: &Path| Store::open(path).expect_err("it is refused");
        assert!(refused(&open).contains("others may write"));
        let file = above.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(refused(&file).contains("file cannot be used"));
        assert!(refused(&file.join("below")).contains("cannot be used"));
    }

    #[test]
    fn a_sweep_removes_what_is_old_and_what_a_dead_process_left() {
        let (above, store) = opened();
        let at = |name: &str| above.path().join("a/b").join(name);
        let (old, fresh) = (key('0'), key('f'));
        for name in [&old, &fresh] {
            store.write(name, b"x").expect("there is room");
        }
        let (dead, live) = (format!("{old}-1-0.new"), format!("{fresh}-1-0.new"));
        // Not written here, whatever they are called.
        let foreign = ["draft.new", "essays.json", "foreign.txt"];
        for name in [&*dead, &live].into_iter().chain(foreign) {
            std::fs::write(at(name), "x").unwrap();
        }
        let older = Duration::from_secs(60);
        for name in [&*format!("{old}.json")].into_iter().chain(foreign) {
            aged(&at(name), MAX_AGE + older);
        }
        aged(&at(&dead), MAX_WRITING + older);
        store.sweep();
        let ours = [live, format!("{fresh}.json")];
        let mut left: Vec<String> = foreign.map(str::to_owned).into_iter().chain(ours).collect();
        left.sort();
        assert_eq!(names(&above.path().join("a/b")), left);
    }

    #[test]
    fn a_sweep_removes_the_oldest_of_what_is_too_much() {
        let (above, store) = opened();
        let at = |name: char| above.path().join("a/b").join(format!("{}.json", key(name)));
        // They take no room on the disk.
        let half = MAX_BYTES / 2;
        for (name, age) in [('a', 30), ('b', 10), ('c', 20)] {
            store.write(&key(name), b"").expect("there is room");
            let file = File::options().write(true).open(at(name)).unwrap();
            file.set_len(half).unwrap();
            aged(&at(name), Duration::from_secs(age));
        }
        store.sweep();
        let left = ['b', 'c'].map(|name| format!("{}.json", key(name)));
        assert_eq!(names(&above.path().join("a/b")), left);
    }
}
