//! The agents' secrets from a Letta server, as variables for plugins.
//!
//! Knows no plugin and no session, and never sets our own environment. Values leave it through
//! [`Letta::environment_for`] alone.

pub mod api;
pub mod settings;
pub mod variables;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, RwLock, Semaphore};

use api::{Agent, Api, Limits};
use settings::Scope;
pub use settings::Settings;
use variables::{Secret, Taken, Variables};

/// How long an agent that Letta did not give is not asked for again.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Agents that were asked for one by one and are remembered.
const MAX_LATE: usize = 10_000;
/// Agents that are asked for at once.
const MAX_FETCHES: usize = 4;
/// Names that one warning lists.
const MAX_NAMED: usize = 20;

/// The agents' variables, as far as Letta gave them.
#[derive(Debug)]
pub struct Letta {
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    settings: Settings,
    api: Result<Api, api::Error>,
    limits: Limits,
    retry_after: Duration,
    loaded: RwLock<Loaded>,
    late: Mutex<HashMap<String, Late>>,
    fetches: Semaphore,
    /// Set while Letta fails: the first failure is a warning, those after it are not.
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Loaded {
    by_agent: HashMap<String, Arc<Variables>>,
    merged: Arc<Variables>,
}

/// An agent that was not there at the start. All who wait for it share one request.
#[derive(Debug)]
struct Late {
    asked: Instant,
    answer: Arc<OnceCell<Fetched>>,
}

/// What one agent has; `None` where Letta did not say.
type Fetched = Option<Arc<Variables>>;

impl Letta {
    /// Letta as the settings name it; without settings nobody is ever asked.
    pub fn from_settings(settings: Option<Settings>) -> Self {
        Self::with(settings, Limits::default(), RETRY_AFTER)
    }

    fn with(settings: Option<Settings>, limits: Limits, retry_after: Duration) -> Self {
        let source = settings.map(|settings| Source {
            api: Api::new(&settings, limits),
            settings,
            limits,
            retry_after,
            loaded: RwLock::default(),
            late: Mutex::default(),
            fetches: Semaphore::new(MAX_FETCHES),
            failing: AtomicBool::new(false),
        });
        Self { source }
    }

    /// Asks for all agents, or for the one that is set. Calls wait meanwhile; a failure is one
    /// warning, and what was loaded until then is used.
    pub async fn load_at_start(&self) {
        if let Some(source) = &self.source {
            source.load().await;
        }
    }

    /// Whether calls without an agent get variables, so that every call has some: plugins may count on those even
    /// while they are asked what they can do.
    pub fn gives_to_every_call(&self) -> bool {
        let source = self.source.as_ref();
        source.is_some_and(|source| source.settings.scope != Scope::Agent)
    }

    /// What a call made for `agent` finds in its environment, on top of the server's.
    ///
    /// Waits for a load that is under way, and for Letta where the agent is not known yet. Dropping the future
    /// ends the waiting at once; whoever waits for the same agent then asks in its place.
    pub async fn environment_for(&self, agent: Option<&str>) -> Vec<(String, String)> {
        let Some(source) = &self.source else {
            return Vec::new();
        };
        let loaded = source.loaded.read().await;
        let agent = match (source.settings.scope, &source.settings.agent, agent) {
            (Scope::Agent, _, None) => return Vec::new(),
            (Scope::Agent, Some(only), Some(agent)) if only != agent => return Vec::new(),
            (Scope::Agent, _, Some(agent)) | (Scope::Merged, None, Some(agent)) => agent,
            (Scope::All, _, _) | (Scope::Merged, Some(_), _) | (Scope::Merged, None, None) => {
                return loaded.merged.exposed();
            }
        };
        if let Some(variables) = loaded.by_agent.get(agent) {
            return variables.exposed();
        }
        drop(loaded);
        let variables = source.late(agent).await;
        variables.map_or_else(Vec::new, |variables| variables.exposed())
    }
}

impl Source {
    async fn load(&self) {
        // Held to the end: a call that came now would else run without its secrets.
        let mut loaded = self.loaded.write().await;
        let (agents, failure) = match (&self.api, &self.settings.agent) {
            (Err(error), _) => return self.failed("loading the agents' variables", error),
            (Ok(_), Some(id)) if !api::is_plausible(id) => {
                tracing::warn!(
                    agent = ?id,
                    "LETTA_AGENT_ID is not the id of an agent, which has letters, digits, hyphens and underscores alone; no agent's variables are loaded"
                );
                return;
            }
            (Ok(api), Some(id)) => match api.agent(id).await {
                Ok(Some(agent)) => (vec![agent], None),
                Ok(None) => {
                    tracing::warn!(agent = ?id, "Letta knows no agent of the id in LETTA_AGENT_ID");
                    return;
                }
                Err(error) => (Vec::new(), Some(error)),
            },
            (Ok(api), None) => api.agents().await,
        };
        let mut gathered = Gathered::default();
        for agent in agents {
            gathered.take(agent);
        }
        gathered.report(self.settings.scope);
        *loaded = gathered.into_loaded();
        let names: Vec<_> = loaded.merged.iter().map(|(name, _)| name).collect();
        match failure {
            Some(error) => self.failed("loading the agents' variables", &error),
            None => tracing::info!(
                agents = loaded.by_agent.len(),
                names = listed(names.iter().copied()),
                "loaded the agents' variables from Letta"
            ),
        }
    }

