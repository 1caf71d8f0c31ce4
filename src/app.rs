//! Puts the floors together: catalogue, sessions, state, shutdown. The only file that knows everything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::types::Listed;
use crate::catalog::{self, Catalog, Generations};
use crate::catalogue_log::CatalogueLog;
use crate::config::Config;
use crate::governor::Governor;
use crate::http;
use crate::letta::Letta;
use crate::mcp::activity::Activity;
use crate::mcp::budget::Budget;
use crate::mcp::changes::{Change, Changes};
use crate::mcp::context::Services;
use crate::mcp::request_state::Sealer;
use crate::mcp::sessions::Sessions;
use crate::process::{Launcher, TERMINATE_GRACE};
use crate::services::PluginServices;
use crate::shutdown::Shutdown;
use crate::tasks::Tasks;
use crate::telemetry::Counters;
use crate::telemetry::trace::Tracer;

/// How long running calls may go on once the server begins to stop.
pub const CALL_GRACE: Duration = Duration::from_secs(10);
/// How long after the start the first answer to a client waits for plugins that are still being asked. Long enough
/// for programs that start as programs do; one that hangs is hardly noticed.
const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(3);
/// How long clients may take to read what was answered last.
pub const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How long connections may take to close after that.
const CLOSING: Duration = Duration::from_secs(1);
/// How long process trees may take to end after that: a second more than the longest way to end one.
pub const KILL_GRACE: Duration = TERMINATE_GRACE.saturating_add(Duration::from_secs(1));

/// How long the last spans may take to their collector, and meanwhile the last results to the disk.
pub const SPANS_GRACE: Duration = Duration::from_secs(2);
/// The longest way to end: one stage after the other, each for as long as it may take.
pub const MAX_END: Duration = CALL_GRACE
    .saturating_add(LAST_ANSWERS)
    .saturating_add(CLOSING)
    .saturating_add(KILL_GRACE)
    .saturating_add(SPANS_GRACE);
/// What a service manager should give it: a machine that is busy is not one that hangs.
pub const END_LIMIT: Duration = MAX_END.saturating_add(Duration::from_secs(5));

/// A server that listens.
#[derive(Debug)]
pub struct App {
    addresses: Vec<SocketAddr>,
    sessions: Arc<Sessions>,
    launcher: Launcher,
    shutdown: Shutdown,
    /// Owns the connections.
    connections: TaskTracker,
    /// Cancelled when nothing is left to be waited for: sessions, streams and connections end.
    stopped: CancellationToken,
}

impl App {
    /// Listens, begins to ask the plugins, and serves. Returns as soon as the port is open.
    ///
    /// # Errors
    /// The address cannot be bound; no randomness for signing.
    pub async fn start(
        config: Config,
        launcher: Launcher,
        counters: Counters,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let sockets = listen(&config)?;
        let addresses = sockets.iter().map(|socket| socket.local_addr());
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        let stopped = CancellationToken::new();
        // A disk that hangs does not hold up the end.
        let kept = shutdown.draining().run_until_cancelled(kept(&config));
        let kept = kept.await.unwrap_or_default();
        let sessions = sessions(
            &config,
            &launcher,
            counters,
            &shutdown,
            &stopped,
            FIRST_ANSWER_WAIT,
            kept,
        )?;
        tokio::spawn(sessions.services().plugin_services.clone().follow(
            sessions.services().catalog.clone(),
            launcher.clone(),
            config.services,
            shutdown.draining().clone(),
        ));
        let service = http::service(Arc::clone(&sessions), config.http);
        let connections = TaskTracker::new();
        // What waits in a socket that outlives this process is left to the next one, which will not refuse it. What
        // waits in one of its own would be lost: it is accepted, and told that the server ends.
        let last = match config.sockets.is_empty() {
            true => stopped.clone(),
            false => shutdown.draining().clone(),
        };
        tokio::spawn(http::accept::serve(
            sockets,
            service,
            config.max_connections,
            connections.clone(),
            last,
            stopped.clone(),
        ));
        Ok(Self {
            addresses,
            sessions,
            launcher,
            shutdown,
            connections,
            stopped,
        })
    }

