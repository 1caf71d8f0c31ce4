//! The command line of `smcp tools`.

use clap::Args;

use super::flags::PluginsDir;

const EXAMPLES: &str = "\
Examples:
  smcp tools                         a table: tools, resources and prompts
  smcp tools greet__hello            one tool: its arguments, and how to call it
  smcp tools --json                  the definitions as clients get them
  smcp tools --plugins-dir ~/tools   those of another directory

What is not served is named on standard error, with the reason.";

/// What `smcp tools` prints.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ToolsArgs {
    /// Only this tool, with its arguments
    pub name: Option<String>,
    /// Print definitions as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the plugins are.
    #[command(flatten)]
    pub plugins: PluginsDir,
}
