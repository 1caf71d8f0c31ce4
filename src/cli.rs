//! The command line: flags with their environment names, help, examples. Reads no environment.

use clap::{Args, Parser, Subcommand};

/// Serves a folder of command-line programs as tools for AI agents.
#[derive(Debug, Parser)]
#[command(
    name = "smcp",
    version,
    about,
    long_about = "Serves a folder of command-line programs as tools for AI agents.\n\n\
        Every directory with a cli.py is a plugin, every command of it a tool named plugin__command. Agents connect \
        over HTTP+SSE (/sse), Streamable HTTP (/mcp) or, with `smcp stdio`, over standard input and output. Without \
        a command, smcp serves.",
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Cli {
    /// The command; none serves.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The settings.
    #[command(flatten)]
    pub flags: Flags,
}

const EXAMPLES: &str = "\
Examples:
  smcp                                          serve ./plugins on 127.0.0.1:8000
  smcp --plugins-dir ~/tools --port 0           serve another folder on a free port
  MCP_API_KEY=… smcp --host 0.0.0.0 --require-auth
                                                serve the network, for whoever has the key
  smcp check                                    say what is served, what is not, and why
  smcp call demo_math__calculate operation=add a=2 b=3
                                                run one tool here, as an agent would

Flags win over the environment. More variables (keys, hosts, logs, limits) are in the README.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve over HTTP (the default)
    Serve,
    /// Serve one client over standard input and output; logs go to standard error
    Stdio,
    /// Ask every plugin and say what is served, what is not, and why
    Check,
    /// Print the tools as a client sees them
    Tools {
        /// Print the whole definitions as JSON
        #[arg(long)]
        json: bool,
    },
    /// Run one tool and print its result
    Call(CallArgs),
}

/// What `smcp call` runs.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// The tool's name
    pub tool: String,
    /// Arguments as name=value; a value that is JSON is passed as JSON, unless the parameter is a text; any other as text
    #[arg(value_name = "NAME=VALUE", conflicts_with = "json")]
    pub arguments: Vec<String>,
    /// All arguments as one JSON object
    #[arg(long, value_name = "OBJECT")]
    pub json: Option<String>,
}

/// Settings that have a flag. Values are read by `config`, so that all that is wrong is said at once.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// Address or name to listen on [env: MCP_HOST] [default: 127.0.0.1]
    #[arg(long, value_name = "HOST", global = true)]
    pub host: Option<String>,
    /// Port to listen on; 0 picks a free one and prints it [env: MCP_PORT] [default: 8000]
    #[arg(
        long,
        value_name = "PORT",
        global = true,
        allow_negative_numbers = true
    )]
    pub port: Option<String>,
    /// Directory of the plugins [env: MCP_PLUGINS_DIR] [default: ./plugins, else the one beside the
    /// program, else the built-in demo]
    #[arg(long, value_name = "DIR", global = true)]
    pub plugins_dir: Option<String>,
    /// Listen on all interfaces (0.0.0.0); needs a key
    #[arg(long, global = true)]
    pub allow_external: bool,
    /// Ask every client for a key, direct ones on this machine too
    #[arg(long, global = true)]
    pub require_auth: bool,
    /// Seconds after which a call is ended; 0 is no limit [env: MCP_PLUGIN_TIMEOUT] [default: none]
    #[arg(
        long,
        value_name = "SECONDS",
        global = true,
        allow_negative_numbers = true
    )]
    pub plugin_timeout: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_is_what_happens_without_a_command() {
        let cli = Cli::try_parse_from(["smcp", "--host", "127.0.0.1", "--port", "8000"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.flags.port.as_deref(), Some("8000"));
    }
}
