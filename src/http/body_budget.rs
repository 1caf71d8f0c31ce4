//! What request bodies may hold of memory while they are read. Knows no route.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// What all bodies together may hold beyond [`FREE`] each, in bytes.
pub const BODIES: usize = 64 << 20;
/// A body may hold this much, in bytes, whatever the others hold: small requests are never refused.
const FREE: usize = 64 << 10;

/// What all bodies together may still take, in bytes. Clones are the same budget.
#[derive(Debug, Clone)]
pub struct BodyBudget(Arc<AtomicUsize>);

/// What one body has taken of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: BodyBudget,
    bytes: usize,
}

/// There is no room for more of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// The bytes of a body as they arrive. Memory is taken only after the budget has been charged.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// No more than this is expected, in bytes.
    expected: usize,
    charge: Charge,
}

impl BodyBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// An empty buffer for a body of at most `expected` bytes.
    pub fn buffer(&self, expected: usize) -> Buffer {
        Buffer {
            bytes: Vec::with_capacity(expected.min(FREE)),
            expected,
            charge: Charge {
                budget: self.clone(),
                bytes: 0,
            },
        }
    }
}

impl Charge {
    /// Covers `size` bytes held.
    fn cover(&mut self, size: usize) -> Result<(), Exhausted> {
        let more = size.saturating_sub(FREE).saturating_sub(self.bytes);
        let left = |left: usize| left.checked_sub(more);
        self.budget
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
            .map_err(|_| Exhausted)?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Buffer {
    /// Appends `data`.
    ///
    /// # Errors
    /// The budget has no room for it.
    pub fn push(&mut self, data: &[u8]) -> Result<(), Exhausted> {
        let needed = self.bytes.len() + data.len();
        if needed > self.bytes.capacity() {
            // Doubled, so that a body is copied a few times only, but no larger than it was announced.
            let capacity = (self.bytes.capacity() * 2).min(self.expected).max(needed);
            self.charge.cover(capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// The whole body, and what it has taken of the budget: to be kept until the message is parsed.
    pub fn into_parts(self) -> (Bytes, Charge) {
        (self.bytes.into(), self.charge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(budget: &BodyBudget) -> usize {
        budget.0.load(Ordering::Relaxed)
    }

    #[test]
    fn a_small_body_is_taken_by_an_exhausted_budget() {
        let budget = BodyBudget::new(0);
        let mut buffer = budget.buffer(FREE);
        assert_eq!(buffer.push(&vec![b'a'; FREE]), Ok(()));
        assert_eq!(budget.buffer(FREE + 1).push(&[0; FREE + 1]), Err(Exhausted));
    }

    #[test]
    fn bodies_are_charged_for_what_has_come_not_for_what_is_announced() {
        let budget = BodyBudget::new(1 << 20);
        let mut buffer = budget.buffer(4 << 20);
        assert!(buffer.bytes.capacity() <= FREE);
        assert_eq!(buffer.push(&[b'a'; 100]), Ok(()));
        assert_eq!(left(&budget), 1 << 20);
        assert_eq!(buffer.push(&vec![b'a'; 500 << 10]), Ok(()));
        assert_eq!(buffer.bytes.capacity() - FREE, (1 << 20) - left(&budget));
        assert_eq!(buffer.push(&vec![b'a'; 1 << 20]), Err(Exhausted));
        let (bytes, charge) = buffer.into_parts();
        assert_eq!(bytes.len(), 100 + (500 << 10));
        assert!(left(&budget) < 1 << 20, "it counts until it is parsed");
        drop(charge);
        assert_eq!(left(&budget), 1 << 20);
    }

    #[test]
    fn a_body_that_is_given_up_gives_back_its_charge() {
        let budget = BodyBudget::new(200 << 10);
        let mut first = budget.buffer(200 << 10);
        assert_eq!(first.push(&vec![b'a'; 200 << 10]), Ok(()));
        let mut second = budget.buffer(200 << 10);
        let whole = vec![b'a'; 200 << 10];
        assert_eq!(second.push(&whole), Err(Exhausted));
        drop(first);
        assert_eq!(second.push(&whole), Ok(()));
    }
}
