//! The environment of a plugin that runs without it: being made, not to be had, or there and of no use.

use crate::discovery::Unserved;
use crate::discovery::environments::Underway;

/// What is to be known of the environment of a plugin that is not run by it.
#[derive(Debug, Clone)]
pub struct Beside {
    /// Why it is not.
    pub fault: Unserved,
    /// The making of it.
    pub underway: Option<Underway>,
    /// Its key, where it was tried and is tried again.
    pub again: Option<String>,
    /// Whether it is there, and the plugin does not work with it.
    pub is_made: bool,
    /// Whether it is there, and has lost something: what needs that may work again once it is made anew.
    pub is_damaged: bool,
}

impl Beside {
    /// Whether it is waited for, or for the time to try it again.
    pub fn waits(&self) -> bool {
        self.underway.is_some() || self.again.is_some()
    }

    /// Whether asking the plugin again can give something else: what was waited for is over, or it is to be tried
    /// again. `stands` says of which keys it is not.
    pub fn is_due(&self, stands: impl Fn(&str) -> bool) -> bool {
        self.underway.as_ref().is_some_and(Underway::is_over)
            || self.again.as_deref().is_some_and(|key| !stands(key))
    }
}
