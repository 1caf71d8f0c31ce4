//! The command line of `smcp new`.

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  smcp new greet                     a plugin in Python: plugins/greet
  smcp new greet --lang sh           the same as a shell script
  smcp new greet --plugins-dir ~/tools
                                     in another directory of plugins
  smcp check greet                   afterwards: is everything right with it?
  smcp call greet__hello name=Ada    and call its first tool";

/// What `smcp new` writes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct NewArgs {
    /// The plugin's name: letters, digits, '_' and '-'. A directory of this name is made, and must not be there yet
    pub name: String,
    /// The language that it is written in
    #[arg(long, value_name = "LANGUAGE", default_value = "python")]
    pub lang: Language,
    /// Directory of the plugins; it is made where it is not there [env: MCP_PLUGINS_DIR] [default: ./plugins]
    #[arg(long, value_name = "DIR")]
    pub plugins_dir: Option<String>,
}

/// The languages that there is a first plugin in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Python, with argparse
    Python,
    /// A shell script
    Sh,
    /// Rust, with Cargo
    Rust,
    /// JavaScript, for Node
    Node,
}
