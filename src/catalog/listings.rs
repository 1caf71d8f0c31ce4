//! The list of tools as text, written once for each view that clients have of it. Knows no client.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;

/// How many views of one catalogue are kept: more kinds of clients than a server is likely to have.
const MAX_VIEWS: usize = 32;
/// How long the texts of these views may be together, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// A list as JSON text, shared by everybody who has the same view.
pub type Listing = Arc<Box<RawValue>>;

/// Which of a snapshot's tools somebody sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// All of them.
    All,
    /// For each of them, in the order of the snapshot, whether it is among those.
    Only(Box<[bool]>),
}

impl Visible {
    /// Whether the tool at this place of the snapshot is seen.
    pub fn holds(&self, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::Only(tools) => tools.get(index).copied().unwrap_or_default(),
        }
    }
}

/// Everything that the text of a list depends on, beside its snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Which tools are in it.
    pub visible: Visible,
    /// Whether structured content that is no object is shown as a member of one.
    pub wrapped: bool,
    /// Whether it says which tools clients may hold tasks for.
    pub with_tasks: bool,
    /// Whether the server's tool for results is in it.
    pub with_results: bool,
}

/// The texts of one snapshot, which go with it. The one that nobody has asked for the longest goes first.
#[derive(Debug, Default)]
pub struct Listings(Mutex<VecDeque<(View, Listing)>>);

impl Listings {
    /// The text of this view, made by `write` where there is none yet.
    pub fn get(&self, view: View, write: impl FnOnce() -> Box<RawValue>) -> Listing {
        if let Some(known) = self.find(&view) {
            return known;
        }
        // Two who ask at once both write it: nobody waits for another's work with the lock.
        let listing = Arc::new(write());
        let mut kept = self.lock();
        kept.push_front((view, Arc::clone(&listing)));
        let mut bytes = 0;
        let fitting = kept.iter().take(MAX_VIEWS).take_while(|(_, listing)| {
            bytes += listing.get().len();
            bytes <= MAX_BYTES
        });
        let fitting = fitting.count();
        kept.truncate(fitting);
        listing
    }

    fn find(&self, view: &View) -> Option<Listing> {
        let mut kept = self.lock();
        let index = kept.iter().position(|(known, _)| known == view)?;
        if index > 0 {
            let used = kept.remove(index)?;
            kept.push_front(used);
        }
        kept.front().map(|(_, listing)| Arc::clone(listing))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(View, Listing)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(tool: usize) -> View {
        let tools = (0..2 * MAX_VIEWS).map(|index| index == tool).collect();
        View {
            visible: Visible::Only(tools),
            wrapped: false,
            with_tasks: false,
            with_results: false,
        }
    }

    fn text(length: usize) -> Box<RawValue> {
        RawValue::from_string(format!("[{}]", " ".repeat(length - 2))).expect("an array")
    }

    /// Whether the view has to be written when it is asked for.
    fn is_written(listings: &Listings, view: View) -> bool {
        let mut written = false;
        listings.get(view, || {
            written = true;
            text(2)
        });
        written
    }

    #[test]
    fn a_view_is_written_once_and_another_one_is_another_text() {
        let listings = Listings::default();
        assert!(is_written(&listings, only(1)));
        assert!(!is_written(&listings, only(1)));
        for other in [
            only(2),
            View {
                wrapped: true,
                ..only(1)
            },
            View {
                with_tasks: true,
                ..only(1)
            },
            View {
                with_results: true,
                ..only(1)
            },
            View {
                visible: Visible::All,
                ..only(1)
            },
        ] {
            assert!(is_written(&listings, other));
        }
    }

    #[test]
    fn the_view_unused_for_longest_goes_when_there_are_too_many() {
        let listings = Listings::default();
        for tool in 0..MAX_VIEWS {
            assert!(is_written(&listings, only(tool)));
        }
        assert!(!is_written(&listings, only(0)), "it is used again");
        assert!(is_written(&listings, only(MAX_VIEWS)));
        assert_eq!(listings.lock().len(), MAX_VIEWS);
        assert!(!is_written(&listings, only(0)));
        assert!(is_written(&listings, only(1)), "it had to go");
    }

    #[test]
    fn the_texts_together_have_a_bound_and_one_above_it_is_given_and_not_kept() {
        let listings = Listings::default();
        for tool in 0..4 {
            listings.get(only(tool), || text(MAX_BYTES / 2));
        }
        assert_eq!(listings.lock().len(), 2);
        let large = listings.get(only(9), || text(MAX_BYTES + 1));
        assert_eq!(large.get().len(), MAX_BYTES + 1);
        let kept = listings.lock();
        assert!(kept.iter().all(|(_, text)| text.get().len() <= MAX_BYTES));
    }
}
