//! The command line: flags with their environment names, help, examples. Reads no environment.

mod call;
mod check;
mod client;
mod doctor;
mod flags;
mod new;
mod plugins;
mod tools;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub use call::CallArgs;
pub use check::CheckArgs;
pub use client::{ClientArgs, ClientName};
pub use doctor::DoctorArgs;
pub use flags::{Flags, PluginFlags, PluginsDir, StdioFlags};
use flags::{later, place};
pub use new::{Language, NewArgs};
pub use plugins::{AddArgs, ListArgs, PluginsArgs, PluginsCommand, RemoveArgs, SyncArgs};
pub use tools::ToolsArgs;

/// Serves a folder of command-line programs as tools for AI agents.
#[derive(Debug, Parser)]
#[command(
    name = "smcp",
    version = env!("BUILD_VERSION"),
    about,
    long_about = "Serves a folder of command-line programs as tools for AI agents.\n\n\
        Every directory with a cli.py is a plugin, every command of it a tool named plugin__command. Agents connect \
        over HTTP+SSE (/sse), Streamable HTTP (/mcp) or, with `smcp stdio`, over standard input and output. Without \
        a command, smcp serves.",
    after_help = EXAMPLES,
    max_term_width = 100,
    // As version 3 read its command line: `--require` for --require-auth, and the last of two `--port` counts.
    infer_long_args = true,
    args_override_self = true
)]
pub struct Cli {
    /// The command; none serves.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The settings.
    #[command(flatten)]
    pub flags: Flags,
}

/// How smcp is called, a line or two for each example.
pub const EXAMPLES: &str = "\
Examples:
  smcp                                          serve ./plugins on 127.0.0.1:8000
  smcp --plugins-dir ~/tools --port 0           serve another folder on a free port
  MCP_API_KEY=… smcp --host 0.0.0.0 --require-auth
                                                serve the network, for whoever has the key
  smcp new greet                                write a first plugin: plugins/greet
  smcp check                                    say what is served, what is not, and what to mend
  smcp tools                                    list the tools; smcp tools NAME shows one
  smcp plugins add httpie                       add a program of the Python package index
  smcp health http://127.0.0.1:8000             say whether a server is ready
  smcp call demo_math__calculate operation=add a=2 b=3
                                                run one tool here, as an agent would

Flags win over the environment, and that over settings files. All settings (keys, hosts, logs, limits):
smcp man | man -l -; smcp config prints those in force.";

const SERVE_EXAMPLES: &str = "\
Examples:
  smcp serve                         serve ./plugins on 127.0.0.1:8000
  smcp serve --plugins-dir ~/tools --port 0
                                     another directory, on a free port, which is printed
  MCP_API_KEY=… smcp serve --host 0.0.0.0 --require-auth
                                     the network, for whoever has the key
  smcp serve --plugin-timeout 5m     no call takes longer than five minutes

Ctrl-C or SIGTERM lets running calls finish and ends the server; SIGHUP asks all plugins again.";

const STDIO_EXAMPLES: &str = "\
Examples:
  smcp stdio --plugins-dir ~/tools   what a desktop client has in its configuration
  echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}' | smcp stdio
                                     one message by hand";

const HEALTH_EXAMPLES: &str = "\
Examples:
  smcp health                        the server of this machine
  smcp health http://tools.example:8000 --json
                                     another one, for a program";