    /// The addresses that are listened on, their ports included; one at least.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What the clients share.
    pub fn services(&self) -> &Arc<Services> {
        self.sessions.services()
    }

    /// All sessions.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Serves until the shutdown is asked for, then ends: running calls get a grace, everything
    /// else is ended at once. Returns when no process is left.
    pub async fn run(self) {
        self.shutdown.draining().cancelled().await;
        // The task of a session's call is tracked; a call without a session lives in its connection.
        let calls = self.services().counters.clone();
        let calls = tokio::time::timeout(CALL_GRACE, calls.no_call_runs());
        let calls = async {
            tokio::select! {
                _ = calls => {}
                () = self.shutdown.forced().cancelled() => {}
            }
        };
        let (finished, ()) = tokio::join!(self.shutdown.finish(CALL_GRACE), calls);
        if let Err(unfinished) = finished {
            tracing::warn!("ending the calls: {unfinished}");
        }
        self.shutdown.overdue().cancel();
        self.stop().await;
    }

    /// Ends everything now and returns when no process is left, or at once when the end is forced: the
    /// supervisors of running programs end them when this process is gone.
    pub async fn stop(self) {
        self.shutdown.leaving().cancel();
        self.shutdown.draining().cancel();
        tokio::select! {
            biased;
            () = self.shutdown.forced().cancelled() => self.stopped.cancel(),
            () = self.end_in_order() => {}
        }
        self.services().catalog.close();
    }

    async fn end_in_order(&self) {
        // What was answered last must reach its client before the streams end.
        let until = tokio::time::Instant::now() + LAST_ANSWERS;
        let _ = tokio::time::timeout(LAST_ANSWERS / 2, self.shutdown.tasks().wait()).await;
        let _ = tokio::time::timeout_at(until, self.sessions.drain()).await;
        self.stopped.cancel();
        self.connections.close();
        let _ = tokio::time::timeout(CLOSING, self.connections.wait()).await;
        self.sessions.each(|session| session.close());
        // After the last call: until then one may still ask for its job.
        self.launcher.end_background();
        if tokio::time::timeout(KILL_GRACE, end_processes(&self.launcher))
            .await
            .is_err()
        {
            tracing::warn!(
                "{} calls or background jobs have processes that do not end; the supervisors go on ending them",
                self.launcher.running()
            );
        }
        // The last of what was recorded ended with the last process.
        let services = self.services();
        tokio::join!(
            services.tracer.close(SPANS_GRACE),
            services.kept.close(SPANS_GRACE)
        );
    }
}

/// Waits until no run has a process left, and ends the warm interpreters.
pub async fn end_processes(launcher: &Launcher) {
    launcher.idle().await;
    launcher.end_warm().await;
}

