//! The command line of smcp client.

use clap::Args;

use super::flags::Flags;

/// Which client is to be connected, and how.
#[derive(Debug, Clone, Args)]
#[command(after_help = CLIENT_EXAMPLES)]
pub struct ClientArgs {
    /// The client
    #[arg(value_enum)]
    pub client: ClientName,
    /// Connect to a server at this address, such as https://tools.example.org [default: the one that the settings
    /// stand for]
    #[arg(long, value_name = "URL", conflicts_with = "stdio")]
    pub url: Option<String>,
    /// Connect over HTTP, where the default is that the client starts a server of its own
    #[arg(long, conflicts_with = "stdio")]
    pub http: bool,
    /// Let the client start a server of its own, where the default is HTTP
    #[arg(long)]
    pub stdio: bool,
    /// What the client calls the server
    #[arg(long, value_name = "NAME", default_value = "smcp")]
    pub name: String,
    /// Environment variable of the client from which it takes the key
    #[arg(long, value_name = "NAME", default_value = "MCP_API_KEY")]
    pub key_variable: String,
    /// Send no key, though the server may ask for one
    #[arg(long)]
    pub no_key: bool,
    /// Write it into the client's configuration file, after showing what changes; a backup of the file is kept
    #[arg(long)]
    pub install: bool,
    /// Write without asking
    #[arg(long, requires = "install")]
    pub yes: bool,
    /// The client's configuration file, where it is not the usual one
    #[arg(long, value_name = "FILE", requires = "install")]
    pub file: Option<std::path::PathBuf>,
    /// The settings of the server.
    #[command(flatten)]
    pub settings: Flags,
}

/// A client that can be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ClientName {
    /// Letta, over HTTP
    Letta,
    /// Claude Desktop
    Claude,
    /// Claude Code, for the project in the working directory
    ClaudeCode,
    /// Cursor
    Cursor,
    /// Visual Studio Code
    #[value(name = "vscode")]
    VsCode,
    /// Codex
    Codex,
    /// The MCP Inspector
    Inspector,
    /// A script that uses the official Python SDK
    Python,
    /// A request by curl
    Curl,
}

const CLIENT_EXAMPLES: &str = "\
Examples:
  smcp client cursor                            print what belongs into Cursor's file
  smcp client cursor --plugins-dir ~/tools --install
                                                write it there
  smcp client claude-code --url https://tools.example.org
                                                for a server that runs elsewhere
  smcp client python --http > try.py            a script that lists the tools";
