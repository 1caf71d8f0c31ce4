//! `smcp serve`: the daemon.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::manager::attend;
use super::reload::Reloadable;
use super::setup::{counted, prepare, say, source};
use crate::app::App;
use crate::catalog::Snapshot;
use crate::catalogue_log::nothing_found;
use crate::config::Config;
use crate::http::auth;
use crate::shutdown::Shutdown;
use crate::telemetry::Counters;

/// The start lines wait this long for plugins, counted from when they can be asked.
const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);

/// Serves until a signal asks for the end.
///
/// # Errors
/// The server cannot be set up, or the address cannot be bound.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let (guard, launcher) = prepare(&config)?;
    raise_descriptor_limit();
    let notices = [config.mistakes.clone(), config.notices.clone()].concat();
    let auth = config.http.auth.clone();
    let root_path = config.http.root_path.clone();
    let has_page = config.http.page.is_some();
    let key_in_shell = config.key_in_shell;
    let directory = config.catalog.directory.clone();
    let files = config.files.clone();
    let plugins = source(config.catalog.directory.as_deref());
    let (manager, sources) = (config.manager, config.keys.clone());
    let shutdown = Shutdown::delayed(config.drain_delay);
    let _signals = shutdown.listen_and_reload()?;
    let app = App::start(
        config,
        launcher,
        Counters::new(guard.losses()),
        shutdown.clone(),
    )
    .await?;
    let server = Reloadable {
        sessions: Arc::clone(app.sessions()),
        keys: auth.keys.clone(),
        sources,
    };
    let attended = attend(manager, server, shutdown);
    for address in app.addresses() {
        tracing::info!(%address, "listening");
    }
    for notice in &notices {
        tracing::warn!("{notice}");
    }
    let address = app.addresses()[0];
    for address in app.addresses() {
        say_addresses(*address, &root_path, has_page);
    }
    for file in &files {
        say(format_args!("  settings         {}", file.display()));
    }
    say(format_args!(
        "  keys             {}",
        who_needs_a_key(&auth)
    ));
    let catalog = app.services().catalog.clone();
    let announcing = tokio::spawn(async move {
        catalog.complete_within(ANNOUNCE_WAIT).await;
        let snapshot = catalog.snapshot();
        announce(&snapshot, &plugins, directory.as_deref());
        if !snapshot.complete {
            say("  some plugins have not answered yet; the log says what becomes of them");
        }
        say(format_args!(
            "try: {}",
            example(address, &auth, key_in_shell)
        ));
    });
    app.run().await;
    attended.say_the_end().await;
    announcing.abort();
    tracing::info!("stopped");
    drop(guard);
    Ok(ExitCode::SUCCESS)
}

fn say_addresses(address: SocketAddr, root_path: &str, has_page: bool) {
    let base = format!("http://{address}{root_path}");
    say(format_args!(
        "smcp {} listens on http://{address}",
        env!("CARGO_PKG_VERSION")
    ));
    say(format_args!("  Streamable HTTP  {base}/mcp"));
    say(format_args!("  HTTP+SSE         {base}/sse"));
    say(format_args!("  without session  {base}/messages/"));
    say(format_args!("  health           {base}/health"));
    if has_page {
        say(format_args!("  page for people  {base}/ui/"));
    }
}

fn who_needs_a_key(auth: &auth::Settings) -> &'static str {
    if auth.keys.is_empty() || auth.disabled {
        "none, NOBODY NEEDS A KEY: whoever reaches this address may call"
    } else if auth.loopback_exempt {
        "asked for, but not of clients on this machine"
    } else {
        "asked for"
    }
}

fn announce(snapshot: &Snapshot, from: &str, directory: Option<&Path>) {
    let tools = counted(snapshot.tools.len(), "tool");
    say(format_args!(
        "  plugins          {} with {tools}, from {from}",
        snapshot.plugins.len()
    ));
    for warning in &snapshot.warnings {
        say(format_args!("    {warning}"));
    }
    for plugin in &snapshot.plugins {
        let (name, tools) = (&plugin.name, counted(plugin.tools, "tool"));
        let (source, by) = (plugin.source, plugin.interpreter.display());
        say(format_args!("    {name:<20} {tools}, by {source} ({by})"));
    }
    for skipped in &snapshot.skipped {
        say(format_args!(
            "    {:<20} not served: {}",
            skipped.name, skipped.reason
        ));
    }
    if snapshot.complete
        && let Some(line) = nothing_found(snapshot, directory)
    {
        say(format_args!("    {line}"));
    }
}

