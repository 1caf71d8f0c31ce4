//! `smcp serve`: the daemon.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use super::setup::{counted, prepare};
use crate::app::App;
use crate::catalog::Snapshot;
use crate::config::Config;
use crate::shutdown::Shutdown;
use crate::telemetry::Counters;

/// The start lines wait this long for plugins that are still being asked.
const DISCOVERY_WAIT: Duration = Duration::from_secs(2);

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
    say(&format!(
        "smcp {} listens on http://{address}",
        env!("CARGO_PKG_VERSION")
    ));
    say(&format!(
        "  Streamable HTTP  http://{address}{root_path}/mcp"
    ));
    say(&format!(
        "  HTTP+SSE         http://{address}{root_path}/sse"
    ));
    say(&format!(
        "  without session  http://{address}{root_path}/messages/"
    ));
    say(&format!(
        "  health           http://{address}{root_path}/health"
    ));
    let keys = if keyed {
        "asked for"
    } else {
        "none: whoever reaches this address may call"
    };
    say(&format!("  keys             {keys}"));
    let catalog = app.services().catalog.clone();
    let announcing = tokio::spawn(async move {
        let complete = tokio::time::timeout(DISCOVERY_WAIT, catalog.complete())
            .await
            .is_ok();
        announce(&catalog.snapshot());
        if !complete {
            say("  some plugins have not answered yet; the log says what becomes of them");
        }
        say(&format!("try: {}", example(address)));
    });
    app.run().await;
    announcing.abort();
    tracing::info!("stopped");
    drop(guard);
    Ok(ExitCode::SUCCESS)
}

fn announce(snapshot: &Snapshot) {
    let tools = counted(snapshot.tools.len(), "tool");
    say(&format!(
        "  plugins          {} with {tools}",
        snapshot.plugins.len()
    ));
    for plugin in &snapshot.plugins {
        let (name, tools) = (&plugin.name, counted(plugin.tools, "tool"));
        let (source, by) = (plugin.source, plugin.interpreter.display());
        say(&format!("    {name:<20} {tools}, by {source} ({by})"));
    }
    for skipped in &snapshot.skipped {
        say(&format!(
            "    {:<20} not served: {}",
            skipped.name, skipped.reason
        ));
    }
}

/// Tells the person who started the server; one who has stopped reading is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
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
