//! One call of a command, from its arguments to its result.
//!
//! Knows no plugin directory, no catalogue and no protocol.

pub mod arguments;
pub mod argv;
pub mod command;
pub mod content;
mod error;
mod event;
pub mod event_channel;
mod failure;
pub mod json_size;
pub mod output;
pub mod prepare;
mod printed_text;
pub mod question;
pub mod queue;
pub mod runner;
pub mod served;
pub mod types;
