//! Where plugins come from, and how they are run.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::call::types::Limits;
use crate::contract::environment::Reserved;
use crate::discovery::{cache, environments};

/// Where plugins come from and how they run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The directory that is scanned; `None` serves the embedded demo plugins.
    pub directory: Option<PathBuf>,
    /// `MCP_ALLOW_WRITABLE_PLUGINS`: plugins that anybody may change are served all the same.
    pub allow_writable: bool,
    /// `MCP_PYTHON`: the interpreter for every plugin.
    pub python: Option<PathBuf>,
    /// What plugins inherit: the server's environment without its own secrets.
    pub environment: Vec<(OsString, OsString)>,
    /// What only some plugins get.
    pub reserved: Reserved,
    /// The limits of a call; a command's own smaller time limit wins.
    pub limits: Limits,
    /// Calls in progress at once; more wait in a bounded queue.
    pub max_calls: usize,
    /// Of those, calls that start or compute at once; those that wait do not count.
    pub max_computing: usize,
    /// How long a plugin may take to describe itself.
    pub describe_limit: Duration,
    /// The plugins that are asked, by name, where any of them is there; all where none is.
    pub only: Vec<String>,
    /// Where descriptions are kept from one start to the next; `None` where they are not. Those of the demo plugins,
    /// which lie elsewhere at each start, never are.
    pub cache: Option<cache::Settings>,
    /// How the environments of plugins are made; `None` where plugins have none of their own.
    pub environments: Option<environments::Settings>,
    /// Whether changes of plugins are noticed while they are served. Those of the demo plugins never are: nobody
    /// changes them.
    pub watch: bool,
}
