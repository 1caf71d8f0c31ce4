//! What is wrong with a description or with the arguments of a call: each fault in a sentence, all of them bounded.
//!
//! Knows no field and no schema; whoever finds a fault words it.

use std::fmt;

use crate::text::cut;

/// How many faults are named; of the others only their number is known.
const MAX_NAMED: usize = 20;

/// How many characters of one fault are kept.
const MAX_CHARS: usize = 600;

/// One fault in words that follow the name of what they are about: `is missing`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// A fault in these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

/// All faults of one thing, in the order in which they were found. At most 20 are named: whoever mends these
/// sees the others next time, and a message stays readable.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Faults {
    named: Vec<String>,
    more: usize,
}

impl Faults {
    /// Notes a fault; one that is noted already counts once.
    pub fn add(&mut self, fault: &str) {
        let kept = cut(fault, MAX_CHARS);
        if self.named.iter().any(|known| known == kept) {
            return;
        }
        if self.named.len() < MAX_NAMED {
            self.named.push(kept.to_owned());
        } else {
            self.more += 1;
        }
    }

    /// Notes so many further ones that are not named.
    pub fn add_unnamed(&mut self, count: usize) {
        self.more += count;
    }

    /// Notes what others found.
    pub fn append(&mut self, other: Self) {
        other.named.iter().for_each(|fault| self.add(fault));
        self.more += other.more;
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Whether a further one would only be counted.
    pub fn is_full(&self) -> bool {
        self.named.len() == MAX_NAMED
    }

    /// The sentences, the last of which says how many more there are.
    pub fn into_vec(self) -> Vec<String> {
        let rest = (self.more > 0).then(|| format!("and {} more", self.more));
        self.named.into_iter().chain(rest).collect()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        let mut faults = Self::default();
        faults.add(&fault.0);
        faults
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named.join("; "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_faults_are_named_and_the_others_counted() {
        let mut faults = Faults::default();
        for number in 0..100_000 {
            faults.add(&format!("fault {number}"));
            faults.add("fault 0");
        }
        let text = faults.to_string();
        assert!(text.starts_with("fault 0; fault 1; "), "{text}");
        assert!(text.ends_with("fault 19; and 99980 more"), "{text}");
        assert_eq!(faults.into_vec().len(), 21);
    }

    #[test]
    fn a_fault_is_kept_to_600_characters() {
        let mut faults = Faults::default();
        faults.add(&"é".repeat(100_000));
        assert_eq!(faults.to_string(), "é".repeat(600));
    }
}
