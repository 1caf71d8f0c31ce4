//! The command line: flags with their environment names, help, examples. Reads no environment.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

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
  smcp check                                    say what is served, what is not, and why
  smcp health http://127.0.0.1:8000             say whether a server is ready
  smcp call demo_math__calculate operation=add a=2 b=3
                                                run one tool here, as an agent would

Flags win over the environment. More variables (keys, hosts, logs, limits) are in docs/configuration.md.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve over HTTP (the default)
    Serve(Flags),
    /// Serve one client over standard input and output; logs go to standard error
    Stdio(PluginFlags),
    /// Ask every plugin and say what is served, what is not, and why
    Check(PluginsDir),
    /// Print the tools as a client sees them
    Tools {
        /// Print the whole definitions as JSON
        #[arg(long)]
        json: bool,
        /// Where the plugins are.
        #[command(flatten)]
        plugins: PluginsDir,
    },
    /// Run one tool and print its result
    Call(CallArgs),
    /// Say whether a server is ready; exit with 0 if it is, else with 1
    Health(HealthArgs),
    /// Print a script by which a shell completes the command line of smcp
    Completions {
        /// The shell that the script is for
        shell: Shell,
    },
    /// Print the manual page, in the format of man(1)
    Man,
}

/// Which server `smcp health` asks, and how it answers.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The server's address [default: http://127.0.0.1:8000, or what MCP_HOST and MCP_PORT say]
    pub url: Option<String>,
    /// Print the answer as a JSON object
    #[arg(long)]
    pub json: bool,
}

/// What `smcp call` runs.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// The tool's name
    pub tool: String,
    /// Arguments as name=value; a value that is JSON is passed as JSON, unless the parameter is a text; any
    /// other as text. A name that is given several times makes a list
    #[arg(value_name = "NAME=VALUE", conflicts_with = "json")]
    pub arguments: Vec<String>,
    /// All arguments as one JSON object
    #[arg(long, value_name = "OBJECT")]
    pub json: Option<String>,
    /// Where the plugins are, and how long a call may take.
    #[command(flatten)]
    pub plugins: PluginFlags,
}

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
}

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// What is wrong with it, or what was asked for instead of a run, such as the help.
    pub fn read(line: &[OsString]) -> Result<Self, clap::Error> {
        Self::try_parse_from(line).map_err(|error| match tool_argument(&error, line) {
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
            None | Some(Command::Health(_) | Command::Completions { .. } | Command::Man) => {
                before.clone()
            }
            Some(Command::Serve(after)) => Flags {
                host: later(&before.host, &after.host),
                port: later(&before.port, &after.port),
                allow_external: before.allow_external || after.allow_external,
                require_auth: before.require_auth || after.require_auth,
                plugins: plugins(&after.plugins),
            },
            Some(Command::Stdio(after)) => Flags {
                plugins: plugins(after),
                ..before.clone()
            },
            Some(Command::Call(args)) => Flags {
                plugins: plugins(&args.plugins),
                ..before.clone()
            },
            Some(Command::Check(after) | Command::Tools { plugins: after, .. }) => {
                let mut flags = before.clone();
                flags.plugins.place = place(before, after);
                flags
            }
        }
    }
}

/// How an argument of a tool is written that was given to `smcp call` as if it were a flag.
fn tool_argument(error: &clap::Error, line: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let words: Vec<String> = line
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let call = words.iter().position(|word| word == "call")?;
    if error.kind() != ErrorKind::UnknownArgument || !flag.starts_with('-') {
        return None;
    }
    let name = flag.trim_start_matches('-');
    let mut after = words.into_iter().skip(call + 1);
    let value = loop {
        let word = after.next()?;
        if word == *flag {
            break after.next().filter(|next| !next.starts_with('-'));
        }
        if let Some(("", value)) = word
            .strip_prefix(flag.as_str())
            .and_then(|rest| rest.split_once('='))
        {
            break Some(value.to_owned());
        }
    };
    // A flag without a value is what a shell user writes for `true`.
    let value = value.unwrap_or_else(|| "true".to_owned());
    let quote = if value
        .contains(|letter: char| letter.is_whitespace() || "'\"$&|;<>()*?".contains(letter))
    {
        "'"
    } else {
        ""
    };
    let value = value.replace('\'', r"'\''");
    Some(format!(
        "'{flag}' is no flag of smcp call; the arguments of a tool are NAME=VALUE: {name}={quote}{value}{quote}"
    ))
}

