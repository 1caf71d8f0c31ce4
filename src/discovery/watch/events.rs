//! What Linux tells of directories: inotify(7).

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::untold::{MAX_WATCHED, Untold, Watched};

/// Room for events that are read at once, in bytes.
const ROOM: usize = 8192;

/// How many events are read in one turn; more than the system keeps.
const MAX_EVENTS: usize = 1 << 15;

/// The queue of events and what is watched.
#[derive(Debug)]
pub struct Events {
    queue: AsyncFd<OwnedFd>,
    watched: Mutex<Directories>,
}

#[derive(Debug, Default)]
struct Directories {
    /// The numbers of the watches.
    numbers: HashSet<i32>,
    /// The watch of the directory that the root's link is in, where the root is a link, and the link's name.
    link: Option<(i32, OsString)>,
}

impl Events {
    /// # Errors
    /// The user or the process has too many already.
    #[allow(
        deprecated,
        reason = "what is meant to come instead is unsafe; the queue stays open for as long as it is registered"
    )]
    pub fn open() -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            queue: AsyncFd::with_interest(queue, tokio::io::Interest::READABLE)?,
            watched: Mutex::default(),
        })
    }

    /// Done when there may be events.
    pub async fn readable(&self) {
        match self.queue.readable().await {
            // What comes from here on is new: the events are read after this.
            Ok(mut ready) => ready.clear_ready(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Reads all events there are. Whether one of them is of what is watched; what is beside a link is not.
    pub fn drain(&self) -> bool {
        let watched = self.watched();
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = Reader::new(self.queue.get_ref(), &mut room);
        let mut has_news = false;
        for _ in 0..MAX_EVENTS {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name();
                    let name = name.map(|name| OsStr::from_bytes(name.to_bytes()));
                    let is_beside = watched.link.as_ref().is_some_and(|(number, link)| {
                        event.wd() == *number && name.is_some_and(|name| name != link.as_os_str())
                    });
                    has_news |= !is_beside;
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        has_news
    }

    /// Watches these, and no others any more.
    pub fn watch(&self, root: &Path, directories: &[PathBuf]) -> Watched {
        // Bytes written to an open file are no news: whoever changes a program closes it. Logs stay open.
        let entries = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR;
        let files =
            entries | WatchFlags::CLOSE_WRITE | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        let mut untold = None;
        let mut now = Directories::default();
        let mut add = |path: &Path, flags: WatchFlags| {
            if now.numbers.len() >= MAX_WATCHED {
                untold = Some(Untold::TooMany);
                return None;
            }
            match inotify::add_watch(self.queue.get_ref(), path, flags) {
                Ok(number) => {
                    now.numbers.insert(number);
                    return Some(number);
                }
                Err(Errno::NOSPC | Errno::NOMEM) => untold = Some(Untold::Watches),
                // It is gone, or closed to this user: a look says so.
                Err(_) => {}
            }
            None
        };
        let link = root.is_symlink().then(|| link(root)).flatten();
        // Before all others: where a directory is both, more is to be told of it.
        let beside = link.map(|(above, name)| (add(&above, entries), name));
        add(root, files);
        for directory in directories {
            add(directory, files);
        }
        if let Some((Some(number), name)) = beside {
            now.link = Some((number, name));
        }
        let mut watched = self.watched();
        let is_new = now
            .numbers
            .iter()
            .any(|number| !watched.numbers.contains(number));
        for number in watched.numbers.difference(&now.numbers) {
            // The system has dropped those of directories that are gone.
            let _ = inotify::remove_watch(self.queue.get_ref(), *number);
        }
        *watched = now;
        Watched { is_new, untold }
    }

    fn watched(&self) -> MutexGuard<'_, Directories> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a link is, and its name.
fn link(path: &Path) -> Option<(PathBuf, OsString)> {
    let above = path.parent()?;
    let above = if above.as_os_str().is_empty() {
        Path::new(".")
    } else {
        above
    };
    Some((above.to_owned(), path.file_name()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Whether there is news, now or soon: a file is closed when the last process closes it that has it open, and one
    /// that another test starts has every file of this process for a moment.
    fn comes(events: &Events) -> bool {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        std::iter::repeat_with(|| events.drain())
            .take_while(|_| std::time::Instant::now() < deadline)
            .any(|is_news| is_news)
    }

    #[tokio::test]
    async fn a_directory_that_was_replaced_is_watched_as_it_is_now() {
        let above = tempfile::tempdir().expect("there is room");
        let root = above.path().join("plugins");
        let inner = root.join("one");
        fs::create_dir_all(&inner).unwrap();
        let events = Events::open().expect("there are some left");
        let watch = || events.watch(&root, std::slice::from_ref(&inner)).is_new;
        assert!(watch());
        assert!(!events.drain());
        fs::create_dir(inner.join("data")).unwrap();
        assert!(events.drain() && !events.drain());
        fs::rename(&root, above.path().join("aside")).unwrap();
        assert!(events.drain(), "it has gone");
        fs::create_dir_all(&inner).unwrap();
        assert!(watch(), "it is another one");
        events.drain();
        fs::write(above.path().join("aside/one/cli"), "more").unwrap();
        assert!(!events.drain(), "nobody watches the old one");
        fs::write(inner.join("cli"), "").unwrap();
        assert!(events.drain());
    }

    #[tokio::test]
    async fn what_happens_beside_a_link_is_no_news_and_where_it_leads_is() {
        let above = tempfile::tempdir().expect("there is room");
        let at = |name: &str| above.path().join(name);
        for name in ["first", "second"] {
            fs::create_dir(at(name)).unwrap();
        }
        symlink("first", at("plugins")).unwrap();
        let events = Events::open().expect("there are some left");
        events.watch(&at("plugins"), &[]);
        fs::write(at("other"), "").unwrap();
        assert!(!events.drain());
        fs::create_dir(at("first/one")).unwrap();
        assert!(events.drain());
        symlink("second", at("fresh")).unwrap();
        fs::rename(at("fresh"), at("plugins")).unwrap();
        assert!(events.drain());
    }

    #[tokio::test]
    async fn a_file_that_stays_open_is_no_news_before_it_is_closed() {
        use std::io::Write as _;
        let root = tempfile::tempdir().expect("there is room");
        let events = Events::open().expect("there are some left");
        let mut log = fs::File::create(root.path().join("log")).unwrap();
        events.watch(root.path(), &[]);
        events.drain();
        log.write_all(b"a line").unwrap();
        assert!(!events.drain());
        drop(log);
        assert!(comes(&events));
    }
}
