//! The catalogue of tools of now: what the layers above see of plugins.

mod asking;
mod beside;
mod build;
mod calls;
mod check;
mod choosing;
mod former;
mod home;
mod keeper;
mod known;
mod listings;
mod load;
mod lookout;
mod offered;
mod pace;
pub mod plugin;
pub mod prepare;
mod presence;
mod refresh;
mod settings;
pub mod snapshot;
mod state;
mod steady;

use std::collections::{BTreeMap, HashSet};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::call::queue::Bounds;
use crate::call::runner::Runner;
pub use crate::call::types::BackgroundJob;
pub use crate::call::types::Load;
use crate::call::types::{CallError, CallRequest, Permit, ToolResult};
use crate::contract::environment::Environment;
pub use crate::contract::environment::{Holders, Reserved};
use crate::contract::environment::{SERVICE, Variable};
pub use crate::contract::uri_template::MAX_URI_BYTES;
pub use crate::contract::{Detach, OfferKind, Reference};
pub use crate::discovery::Class;
pub use crate::discovery::cache;
pub use crate::discovery::environments;
use crate::process::Launcher;
use crate::telemetry::{CallLoad, JobCounts, Moment, WarmInterpreter};
use calls::Calls;
pub use calls::Printed;
use home::Home;
pub use listings::{Listing, View, Visible};
use load::Loader;
pub use offered::{Readable, Unreadable};
pub use plugin::{
    BUILT_IN, GOVERNOR_TOOL, HEALTH_TOOL, Offering, PluginInfo, Service, Skipped, Tool,
};
pub use settings::Settings;
pub use snapshot::Snapshot;
pub use state::Generations;
use state::State;

/// The catalogue: cheap to clone, shared by all sessions.
#[derive(Debug, Clone)]
pub struct Catalog {
    state: Arc<State>,
    /// For what it knows of runs; calls go through `calls`.
    runner: Arc<Runner>,
    calls: Arc<Calls>,
    home: Arc<Home>,
    environment: Environment,
}

impl Catalog {
    /// Begins to find and ask plugins; returns at once. `stop` ends the asking.
    pub fn start(settings: Settings, launcher: Launcher, stop: CancellationToken) -> Self {
        Self::start_with(settings, launcher, stop, ready(Vec::new()))
    }

    /// As [`start`](Self::start), but plugins are not asked before `variables` is there, and find them in their
    /// environment whenever they are asked, as calls do.
    pub fn start_with(
        settings: Settings,
        launcher: Launcher,
        stop: CancellationToken,
        variables: impl Future<Output = Vec<(String, String)>> + Send + 'static,
    ) -> Self {
        let environment = Environment::new(&settings.environment, settings.reserved.clone());
        let runner = Arc::new(Runner::new(
            launcher.clone(),
            environment.clone(),
            Bounds {
                running: settings.max_calls,
                computing: settings.max_computing,
            },
            settings.limits,
        ));
        let state = Arc::new(State::new(stop.clone()));
        let loader = Loader::new(settings, environment.clone(), launcher, stop);
        let home = Arc::clone(&loader.home);
        // Ends with `stop`.
        tokio::spawn(keeper::keep_loaded(Arc::clone(&state), loader, variables));
        Self {
            calls: Arc::new(Calls::new(Arc::clone(&state), Arc::clone(&runner))),
            runner,
            state,
            home,
            environment,
        }
    }

