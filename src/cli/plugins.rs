//! The command line of `smcp plugins`.

use clap::{Args, Subcommand};

use super::flags::PluginsDir;

const EXAMPLES: &str = "\
Examples:
  smcp plugins list                  the plugins, and what each is run with
  smcp plugins sync                  install what they declare that they need
  smcp plugins add httpie            a program of the Python package index
  smcp plugins add httpie --script http
                                     which of its programs
  smcp plugins add ./greet           a directory of this machine
  smcp plugins remove httpie         remove it again";

const SYNC_EXAMPLES: &str = "\
Examples:
  smcp plugins sync                  before a server starts that has no network
  smcp plugins sync --prune          and remove environments that no plugin uses any more
  MCP_CACHE_DIR=/var/cache/smcp smcp plugins sync
                                     where a service looks for them

Run it as the user that runs the server: environments of another user are not used.";

const ADD_EXAMPLES: &str = "\
Examples:
  smcp plugins add httpie            a program of the Python package index
  smcp plugins add 'httpie==3.2.4' --script http
                                     one version, and which of its programs
  smcp plugins add ./greet           copy a directory of this machine
  smcp plugins add ./greet --link    use it where it is
  smcp plugins add https://git.example/tools/greet.git --rev v1.2
                                     a repository, at a tag, branch or commit

What is added runs with the rights of the server: add only what you trust.";

const REMOVE_EXAMPLES: &str = "\
Examples:
  smcp plugins remove httpie         asks first
  smcp plugins remove httpie --yes   does not ask";

const LIST_EXAMPLES: &str = "\
Examples:
  smcp plugins list
  smcp plugins list --json           for programs";

/// What to do with the plugins of a directory.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PluginsArgs {
    /// The command.
    #[command(subcommand)]
    pub command: PluginsCommand,
}

/// One command of `smcp plugins`.
#[derive(Debug, Subcommand)]
pub enum PluginsCommand {
    /// Print the plugins: where each comes from, and what it is run with
    List(ListArgs),
    /// Install what plugins declare that they need, each into an environment of its own
    Sync(SyncArgs),
    /// Add a plugin: a directory, a Git repository, or a program of the Python package index
    Add(AddArgs),
    /// Remove a plugin's directory
    Remove(RemoveArgs),
}

/// What `smcp plugins list` prints.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the plugins are.
    #[command(flatten)]
    pub plugins: PluginsDir,
}

/// What `smcp plugins sync` makes.
#[derive(Debug, Args)]
#[command(after_help = SYNC_EXAMPLES)]
pub struct SyncArgs {
    /// Remove environments that no plugin uses any more
    #[arg(long)]
    pub prune: bool,
    /// Where the plugins are.
    #[command(flatten)]
    pub plugins: PluginsDir,
}

/// What `smcp plugins add` adds.
#[derive(Debug, Args)]
#[command(after_help = ADD_EXAMPLES)]
pub struct AddArgs {
    /// A directory (with a slash in it), the address of a Git repository, or the name of a package
    pub source: String,
    /// The plugin's name [default: that of the directory, the repository or the package]
    #[arg(long)]
    pub name: Option<String>,
    /// Link the directory instead of copying it
    #[arg(long)]
    pub link: bool,
    /// The branch, tag or commit of the repository
    #[arg(long, value_name = "REV")]
    pub rev: Option<String>,
    /// The program of the package, where it has several
    #[arg(long, value_name = "NAME")]
    pub script: Option<String>,
    /// Where the plugins are.
    #[command(flatten)]
    pub plugins: PluginsDir,
}

/// What `smcp plugins remove` removes.
#[derive(Debug, Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub struct RemoveArgs {
    /// The plugin's name
    pub name: String,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Where the plugins are.
    #[command(flatten)]
    pub plugins: PluginsDir,
}

impl PluginsArgs {
    /// Where the plugins are.
    pub fn place(&self) -> &PluginsDir {
        match &self.command {
            PluginsCommand::List(args) => &args.plugins,
            PluginsCommand::Sync(args) => &args.plugins,
            PluginsCommand::Add(args) => &args.plugins,
            PluginsCommand::Remove(args) => &args.plugins,
        }
    }
}