    async fn late(&self, agent: &str) -> Fetched {
        let api = self.api.as_ref().ok()?;
        let answer = self.late_entry(agent);
        let fetched = answer.get_or_init(|| self.fetch(api, agent)).await;
        fetched.clone()
    }

    fn late_entry(&self, agent: &str) -> Arc<OnceCell<Fetched>> {
        let mut late = self.lock_late();
        if let Some(known) = late.get(agent) {
            let unanswered = matches!(known.answer.get(), Some(None));
            if !unanswered || known.asked.elapsed() < self.retry_after {
                return Arc::clone(&known.answer);
            }
        } else if late.len() >= MAX_LATE {
            let oldest = late.iter().min_by_key(|(_, known)| known.asked);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                late.remove(&id);
            }
        }
        let answer = Arc::default();
        let entry = Late {
            asked: Instant::now(),
            answer: Arc::clone(&answer),
        };
        late.insert(agent.to_owned(), entry);
        answer
    }

    async fn fetch(&self, api: &Api, agent: &str) -> Fetched {
        let ask = async {
            let _permit = self.fetches.acquire().await.expect("it is never closed");
            api.agent(agent).await
        };
        // The wait for a permit counts: a call must not stand behind all the slow ones before it.
        match tokio::time::timeout(self.limits.request, ask).await {
            Ok(Ok(Some(agent))) => {
                self.failing.store(false, Ordering::Relaxed);
                let mut gathered = Gathered::default();
                gathered.take(agent);
                gathered.report(self.settings.scope);
                gathered.by_agent.into_values().next()
            }
            Ok(Ok(None)) => {
                self.failing.store(false, Ordering::Relaxed);
                tracing::debug!(?agent, "Letta knows no such agent");
                None
            }
            Ok(Err(error)) => {
                self.failed("an agent's variables", &error);
                None
            }
            Err(_) => {
                let limit = self.limits.request;
                let url = self.settings.url.clone();
                self.failed("an agent's variables", &api::Error::TimedOut { url, limit });
                None
            }
        }
    }

    fn failed(&self, what: &str, error: &api::Error) {
        if self.failing.swap(true, Ordering::Relaxed) {
            tracing::debug!("Letta still fails: {what}: {error}");
        } else {
            tracing::warn!("Letta: {what}: {error}; plugins run without those");
        }
    }

    // A panic elsewhere leaves whole entries behind: each change is one insert or one remove.
    fn lock_late(&self) -> MutexGuard<'_, HashMap<String, Late>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Agents' variables while they are taken in, and what there is to say about them.
#[derive(Debug, Default)]
struct Gathered {
    by_agent: HashMap<String, Arc<Variables>>,
    merged: Variables,
    /// Names that several agents give different values.
    conflicts: Vec<String>,
    /// Names that were refused, and why.
    refused: BTreeMap<String, &'static str>,
}

impl Gathered {
    fn take(&mut self, agent: Agent) {
        let mut own = Variables::default();
        let mut encrypted = Vec::new();
        for (name, value) in agent.variables {
            // Of the two lists that Letta sends, one may have what the other lacks.
            match value {
                Some(value) if value.expose().is_empty() && own.has(&name) => {}
                Some(value) => self.put(&mut own, &name, &value),
                None => encrypted.push(name),
            }
        }
        for name in encrypted.into_iter().filter(|name| !own.has(name)) {
            self.refused.insert(name, "Letta did not decrypt its value");
        }
        for (name, value) in own.iter() {
            // As version 3 did, the agent that Letta lists later wins: the order is Letta's, and fixed.
            match self.merged.put(name, value) {
                Ok(Taken::Replaced) => self.conflicts.push(name.to_owned()),
                Ok(Taken::New | Taken::Same) => {}
                Err(reason) => {
                    self.refused.insert(name.to_owned(), reason);
                }
            }
        }
        self.by_agent.insert(agent.id, Arc::new(own));
    }

    fn put(&mut self, own: &mut Variables, name: &str, value: &Secret) {
        if let Err(reason) = own.put(name, value) {
            self.refused.insert(name.to_owned(), reason);
        }
    }

    fn report(&mut self, scope: Scope) {
        self.conflicts.sort();
        self.conflicts.dedup();
        // Where no call gets several agents' variables, they may differ as they like.
        if !self.conflicts.is_empty() && scope != Scope::Agent {
            let names = listed(self.conflicts.iter().map(String::as_str));
            tracing::warn!(
                "agents differ in {names}: calls that get all agents' variables get the value of the agent that \
                 Letta lists last; LETTA_ENV_SCOPE=agent gives each call those of its own agent alone"
            );
        }
        let reasons: BTreeSet<_> = self.refused.values().copied().collect();
        for reason in reasons {
            let of_it = self.refused.iter().filter(|(_, why)| **why == reason);
            let names = listed(of_it.map(|(name, _)| name.as_str()));
            tracing::warn!("variables from Letta are refused: {names}: {reason}");
        }
    }

    fn into_loaded(self) -> Loaded {
        Loaded {
            by_agent: self.by_agent,
            merged: Arc::new(self.merged),
        }
    }
}

/// Names for a log line: escaped, and not without end.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.map(|name| name.escape_debug().to_string()).collect();
    let more = names.len().saturating_sub(MAX_NAMED);
    names.truncate(MAX_NAMED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests;
