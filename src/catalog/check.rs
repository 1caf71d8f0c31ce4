//! Plugins that are served as they described themselves at an earlier start, asked again one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::asking::PluginAsker;
use super::known::Known;
use super::load::{HELD, Loader};
use super::snapshot::Snapshot;
use crate::discovery::cache::Usage;

/// How long after a start they are asked again: the first clients come first.
const CHECK_AFTER: Duration = Duration::from_secs(2);

/// A plugin that is asked is followed by a pause of so many times what that took.
const CHECK_PAUSE: u32 = 3;

/// How far the asking has come.
#[derive(Debug)]
pub struct Check {
    asker: Arc<PluginAsker>,
    /// When the next is asked.
    next: Instant,
    published: Instant,
    /// Whether one has said something else that is not published yet.
    is_other: bool,
}

impl Check {
    /// Takes what is behind shims into account, which was not known at the start. `None` where nobody is to be asked.
    pub async fn begin(
        loader: &Loader,
        known: &mut Known,
        mut publish: impl FnMut(Snapshot),
    ) -> Option<Self> {
        let usage = loader.cache_settings.as_ref().map(|cache| cache.usage);
        if usage != Some(Usage::Serve) || known.recalled().is_empty() {
            return None;
        }
        let directory = loader.directory().await.ok()?;
        let asker = loader.plugin_asker(&directory).await;
        let behind_shims = asker.recall_behind_shims(known.recalled()).await;
        if !behind_shims.is_empty() {
            for outcome in behind_shims {
                known.take(outcome).await;
            }
            publish(known.snapshot(true));
        }
        let now = Instant::now();
        Some(Self {
            asker,
            next: now + CHECK_AFTER,
            published: now,
            is_other: false,
        })
    }

    /// Done when the next may be asked: most of the time is left to others.
    pub async fn pause(&self) {
        sleep_until(self.next).await;
    }

    /// Asks the next. What they say now is published, and nothing where it is the same. False when none is left.
    pub async fn step(&mut self, known: &mut Known, mut publish: impl FnMut(Snapshot)) -> bool {
        let Some((plugin, recalled)) = known.recalled().into_iter().next() else {
            publish(known.snapshot(true));
            return false;
        };
        let began = Instant::now();
        match self.asker.ask(&plugin, Some(&recalled), None).await {
            Some(outcome) => {
                known.take(outcome).await;
                self.is_other = true;
            }
            None => known.confirm(&plugin.name),
        }
        self.next = Instant::now() + began.elapsed() * CHECK_PAUSE;
        if self.is_other && self.published.elapsed() >= HELD {
            publish(known.snapshot(true));
            (self.published, self.is_other) = (Instant::now(), false);
        }
        true
    }
}
