//! Settings of the plugins: where they are, how they run, and what of the environment they get.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::given::Origin;
use super::reader::{Purpose, Reader};
use crate::call::types::{DEFAULT_OUTPUT_BYTES, Limits};
use crate::catalog::cache::{self, Usage};
use crate::catalog::environments;
use crate::catalog::{Reserved, Settings};
use crate::cli::Flags;
use crate::discovery::scan::PROGRAMS;
use crate::process::{DEFAULT_MAX_BACKGROUND, WarmSettings, max_runs, total_memory};

/// Variables that belong to the server alone and never reach a plugin: where its keys are, where its audit log is
/// written, and what its service manager says to it and hears from it. The headers that it shows to collectors are
/// such ones, too, whatever they are for.
const OWN: [&str; 18] = [
    "CREDENTIALS_DIRECTORY",
    "FDSTORE",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LETTA_API_KEY_FILE",
    "LETTA_SERVER_PASSWORD_FILE",
    "LOGS_DIRECTORY",
    "MAINPID",
    "MANAGERPID",
    "MCP_LOG_DIR",
    "MCP_STATE_DIR",
    "MCP_LOG_FILE",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "NOTIFY_SOCKET",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];
/// Beginnings of such names.
const OWN_BEGINNINGS: [&str; 2] = ["MCP_API_KEY", "LISTEN_"];
/// How long a plugin may take to describe itself.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(10);
/// The least and the most that a setting may let a program print, in bytes. An answer is held in memory as a whole.
const OUTPUT_BYTES: RangeInclusive<u64> = 1024..=1 << 30;
/// Calls in progress where nothing is set and the system has room for them. Most of them wait for something.
const DEFAULT_MAX_CALLS: usize = 256;
/// Calls for each core: those that start or compute, and those in progress where the system has room for few.
const CALLS_PER_CORE: usize = 4;
/// Most calls that a setting may let run at once.
const MAX_CALLS: usize = 100_000;
/// Most programs that a setting may let calls leave running at once: each has a process and a descriptor of the server's.
const MAX_BACKGROUND: u64 = 10_000;
/// Most memory for warm interpreters where nothing is set, in MiB.
const DEFAULT_WARM_MB: u64 = 1024;
/// The most that a setting may give them, in MiB.
const MAX_WARM_MB: u64 = 1 << 20;

pub(super) fn read(
    reader: &mut Reader,
    purpose: Purpose,
    flags: &Flags,
    environment: Vec<(OsString, OsString)>,
    reserved: Reserved,
) -> Settings {
    let time_limit = reader.flag(flags.plugins.plugin_timeout.as_ref(), "MCP_PLUGIN_TIMEOUT");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (place, cache) = cache(reader, purpose, flags, &environment);
    let allow_writable = reader.switch("MCP_ALLOW_WRITABLE_PLUGINS", false);
    let has_environments = reader.switch("MCP_PLUGIN_ENVS", true);
    let environments = has_environments.then_some(environments::Settings {
        directory: place,
        waits: purpose == Purpose::Once,
        allow_writable,
        looks_at_all: false,
        tell: match purpose {
            Purpose::Once => tell_people,
            Purpose::Http | Purpose::Stdio => environments::to_log,
        },
    });
    let mut watch = reader.switch("MCP_WATCH", true);
    if flags.no_watch {
        watch = false;
        reader.flag_alone("MCP_WATCH", "false");
    }
    Settings {
        directory: directory(reader, flags),
        allow_writable,
        python: reader.path("MCP_PYTHON"),
        environment: environment
            .into_iter()
            .filter(|(name, _)| !is_own(name))
            .collect(),
        reserved,
        limits: Limits {
            time: reader.time_limit(time_limit),
            bytes: max_output(reader),
        },
        max_calls: reader.count("MCP_MAX_CALLS", default_calls(max_runs(), cores), MAX_CALLS),
        max_computing: reader.count("MCP_MAX_COMPUTING", CALLS_PER_CORE * cores, MAX_CALLS),
        describe_limit: DESCRIBE_LIMIT,
        only: Vec::new(),
        cache,
        environments,
        // What runs once is over before anything changes.
        watch: watch && purpose != Purpose::Once,
    }
}

