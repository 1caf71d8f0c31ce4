//! One client inside the process: asks the server's methods without a transport.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::setup::Workbench;
use crate::app;
use crate::catalog::Snapshot;
use crate::catalogue_log;
use crate::mcp::context::Services;
use crate::mcp::direct;
use crate::mcp::principal::{Principal, Transport};
use crate::mcp::serve::serve;
use crate::tasks::Tasks;
use crate::telemetry::Counters;

/// The server's services, and a client of theirs. Dropping it closes the catalogue.
pub(super) struct Local<'a> {
    bench: &'a Workbench,
    services: Arc<Services>,
}

impl<'a> Local<'a> {
    /// Asks every plugin, and waits for their answers.
    ///
    /// # Errors
    /// A signal asked for the end meanwhile.
    pub(super) async fn start(bench: &'a Workbench) -> anyhow::Result<Self> {
        let sessions = app::sessions(
            &bench.config,
            &bench.launcher,
            Counters::new(bench.logs.losses()),
            &bench.shutdown,
            &CancellationToken::new(),
            Duration::ZERO,
            Tasks::default(),
        )?;
        let local = Self {
            bench,
            services: Arc::clone(sessions.services()),
        };
        bench
            .unless_ended(local.services.catalog.complete())
            .await?;
        Ok(local)
    }

    /// What is served.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.services.catalog.snapshot()
    }

    /// What is not served, and what else somebody should know; see [`catalogue_log::faults`].
    pub(super) fn faults(&self) -> Vec<String> {
        catalogue_log::faults(
            &self.services.catalog.snapshot(),
            &self.services.governor,
            &self.bench.config.catalog,
        )
    }

    /// The result of one method.
    ///
    /// # Errors
    /// The server's error, or a signal that asked for the end.
    pub(super) async fn ask(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let message = message.to_string();
        let Ok(Some(request)) = direct::read(&self.services, message.into()).await else {
            bail!("{method} has no answer");
        };
        let (transport, principal) = (Transport::Direct, Principal::default());
        let account = self.services.budget.open(None);
        let cancel = self.bench.shutdown.draining().clone();
        let context = direct::context(&self.services, transport, principal, account, cancel);
        let reply = self.bench.unless_ended(serve(&context, &request)).await?;
        let Some(response) = reply.answer else {
            bail!("{method} has no answer");
        };
        let mut response: Value =
            serde_json::from_slice(response.as_ref()).context("reading the server's answer")?;
        if let Some(error) = response.get("error") {
            bail!(
                "{}",
                error["message"]
                    .as_str()
                    .unwrap_or("an error without a message")
            );
        }
        Ok(response["result"].take())
    }
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        self.services.catalog.close();
    }
}
