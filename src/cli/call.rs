//! The command line of `smcp call`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::flags::PluginFlags;

const EXAMPLES: &str = "\
Examples:
  smcp call demo_math__calculate operation=add a=2 b=3
                                     run a tool here, as an agent would
  smcp call notes__add --json '{\"text\": \"milk\", \"tags\": [\"home\"]}'
                                     all arguments as one JSON object
  smcp call notes__add @note.json    the same from a file; - is standard input
  smcp call pictures__draw --save .  pictures and sounds go into files here
  MCP_API_KEY=… smcp call --url https://tools.example health
                                     call a server that runs, with its key

Exit status: 0 when the tool succeeded, 1 when it failed or could not be called, 2 when the command line is wrong.";

/// What `smcp call` runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CallArgs {
    /// The tool's name
    pub tool: String,
    /// Arguments as name=value; a value that is JSON is passed as JSON, unless the parameter is a text; any
    /// other as text. A name that is given several times makes a list. Or all of them as one JSON object:
    /// @FILE reads it from a file, - from standard input
    #[arg(value_name = "NAME=VALUE", conflicts_with = "json")]
    pub arguments: Vec<String>,
    /// All arguments as one JSON object
    #[arg(long, value_name = "OBJECT")]
    pub json: Option<String>,
    /// Call a server that runs, at this address, over Streamable HTTP. Its key is in MCP_API_KEY, or in the
    /// file that MCP_API_KEY_FILE names
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Directory for pictures, sounds and other files of the result [default: a new temporary one]
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
    /// Print the whole result as JSON
    #[arg(long)]
    pub raw: bool,
    /// Where the plugins are, and how long a call may take.
    #[command(flatten)]
    pub plugins: PluginFlags,
}

/// How an argument of a tool is written that was given to `smcp call` as if it were a flag.
pub(super) fn tool_argument(error: &clap::Error, line: &[OsString]) -> Option<String> {
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