fn place(before: &Flags, after: &PluginsDir) -> PluginsDir {
    PluginsDir {
        plugins_dir: later(&before.plugins.place.plugins_dir, &after.plugins_dir),
        cache_dir: later(&before.plugins.place.cache_dir, &after.cache_dir),
        no_cache: before.plugins.place.no_cache || after.no_cache,
    }
}

fn later(before: &Option<String>, after: &Option<String>) -> Option<String> {
    after.clone().or_else(|| before.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_stand_before_the_command_or_after_it_and_those_after_it_win() {
        let read = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.settings());
        for command in ["serve", "stdio", "check", "tools", "call health"] {
            for line in [
                format!("smcp --plugins-dir b {command}"),
                format!("smcp {command} --plugins-dir b"),
                format!("smcp --plugins-dir a {command} --plugins-dir b"),
            ] {
                let flags = read(&line).unwrap();
                let directory = flags.plugins.place.plugins_dir;
                assert_eq!(directory.as_deref(), Some("b"), "{line}");
            }
        }
        let flags = read("smcp --port 1 --host h serve --port 2").unwrap();
        assert_eq!(
            (flags.port.as_deref(), flags.host.as_deref()),
            (Some("2"), Some("h"))
        );
    }

    #[test]
    fn a_command_takes_and_shows_only_the_flags_that_it_uses() {
        for (command, foreign) in [
            ("stdio", "--port"),
            ("check", "--host"),
            ("check", "--plugin-timeout"),
            ("tools", "--require-auth"),
            ("call", "--allow-external"),
        ] {
            let mut cli = Cli::command();
            let help = cli
                .find_subcommand_mut(command)
                .unwrap()
                .render_long_help()
                .to_string();
            assert!(!help.contains(foreign), "{command}: {help}");
            assert!(help.contains("--plugins-dir"), "{command}: {help}");
            assert!(Cli::try_parse_from(["smcp", command, foreign, "1"]).is_err());
        }
    }

    #[test]
    fn flags_may_be_shortened_repeated_and_written_with_an_equals_sign() {
        let read = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.settings());
        for line in ["smcp --require", "smcp --r", "smcp serve --require-a"] {
            assert!(read(line).unwrap().require_auth, "{line}");
        }
        for line in [
            "smcp --plugin-time 5",
            "smcp --plugin 5",
            "smcp --pl=5",
            "smcp --plugin-timeout=1 --plugin-timeout=5",
            "smcp stdio --plugin-t 5",
        ] {
            let limit = read(line).unwrap().plugins.plugin_timeout;
            assert_eq!(limit.as_deref(), Some("5"), "{line}");
        }
        let flags = read("smcp --po=1 --ho h --allow --allow-external --port 2").unwrap();
        assert_eq!(
            (flags.port.as_deref(), flags.host.as_deref()),
            (Some("2"), Some("h"))
        );
        assert!(flags.allow_external);
        for line in [
            "smcp --p 5",
            "smcp --h 5",
            "smcp --unknown",
            "smcp --requires",
        ] {
            let refused = read(line).unwrap_err();
            assert_eq!(refused.exit_code(), 2, "{line}: {refused}");
        }
    }

    #[test]
    fn an_argument_of_a_tool_that_is_written_as_a_flag_is_shown_as_it_is_written_here() {
        let said = |words: &[&str]| {
            let line: Vec<OsString> = words.iter().map(OsString::from).collect();
            let refused = Cli::read(&line).unwrap_err();
            assert_eq!(refused.exit_code(), 2, "{refused}");
            refused.to_string()
        };
        for (words, expected) in [
            (vec!["smcp", "call", "t", "--name", "Ada"], ": name=Ada\n"),
            (vec!["smcp", "call", "--name=Ada", "t"], ": name=Ada\n"),
            (vec!["smcp", "call", "t", "-n", "Ada L."], ": n='Ada L.'\n"),
            (
                vec!["smcp", "call", "t", "--loud", "--name", "x"],
                ": loud=true\n",
            ),
            (vec!["smcp", "call", "t", "--at=it's"], r": at='it'\''s'"),
        ] {
            let said = said(&words);
            assert!(said.contains(expected), "{words:?}: {said}");
        }
        let elsewhere = said(&["smcp", "tools", "--name", "Ada"]);
        assert!(!elsewhere.contains("name=Ada"), "{elsewhere}");
    }

    #[test]
    fn serving_is_what_happens_without_a_command() {
        let cli = Cli::try_parse_from(["smcp", "--host", "127.0.0.1", "--port", "8000"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.flags.port.as_deref(), Some("8000"));
    }
}
