//! Running what the catalogue has: one call of a tool, or of the command behind a resource, a prompt, a completion.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::plugin::{Offering, Tool};
use super::presence::{self, Presence};
use super::snapshot::Snapshot;
use super::state::State;
use crate::call::command::Runnable;
use crate::call::runner::Runner;
use crate::call::served;
pub use crate::call::served::Printed;
use crate::call::types::{CallError, CallRequest, Permit, ToolResult};
use crate::contract::OfferKind;
use crate::discovery::environments::PATIENCE;
use crate::jsonrpc::members;

/// How long the plugins are not asked again because a file is gone that was gone before.
const HEAL_INTERVAL: Duration = Duration::from_secs(5);

/// How long a file that is gone may take to come back before the plugins are asked again: whoever puts a new version in
/// place often removes the old one first.
const RETURNS_WITHIN: Duration = Duration::from_secs(1);

/// How often that is looked for meanwhile, or whether an environment is there.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs calls.
#[derive(Debug)]
pub struct Calls {
    state: Arc<State>,
    runner: Arc<Runner>,
    /// When plugins were last asked again because the files of one were gone.
    healed: Mutex<Option<Instant>>,
    /// Bounds how many files are looked at the same time.
    looks: Arc<Semaphore>,
}

impl Calls {
    /// Calls of what `state` has, run by `runner`.
    pub fn new(state: Arc<State>, runner: Arc<Runner>) -> Self {
        Self {
            state,
            runner,
            healed: Mutex::default(),
            looks: Arc::new(Semaphore::new(presence::MAX_LOOKS)),
        }
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
        let now = |snapshot: &Snapshot| snapshot.tool(&tool.name);
        let tool = &self
            .present(tool, |tool| &tool.run, now, &request.cancel)
            .await?;
        self.runner.call(&tool.name, &tool.run, request).await
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
        mut request: CallRequest,
    ) -> Result<(Printed, Arc<Permit>), CallError> {
        let now = |snapshot: &Snapshot| snapshot.same_offering(offering);
        let offering = &self
            .present(offering, |offering| &offering.run, now, &request.cancel)
            .await?;
        let run = &offering.run;
        let name = format!("{} {}", offering.plugin, offering.key);
        request.arguments = offering.arguments(request.arguments, &name)?;
        let (kind, prints, by) = (offering.kind.clone(), offering.prints, name.clone());
        let read = move |text| served::read(text, &by, &kind, prints);
        self.runner.text(&name, run, request, read).await
    }

    /// `served` with its files looked at. When one is gone, the plugins are found once more, which unpacks the demo
    /// plugins and sees through shims again, and what `now` finds in their snapshot is taken instead.
    async fn present<T>(
        &self,
        served: &Arc<T>,
        run_of: fn(&T) -> &Arc<Runnable>,
        now: impl Fn(&Snapshot) -> Option<Arc<T>>,
        cancel: &CancellationToken,
    ) -> Result<Arc<T>, CallError> {
        let deadline = Instant::now() + PATIENCE;
        let plugin = &run_of(served).plugin;
        let anew = match self.outfitted(plugin, deadline, cancel).await? {
            true => now(&self.state.snapshot()),
            false => None,
        };
        let served = anew.as_ref().unwrap_or(served);
        let reason = match self.look_patiently(run_of(served), cancel).await? {
            Presence::There => return Ok(Arc::clone(served)),
            Presence::Wrong(reason) => return Err(CallError::SpawnFailed(reason)),
            Presence::Gone(reason) => reason,
        };
        self.heal();
        // Also where another call has asked for that: what it waits for serves this one as well.
        tokio::select! {
            () = cancel.cancelled() => return Err(CallError::Cancelled),
            () = self.state.reloaded() => {}
        }
        // What is gone may be its environment, which is made anew.
        self.outfitted(plugin, deadline, cancel).await?;
        let Some(found) = now(&self.state.snapshot()) else {
            return Err(CallError::SpawnFailed(reason));
        };
        match self.look(run_of(&found), cancel).await? {
            Presence::There => Ok(found),
            Presence::Gone(reason) | Presence::Wrong(reason) => Err(CallError::SpawnFailed(reason)),
        }
    }

    /// Waits, until `deadline` at most, for the environment of `plugin` where that is being made for the first time: what
    /// it imports only when it is called may not be there before. Whether it had to wait.
    async fn outfitted(
        &self,
        plugin: &str,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<bool, CallError> {
        let mut has_waited = false;
        loop {
            let now = Instant::now();
            let snapshot = self.state.snapshot();
            if now >= deadline || !snapshot.awaits_environment(plugin, now, PATIENCE) {
                return Ok(has_waited);
            }
            has_waited = true;
            tokio::select! {
                () = cancel.cancelled() => return Err(CallError::Cancelled),
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// As [`look`](Self::look), and again for a moment where a file is gone.
    async fn look_patiently(
        &self,
        run: &Runnable,
        cancel: &CancellationToken,
    ) -> Result<Presence, CallError> {
        let deadline = Instant::now() + RETURNS_WITHIN;
        loop {
            let presence = self.look(run, cancel).await?;
            if !matches!(presence, Presence::Gone(_)) || Instant::now() >= deadline {
                return Ok(presence);
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(CallError::Cancelled),
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(
        &self,
        run: &Runnable,
        cancel: &CancellationToken,
    ) -> Result<Presence, CallError> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CallError::Cancelled),
            presence = presence::look(&self.looks, run) => Ok(presence),
        }
    }

    /// Asks the plugins again because of a file that is gone; not for every call of one that is.
    fn heal(&self) {
        let mut healed = self.healed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if healed.is_none_or(|last| now.duration_since(last) >= HEAL_INTERVAL) {
            *healed = Some(now);
            // Under the lock: whoever finds that somebody has asked finds what was asked for as well.
            self.state.ask_again();
        }
    }
}

impl Offering {
    /// The arguments that its command is run with.
    fn arguments(
        &self,
        given: Option<Box<RawValue>>,
        name: &str,
    ) -> Result<Option<Box<RawValue>>, CallError> {
        let invalid = |faults| CallError::InvalidArguments {
            tool: name.to_owned(),
            faults,
        };
        let Some(given) = given.filter(|given| given.get() != "null") else {
            let faults = self.missing_arguments(&[]);
            return if faults.is_empty() {
                Ok(None)
            } else {
                Err(invalid(faults))
            };
        };
        let members = members::members(given.get())
            .map_err(|_| invalid(vec!["arguments must be an object".to_owned()]))?;
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        let faults = self.missing_arguments(&names);
        if !faults.is_empty() {
            return Err(invalid(faults));
        }
        if !self.is_declared {
            return Ok(Some(given));
        }
        let declared = members
            .iter()
            .filter(|(name, _)| self.run.command.parameter(name).is_some());
        let texts: Vec<String> = declared
            .map(|(name, value)| {
                format!("{}:{}", serde_json::Value::from(name.as_str()), value.get())
            })
            .collect();
        let own = RawValue::from_string(format!("{{{}}}", texts.join(",")));
        own.map(Some)
            .map_err(|fault| CallError::Internal(fault.to_string()))
    }

    /// What is said of the arguments of a prompt that must be given and are not among the names `given`.
    pub fn missing_arguments(&self, given: &[&str]) -> Vec<String> {
        let OfferKind::Prompt(arguments) = &self.kind else {
            return Vec::new();
        };
        let missing = arguments
            .iter()
            .filter(|known| known.required && !given.contains(&known.name.as_str()));
        missing
            .map(|known| format!("'{}' is missing", known.name))
            .collect()
    }
}
