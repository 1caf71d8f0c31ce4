//! Settings of the plugins: where they are, how they run, and what of the environment they get.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use crate::catalog::{Reserved, Settings};
use crate::cli::Flags;

/// Variables that belong to the server alone and never reach a plugin.
const OWN_SECRETS: [&str; 3] = ["MCP_API_KEY", "NOTIFY_SOCKET", "LISTEN_"];
/// How long a plugin may take to describe itself.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(10);
/// Most calls that a setting may let run at once.
const MAX_CALLS: usize = 100_000;
/// Programs that calls may leave running at once.
const DEFAULT_MAX_BACKGROUND: u64 = 64;
/// Most of them that a setting may allow: each has a process and a descriptor of the server's.
const MAX_BACKGROUND: u64 = 10_000;

pub(super) fn read(
    reader: &mut Reader,
    flags: &Flags,
    environment: Vec<(OsString, OsString)>,
    reserved: Reserved,
) -> Settings {
    let time_limit = reader.flag(
        flags.plugins.plugin_timeout.as_ref(),
        "--plugin-timeout",
        "MCP_PLUGIN_TIMEOUT",
    );
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Settings {
        directory: directory(reader, flags),
        python: reader.text("MCP_PYTHON").map(PathBuf::from),
        environment: environment
            .into_iter()
            .filter(|(name, _)| !is_own_secret(name))
            .collect(),
        reserved,
        time_limit: reader.time_limit(time_limit),
        max_calls: reader.count("MCP_MAX_CALLS", 4 * cores, MAX_CALLS),
        describe_limit: DESCRIBE_LIMIT,
        only: Vec::new(),
    }
}

/// How many programs calls may leave running at once: `MCP_MAX_BACKGROUND`, and none with `MCP_BACKGROUND=off`.
pub(super) fn max_background(reader: &mut Reader) -> usize {
    let given = reader.variable("MCP_MAX_BACKGROUND");
    let most = reader.whole(given, DEFAULT_MAX_BACKGROUND, 0..=MAX_BACKGROUND);
    let on = reader.switch("MCP_BACKGROUND", true);
    usize::try_from(most).unwrap_or(0) * usize::from(on)
}

/// A directory that was named must be there: docs/decisions/0012-a-named-plugins-directory.md.
fn directory(reader: &mut Reader, flags: &Flags) -> Option<PathBuf> {
    let given = reader.flag(
        flags.plugins.place.plugins_dir.as_ref(),
        "--plugins-dir",
        "MCP_PLUGINS_DIR",
    );
    if let Some(given) = given {
        let directory = PathBuf::from(&given.value);
        match std::fs::read_dir(&directory) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                reader.faults.push(format!(
                    "{}: there is no directory '{}'; create it or correct the name",
                    given.name, given.value
                ));
            }
            Err(error) => reader.refuse(&given, &format!("a directory that can be read ({error})")),
        }
        return Some(directory);
    }
    let program = std::env::current_exe().ok();
    let beside_program = program.and_then(|program| Some(program.parent()?.join("plugins")));
    [Some(PathBuf::from("plugins")), beside_program]
        .into_iter()
        .flatten()
        .find(|directory| directory.is_dir())
}

fn is_own_secret(name: &OsStr) -> bool {
    OWN_SECRETS
        .iter()
        .any(|secret| name.as_encoded_bytes().starts_with(secret.as_bytes()))
}
