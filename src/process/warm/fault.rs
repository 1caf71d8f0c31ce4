//! Why there is no warm interpreter, or none any more.

use std::fmt;
use std::io;

use tokio::task::JoinError;

/// What an interpreter names first where the system refused it something: as likely as not, it will not the next time.
const SHORTAGES: [&str; 3] = ["OSError: ", "BlockingIOError: ", "MemoryError: "];

/// Why there is none.
#[derive(Debug)]
pub(super) struct Fault {
    reason: String,
    passes: bool,
}

impl Fault {
    /// Another attempt would find the same, until the plugin's files change.
    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Self::new(reason, false)
    }

    /// Another attempt may go well: a shortage, an accident, files that were being written.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::new(reason, true)
    }

    /// One that may pass or not.
    pub(super) fn new(reason: impl Into<String>, passes: bool) -> Self {
        Self {
            reason: reason.into(),
            passes,
        }
    }

    /// In the words of an interpreter: the kind of its exception, and its message.
    pub(super) fn said(text: &str) -> Self {
        let passes = SHORTAGES.iter().any(|kind| text.starts_with(kind));
        Self::new(crate::text::shown(text, 300), passes)
    }

    /// Whether another attempt may go well.
    pub(super) fn passes(&self) -> bool {
        self.passes
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl From<JoinError> for Fault {
    fn from(fault: JoinError) -> Self {
        Self::passing(fault.to_string())
    }
}

impl From<io::Error> for Fault {
    fn from(fault: io::Error) -> Self {
        Self::passing(fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_passes_and_a_judgement_does_not() {
        assert!(Fault::said("OSError: [Errno 28] No space left on device").passes());
        assert!(!Fault::said("ValueError: no such request").passes());
        assert!(Fault::from(io::Error::from(io::ErrorKind::StorageFull)).passes());
    }
}