/// The part that every transport needs. First answers wait `discovery_wait` for plugins that are still being asked.
///
/// # Errors
/// No randomness for signing.
pub fn sessions(
    config: &Config,
    launcher: &Launcher,
    counters: Counters,
    shutdown: &Shutdown,
    stopped: &CancellationToken,
    discovery_wait: Duration,
    kept: Tasks,
) -> anyhow::Result<Arc<Sessions>> {
    let plugins = config.catalog.directory.as_ref();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        plugins = plugins.map(|path| path.display().to_string()),
        demos = plugins.is_none().then_some(true),
        "starting"
    );
    let letta = Arc::new(Letta::from_settings(config.letta.clone()));
    let catalog = Catalog::start_with(
        config.catalog.clone(),
        launcher.clone(),
        stopped.child_token(),
        load(Arc::clone(&letta)),
    );
    let services = Arc::new(Services {
        catalog,
        governor: Governor::new(config.profiles.clone()),
        letta,
        discovery_deadline: tokio::time::Instant::now() + discovery_wait,
        list_wait: discovery_wait.max(config.catalog.describe_limit),
        plugin_services: PluginServices::default(),
        changes: Changes::default(),
        activity: Activity::default(),
        budget: Arc::new(Budget::new(config.max_waiting_bytes).counting(counters.sent().clone())),
        sealer: Sealer::new().context("no randomness for signing request states")?,
        kept,
        counters,
        tracer: tracer(config),
        tasks: shutdown.tasks().clone(),
        leaving: shutdown.leaving().clone(),
        readiness_checks: shutdown.checks().clone(),
        draining: shutdown.draining().clone(),
        overdue: shutdown.overdue().clone(),
    });
    let sessions = Sessions::new(services, config.max_sessions, stopped.child_token());
    let swept = Arc::clone(&sessions);
    tokio::spawn(async move { swept.sweep().await });
    let (kept, end) = (sessions.services().kept.clone(), stopped.clone());
    tokio::spawn(async move { end.run_until_cancelled(kept.sweep()).await });
    let notified = Arc::clone(&sessions);
    tokio::spawn(async move { notified.pass_changes_on().await });
    tokio::spawn(notify_of_new_catalogues(
        Arc::clone(sessions.services()),
        config.catalog.clone(),
        stopped.clone(),
    ));
    Ok(sessions)
}

/// The tasks that are kept, if a directory is named for them.
pub async fn kept(config: &Config) -> Tasks {
    match config.tasks.clone() {
        Some(settings) => Tasks::open(settings).await,
        None => Tasks::default(),
    }
}

/// What records spans, if anything does. A collector that cannot be reached is no reason not to serve.
fn tracer(config: &Config) -> Tracer {
    let Some(settings) = config.traces.clone() else {
        return Tracer::default();
    };
    Tracer::start(settings).unwrap_or_else(|fault| {
        tracing::warn!(
            "no spans are exported, for their collector cannot be asked by TLS: {fault}"
        );
        Tracer::default()
    })
}

/// The sockets that were passed, else one that is opened here.
///
/// # Errors
/// The address cannot be bound, or a socket cannot be shared.
fn listen(config: &Config) -> anyhow::Result<Vec<TcpListener>> {
    if config.sockets.is_empty() {
        return Ok(vec![http::accept::bind(&config.addresses)?]);
    }
    let shared = config.sockets.iter().map(|passed| {
        http::accept::share(&passed.listener)
            .with_context(|| format!("cannot use the passed socket {passed}"))
    });
    shared.collect()
}

/// Begins to load the agents' variables. What comes of it is what plugins are asked with: where every call gets
/// variables, a plugin may need them from its first line on, as under version 3, which had them in its own
/// environment by then.
pub fn load(letta: Arc<Letta>) -> impl Future<Output = Vec<(String, String)>> + Send + 'static {
    let loading = Arc::clone(&letta);
    let loading = tokio::spawn(async move { loading.load_at_start().await });
    async move {
        if !letta.gives_to_every_call() {
            return Vec::new();
        }
        // A load that was given up leaves nothing behind.
        let _ = loading.await;
        letta.environment_for(None).await
    }
}

/// A new catalogue may have other tools, prompts and resources, and plugins that are not served.
async fn notify_of_new_catalogues(
    services: Arc<Services>,
    settings: catalog::Settings,
    stopped: CancellationToken,
) {
    let mut catalogues = services.catalog.changes();
    // The first may be in place already.
    catalogues.mark_changed();
    let mut known = Generations::default();
    let mut log = CatalogueLog::default();
    loop {
        tokio::select! {
            () = stopped.cancelled() => return,
            changed = catalogues.changed() => if changed.is_err() { return },
        }
        let now = *catalogues.borrow_and_update();
        for list in Listed::ALL {
            let generation = now.of(list);
            if generation > known.of(list) {
                services.changes.notify(Change::Catalogue(list, generation));
            }
        }
        known = now;
        let snapshot = services.catalog.snapshot();
        log.say(&snapshot, &services.governor, &settings);
    }
}
