//! What an environment has: noted when it was made, and what of that is gone since. Runs nothing: what installers write
//! down of each package is compared with the files that are there.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::regular_file::read_regular;
use super::behind::BEHIND;

/// The file in an environment that says how its directories of packages looked when nothing was missing.
const WHOLE_AT: &str = "smcp-whole-at";

/// The file that makes it a virtual environment.
const ABOUT: &str = "pyvenv.cfg";

/// How much is read of what an installer has written down of one package, in bytes.
const MAX_RECORD: u64 = 16 << 20;

/// How much is read of a note, in bytes.
const MAX_NOTE: u64 = 4096;

/// What is there whole: packages by their names, and the files that the environment itself cannot do without.
pub(super) fn contents(environment: &Path) -> Vec<String> {
    let directories = directories(environment);
    let mut packages: BTreeMap<String, bool> = BTreeMap::new();
    for directory in &directories {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries {
            if let Some(name) = entry.file_name().to_str().and_then(name_of) {
                // Of an earlier version something may be left.
                let is_whole = packages.entry(name).or_default();
                *is_whole = *is_whole || is_there(directory, &entry.path());
            }
        }
    }
    let whole = packages.into_iter().filter(|(_, is_whole)| *is_whole);
    let mut contents: Vec<String> = whole.map(|(name, _)| name).collect();
    let files = [(ABOUT, environment.join(ABOUT))].into_iter();
    let files = files.chain(directories.iter().map(|path| (BEHIND, path.join(BEHIND))));
    let there = files.filter(|(_, path)| path.is_file());
    contents.extend(there.map(|(name, _)| name.to_owned()));
    contents
}

/// What of `contents` is gone, or is not there whole. Looks no further where the directories of packages are as they were
/// when nothing was missing, unless it `looks_at_all`.
pub(super) fn lost(environment: &Path, contents: &[String], looks_at_all: bool) -> Vec<String> {
    let look = look(environment);
    if !looks_at_all && was_whole_at(environment).is_some_and(|known| known == look) {
        return Vec::new();
    }
    let now = self::contents(environment);
    let lost = contents.iter().filter(|name| !now.contains(*name));
    let lost: Vec<String> = lost.cloned().collect();
    if lost.is_empty() {
        note(environment, &look);
    }
    lost
}

/// Notes that nothing is missing now.
pub(super) fn note_whole(environment: &Path) {
    note(environment, &look(environment));
}

/// Forgets that nothing was missing: at the next look all is looked at.
pub(super) fn doubt(environment: &Path) {
    // What cannot be removed is not ours to write, either.
    let _ = std::fs::remove_file(environment.join(WHOLE_AT));
}

fn note(environment: &Path, look: &str) {
    if was_whole_at(environment).is_none_or(|known| known != look) {
        // Without it, more is looked at than has to be.
        let _ = std::fs::write(environment.join(WHOLE_AT), look);
    }
}

fn was_whole_at(environment: &Path) -> Option<String> {
    let text = read_regular(&environment.join(WHOLE_AT), MAX_NOTE).ok()?;
    String::from_utf8(text).ok()
}

/// How the directories of packages look: when their entries changed last.
fn look(environment: &Path) -> String {
    let mut look = String::new();
    for path in directories(environment) {
        if let Ok(metadata) = std::fs::metadata(&path) {
            let (seconds, rest) = (metadata.mtime(), metadata.mtime_nsec());
            look += &format!("{seconds}.{rest:09} {}\n", metadata.ino());
        }
    }
    look
}

/// The directories of packages, such as `lib/python3.11/site-packages`.
fn directories(environment: &Path) -> Vec<PathBuf> {
    let versions = std::fs::read_dir(environment.join("lib"));
    let versions = versions.into_iter().flatten().flatten();
    let packages = versions.map(|version| version.path().join("site-packages"));
    let mut directories: Vec<PathBuf> = packages.filter(|path| path.is_dir()).collect();
    directories.sort_unstable();
    directories
}

/// The name of a package out of that of what is written down of it, `NAME-VERSION.dist-info`.
fn name_of(about: &str) -> Option<String> {
    let mut endings = [".dist-info", ".egg-info"].into_iter();
    let rest = endings.find_map(|ending| about.strip_suffix(ending))?;
    let name = rest.split('-').next().unwrap_or(rest);
    Some(name.to_lowercase().replace(['_', '.'], "-"))
}

