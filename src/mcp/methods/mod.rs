//! The methods, one file a family.

pub mod answers;
pub mod completed;
pub mod completion;
pub mod kept;
pub mod lifecycle;
pub mod logging;
pub mod outcome;
pub mod prompts;
pub mod questions;
pub mod relay;
pub mod resources;
pub mod results;
pub mod serving;
pub mod subscriptions;
pub mod tasks;
pub mod tool_run;
pub mod tools;

pub use outcome::{Failure, Outcome, Success};
