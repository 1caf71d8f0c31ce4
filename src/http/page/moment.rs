//! What the server is at this moment, as the page shows it: counts, and the first so many of everything.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::query::Query;
use super::view::View;
use crate::catalog::{Class, Skipped, Snapshot};
use crate::http::state::AppState;
use crate::mcp::activity::Running;
use crate::mcp::session::Session;
use crate::telemetry::Tail;
use crate::text;

/// Sessions that are listed.
const MAX_SESSIONS: usize = 100;
/// Running calls that are listed.
const MAX_RUNNING: usize = 100;
/// Plugins that are listed, and faults.
const MAX_PLUGINS: usize = 500;
/// Characters of one fault.
const MAX_FAULT: usize = 600;
/// Warnings of one plugin.
const MAX_WARNINGS: usize = 10;
/// Characters of a name that a client chose.
const MAX_NAME: usize = 128;

/// The answer to `GET /ui/state`.
pub fn state(app: &AppState, view: View, query: &Query, log: &Tail) -> Value {
    let services = app.sessions.services();
    let snapshot = services.catalog.snapshot();
    let activity = &services.activity;
    let load = services.catalog.call_load();
    let counters = services.counters.snapshot();
    let running = activity.running(|asked| view.has(asked.key));
    let ended = activity.ended_after(query.calls, |asked| view.has(asked.key));
    let status = match () {
        () if services.leaving.is_cancelled() => "draining",
        () if !snapshot.complete => "loading",
        () => "ready",
    };
    let mut state = json!({
        "server": {
            "start": activity.start(),
            "version": env!("CARGO_PKG_VERSION"),
            "status": status,
            "uptime": app.started.elapsed().as_secs(),
            "now": SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
            "catalogue": services.catalog.changes().borrow().catalogue,
        },
        "view": view.name(),
        "counts": {
            "running": load.calls_in_progress,
            "waiting": load.calls_waiting,
            "sessions": app.sessions.count(),
            "tools": crate::mcp::methods::tools::count(services),
            "plugins": snapshot.plugins.len(),
            "unserved": snapshot.unserved().count(),
            "calls": counters.tool_calls_total,
            "failed": counters.tool_calls_error - counters.tool_calls_stopped,
            "stopped": counters.tool_calls_stopped,
        },
        "running": {
            "total": running.len(),
            "shown": running.iter().take(MAX_RUNNING).map(|call| running_call(call)).collect::<Vec<_>>(),
        },
        "ended": ended.iter().map(|call| &**call).collect::<Vec<_>>(),
        "minutes": activity.minutes(),
        "sessions": sessions(app, view, &query.find),
        "plugins": plugins(&snapshot),
        "faults": faults(&snapshot),
        "services": services.plugin_services.list().into_iter().take(MAX_PLUGINS).collect::<Vec<_>>(),
    });
    // Lines name keys, agents and tools of everybody.
    if view == View::All {
        state["log"] = json!(log.after(query.log));
    }
    state
}

fn running_call(call: &Running) -> Value {
    json!({
        "call": *call.asked,
        "took": call.elapsed().as_millis() as u64,
        "progress": call.progress(),
        "asking": call.is_asking(),
        "stopped": call.is_stopped(),
    })
}

/// The sessions that were used last, of those that `find` is part of.
fn sessions(app: &AppState, view: View, find: &str) -> Value {
    let find = find.to_lowercase();
    let mut seen: Vec<Arc<Session>> = Vec::new();
    app.sessions.each(|session| {
        let is_meant = || {
            let (name, agent) = names(session);
            let known = [name.as_deref(), agent.as_deref(), Some(beginning(session))];
            let known = known.into_iter().flatten();
            let mut known = known.chain([session.transport().name()]);
            known.any(|text| text.to_lowercase().contains(&find))
        };
        if view.has(session.principal().key) && (find.is_empty() || is_meant()) {
            seen.push(Arc::clone(session));
        }
    });
    let total = seen.len();
    let mut seen: Vec<_> = seen
        .into_iter()
        .map(|session| (session.idle_for(), session))
        .collect();
    if total > MAX_SESSIONS {
        seen.select_nth_unstable_by_key(MAX_SESSIONS, |(idle, _)| *idle);
        seen.truncate(MAX_SESSIONS);
    }
    seen.sort_by_key(|(_, session)| Reverse(session.opened()));
    let shown = seen.iter().map(|(idle, session)| {
        let (client, agent) = names(session);
        let key = session.principal().key.map(|key| key.to_string());
        json!({
            "session": beginning(session),
            "transport": session.transport().name(),
            "client": client,
            "agent": agent,
            "key": key,
            "open": session.opened().elapsed().as_secs(),
            "idle": idle.as_secs(),
        })
    });
    json!({"total": total, "shown": shown.collect::<Vec<_>>()})
}

fn names(session: &Session) -> (Option<String>, Option<String>) {
    let cut = |name: &str| text::cut(name, MAX_NAME).to_owned();
    (
        session.client_name().as_deref().map(cut),
        session.principal().agent.as_deref().map(cut),
    )
}

fn beginning(session: &Session) -> &str {
    crate::telemetry::audit::session_beginning(session.id())
}

fn plugins(snapshot: &Snapshot) -> Value {
    let shown = snapshot.plugins.iter().take(MAX_PLUGINS).map(|plugin| {
        let warnings = plugin.warnings.iter().take(MAX_WARNINGS);
        json!({
            "name": plugin.name,
            "tools": plugin.tools,
            "source": plugin.source,
            "warnings": warnings.map(|warning| text::cut(warning, MAX_FAULT)).collect::<Vec<_>>(),
        })
    });
    json!({"total": snapshot.plugins.len(), "shown": shown.collect::<Vec<_>>()})
}

/// What is not served, or as it was before, and why.
fn faults(snapshot: &Snapshot) -> Value {
    let listed = |kind: &'static str| {
        move |(skipped, class): (&Skipped, Class)| {
            json!({
                "kind": kind,
                "name": skipped.name,
                "class": class.word(),
                "reason": text::cut(&skipped.reason, MAX_FAULT),
            })
        }
    };
    let unserved = snapshot.unserved().map(listed("unserved"));
    let outdated = snapshot.outdated().map(listed("outdated"));
    // A part of a plugin that is served has no class.
    let parts = snapshot.skipped.iter().filter(|skipped| skipped.class.is_none()).map(|skipped| {
        json!({"kind": "part", "name": skipped.name, "reason": text::cut(&skipped.reason, MAX_FAULT)})
    });
    let all = unserved.chain(outdated).chain(parts);
    all.take(MAX_PLUGINS).collect::<Vec<_>>().into()
}
