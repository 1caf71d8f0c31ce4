//! What is in force, and where each value comes from: what `smcp config` prints.

use std::path::Path;
use std::sync::Arc;

use super::given::Origin;
use super::http::fingerprint;
use super::reader::Reader;
use super::settings::{Kind, SETTINGS, Setting};
use crate::text::without_secrets;

/// All settings with their values.
#[derive(Debug)]
pub struct Report {
    /// Each setting, in the order of docs/configuration.md.
    pub rows: Vec<Row>,
    /// The settings files that were read, the one that counts most at the end.
    pub files: Vec<Arc<Path>>,
    /// What would end a start.
    pub faults: Vec<String>,
    /// Settings that have no effect.
    pub mistakes: Vec<String>,
}

/// One setting.
#[derive(Debug)]
pub struct Row {
    /// What it is.
    pub setting: &'static Setting,
    /// Its value as text; `None` where it is not set. One that is not shown is empty.
    pub value: Option<String>,
    /// Whether it is not shown, for it is a secret, or has one in it.
    pub is_hidden: bool,
    /// Where the value comes from; `None` where it is the default.
    pub origin: Option<Origin>,
}

/// Makes the report of a reader that has read everything.
pub(super) fn of(mut reader: Reader) -> Report {
    let rows = SETTINGS.iter().map(|setting| row(&mut reader, setting));
    Report {
        rows: rows.collect(),
        files: reader.read_files,
        faults: reader.faults,
        mistakes: reader.mistakes,
    }
}

fn row(reader: &mut Reader, setting: &'static Setting) -> Row {
    let (value, origin) = reader.in_force(setting.variable);
    let has_secret = value
        .as_deref()
        .is_some_and(|value| has_secret(setting, value));
    let is_hidden = setting.is_secret || has_secret;
    let value = value.map(|value| match setting.kind {
        _ if is_hidden => String::new(),
        Kind::Path => {
            std::path::absolute(&value).map_or(value, |whole| whole.display().to_string())
        }
        _ => value,
    });
    Row {
        setting,
        value,
        is_hidden,
        origin,
    }
}

/// Whether what was given for a setting that is none may be a secret all the same, or have one in it.
fn has_secret(setting: &Setting, value: &str) -> bool {
    match setting.variable {
        // Who mistakes them for keys writes keys.
        "MCP_UI_ADMINS" => {
            let mut entries = value.split(',').map(str::trim);
            entries.any(|entry| !entry.is_empty() && fingerprint(entry).is_none())
        }
        // Wherever a password begins that has a slash in it: none of these marks is part of an address without one.
        _ if setting.is_address => value.contains(['@', '?', '#']),
        _ => without_secrets(value) != value,
    }
}
