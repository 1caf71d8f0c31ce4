//! A way to a server inside this process: a session over lines, as `smcp stdio` has one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::app;
use crate::catalog::Snapshot;
use crate::commands::setup::Workbench;
use crate::config::Config;
use crate::mcp::principal::{Principal, Transport};
use crate::mcp::session::Session;
use crate::mcp::sessions::Sessions;
use crate::stdio;
use crate::tasks::Tasks;
use crate::telemetry::Counters;

/// What is on its way between the two, in bytes, each way.
const BUFFER: usize = 64 << 10;

/// A server of one client. Dropping it ends the session, and with it what it runs.
pub(super) struct LocalLink {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    input: WriteHalf<DuplexStream>,
    output: BufReader<ReadHalf<DuplexStream>>,
    _serving: AbortOnDropHandle<()>,
    _stopped: tokio_util::sync::DropGuard,
}

impl LocalLink {
    /// Asks the plugins that `config` names, and waits for their answers.
    ///
    /// # Errors
    /// A signal asked for the end meanwhile, or the server cannot be set up.
    pub(super) async fn open(bench: &Workbench, config: &Config) -> anyhow::Result<Self> {
        let stopped = CancellationToken::new();
        let sessions = app::sessions(
            config,
            &bench.launcher,
            Counters::new(bench.logs.losses()),
            &bench.shutdown,
            &stopped,
            Duration::ZERO,
            Tasks::default(),
        )?;
        let stopped = stopped.drop_guard();
        let session = sessions.open(Transport::Stdio, Principal::default())?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (input, output) = tokio::io::split(theirs);
        let held = session.hold();
        let served = Arc::clone(&session);
        let serving = tokio::spawn(async move {
            let _held = held;
            // A signal ends this client, and with it the session; there is nothing to wait for.
            let never = CancellationToken::new();
            stdio::serve(served, input, output, never, std::future::ready(())).await;
        });
        let (output, input) = tokio::io::split(ours);
        let link = Self {
            sessions,
            session,
            input,
            output: BufReader::new(output),
            _serving: AbortOnDropHandle::new(serving),
            _stopped: stopped,
        };
        let complete = link.sessions.services().catalog.complete();
        bench.unless_ended(complete).await?;
        Ok(link)
    }

    /// What is served at this moment.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.sessions.services().catalog.snapshot()
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The session has ended.
    pub(super) async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        let line = format!("{message}\n");
        self.input
            .write_all(line.as_bytes())
            .await
            .context("the session has ended")
    }

    /// The next message of the server. Giving up the wait loses nothing: what has been read of a line stays in `line`.
    ///
    /// # Errors
    /// The session has ended.
    pub(super) async fn next(&mut self, line: &mut Vec<u8>) -> anyhow::Result<Value> {
        self.output.read_until(b'\n', line).await?;
        anyhow::ensure!(line.ends_with(b"\n"), "the session has ended");
        let message = serde_json::from_slice(line).context("reading the server's answer")?;
        line.clear();
        Ok(message)
    }
}

impl Drop for LocalLink {
    fn drop(&mut self) {
        self.session.close();
        self.sessions.services().catalog.close();
    }
}
