//! Why a plugin is not served, and whether asking again can help.

use std::io;

use rustix::io::Errno;

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
        if is_shortage(fault) {
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

fn is_shortage(fault: &io::Error) -> bool {
    let passing = [
        Errno::AGAIN,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::INTR,
    ];
    let number = fault.raw_os_error();
    passing
        .iter()
        .any(|known| number == Some(known.raw_os_error()))
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
