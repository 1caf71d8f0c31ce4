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
    /// The same, where it has described itself, and the description cannot be used.
    #[error("{0}")]
    Contract(String),
    /// It did not answer in time. A machine that is busy, as one that starts is, makes any program late: it is asked once more.
    #[error("{0}")]
    Late(String),
    /// The system was out of descriptors, processes or memory, or somebody is still writing the program. That passes: the
    /// plugin is asked again.
    #[error("{0}")]
    Shortage(String),
    /// Its environment is being made. It is asked when that is there.
    #[error("{0}")]
    Preparing(String),
    /// What it declares that it needs could not be installed.
    #[error("{reason}")]
    Dependencies {
        /// What the installer said, and what to do.
        reason: String,
        /// Whether it is tried again by itself.
        again: bool,
    },
}

/// The class of a reason, for whoever counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What was seen of its files: they are writable for anybody, are no program, lead nowhere.
    Files,
    /// It was asked and gave no answer that is one: no interpreter, a failure, a time limit.
    NoAnswer,
    /// It has described itself, and the description breaks the contract.
    Contract,
    /// The system was out of something. It is asked again.
    Shortage,
    /// Its environment is being made. It is asked when that is there.
    Preparing,
    /// What it declares that it needs could not be installed.
    Dependencies,
}

impl Class {
    /// The words of all classes.
    pub const WORDS: [&str; 6] = [
        "files",
        "no_answer",
        "contract",
        "shortage",
        "preparing",
        "dependencies",
    ];

    /// Its word in `/health` and in metrics.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

impl Unserved {
    /// The class of what was found by looking at files, without asking anything.
    pub fn class_of_look(&self) -> Class {
        match self {
            Self::Plugin(_) | Self::Contract(_) => Class::Files,
            other => other.class_of_answer(),
        }
    }

    /// The class of what came of asking.
    pub fn class_of_answer(&self) -> Class {
        match self {
            Self::Plugin(_) | Self::Late(_) => Class::NoAnswer,
            Self::Contract(_) => Class::Contract,
            Self::Shortage(_) => Class::Shortage,
            Self::Preparing(_) => Class::Preparing,
            Self::Dependencies { .. } => Class::Dependencies,
        }
    }

    /// What the system said, with words before it.
    pub fn of_system(words: &str, fault: &io::Error) -> Self {
        let text = format!("{words}: {fault}");
        if passes(fault) {
            Self::Shortage(text)
        } else {
            Self::Plugin(text)
        }
    }

    /// Whether it says something of the system alone, and nothing of the plugin.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Shortage(_))
    }

    /// Whether asking again may help although nobody changed anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Shortage(_) | Self::Late(_))
    }

    /// What is known after it, where `before` came of asking the last time: what is late twice stays unserved.
    pub fn after(self, before: Option<&Self>) -> Self {
        match (self, before) {
            (Self::Late(text), Some(Self::Late(_))) => Self::Plugin(text),
            (Self::Late(text), Some(Self::Plugin(known))) if *known == text => Self::Plugin(text),
            (fault, _) => fault,
        }
    }

    /// Whether its environment is waited for, which tells when it is decided.
    pub fn waits(&self) -> bool {
        matches!(
            self,
            Self::Preparing(_) | Self::Dependencies { again: true, .. }
        )
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
    fn what_is_late_is_asked_once_more_and_not_again_until_it_has_answered() {
        let late = || Unserved::Late("no answer".to_owned());
        let first = late().after(None);
        assert!(first.may_pass() && !first.passes());
        let second = late().after(Some(&first));
        assert!(!second.may_pass(), "{second:?}");
        assert!(!late().after(Some(&second)).may_pass());
        assert_eq!(second.class_of_answer(), Class::NoAnswer);
        let other = Unserved::Plugin("a syntax error".to_owned());
        assert!(late().after(Some(&other)).may_pass());
    }

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