fn tell_people(plugin: &str, line: &str) {
    eprintln!("smcp: {plugin}: {line}");
}

/// The directory of caches, whatever is kept there, and where descriptions are kept: where it is said, else where systemd gives a service room for it, else where users
/// have their caches.
fn cache(
    reader: &mut Reader,
    purpose: Purpose,
    flags: &Flags,
    environment: &[(OsString, OsString)],
) -> (Option<PathBuf>, Option<cache::Settings>) {
    let mut is_on = reader.switch("MCP_CACHE", true);
    if flags.plugins.place.no_cache {
        is_on = false;
        reader.flag_alone("MCP_CACHE", "false");
    }
    let flag = flags.plugins.place.cache_dir.as_ref();
    let flag = flag.filter(|path| !path.is_empty());
    let variable = reader.path("MCP_CACHE_DIR");
    reader.flag(flag, "MCP_CACHE_DIR");
    let named = flag.map(PathBuf::from).or(variable);
    let is_named = named.is_some();
    // What is not absolute counts as not set, as the XDG Base Directory Specification has it.
    let place = |name: &str| {
        let (_, value) = environment.iter().find(|(known, _)| known == name)?;
        // systemd separates several directories by colons.
        let path = std::env::split_paths(value).next()?;
        path.is_absolute().then_some(path)
    };
    let directory = named
        .or_else(|| place("CACHE_DIRECTORY"))
        .or_else(|| Some(place("XDG_CACHE_HOME")?.join("smcp")))
        .or_else(|| Some(place("HOME")?.join(".cache/smcp")));
    let Some(directory) = directory else {
        return (None, None);
    };
    reader.note_default("MCP_CACHE_DIR", directory.display());
    let descriptions = is_on.then_some(cache::Settings {
        directory: directory.clone(),
        is_named,
        usage: match purpose {
            Purpose::Http | Purpose::Stdio => Usage::Serve,
            // Nothing asks again after it.
            Purpose::Once => Usage::Renew,
        },
    });
    (Some(directory), descriptions)
}

/// How many calls are in progress at once by default, where the system has room for `max_runs`.
fn default_calls(max_runs: usize, cores: usize) -> usize {
    max_runs.min(DEFAULT_MAX_CALLS).max(CALLS_PER_CORE * cores)
}

fn max_output(reader: &mut Reader) -> usize {
    let most = reader.whole(
        "MCP_MAX_OUTPUT_BYTES",
        DEFAULT_OUTPUT_BYTES as u64,
        OUTPUT_BYTES,
    );
    usize::try_from(most).unwrap_or(DEFAULT_OUTPUT_BYTES)
}

/// How many programs calls may leave running at once: `MCP_MAX_BACKGROUND`, and none with `MCP_BACKGROUND=off`.
pub(super) fn max_background(reader: &mut Reader) -> usize {
    let most = reader.whole(
        "MCP_MAX_BACKGROUND",
        DEFAULT_MAX_BACKGROUND as u64,
        0..=MAX_BACKGROUND,
    );
    let on = reader.switch("MCP_BACKGROUND", true);
    usize::try_from(most).unwrap_or(0) * usize::from(on)
}

/// Warm interpreters: their memory by `MCP_WARM_MAX_MB`, and none with `MCP_WARM=off`, with 0, and for what runs once.
pub(super) fn warm(reader: &mut Reader, purpose: Purpose) -> Option<WarmSettings> {
    let default = default_warm_mb(total_memory());
    let mebibytes = reader.whole("MCP_WARM_MAX_MB", default, 0..=MAX_WARM_MB);
    let on = reader.switch("MCP_WARM", true) && mebibytes > 0;
    let settings = WarmSettings {
        max_bytes: mebibytes << 20,
    };
    (on && purpose != Purpose::Once).then_some(settings)
}

/// A quarter of the memory, in MiB.
fn default_warm_mb(memory: Option<u64>) -> u64 {
    let quarter = memory.map_or(DEFAULT_WARM_MB, |bytes| (bytes / 4) >> 20);
    quarter.min(DEFAULT_WARM_MB)
}

