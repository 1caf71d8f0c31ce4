//! What a plugin is: its directory found, its interpreter chosen, its description asked for.
//!
//! Knows no call and no catalogue.

pub mod advice;
mod ask_python;
pub mod cache;
pub mod demo;
pub mod describe;
pub mod environments;
pub mod interpreter;
pub mod introspect;
mod mentions;
mod outcome;
mod question;
pub mod regular_file;
pub mod scan;
mod unserved;
pub mod watch;
pub mod writable;

pub use unserved::{Class, Unserved};
