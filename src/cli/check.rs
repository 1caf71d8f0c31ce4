//! The command line of `smcp check`.

use clap::Args;

use super::flags::PluginsDir;

const EXAMPLES: &str = "\
Examples:
  smcp check                         every plugin of the plugins directory
  smcp check greet                   one of them
  smcp check path/to/greet           a plugin anywhere; or a directory of plugins
  smcp check --run                   try the commands that only read, too
  smcp check --strict --json         for a build: warnings count, and a program reads it
  smcp check --fix                   mend what leaves no doubt: modes, line ends

Exit status: 0 when everything is right, 1 when a plugin is not served or does not do what it says (with --strict, on
a warning too), 2 when the command line or a setting is wrong.";

/// What `smcp check` looks at, and how.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// A plugin by name or path, or a directory of plugins [default: the plugins directory]
    #[arg(value_name = "DIR|PLUGIN")]
    pub target: Option<String>,
    /// Print everything as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Mend what can be mended without guessing
    #[arg(long)]
    pub fix: bool,
    /// Run each command that declares readOnlyHint, where its arguments are known by their examples or defaults, and
    /// look whether it gives what it declares
    #[arg(long)]
    pub run: bool,
    /// Exit with 1 on warnings too
    #[arg(long)]
    pub strict: bool,
    /// Where the plugins are.
    #[command(flatten)]
    pub plugins: PluginsDir,
}
