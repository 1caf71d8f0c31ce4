//! What may be said about logs, as plain data, and how its words are read.
//!
//! Knows no environment: whoever reads the variables hands their values in and reports the faults.

use std::path::{Path, PathBuf};

use tracing_subscriber::EnvFilter;

use super::tail::Tail;

/// Directory of the log file when none is given, below the working directory: as in version 3.
pub const DEFAULT_DIRECTORY: &str = "logs";
/// Name of the log file when none is given: as in version 3.
pub const DEFAULT_FILE_NAME: &str = "mcp_server.log";
/// Size at which a log file is rotated when none is given: 5 MiB.
pub const DEFAULT_MAX_BYTES: u64 = 5 * 1024 * 1024;
/// Rotated files kept when no number is given.
pub const DEFAULT_BACKUPS: usize = 5;

/// Everything that shapes the logs.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Which events are logged.
    pub level: Directives,
    /// One JSON object a line in the file, and on a console that is no terminal.
    pub json: bool,
    /// How the console looks.
    pub console: Console,
    /// The log file; `None` leaves the console as the only log.
    pub file: Option<FileSettings>,
    /// Where the last lines are kept for whoever looks at the server's page; `None` keeps none.
    pub tail: Option<Tail>,
}

/// How the console looks. It is standard error in every command: standard output belongs to results, and to the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Console {
    /// Colours are wanted; they are used on a terminal only.
    pub colour: bool,
    /// Standard error is read by journald, which adds the time itself and understands `<4>` as a warning.
    pub journal: bool,
}

/// Where the log file lies and how it is kept small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// Path of the current file; rotated ones lie beside it.
    pub path: PathBuf,
    /// When a new file is begun.
    pub rotation: Rotation,
}

/// When a log file is moved aside: the current one becomes `.1`, that one `.2`, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Before a line that would make the file reach `max_bytes`.
    Size {
        /// Bytes; 0 never rotates.
        max_bytes: u64,
        /// Rotated files kept; 0 never rotates, for there would be nowhere to move to.
        backups: usize,
    },
    /// At the first line of a new local day.
    Time {
        /// Rotated files kept; 0 keeps all.
        backups: usize,
    },
    /// Never: the file grows until something else looks after it.
    None,
}

/// The ways of rotation, before their numbers are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RotationKind {
    /// By size.
    #[default]
    Size,
    /// Daily.
    Time,
    /// Not at all.
    None,
}

impl RotationKind {
    /// The rotation this kind becomes with its two numbers.
    pub fn with(self, max_bytes: u64, backups: usize) -> Rotation {
        match self {
            Self::Size => Rotation::Size { max_bytes, backups },
            Self::Time => Rotation::Time { backups },
            Self::None => Rotation::None,
        }
    }
}

/// Filter directives that are known to parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives(String);

impl Default for Directives {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl Directives {
    /// The filter they describe.
    pub(super) fn filter(&self) -> EnvFilter {
        parse_directives(&self.0).expect("parse_level accepted these directives")
    }
}

impl std::fmt::Display for Directives {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What [`parse_level`] takes.
pub const LEVELS: &str = "DEBUG, INFO, WARNING, ERROR, CRITICAL, TRACE or OFF, or filter directives such as \"warn,smcp::http=debug\"";

/// Reads a level by its Python name in any case, or filter directives; `None` where it is neither.
///
/// A bare `DEBUG` or `TRACE` is about smcp; its libraries stay at `INFO`. `CRITICAL` is `ERROR`: there is nothing above.
pub fn parse_level(text: &str) -> Option<Directives> {
    let directives = match level_name(text.trim()) {
        Some(level @ ("debug" | "trace")) => format!("info,smcp={level}"),
        Some(level) => level.to_owned(),
        None => text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(normalize_directive)
            .collect::<Option<Vec<_>>>()?
            .join(","),
    };
    if directives.is_empty() {
        return None;
    }
    parse_directives(&directives).ok()?;
    Some(Directives(directives))
}

fn parse_directives(text: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    // A pattern in a directive must not be able to cost more than a comparison.
    EnvFilter::builder().with_regex(false).parse(text)
}

fn level_name(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "trace" => "trace",
        "debug" => "debug",
        "info" => "info",
        "warning" | "warn" => "warn",
        "error" | "critical" | "fatal" => "error",
        "off" => "off",
        _ => return None,
    })
}

/// A directive with its level in the filter's own words; `None` for a lone word that is most likely a misspelt level.
fn normalize_directive(directive: &str) -> Option<String> {
    match directive.rsplit_once('=') {
        Some((target, level)) if !level.contains(['}', ']']) => {
            let level = level_name(level.trim()).unwrap_or(level.trim());
            Some(format!("{}={level}", target.trim()))
        }
        _ => match level_name(directive) {
            Some(level) => Some(level.to_owned()),
            None => (directive.starts_with("smcp") || directive.starts_with('['))
                .then(|| directive.to_owned()),
        },
    }
}

/// Where the log file lies: `file` inside `directory`, unless `file` is absolute.
pub fn log_path(directory: &Path, file: &Path) -> PathBuf {
    directory.join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_level_names_are_understood_in_any_case() {
        for (word, expected) in [
            ("DEBUG", "info,smcp=debug"),
            ("info", "info"),
            ("Warning", "warn"),
            ("WARN", "warn"),
            ("error", "error"),
            ("CRITICAL", "error"),
            (" INFO ", "info"),
            ("off", "off"),
        ] {
            assert_eq!(parse_level(word).unwrap().to_string(), expected, "{word}");
        }
    }

    #[test]
    fn directives_may_use_python_level_names() {
        for (text, expected) in [
            ("WARNING, smcp::http=DEBUG", "warn,smcp::http=debug"),
            ("hyper=CRITICAL,info", "hyper=error,info"),
            ("smcp::audit", "smcp::audit"),
            ("[call{tool}]=trace", "[call{tool}]=trace"),
            ("[call{tool=a}]", "[call{tool=a}]"),
        ] {
            assert_eq!(parse_level(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for text in ["loud", "INFOO", "", " , ", "smcp=loud", "info,debgu"] {
            assert_eq!(parse_level(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_absolute_file_stands_for_itself() {
        let directory = Path::new("/var/log/smcp");
        assert_eq!(
            log_path(directory, Path::new("mcp.log")),
            Path::new("/var/log/smcp/mcp.log")
        );
        assert_eq!(
            log_path(directory, Path::new("/tmp/a.log")),
            Path::new("/tmp/a.log")
        );
    }
}