const CONFIG_EXAMPLES: &str = "\
Examples:
  smcp config                        what is in force here, and why
  smcp config --config /etc/smcp/smcp.toml
                                     what one file comes to
  smcp config > smcp.toml            a settings file to begin with";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  smcp completions bash > ~/.local/share/bash-completion/completions/smcp
  smcp completions fish > ~/.config/fish/completions/smcp.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  smcp man | man -l -                read it
  smcp man > /usr/local/share/man/man1/smcp.1";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve over HTTP (the default)
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Flags),
    /// Serve one client over standard input and output; logs go to standard error
    #[command(after_help = STDIO_EXAMPLES)]
    Stdio(StdioFlags),
    /// Write a plugin that works at once, to be changed into your own
    New(NewArgs),
    /// Ask every plugin and say what is served, what is not, and why
    Check(CheckArgs),
    /// Print the tools as a client sees them
    Tools(ToolsArgs),
    /// Run one tool and print its result
    Call(CallArgs),
    /// Add, remove and list plugins, and install what they need
    Plugins(PluginsArgs),
    /// Say whether a server is ready; exit with 0 if it is, else with 1
    Health(HealthArgs),
    /// Play clients through a server's public address, and say what is wrong on the way, and which line mends it
    Doctor(DoctorArgs),
    /// Print the settings that are in force for serving over HTTP, and where each comes from
    #[command(after_help = CONFIG_EXAMPLES)]
    Config {
        /// Print them as one JSON object
        #[arg(long)]
        json: bool,
        /// The settings.
        #[command(flatten)]
        settings: Flags,
    },
    /// Print what connects a client to this server, or write it into the client's file
    Client(ClientArgs),
    /// Print a script by which a shell completes the command line of smcp
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell that the script is for
        shell: Shell,
    },
    /// Print the manual page, in the format of man(1)
    #[command(after_help = MAN_EXAMPLES)]
    Man,
}

/// Which server `smcp health` asks, and how it answers.
#[derive(Debug, Args)]
#[command(after_help = HEALTH_EXAMPLES)]
pub struct HealthArgs {
    /// The server's address [default: http://127.0.0.1:8000, or what MCP_HOST and MCP_PORT say]
    pub url: Option<String>,
    /// Print the answer as a JSON object
    #[arg(long)]
    pub json: bool,
}

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// What is wrong with it, or what was asked for instead of a run, such as the help.
    pub fn read(line: &[OsString]) -> Result<Self, clap::Error> {
        Self::try_parse_from(line).map_err(|error| match call::tool_argument(&error, line) {
            Some(hint) => {
                let mut command = Self::command();
                command.build();
                let call = command.find_subcommand_mut("call").expect("it is one");
                call.error(ErrorKind::UnknownArgument, hint)
            }
            None => error,
        })
    }

    /// The settings given before the command and after it; those after it win.
    pub fn settings(&self) -> Flags {
        let before = &self.flags;
        let plugins = |after: &PluginFlags| PluginFlags {
            place: place(before, &after.place),
            plugin_timeout: later(&before.plugins.plugin_timeout, &after.plugin_timeout),
        };
        match &self.command {
            None
            | Some(
                Command::Health(_)
                | Command::Doctor(_)
                | Command::Completions { .. }
                | Command::Man,
            ) => before.clone(),
            Some(Command::New(args)) => {
                let mut flags = before.clone();
                let place = &mut flags.plugins.place.plugins_dir;
                *place = later(place, &args.plugins_dir);
                flags
            }
            Some(
                Command::Serve(after)
                | Command::Config {
                    settings: after, ..
                }
                | Command::Client(ClientArgs {
                    settings: after, ..
                }),
            ) => Flags {
                host: later(&before.host, &after.host),
                port: later(&before.port, &after.port),
                allow_external: before.allow_external || after.allow_external,
                require_auth: before.require_auth || after.require_auth,
                no_watch: before.no_watch || after.no_watch,
                plugins: plugins(&after.plugins),
            },
            Some(Command::Stdio(after)) => Flags {
                no_watch: before.no_watch || after.no_watch,
                plugins: plugins(&after.plugins),
                ..before.clone()
            },
            Some(Command::Call(args)) => Flags {
                plugins: plugins(&args.plugins),
                ..before.clone()
            },
            Some(
                Command::Check(CheckArgs { plugins: after, .. })
                | Command::Tools(ToolsArgs { plugins: after, .. }),
            ) => {
                let mut flags = before.clone();
                flags.plugins.place = place(before, after);
                flags
            }
            Some(Command::Plugins(args)) => {
                let mut flags = before.clone();
                flags.plugins.place = place(before, args.place());
                flags
            }
        }
    }
}

#[cfg(test)]
mod tests;
