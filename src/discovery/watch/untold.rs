//! What came of watching directories, and why the system does not tell everything.

use std::time::Duration;

/// How many directories are watched at most. Each takes about a kilobyte of the kernel's memory.
pub const MAX_WATCHED: usize = 4096;

/// Why the system does not say of every directory what happens there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untold {
    /// It gives no more watches.
    Watches,
    /// There are more directories than [`MAX_WATCHED`].
    TooMany,
    /// It gives nothing to be told by.
    Events(String),
}

impl Untold {
    /// What becomes of it, as there is a look only `every` so often, and what to do about it.
    pub(super) fn in_words(&self, every: Duration) -> String {
        let why = match self {
            Self::Watches => {
                "the system gives no more inotify watches; raise fs.inotify.max_user_watches: \
                              sysctl fs.inotify.max_user_watches=65536"
                    .to_owned()
            }
            Self::TooMany => format!(
                "there are more than {MAX_WATCHED} directories in the plugins directory; move what is no plugin out of it"
            ),
            Self::Events(why) => why.clone(),
        };
        format!(
            "changes of plugins are looked for every {} s only: {why}; SIGHUP has all plugins asked again at once",
            every.as_secs()
        )
    }
}

/// What came of watching.
#[derive(Debug)]
pub struct Watched {
    /// Whether one of the directories was not watched before.
    pub is_new: bool,
    /// Why not everything is told.
    pub untold: Option<Untold>,
}
