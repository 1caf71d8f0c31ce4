//! The methods, one file a family.

pub mod lifecycle;
pub mod logging;
pub mod outcome;
pub mod relay;
pub mod tools;

pub use outcome::{Failure, Outcome, Success};
