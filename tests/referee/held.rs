//! Rows that have tests of their own elsewhere: what needs a disk, a clock, a network or a catalogue of its own. The
//! list names each by file and function, and this looks whether they are there and run.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::case::file;

/// A fault and the tests that hold its row.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The row; `42a` is one.
    pub row: String,
    /// What is wrong, in a few words.
    pub fault: String,
    /// `path/of/the/file.rs::name_of_the_function`.
    pub tests: Vec<String>,
}

/// The list, in its order.
pub fn all() -> Vec<Held> {
    serde_json::from_str(&file("cases/held.json")).expect("held.json is a list of rows and tests")
}

/// What is wrong with a named test, if anything: it must be a function that the test runner calls, in a file that
/// belongs to a program.
pub fn fault_of(test: &str) -> Option<String> {
    let Some((path, function)) = test.split_once("::") else {
        return Some(format!("{test}: no file::function"));
    };
    let Ok(text) = std::fs::read_to_string(root().join(path)) else {
        return Some(format!("{test}: there is no such file"));
    };
    let Some(attributes) = attributes_of(&text, function) else {
        return Some(format!("{test}: the file has no such function"));
    };
    let is_test = ["#[test]", "#[tokio::test"]
        .iter()
        .any(|wanted| attributes.iter().any(|line| line.starts_with(wanted)));
    if !is_test || attributes.iter().any(|line| line.starts_with("#[ignore")) {
        return Some(format!("{test}: it is not run as a test"));
    }
    let orphan = !belongs(Path::new(path));
    orphan.then(|| format!("{test}: no program has the file as its module"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The attributes of a function, nearest first; `None` when there is no such function.
fn attributes_of<'a>(text: &'a str, function: &str) -> Option<Vec<&'a str>> {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim_start().trim_start_matches("pub "))
        .collect();
    let heads = [format!("fn {function}("), format!("async fn {function}(")];
    let place = lines
        .iter()
        .position(|line| heads.iter().any(|head| line.starts_with(head)))?;
    let above = lines[..place].iter().rev();
    let attributes = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    Some(attributes.copied().collect())
}

/// Whether a file is a program, or a module of a file that belongs.
fn belongs(path: &Path) -> bool {
    let Some((folder, stem)) = path.parent().zip(path.file_stem()) else {
        return false;
    };
    if stem == "main" || stem == "lib" || folder == Path::new("tests") {
        return true;
    }
    let (name, parents) = if stem == "mod" {
        let above = folder.parent().unwrap_or(Path::new(""));
        (folder.file_name().unwrap_or_default(), parents(above))
    } else {
        (stem, parents(folder))
    };
    let declared = format!("mod {};", name.to_string_lossy());
    parents.into_iter().any(|parent| {
        let text = std::fs::read_to_string(root().join(&parent)).unwrap_or_default();
        let mut lines = text.lines().map(str::trim_start);
        let has_it = lines.any(|line| line == declared || line == format!("pub {declared}"));
        parent != path && has_it && belongs(&parent)
    })
}

/// The files that may declare the modules of a folder.
fn parents(folder: &Path) -> Vec<PathBuf> {
    let names = ["main.rs", "lib.rs", "mod.rs"];
    let mut parents: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    parents.push(folder.with_extension("rs"));
    parents
}
