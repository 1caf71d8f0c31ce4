//! What is in force, and where each value comes from: what `smcp config` prints.

use std::path::Path;
use std::sync::Arc;

use super::given::Origin;
use super::reader::Reader;
use super::settings::{Kind, SETTINGS, Setting};

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
    /// Its value as text; `None` where it is not set. A secret's is empty.
    pub value: Option<String>,
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
    let value = value.map(|value| match setting.kind {
        _ if setting.is_secret => String::new(),
        Kind::Path => {
            std::path::absolute(&value).map_or(value, |whole| whole.display().to_string())
        }
        _ => value,
    });
    Row {
        setting,
        value,
        origin,
    }
}
