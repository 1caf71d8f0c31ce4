//! Settings of the logs.

use std::path::PathBuf;

use super::reader::{Purpose, Reader};
use crate::telemetry::{
    Console, DEFAULT_BACKUPS, DEFAULT_DIRECTORY, DEFAULT_FILE_NAME, DEFAULT_MAX_BYTES, Directives,
    FileSettings, LEVELS, RotationKind, Settings, log_path, parse_level, stderr_is_journal,
};

/// The largest file that a setting may ask for: 1 TiB.
const MAX_BYTES: u64 = 1 << 40;
/// Most rotated files that a setting may keep.
const MAX_BACKUPS: u64 = 10_000;

pub(super) fn read(reader: &mut Reader, purpose: Purpose) -> Settings {
    if purpose == Purpose::Once {
        let unused = reader.unused(|reader| read(reader, Purpose::Http));
        return Settings {
            // What is not served is the answer of these commands, which they print themselves.
            level: parse_level("warn,smcp::app=error").expect("these are directives"),
            file: None,
            ..unused
        };
    }
    let level = reader.variable("MCP_LOG_LEVEL");
    reader.note_default("MCP_LOG_LEVEL", "INFO");
    let level = reader.parsed(level, Directives::default(), LEVELS, parse_level);
    Settings {
        level,
        json: reader.switch("MCP_LOG_JSON", false),
        console: console(reader),
        file: file(reader, purpose),
        tail: None,
    }
}

fn console(reader: &mut Reader) -> Console {
    let journal = reader.text("JOURNAL_STREAM");
    Console {
        // https://no-color.org
        colour: reader.text("NO_COLOR").is_none(),
        journal: journal.is_some_and(|stream| stderr_is_journal(&stream)),
    }
}

fn file(reader: &mut Reader, purpose: Purpose) -> Option<FileSettings> {
    let kind = reader.variable("MCP_LOG_ROTATION");
    reader.note_default("MCP_LOG_ROTATION", "size");
    let kind = reader.parsed(
        kind,
        RotationKind::default(),
        "size, time or none",
        |text| match text.to_ascii_lowercase().as_str() {
            "size" => Some(RotationKind::Size),
            "time" => Some(RotationKind::Time),
            "none" => Some(RotationKind::None),
            _ => None,
        },
    );
    let max_bytes = reader.whole("MCP_LOG_MAX_BYTES", DEFAULT_MAX_BYTES, 0..=MAX_BYTES);
    let backups = reader.whole(
        "MCP_LOG_BACKUP_COUNT",
        DEFAULT_BACKUPS as u64,
        0..=MAX_BACKUPS,
    );
    let directory = reader.path("MCP_LOG_DIR");
    let name = reader.path("MCP_LOG_FILE");
    let disabled = reader.switch("MCP_DISABLE_FILE_LOG", false);
    // A client starts `smcp stdio` wherever it happens to be, and keeps what stands on standard error.
    let wanted = purpose == Purpose::Http || directory.is_some() || name.is_some();
    if disabled || !wanted {
        return None;
    }
    reader.note_default("MCP_LOG_FILE", DEFAULT_FILE_NAME);
    if name.is_none() {
        reader.note_default("MCP_LOG_DIR", DEFAULT_DIRECTORY);
    }
    let directory = match (directory, &name) {
        (Some(directory), _) => directory,
        // A name that stands alone is a path like any other.
        (None, Some(_)) => PathBuf::new(),
        (None, None) => DEFAULT_DIRECTORY.into(),
    };
    let name = name.unwrap_or_else(|| DEFAULT_FILE_NAME.into());
    Some(FileSettings {
        path: log_path(&directory, &name),
        rotation: kind.with(max_bytes, usize::try_from(backups).unwrap_or(usize::MAX)),
    })
}
