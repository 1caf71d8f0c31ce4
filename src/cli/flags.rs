//! The flags that commands share: where the plugins are, how they run, what is listened on.

use clap::Args;

/// Settings that have a flag. Values are read by `config`, so that all that is wrong is said at once.
#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// Address or name to listen on [env: MCP_HOST] [default: 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Port to listen on; 0 picks a free one and prints it [env: MCP_PORT] [default: 8000]
    #[arg(long, value_name = "PORT", allow_negative_numbers = true)]
    pub port: Option<String>,
    /// Listen on all interfaces (0.0.0.0); needs a key
    #[arg(long)]
    pub allow_external: bool,
    /// Ask every client for a key, direct ones on this machine too
    #[arg(long)]
    pub require_auth: bool,
    /// Do not notice changes of plugins; a reload (SIGHUP) asks them again [env: MCP_WATCH=off]
    #[arg(long)]
    pub no_watch: bool,
    /// Where the plugins are, and how long a call may take.
    #[command(flatten)]
    pub plugins: PluginFlags,
}

/// The flags of `smcp stdio`.
#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct StdioFlags {
    /// Do not notice changes of plugins [env: MCP_WATCH=off]
    #[arg(long)]
    pub no_watch: bool,
    /// Where the plugins are, and how long a call may take.
    #[command(flatten)]
    pub plugins: PluginFlags,
}

/// The flags of the commands that run tools.
#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct PluginFlags {
    /// Where the plugins are.
    #[command(flatten)]
    pub place: PluginsDir,
    /// Time after which a call is ended: seconds, or with a unit such as 500ms, 30s or 5m; 0 is no limit
    /// [env: MCP_PLUGIN_TIMEOUT] [default: none]
    // In version 3 no other flag began so: its abbreviations go on meaning this one, beside --plugins-dir.
    #[arg(
        long,
        value_name = "TIME",
        allow_negative_numbers = true,
        aliases = ["plugin", "plugi", "plug", "plu", "pl"]
    )]
    pub plugin_timeout: Option<String>,
}

/// The flags of every command.
#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct PluginsDir {
    /// Directory of the plugins [env: MCP_PLUGINS_DIR] [default: ./plugins, else the one beside the
    /// program, else the built-in demos]
    #[arg(long, value_name = "DIR")]
    pub plugins_dir: Option<String>,
    /// Where descriptions of unchanged plugins are kept from one start to the next [env: MCP_CACHE_DIR]
    /// [default: ~/.cache/smcp]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<String>,
    /// Ask every plugin, and keep no descriptions [env: MCP_CACHE=off]
    #[arg(long)]
    pub no_cache: bool,
    /// File with settings, instead of /etc/smcp/smcp.toml and the smcp.toml among the plugins
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
}

pub(super) fn place(before: &Flags, after: &PluginsDir) -> PluginsDir {
    PluginsDir {
        plugins_dir: later(&before.plugins.place.plugins_dir, &after.plugins_dir),
        cache_dir: later(&before.plugins.place.cache_dir, &after.cache_dir),
        no_cache: before.plugins.place.no_cache || after.no_cache,
        config: later(&before.plugins.place.config, &after.config),
    }
}

pub(super) fn later(before: &Option<String>, after: &Option<String>) -> Option<String> {
    after.clone().or_else(|| before.clone())
}
