//! What every command sets up before its work: logs, this process, and how programs are started.

use crate::config::Config;
use crate::process::Launcher;
use crate::telemetry;

/// Turns the logs on and makes the process one that no plugin can read.
pub(super) fn prepare(config: &Config) -> anyhow::Result<(telemetry::Guard, Launcher)> {
    let guard = telemetry::init(&config.telemetry)?;
    hide_memory();
    Ok((guard, Launcher::new()?))
}

/// Programs of the same user could read the keys out of `/proc` otherwise.
fn hide_memory() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!("cannot hide this process's memory from its plugins: {error}");
    }
}

/// For the commands that run once and print: quiet but for warnings, and without a log file.
pub(super) fn quietly(mut config: Config) -> Config {
    config.telemetry.file = None;
    config.telemetry.level = telemetry::parse_level("WARNING").expect("WARNING is a level");
    config
}

/// A number of things as a person writes it: `1 tool`, `7 tools`.
pub fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}
