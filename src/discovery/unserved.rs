//! Why a plugin is not served, and whether asking again can help.

use std::io;

use rustix::io::Errno;

use crate::process::is_shortage;

/// Why a plugin is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    /// What is wrong with the plugin, and what to do. It stays so until somebody changes it.
    #[error("{0}")]
    Plugin(String),
    /// The system was out of descriptors, processes or memory. That passes: the plugin is asked again.
    #[error("{0}")]
    Shortage(String),
}

impl Unserved {
    /// What the system said, with words before it.
    pub fn of_system(words: &str, fault: &io::Error) -> Self {
        let text = format!("{words}: {fault}");
        if passes(fault) {
            Self::Shortage(text)
        } else {
            Self::Plugin(text)
        }
    }

    /// Whether asking again may help although nobody changed anything.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Shortage(_))
    }
}

/// For files, a full disk and an interrupted call pass as well.
fn passes(fault: &io::Error) -> bool {
    let of_files = [Errno::NOSPC, Errno::DQUOT, Errno::INTR];
    is_shortage(fault) || Errno::from_io_error(fault).is_some_and(|errno| of_files.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let of = |errno: Errno| Unserved::of_system("it cannot be read", &errno.into());
        for errno in [Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert!(of(errno).passes(), "{errno}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::LOOP] {
            assert!(!of(errno).passes(), "{errno}");
        }
    }
}
