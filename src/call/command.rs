//! What can be run: a command of a plugin with everything that a run of it needs.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::contract::Command;
use crate::contract::schema::Schema;

/// A command with everything that a run of it needs.
#[derive(Debug)]
pub struct Runnable {
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's directory.
    pub directory: PathBuf,
    /// The words that start the program.
    pub start: Vec<OsString>,
    /// What the plugin says of it.
    pub command: Command,
    /// What its arguments are held against.
    pub input: Schema,
    /// What its output is held against.
    pub output: Option<Schema>,
    /// How many calls of the whole plugin run at once.
    pub plugin_limit: Option<usize>,
    /// The argument with which the program tells what it can do and does nothing else, where a warm interpreter may
    /// run the command.
    pub warm_question: Option<&'static str>,
    /// The lock on the environment that runs it, which is not removed before its last call is over.
    pub held: Option<Arc<File>>,
}
