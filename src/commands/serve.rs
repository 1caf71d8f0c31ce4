//! `smcp serve`: the daemon.

use std::process::ExitCode;
use std::time::Duration;

use super::setup::prepare;
use crate::app::App;
use crate::config::Config;
use crate::plugins::catalog::Snapshot;
use crate::shutdown::Shutdown;
use crate::telemetry::Counters;

/// The start lines wait this long for plugins that are still being asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves until a signal asks for the end.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let (guard, launcher) = prepare(&config)?;
    raise_descriptor_limit();
    let notices = config.notices.clone();
    let keyed = !config.http.auth.keys.is_empty() && !config.http.auth.disabled;
    let root_path = config.http.root_path.clone();
    let shutdown = Shutdown::new();
    let _signals = shutdown.listen()?;
    let app = App::start(
        config,
        launcher,
        Counters::new(guard.losses()),
        shutdown.clone(),
    )
    .await?;
    let address = app.address();
    for notice in &notices {
        tracing::warn!("{notice}");
    }
    println!(
        "smcp {} listens on http://{address}",
        env!("CARGO_PKG_VERSION")
    );
    println!("  HTTP+SSE   http://{address}{root_path}/sse");
    println!("  streamable http://{address}{root_path}/mcp");
    println!("  direct     http://{address}{root_path}/messages/");
    println!("  health     http://{address}{root_path}/health");
    println!(
        "  keys       {}",
        if keyed {
            "asked for"
        } else {
            "none: whoever reaches this address may call"
        }
    );
    let catalog = app.services().catalog.clone();
    let announcing = tokio::spawn(async move {
        let complete = tokio::time::timeout(PATIENCE, catalog.complete())
            .await
            .is_ok();
        announce(&catalog.snapshot());
        if !complete {
            println!("  some plugins have not answered yet; the log says when they do");
        }
        println!("try: {}", example(address));
    });
    app.run().await;
    announcing.abort();
    tracing::info!("stopped");
    drop(guard);
    Ok(ExitCode::SUCCESS)
}

fn announce(snapshot: &Snapshot) {
    println!(
        "  plugins    {} with {} tools",
        snapshot.plugins.len(),
        snapshot.tools.len()
    );
    for plugin in &snapshot.plugins {
        println!(
            "    {:<20} {} tools, by {} ({})",
            plugin.name,
            plugin.tools,
            plugin.source,
            plugin.interpreter.display()
        );
    }
    for skipped in &snapshot.skipped {
        println!("    {:<20} not served: {}", skipped.name, skipped.reason);
    }
}

fn example(address: std::net::SocketAddr) -> String {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"health","arguments":{}}}"#;
    format!(
        "curl -X POST http://{address}/messages/ -H 'Content-Type: application/json' -d '{message}'"
    )
}

/// A connection and a call each need descriptors; the usual soft limit of 1,024 is for programs that
/// still use `select`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("cannot raise the limit of open files: {error}");
    }
}
