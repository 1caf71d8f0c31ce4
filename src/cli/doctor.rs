//! The command line of `smcp doctor`.

use clap::Args;
use url::Url;

const EXAMPLES: &str = "\
Examples:
  smcp doctor                        the server of this machine, as the settings have it
  MCP_API_KEY=… smcp doctor https://tools.example.org
                                     a server through its proxy, with its key
  smcp doctor https://example.org/tools/sse
                                     an address as a client has it; /mcp likewise
  smcp doctor --idle 90 https://tools.example.org
                                     hold a stream for 90 seconds: is it cut?
  smcp doctor --origin https://app.example.org https://tools.example.org
                                     may a web page of that origin call?

The key is in MCP_API_KEY, or in the file that MCP_API_KEY_FILE names.

Ctrl-C ends it early: it prints what it knows by then.

Exit status: 0 when no fault was found (a warning is none), 1 when one was, 2 when the command line is wrong,
130 or 143 when it was ended by Ctrl-C or SIGTERM.";

/// Which server is looked at, and how long.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// The address by which clients reach the server, with /sse or /mcp at its end or without
    /// [default: http://127.0.0.1:8000, or what MCP_HOST and MCP_PORT say]
    pub url: Option<String>,
    /// Seconds for which a stream without events is held, to see whether it is cut. With more than 15 the
    /// server's first keep-alive line is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub idle: u64,
    /// Seconds that any answer may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub wait: u64,
    /// Origin of the web page that is played [default: the server's own address]
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub origin: Option<String>,
    /// Print everything as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// An origin as browsers send it: scheme, host, and a port that is not the scheme's own.
fn origin(text: &str) -> Result<String, String> {
    let read = Url::parse(text).map(|url| url.origin().ascii_serialization());
    match read {
        Ok(origin) if origin == text && text.starts_with("http") => Ok(origin),
        _ => Err("an origin is a scheme and a host, such as https://app.example.org".to_owned()),
    }
}