/// Whether a package is there whole, of which `about` is written down in `packages`.
fn is_there(packages: &Path, about: &Path) -> bool {
    let has_text = |path: &Path| std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    if !about.is_dir() {
        return has_text(about);
    }
    if !["METADATA", "PKG-INFO"]
        .iter()
        .any(|name| has_text(&about.join(name)))
    {
        return false;
    }
    // Not every installer writes down which files there are.
    let record = read_regular(&about.join("RECORD"), MAX_RECORD).unwrap_or_default();
    let is_whole = (record.len() as u64) < MAX_RECORD;
    let record = String::from_utf8(record).unwrap_or_default();
    let mut lines = record.lines().filter(|_| is_whole).filter_map(file_in);
    lines.all(|(file, has_bytes)| {
        let there = std::fs::metadata(packages.join(file));
        there.is_ok_and(|there| there.len() > 0 || !has_bytes)
    })
}

/// The file that a line of a `RECORD` names, and whether there is anything in it: `NAME,DIGEST,SIZE`, where a name may be
/// quoted. `None` where Python writes that file again itself.
fn file_in(line: &str) -> Option<(String, bool)> {
    let (name, rest) = match line.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.rfind('"')?;
            (quoted[..end].replace("\"\"", "\""), &quoted[end + 1..])
        }
        None => {
            let (name, rest) = line.split_once(',')?;
            (name.to_owned(), rest)
        }
    };
    if name.ends_with(".pyc") {
        return None;
    }
    let size = rest.rsplit(',').next().unwrap_or_default().trim();
    Some((name, size.parse::<u64>().is_ok_and(|size| size > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_installers_write_them() {
        for (line, file) in [
            ("a/b.py,sha256=x,12", Some(("a/b.py", true))),
            ("a/b.py,sha256=x,0", Some(("a/b.py", false))),
            ("a/RECORD,,", Some(("a/RECORD", false))),
            ("../../../bin/a,sha256=x,7", Some(("../../../bin/a", true))),
            (
                r#""a/b, ""c"".txt",sha256=x,3"#,
                Some((r#"a/b, "c".txt"#, true)),
            ),
            ("a/__pycache__/b.cpython-311.pyc,,", None),
            ("", None),
        ] {
            let file = file.map(|(name, has_bytes)| (name.to_owned(), has_bytes));
            assert_eq!(file_in(line), file, "{line}");
        }
    }

    #[test]
    fn a_package_has_one_name_however_it_is_written() {
        for (about, name) in [
            ("PyYAML-6.0.dist-info", Some("pyyaml")),
            ("zope.interface-5.0.dist-info", Some("zope-interface")),
            ("smcp_test-1.0.dist-info", Some("smcp-test")),
            ("old-1.0-py3.11.egg-info", Some("old")),
            ("yaml", None),
        ] {
            assert_eq!(name_of(about).as_deref(), name, "{about}");
        }
    }

    #[test]
    fn what_was_there_at_first_and_is_gone_is_named_and_nothing_else() {
        let above = tempfile::tempdir().expect("there is room");
        let environment = above.path();
        let packages = environment.join("lib/python3.11/site-packages");
        let write = |file: &str, text: &str| {
            let path = packages.join(file);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
            std::fs::write(path, text).expect("there is room");
        };
        let make = |name: &str| {
            write(&format!("{name}.py"), "x");
            write(&format!("{name}-1.dist-info/METADATA"), "x");
            let record = format!("{name}.py,sha256=x,1\n__pycache__/{name}.pyc,,\n");
            write(&format!("{name}-1.dist-info/RECORD"), &record);
        };
        make("one");
        make("two");
        // One whose installer has written down what it never had.
        make("odd");
        std::fs::remove_file(packages.join("odd.py")).expect("it is ours");
        std::fs::write(environment.join(ABOUT), "").expect("there is room");
        // Long ago: what is changed from now on has another time.
        let aged = std::fs::File::open(&packages).expect("it is there");
        aged.set_modified(std::time::UNIX_EPOCH)
            .expect("it is ours");
        let before = contents(environment);
        assert_eq!(before, ["one", "two", ABOUT]);
        note_whole(environment);
        let none: [&str; 0] = [];
        assert_eq!(lost(environment, &before, true), none);
        // Of a file in the midst only a look at all tells.
        write("two-1.dist-info/METADATA", "");
        assert_eq!(lost(environment, &before, false), none);
        assert_eq!(lost(environment, &before, true), ["two"]);
        doubt(environment);
        assert_eq!(lost(environment, &before, false), ["two"]);
        std::fs::remove_file(packages.join("one.py")).expect("it is ours");
        assert_eq!(lost(environment, &before, false), ["one", "two"]);
        make("one");
        make("two");
        assert_eq!(lost(environment, &before, false), none);
        std::fs::remove_file(environment.join(ABOUT)).expect("it is ours");
        assert_eq!(lost(environment, &before, true), [ABOUT]);
    }
}
