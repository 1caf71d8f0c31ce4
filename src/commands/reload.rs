//! The reload that a SIGHUP asks for: plugins, keys, and the sessions of keys that are gone. Knows no service manager.
//!
//! What else was begun with such a key ends with the key's validity (`http::auth`).

use std::sync::Arc;

use crate::config::{KeySources, Reading};
use crate::http::auth::Keys;
use crate::mcp::sessions::Sessions;

/// What a reload works on.
pub(super) struct Reloadable {
    /// The sessions, and the plugins behind them.
    pub(super) sessions: Arc<Sessions>,
    /// The keys that count.
    pub(super) keys: Keys,
    /// Where they come from.
    pub(super) sources: KeySources,
}

/// What a reload has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reloaded {
    /// Everything is as it is written now.
    Whole,
    /// The keys are still those from before.
    WithoutKeys,
}

impl Reloadable {
    /// Asks every plugin again and reads the key files again. What fails leaves things as they were.
    pub(super) async fn reload(&self) -> Reloaded {
        let reloaded = self.reload_keys();
        let catalog = &self.sessions.services().catalog;
        catalog.reload();
        catalog.reloaded().await;
        reloaded
    }

    fn reload_keys(&self) -> Reloaded {
        if !self.sources.can_change() {
            return Reloaded::Whole;
        }
        let Reading {
            accepted,
            faults,
            warnings,
            waiting,
            ..
        } = self.sources.read();
        for warning in warnings.iter().chain(&waiting) {
            tracing::warn!("{warning}");
        }
        for fault in &faults {
            tracing::error!("the keys stay as they were: {fault}");
        }
        if !faults.is_empty() {
            return Reloaded::WithoutKeys;
        }
        if accepted.is_empty() && !self.keys.is_empty() {
            tracing::error!(
                "the keys stay as they were: no key is left; a server that nobody needs a key for is started so"
            );
            return Reloaded::WithoutKeys;
        }
        self.keys.replace(accepted);
        self.end_sessions_of_old_keys();
        Reloaded::Whole
    }

    /// Whoever has lost the key loses the streams that it opened.
    fn end_sessions_of_old_keys(&self) {
        self.sessions.each(|session| {
            let key = session.principal().key;
            if key.is_some_and(|key| !self.keys.accept(&key)) {
                self.sessions.close(session);
            }
        });
    }
}