/// A command that works as it stands in a shell on this machine; where the shell cannot know the key, with a word
/// about what to put in.
fn example(address: SocketAddr, auth: &auth::Settings, key_in_shell: bool) -> String {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"health","arguments":{}}}"#;
    let ip = address.ip();
    let reached = match ip {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    let address = SocketAddr::new(reached, address.port());
    let is_exempt = auth.loopback_exempt && reached.to_canonical().is_loopback();
    let (key, put_in) = if auth.keys.is_empty() || auth.disabled || is_exempt {
        ("", "")
    } else if key_in_shell {
        // The shell fills it in; the key itself belongs into no terminal.
        (" -H \"Authorization: Bearer $MCP_API_KEY\"", "")
    } else {
        (
            " -H 'Authorization: Bearer KEY'",
            "\n     (put the key itself for KEY; the server has only a digest of it, or several keys)",
        )
    };
    // Shells and curl would take the brackets of an IPv6 address for patterns.
    let (globoff, quote) = if address.is_ipv6() {
        ("-g ", "'")
    } else {
        ("", "")
    };
    format!(
        "curl {globoff}-X POST {quote}http://{address}/messages/{quote} -H 'Content-Type: application/json'{key} -d '{message}'{put_in}"
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::principal::KeyId;

    fn example_at(address: &str, keyed: bool, loopback_exempt: bool) -> String {
        let auth = auth::Settings {
            keys: keyed
                .then(|| KeyId::of(b"k"))
                .into_iter()
                .collect::<Vec<_>>()
                .into(),
            loopback_exempt,
            disabled: false,
        };
        example(address.parse().unwrap(), &auth, true)
    }

    #[test]
    fn the_start_says_so_wherever_nobody_needs_a_key_and_nowhere_else() {
        for (keyed, disabled, open) in [
            (false, false, true),
            (false, true, true),
            (true, true, true),
            (true, false, false),
        ] {
            for loopback_exempt in [false, true] {
                let keys: Vec<_> = keyed.then(|| KeyId::of(b"k")).into_iter().collect();
                let line = who_needs_a_key(&auth::Settings {
                    keys: keys.into(),
                    loopback_exempt,
                    disabled,
                });
                assert_eq!(line.contains("NOBODY NEEDS A KEY"), open, "{line}");
            }
        }
    }

    #[test]
    fn where_the_shell_has_no_key_the_example_says_to_put_it_in() {
        let auth = auth::Settings {
            keys: vec![KeyId::of(b"k")].into(),
            ..auth::Settings::default()
        };
        let line = example("127.0.0.1:1".parse().unwrap(), &auth, false);
        assert!(
            line.contains("Bearer KEY'") && line.contains("the key itself"),
            "{line}"
        );
        assert!(!line.contains("$MCP_API_KEY"), "{line}");
    }

    #[test]
    fn the_example_names_the_key_where_one_is_needed_and_only_there() {
        let header = "-H \"Authorization: Bearer $MCP_API_KEY\"";
        for (address, keyed, exempt, needed) in [
            ("127.0.0.1:8000", false, true, false),
            ("127.0.0.1:8000", true, true, false),
            ("127.0.0.1:8000", true, false, true),
            ("0.0.0.0:8000", true, true, false),
            ("192.0.2.1:8000", true, true, true),
        ] {
            let line = example_at(address, keyed, exempt);
            assert_eq!(line.contains(header), needed, "{address}: {line}");
        }
    }

    #[test]
    fn the_example_reaches_the_server_from_this_machine() {
        assert!(example_at("0.0.0.0:1", false, true).contains(" http://127.0.0.1:1/messages/ "));
        assert!(
            example_at("[::]:1", false, true).contains("-g -X POST 'http://[::1]:1/messages/' ")
        );
    }
}
