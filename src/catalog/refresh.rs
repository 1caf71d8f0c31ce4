//! What changes below the plugins directory while the server runs: noticed, and asked for where it matters.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::asking::PluginAsker;
use super::known::Known;
use super::load::{Loader, wanted};
use super::lookout::given_up;
use super::snapshot::Snapshot;
use crate::discovery::Unserved;
use crate::discovery::cache::{Sight, Sighting};
use crate::discovery::scan::{Look, look, places};
use crate::discovery::watch::{Watch, Watched, Watcher};

/// How long a look may take before somebody should know.
const MAX_LOOK: Duration = Duration::from_secs(30);

/// What one look gave.
struct Seen {
    look: Result<Look, Unserved>,
    sights: HashMap<String, Sight>,
    watched: Watched,
}

impl Loader {
    /// Looks at the plugins directory and asks the plugins that are other than when they were asked last, and those
    /// that are new. What has changed is published at once; nothing is where nothing has.
    pub async fn refresh(
        &self,
        known: &mut Known,
        watch: &mut Watch,
        mut publish: impl FnMut(Snapshot),
    ) {
        let began = Instant::now();
        // The directory of somebody's own is known without looking.
        let Ok(directory) = self.directory().await else {
            return;
        };
        let asker = self.plugin_asker(&directory).await;
        let seen = self
            .see(directory.clone(), Arc::clone(&asker), watch.watcher())
            .await;
        let now = Instant::now();
        let to_do = known.notice(seen.look, directory.display().to_string(), seen.sights, now);
        watch.looked(now - began, &seen.watched, to_do.again);
        if !to_do.ask.is_empty() {
            let names: Vec<_> = to_do.ask.iter().map(|plugin| &*plugin.name).collect();
            tracing::debug!(plugins = names.join(" "), "changed; asked again");
            self.ask_and_publish(&asker, to_do.ask, known, true, publish)
                .await;
        } else if to_do.is_other {
            publish(known.snapshot(true));
        }
    }

    /// Looks at everything, and watches the directories that were looked into.
    async fn see(&self, directory: PathBuf, asker: Arc<PluginAsker>, watcher: Watcher) -> Seen {
        let allow_writable = self.allow_writable;
        let only = self.only.clone();
        let name = directory.display().to_string();
        let mut looking = spawn_blocking(move || {
            let look = look(&directory, allow_writable).map(|look| wanted(look, &only));
            // What is no plugin yet may become one.
            let mut directories = places(&directory);
            let mut sights = HashMap::new();
            for plugin in look.iter().flat_map(|look| &look.found) {
                let sighting = asker.lookout().look(plugin).sighting;
                if let Some(Sighting {
                    sight,
                    directories: looked_into,
                }) = sighting
                {
                    directories.extend(looked_into);
                    sights.insert(plugin.name.clone(), sight);
                }
            }
            let watched = watcher.watch(&directory, &directories);
            Seen {
                look,
                sights,
                watched,
            }
        });
        let looked = match timeout(MAX_LOOK, &mut looking).await {
            Ok(looked) => looked,
            Err(_) => {
                tracing::warn!(
                    "looking at the files in {name} takes long; no change is noticed before that is over"
                );
                looking.await
            }
        };
        looked.unwrap_or_else(|fault| Seen {
            look: Err(given_up(fault)),
            sights: HashMap::new(),
            watched: Watched {
                is_new: false,
                untold: None,
            },
        })
    }
}