/// What was named must be a directory: docs/decisions/0012-a-named-plugins-directory.md.
fn directory(reader: &mut Reader, flags: &Flags) -> Option<PathBuf> {
    let by_flag = flags.plugins.place.plugins_dir.as_ref();
    let Some(directory) = named_directory(reader, flags) else {
        let directory = default_directory()?;
        let whole = std::path::absolute(&directory).unwrap_or_else(|_| directory.clone());
        reader.note_default("MCP_PLUGINS_DIR", whole.display());
        return Some(directory);
    };
    let is_by_variable =
        by_flag.is_none() && reader.origin("MCP_PLUGINS_DIR") == Some(Origin::Environment);
    let name = match by_flag {
        Some(_) => "--plugins-dir".into(),
        None => reader.name_of("MCP_PLUGINS_DIR"),
    };
    if let Err(error) = std::fs::read_dir(&directory) {
        let shown = format!("{name}: '{}'", directory.display());
        match error.kind() {
            // Version 3 served without plugins then, and had no flag for it.
            ErrorKind::NotFound if is_by_variable => reader.mistakes.push(format!(
                "{shown} is not there: NO PLUGIN IS SERVED; create the directory or correct the name, and start again"
            )),
            ErrorKind::NotFound => reader.faults.push(format!(
                "{shown} is not there; create the directory or correct the name"
            )),
            ErrorKind::NotADirectory => reader.faults.push(format!(
                "{shown} is no directory; name the one that has the plugins' directories in it{}",
                likely_meant(&directory)
            )),
            _ => reader.faults.push(format!(
                "{shown} cannot be read ({error}); let this user read it, or name another directory"
            )),
        }
    }
    Some(directory)
}

/// Where the plugins are, as far as it is known before anything is judged.
pub(super) fn plugins_directory(reader: &mut Reader, flags: &Flags) -> Option<PathBuf> {
    named_directory(reader, flags).or_else(default_directory)
}

fn named_directory(reader: &mut Reader, flags: &Flags) -> Option<PathBuf> {
    let by_flag = flags.plugins.place.plugins_dir.as_ref();
    let by_variable = reader.path("MCP_PLUGINS_DIR");
    if by_flag.is_some() {
        reader.flag(by_flag, "MCP_PLUGINS_DIR");
    }
    by_flag.map(PathBuf::from).or(by_variable)
}

/// The plugins directory that somebody had in mind who named a plugin's program.
fn likely_meant(file: &Path) -> String {
    let is_program = file
        .file_name()
        .is_some_and(|name| PROGRAMS.iter().any(|program| name == *program));
    let above = file.parent().and_then(Path::parent);
    match above.filter(|above| is_program && !above.as_os_str().is_empty()) {
        Some(above) => format!(": '{}'", above.display()),
        None => String::new(),
    }
}

fn default_directory() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let beside_program = program.and_then(|program| Some(program.parent()?.join("plugins")));
    [Some(PathBuf::from("plugins")), beside_program]
        .into_iter()
        .flatten()
        .find(|directory| directory.is_dir())
}

fn is_own(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    let begins_so = |beginning: &&str| bytes.starts_with(beginning.as_bytes());
    OWN.iter().any(|own| name == *own)
        || OWN_BEGINNINGS.iter().any(begins_so)
        || (bytes.starts_with(b"OTEL_EXPORTER_OTLP_") && bytes.ends_with(b"HEADERS"))
}

#[cfg(test)]
mod tests {
    use super::{default_calls, default_warm_mb};

    #[test]
    fn warm_interpreters_get_a_quarter_of_the_memory_and_a_gibibyte_at_most() {
        assert_eq!(default_warm_mb(Some(1 << 30)), 256);
        assert_eq!(default_warm_mb(Some(64 << 30)), 1024);
        assert_eq!(default_warm_mb(None), 1024);
    }

    #[test]
    fn calls_in_progress_are_many_but_no_more_than_fit_and_never_fewer_than_four_for_each_core() {
        assert_eq!(default_calls(usize::MAX, 2), 256);
        assert_eq!(default_calls(100, 2), 100);
        assert_eq!(default_calls(1, 2), 8);
        assert_eq!(default_calls(usize::MAX, 128), 512);
    }
}
