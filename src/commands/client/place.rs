//! Where each client has its file of servers, and in which form.

use std::path::PathBuf;

use crate::cli::ClientName;
use crate::config::UserDirectories;

/// The form of a client's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON, without anything else.
    Json,
    /// JSON with comments and with commas at the end of lists.
    JsonWithComments,
    /// TOML.
    Toml,
}

/// A client's file of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is; `None` where the environment names no home directory.
    pub path: Option<PathBuf>,
    /// What is in it.
    pub form: Form,
}

/// The file of a client; `None` of those that have none.
pub fn of(client: ClientName, user: &UserDirectories) -> Option<Place> {
    let in_home = |path: &str| user.home.as_ref().map(|home| home.join(path));
    let in_settings = |path: &str| match cfg!(target_os = "macos") {
        true => in_home(&format!("Library/Application Support/{path}")),
        false => user.settings.as_ref().map(|settings| settings.join(path)),
    };
    let (path, form) = match client {
        ClientName::Claude => (in_settings("Claude/claude_desktop_config.json"), Form::Json),
        ClientName::ClaudeCode => (Some(PathBuf::from(".mcp.json")), Form::Json),
        ClientName::Cursor => (in_home(".cursor/mcp.json"), Form::JsonWithComments),
        ClientName::VsCode => (in_settings("Code/User/mcp.json"), Form::JsonWithComments),
        ClientName::Codex => {
            let own = user.codex.as_ref().map(|home| home.join("config.toml"));
            (own.or_else(|| in_home(".codex/config.toml")), Form::Toml)
        }
        ClientName::Letta | ClientName::Inspector | ClientName::Python | ClientName::Curl => {
            return None;
        }
    };
    Some(Place { path, form })
}
