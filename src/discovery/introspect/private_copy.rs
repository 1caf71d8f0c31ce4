//! The directory that a watched program's writes are led into: private, bounded, and removed with the value.

use std::collections::BTreeSet;
use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

/// What the names of all copies begin with.
const PREFIX: &str = "smcp-asked-";

/// Bytes of all files of a copy. The guard refuses what begins beyond; whoever goes on writing is ended.
pub const MAX_TOTAL_BYTES: u64 = 64 << 20;

/// How many files and directories are looked at. The guard admits 200, but mirrors the directories above them.
const MAX_ENTRIES: usize = 10_000;

/// How many names of the directory for temporary files are looked at for copies that were left.
const MAX_NAMES: usize = 100_000;

/// How many such copies one start removes.
const MAX_SWEPT: usize = 1_000;

/// The copies of this process that are still there.
static PRESENT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Told whenever one of them is gone.
static GONE: Condvar = Condvar::new();

/// Where one watched program writes before its parser is asked. It is removed with everything in it when this is
/// dropped, however the program ended.
#[derive(Debug)]
pub struct PrivateCopy(Option<Held>);

/// A directory, locked for as long as its owner lives: another server takes one that is not locked for left over.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    _lock: Option<File>,
}

impl PrivateCopy {
    /// An empty directory of this user alone. Where there is no room for one, what the program writes is refused.
    /// The first one of a process also removes what killed servers have left.
    pub fn make() -> Self {
        static SWEEP: Once = Once::new();
        let parent = std::env::temp_dir();
        SWEEP.call_once(|| sweep(&parent));
        Self::make_in(&parent)
    }

    /// The files that were written, each by the path under which the program knows it, in their order; so many of them.
    pub fn written(&self) -> Vec<PathBuf> {
        let copy = self.path().to_owned();
        let (mut paths, mut entries) = (Vec::new(), 0);
        visit(&copy, &mut |path, known| {
            entries += 1;
            if known.is_file()
                && let Ok(below) = path.strip_prefix(&copy)
            {
                paths.push(Path::new("/").join(below));
            }
            entries <= MAX_ENTRIES
        });
        paths.sort();
        paths
    }

    fn make_in(parent: &Path) -> Self {
        // A server that sweeps at this moment may take a new directory for one that was left.
        let held = (0..3).find_map(|_| Held::make(parent).ok());
        if let Some(held) = &held {
            present().insert(held.path.clone());
        }
        Self(held)
    }

    /// Where it is; empty where there is none.
    pub fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), |held| &held.path)
    }

    /// Waits until every copy of this process is gone with its question, at most for `limit`; removes what is there
    /// then.
    pub fn remove_all(limit: Duration) {
        let waited = GONE.wait_timeout_while(present(), limit, |present| !present.is_empty());
        let (mut present, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let left = std::mem::take(&mut *present);
        left.iter().for_each(|path| remove(path));
    }
}

impl Held {
    fn make(parent: &Path) -> io::Result<Self> {
        let path = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?
            .keep();
        let directory = File::open(&path)?;
        let lock = match directory.try_lock() {
            Ok(()) => Some(directory),
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(_)) => None, // a file system without locks: nobody sweeps it either
        };
        std::fs::symlink_metadata(&path)?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        if let Some(held) = &self.0 {
            remove(&held.path);
            present().remove(&held.path);
            GONE.notify_all();
        }
    }
}

fn present() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    PRESENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many bytes the files below `directory` have; none where there is more than anybody may keep there.
///
/// What a program removed but holds open is not seen.
pub fn size_within_bounds(directory: &Path) -> Option<u64> {
    let (mut size, mut entries) = (0, 0);
    visit(directory, &mut |_, known| {
        entries += 1;
        size += if known.is_file() { known.len() } else { 0 };
        entries <= MAX_ENTRIES && size <= MAX_TOTAL_BYTES
    })
    .then_some(size)
}

/// Visits everything below `directory` and follows no symbolic link, until `see` has had enough. Gives whether all was
/// seen; what is gone or closed meanwhile counts as seen.
fn visit(directory: &Path, see: &mut impl FnMut(&Path, &std::fs::Metadata) -> bool) -> bool {
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(known) = entry.metadata() else {
                continue;
            };
            if !see(&entry.path(), &known) {
                return false;
            }
            if known.is_dir() {
                left.push(entry.path());
            }
        }
    }
    true
}

/// Removes a copy; directories that their program closed are opened first.
fn remove(path: &Path) {
    if std::fs::remove_dir_all(path).is_ok() {
        return;
    }
    let open = |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o700));
    let _ = open(path);
    visit(path, &mut |path, known| {
        let _ = known.is_dir().then(|| open(path));
        true
    });
    if let Err(error) = std::fs::remove_dir_all(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), "cannot remove a plugin's private copy: {error}");
    }
}

/// Removes the copies of this user whose server is gone, killed before it could.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    let copies = entries.take(MAX_NAMES).flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with(PREFIX)
    });
    for entry in copies.take(MAX_SWEPT) {
        let user = rustix::process::getuid().as_raw();
        let is_ours = entry
            .metadata()
            .is_ok_and(|known| known.is_dir() && known.uid() == user);
        if is_ours
            && let Ok(directory) = File::open(entry.path())
            && directory.try_lock().is_ok()
        {
            remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_with_its_value_whatever_is_in_it() {
        let copy = PrivateCopy::make();
        let path = copy.path().to_owned();
        let mode = std::fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        std::fs::create_dir_all(path.join("a/b")).expect("it is ours");
        std::fs::write(path.join("a/b/c"), "text").expect("it is ours");
        for closed in ["a/b", "a"] {
            std::fs::set_permissions(path.join(closed), Permissions::from_mode(0o0))
                .expect("it is ours");
        }
        drop(copy);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_server_left_is_swept_and_nothing_else() {
        let parent = tempfile::tempdir().expect("there is room");
        let elsewhere = tempfile::tempdir().expect("there is room");
        let at = |name: &str| parent.path().join(name);
        std::fs::create_dir_all(at("smcp-asked-left/inner")).expect("it is ours");
        std::fs::create_dir_all(at("something-else")).expect("it is ours");
        std::fs::write(at("smcp-asked-file"), "text").expect("it is ours");
        std::fs::write(elsewhere.path().join("kept"), "text").expect("it is ours");
        std::os::unix::fs::symlink(elsewhere.path(), at("smcp-asked-link")).expect("it is ours");
        std::os::unix::fs::symlink(elsewhere.path(), at("smcp-asked-left/link"))
            .expect("it is ours");
        let living = PrivateCopy::make_in(parent.path());
        sweep(parent.path());
        assert!(!at("smcp-asked-left").exists());
        assert!(living.path().is_dir());
        for kept in ["something-else", "smcp-asked-file", "smcp-asked-link/kept"] {
            assert!(at(kept).exists(), "{kept}");
        }
    }

    #[test]
    fn the_size_of_a_copy_has_a_bound() {
        let directory = tempfile::tempdir().expect("there is room");
        std::fs::create_dir(directory.path().join("a")).expect("it is ours");
        let file = File::create(directory.path().join("a/b")).expect("it is ours");
        file.set_len(MAX_TOTAL_BYTES).expect("it has holes");
        assert_eq!(size_within_bounds(directory.path()), Some(MAX_TOTAL_BYTES));
        std::fs::write(directory.path().join("c"), "x").expect("it is ours");
        assert_eq!(size_within_bounds(directory.path()), None);
    }
}