    /// The tools of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.state.snapshot()
    }

    /// Changes whenever a snapshot is in place that is not like the one before.
    pub fn changes(&self) -> watch::Receiver<Generations> {
        self.state.changes()
    }

    /// Asks every plugin again, in the background, for whoever runs the server: what has failed is tried again at once.
    pub fn reload(&self) {
        self.state.reload();
    }

    /// Asks every plugin again, in the background. What has failed keeps its pauses.
    pub fn ask_again(&self) {
        self.state.ask_again();
    }

    /// Waits until every load that was asked for by now is done.
    pub async fn reloaded(&self) {
        self.state.reloaded().await;
    }

    /// Waits until every plugin has answered or timed out.
    pub async fn complete(&self) {
        self.state.complete().await;
    }

    /// As [`complete`](Self::complete), but no longer than `limit` after the first plugin could be asked.
    pub async fn complete_within(&self, limit: Duration) {
        self.state.complete_within(limit).await;
    }

    /// How many calls are in progress, compute, and wait for their turn.
    pub fn load(&self) -> Load {
        self.runner.load()
    }

    /// The same with what the outputs of programs take, for whoever watches the server.
    pub fn call_load(&self) -> CallLoad {
        let (load, outputs) = (self.runner.load(), self.runner.outputs());
        CallLoad {
            calls_in_progress: load.running as u64,
            calls_computing: load.computing as u64,
            calls_waiting: load.waiting as u64,
            output_bytes: outputs.bytes as u64,
            outputs_waiting: outputs.waiting as u64,
        }
    }

    /// What there is of calls, programs and plugins, for whoever watches the server.
    pub fn moment(&self) -> Moment {
        Moment {
            load: self.call_load(),
            limits: self.runner.call_limits(),
            queue: self.runner.waits(),
            jobs: self.background_counts(),
            warm: self.warm_parents(),
            processes: self.runner.processes(),
            plugins: self.snapshot().counts(),
            ..Moment::default()
        }
    }

    /// How many processes do not end although they were sent SIGKILL, by the program of their run.
    pub fn leftovers(&self) -> Vec<(String, usize)> {
        let leftovers = self.runner.leftovers().into_iter();
        leftovers
            .map(|left| (left.program, left.processes))
            .collect()
    }

    /// What successful calls have left running, the oldest first.
    pub async fn background(&self) -> Vec<BackgroundJob> {
        if self
            .runner
            .background_counts()
            .values()
            .all(|jobs| jobs.running == 0)
        {
            return Vec::new();
        }
        let runner = Arc::clone(&self.runner);
        // It reads `/proc`.
        let listed = tokio::task::spawn_blocking(move || runner.background());
        listed.await.unwrap_or_default()
    }

    /// The warm interpreters, by plugin, of those that are served.
    pub fn warm_parents(&self) -> Vec<WarmInterpreter> {
        let snapshot = self.snapshot();
        let plugins = snapshot.plugins.iter();
        let served: HashSet<&str> = plugins.map(|plugin| plugin.name.as_str()).collect();
        let mut parents = self.runner.warm_parents();
        parents.retain(|parent| served.contains(parent.plugin.as_str()));
        parents
    }

    /// What a service finds in its environment: what its plugin was asked with, and its name.
    pub fn environment_of(&self, service: &Service) -> Vec<Variable> {
        let mut variables = vec![(SERVICE.to_owned(), service.name.clone())];
        variables.extend_from_slice(&self.state.variables());
        self.environment.of_question(&service.directory, &variables)
    }

    /// How many background jobs there are and were, by plugin.
    pub fn background_counts(&self) -> BTreeMap<String, JobCounts> {
        self.runner.background_counts()
    }

    /// Begins to end a background job: SIGTERM, and SIGKILL for what is left after five seconds. False when
    /// there is none of this id.
    pub fn end_background_job(&self, id: u64) -> bool {
        self.runner.end_background_job(id)
    }

    /// Runs one call of one tool: schema, place in the queue, process, output.
    ///
    /// # Errors
    /// Why there is no result, with a stable code.
    pub async fn call(
        &self,
        tool: &Arc<Tool>,
        request: CallRequest,
    ) -> Result<ToolResult, CallError> {
        // What the arguments do not fit may be what the plugin said at an earlier start.
        let again = (self.snapshot().recalled > 0).then(|| request.clone());
        let result = self.calls.call(tool, request).await;
        match (result, again) {
            (Err(CallError::InvalidArguments { .. }), Some(again)) => {
                tokio::select! {
                    () = again.cancel.cancelled() => return Err(CallError::Cancelled),
                    () = self.confirm() => {}
                }
                let tool = self.snapshot().resolve(&tool.name)?;
                self.calls.call(&tool, again).await
            }
            (result, _) => result,
        }
    }

    /// Asks all plugins, and returns when they have answered, if one of them is known only by what it said at an
    /// earlier start. Nothing is refused to a client before that.
    pub async fn confirm(&self) {
        if self.snapshot().recalled > 0 {
            self.ask_again();
            self.reloaded().await;
        }
    }

    /// Runs the command behind a resource, a prompt or a completion with `request.arguments`: of a declared
    /// command those that it declares, of another all, each as an option. With what it printed comes
    /// the call's permit, to be kept until that is written.
    ///
    /// # Errors
    /// Why there is no result, with a stable code.
    pub async fn serve(
        &self,
        offering: &Arc<Offering>,
        request: CallRequest,
    ) -> Result<(Printed, Arc<Permit>), CallError> {
        self.calls.serve(offering, request).await
    }

    /// Removes the demo plugins, where they were unpacked. Nothing can be called afterwards.
    pub fn close(&self) {
        self.home.close();
    }

    /// [Closes](Self::close) the catalogue when the returned value is dropped, on whichever way.
    pub fn close_on_drop(&self) -> impl Drop + use<> {
        struct Closing(Arc<Home>);
        impl Drop for Closing {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        Closing(Arc::clone(&self.home))
    }
}
