//! The state that every route shares: sessions, settings, start. Knows no route.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::page::view;
use super::{auth, gate};
use crate::mcp::sessions::Sessions;

/// Settings of the routes, beside who may call.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `MCP_ROOT_PATH`: what stands before the paths for clients, without a final slash.
    pub root_path: String,
    /// `MCP_SSE_MANIFEST`: the tools are announced on every new stream.
    pub manifest: bool,
    /// `MCP_KEEP_ALIVE`: after so long without a sign of the server, a client gets one.
    pub keep_alive: Duration,
    /// `MCP_UI`: the page for people; `None` where there is none.
    pub page: Option<view::Settings>,
    /// Who is calling.
    pub auth: auth::Settings,
    /// Who may.
    pub gate: gate::Settings,
}

/// What every route works on.
#[derive(Debug)]
pub struct AppState {
    /// All sessions.
    pub sessions: Arc<Sessions>,
    /// Settings of the routes, beside who may call.
    pub settings: Settings,
    /// When the server started.
    pub started: Instant,
}
