//! The methods, one file a family.

pub mod answers;
pub mod completion;
pub mod lifecycle;
pub mod logging;
pub mod outcome;
pub mod prompts;
pub mod questions;
pub mod relay;
pub mod resources;
pub mod serving;
pub mod subscriptions;
pub mod tools;

pub use outcome::{Failure, Outcome, Success};
