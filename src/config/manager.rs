//! Whether a service manager wants notices, and how often a sign of life. sd_notify(3), sd_watchdog_enabled(3).

use std::time::Duration;

use super::reader::Reader;

/// A service manager that wants to be notified of how the server is.
#[derive(Debug, Clone, Copy)]
pub struct Manager {
    /// Without a sign of life for this long it starts the server anew.
    pub watchdog: Option<Duration>,
}

/// `None` where there is no service manager, or one that wants no notices.
pub(super) fn read(reader: &mut Reader) -> Option<Manager> {
    reader.path("NOTIFY_SOCKET")?;
    // Not typed by people: what is no number is no wish.
    let mut number = |name| reader.text(name)?.parse::<u64>().ok();
    let (limit, process) = (number("WATCHDOG_USEC"), number("WATCHDOG_PID"));
    // It may be meant for the process that has started this one.
    let is_meant = process.is_none_or(|process| process == u64::from(std::process::id()));
    Some(Manager {
        watchdog: limit
            .filter(|limit| is_meant && *limit > 0)
            .map(Duration::from_micros),
    })
}
