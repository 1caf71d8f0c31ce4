//! The environments of all plugins, made or only looked at. Asks no plugin what it can do.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::load::Loader;
use super::lookout::{Lookout, given_up};
use super::settings::Settings;
use crate::contract::environment::Environment;
use crate::discovery::Unserved;
use crate::discovery::environments::{Environments, State};
use crate::discovery::scan::Found;
use crate::process::Launcher;

/// What to do about environments that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// They are made.
    Make,
    /// They are left so.
    Leave,
}

/// What one plugin is run with.
#[derive(Debug)]
pub struct Outfit {
    /// The plugin's name.
    pub name: String,
    /// Its directory; `None` where nothing was found there that could be run.
    pub directory: Option<PathBuf>,
    /// The interpreter; `None` for a plugin that is executed itself, and where there is none.
    pub interpreter: Option<PathBuf>,
    /// What there is of its environment, or why it cannot be run.
    pub state: Result<State, Unserved>,
}

/// The environments of the plugins of one directory.
#[derive(Debug)]
pub struct Outfitter {
    loader: Loader,
    environments: Environments,
}

impl Outfitter {
    /// For these settings. `None` where plugins have no environments of their own.
    pub fn new(
        mut settings: Settings,
        launcher: Launcher,
        stop: CancellationToken,
    ) -> Option<Self> {
        // Whoever asks what there is wants to know whether anything is missing.
        if let Some(environments) = &mut settings.environments {
            environments.looks_at_all = true;
        }
        let environment = Environment::new(&settings.environment, settings.reserved.clone());
        let loader = Loader::new(settings, environment, launcher, stop);
        let environments = loader.environments.clone()?;
        Some(Self {
            loader,
            environments,
        })
    }

    /// All plugins, by name, with what there is for each once `missing` ones are done with.
    ///
    /// # Errors
    /// Nothing can be said of any plugin.
    pub async fn all(&self, missing: Missing) -> Result<Vec<Outfit>, Unserved> {
        let (directory, look) = self.loader.look().await?;
        let asker = self.loader.plugin_asker(&directory).await;
        let mut working = JoinSet::new();
        for plugin in look.found {
            working.spawn(of_plugin(
                Arc::clone(asker.lookout()),
                self.environments.clone(),
                plugin,
                missing,
            ));
        }
        let rejected = look.rejected.into_iter().map(|(name, fault)| Outfit {
            name,
            directory: None,
            interpreter: None,
            state: Err(fault),
        });
        let mut all: Vec<Outfit> = rejected.collect();
        while let Some(done) = working.join_next().await {
            all.push(done.map_err(given_up)?);
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// One plugin, wherever it lies.
    pub async fn one(&self, plugin: Found, missing: Missing) -> Outfit {
        let above = plugin.directory.parent().unwrap_or(&plugin.directory);
        let asker = self.loader.plugin_asker(above).await;
        of_plugin(
            Arc::clone(asker.lookout()),
            self.environments.clone(),
            plugin,
            missing,
        )
        .await
    }

    /// Lets `change` write what `plugin` declares, where its environment has that already.
    ///
    /// # Errors
    /// What cannot be written, or looked at.
    pub async fn redeclare(
        &self,
        plugin: &Found,
        change: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Result<(), Unserved> {
        let (base, plugin) = (self.base(plugin).await?, plugin.clone());
        let environments = self.environments.clone();
        let changing = spawn_blocking(move || environments.redeclare(&plugin, &base, change));
        changing.await.map_err(given_up)?.map_err(Unserved::Plugin)
    }

    /// Removes the environment that was made for `plugin` alone, which is given up. Returns why there was none, where it
    /// could not be made.
    pub async fn give_up(&self, plugin: &Found) -> Option<String> {
        let (base, plugin) = (self.base(plugin).await.ok()?, plugin.clone());
        let environments = self.environments.clone();
        let removing = spawn_blocking(move || environments.give_up(&plugin, &base));
        removing.await.ok().flatten()
    }

    async fn base(&self, plugin: &Found) -> Result<PathBuf, Unserved> {
        let above = plugin.directory.parent().unwrap_or(&plugin.directory);
        let asker = self.loader.plugin_asker(above).await;
        let lookout = asker.lookout();
        let chosen = lookout.candidates.choose(&plugin.directory)?;
        Ok(lookout.real(chosen).await)
    }

    /// Removes the environments that no plugin uses any more; `used` are all there are. Returns how many, and how many
    /// were left because they are in use.
    ///
    /// # Errors
    /// What could not be removed.
    pub async fn prune(&self, used: &[Outfit]) -> Result<(usize, usize), Unserved> {
        let kept: HashSet<PathBuf> = used
            .iter()
            .filter_map(|outfit| outfit.interpreter.clone())
            .collect();
        let directory = self.loader.directory().await?;
        let environments = self.environments.clone();
        let removing = spawn_blocking(move || environments.prune(&kept, &directory));
        removing.await.map_err(given_up)?.map_err(Unserved::Plugin)
    }
}

async fn of_plugin(
    lookout: Arc<Lookout>,
    environments: Environments,
    plugin: Found,
    missing: Missing,
) -> Outfit {
    let (interpreter, state) = match lookout
        .outfit(&plugin, missing == Missing::Make, &environments)
        .await
    {
        Ok((interpreter, state)) => (interpreter, Ok(state)),
        Err(fault) => (None, Err(fault)),
    };
    Outfit {
        name: plugin.name,
        directory: Some(plugin.directory),
        interpreter,
        state,
    }
}
