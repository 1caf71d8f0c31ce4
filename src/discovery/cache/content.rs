//! The texts of a plugin's programs, compared by what is in them. Knows no times: a file that was touched, or written
//! anew as it was, is the same file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::regular_file::open_regular;
use super::super::scan::{Found, Program};
use super::files::{Blind, Files, is_text};

/// How much of all texts of a plugin is read, in bytes. Of what is beyond, the size counts.
const MAX_READ: u64 = 64 << 20;

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// What the programs of a plugin are made of: its program itself, and the files below its directory that have the text
/// of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The program's file name, and the digest of what is in it; none where it could not be read.
    program: (OsString, Option<[u8; 32]>),
    /// The digests of the texts by their names below the directory; `None` where not all could be seen.
    texts: Option<BTreeMap<OsString, [u8; 32]>>,
}

impl Content {
    /// Of a plugin as it is at this moment. Reads files.
    pub fn of(plugin: &Found) -> Self {
        let (Program::Python(program) | Program::Executable(program)) = &plugin.program;
        let mut left = MAX_READ;
        let name = program.file_name().unwrap_or_default().to_owned();
        Self {
            program: (name, digest(program, &mut left).ok().flatten()),
            texts: texts(&plugin.directory, &mut left),
        }
    }

    /// The name of a file that is another than it was `before`, if there is one. What cannot be seen has not changed;
    /// of a plugin that cannot be seen whole, the program counts alone.
    pub fn changed_since(&self, before: &Self) -> Option<String> {
        let ((name, now), (former, then)) = (&self.program, &before.program);
        if name != former || now.is_some() && then.is_some() && now != then {
            return Some(shown(name));
        }
        let (now, then) = (self.texts.as_ref()?, before.texts.as_ref()?);
        let other = now
            .iter()
            .find(|(name, text)| then.get(*name) != Some(*text));
        let gone = || then.iter().find(|(name, _)| !now.contains_key(*name));
        other.or_else(gone).map(|(name, _)| shown(name))
    }

    /// Whether all of it could be seen.
    pub fn is_whole(&self) -> bool {
        self.program.1.is_some() && self.texts.is_some()
    }
}

fn shown(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    crate::text::shown(name.trim_start_matches('/'), 200)
}

fn texts(directory: &Path, left: &mut u64) -> Option<BTreeMap<OsString, [u8; 32]>> {
    let mut files = Files::default();
    match files.look(directory) {
        // What is in a file tells whether it is another.
        Ok(()) | Err(Blind::Unsettled) => {}
        Err(Blind::Unseen) => return None,
    }
    // A directory that is being replaced may be gone for a moment.
    if !directory.is_dir() {
        return None;
    }
    let mut texts = BTreeMap::new();
    for (name, _) in files.found {
        if is_text(&name) {
            // A name below the directory begins with a slash.
            let below = Path::new(&name)
                .strip_prefix("/")
                .unwrap_or(Path::new(&name));
            if let Some(digest) = digest(&directory.join(below), left).ok()? {
                texts.insert(name, digest);
            }
        }
    }
    Some(texts)
}

/// The digest of what is in a file; `None` where there is none, or something else than a file.
///
/// # Errors
/// It cannot be told now, and may be later.
fn digest(path: &Path, left: &mut u64) -> io::Result<Option<[u8; 32]>> {
    let mut digest = Sha256::new();
    match open_regular(path) {
        Ok(Some(file)) => {
            digest.update(file.metadata()?.len().to_le_bytes());
            let mut text = BufReader::with_capacity(CHUNK, file.take(*left));
            loop {
                let chunk = text.fill_buf()?;
                let bytes = chunk.len();
                if bytes == 0 {
                    break;
                }
                digest.update(chunk);
                text.consume(bytes);
                *left -= bytes as u64;
            }
        }
        Ok(None) => return Ok(None),
        Err(fault) => match fault.kind() {
            ErrorKind::NotFound => return Ok(None),
            // A program may be executed by whoever may not read it.
            ErrorKind::PermissionDenied => digest.update(unread(&std::fs::metadata(path)?)),
            _ => return Err(fault),
        },
    }
    Ok(Some(digest.finalize().into()))
}

/// What tells a file that nobody may read from another one.
fn unread(metadata: &Metadata) -> Vec<u8> {
    let facts = [
        metadata.size().cast_signed(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    ];
    facts.map(i64::to_le_bytes).concat()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use super::*;

    struct Plugin(tempfile::TempDir);

    impl Plugin {
        fn new() -> Self {
            let plugin = Self(tempfile::tempdir().expect("there is room"));
            plugin.write("cli", "#!/bin/sh");
            plugin.write("inner/helper.py", "x = 1");
            plugin
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.0.path().join(name);
            let parent = path.parent().expect("it has one");
            fs::create_dir_all(parent).expect("there is room");
            fs::write(path, text).expect("there is room");
        }

        fn content(&self) -> Content {
            let directory = self.0.path().to_owned();
            Content::of(&Found {
                name: "one".to_owned(),
                program: Program::Executable(directory.join("cli")),
                directory,
            })
        }

        /// What has changed by this.
        fn changes(&self, change: impl FnOnce(&Path)) -> Option<String> {
            let before = self.content();
            change(self.0.path());
            self.content().changed_since(&before)
        }
    }

    #[test]
    fn times_data_and_caches_are_no_content() {
        let plugin = Plugin::new();
        let touched = plugin.changes(|path| {
            for name in ["cli", "inner/helper.py"] {
                let file = fs::File::options()
                    .write(true)
                    .open(path.join(name))
                    .unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
        });
        assert_eq!(touched, None);
        let anew = plugin.changes(|path| {
            plugin.write("new", "x = 1");
            fs::rename(path.join("new"), path.join("inner/helper.py")).unwrap();
        });
        assert_eq!(anew, None);
        let written = plugin.changes(|_| {
            for name in ["data.db", "inner/log.txt", "__pycache__/a.py", ".venv/b.py"] {
                plugin.write(name, "1");
            }
        });
        assert_eq!(written, None);
        let linked = plugin.changes(|path| {
            fs::rename(path.join("inner"), path.join(".git")).unwrap();
            symlink(".git", path.join("inner")).unwrap();
        });
        assert_eq!(linked, None);
    }

    #[test]
    fn the_program_and_every_text_of_one_are_content() {
        let plugin = Plugin::new();
        for (change, name) in [
            (("cli", "#!/bin/bash"), "cli"),
            (("inner/helper.py", "x = 2"), "inner/helper.py"),
            (("inner/more/one.sh", ""), "inner/more/one.sh"),
        ] {
            let changed = plugin.changes(|_| plugin.write(change.0, change.1));
            assert_eq!(changed.as_deref(), Some(name));
        }
        let gone = plugin.changes(|path| fs::remove_file(path.join("inner/helper.py")).unwrap());
        assert_eq!(gone.as_deref(), Some("inner/helper.py"));
    }

    /// What looks like a text and is none holds nobody up.
    #[test]
    fn what_cannot_be_seen_has_not_changed() {
        let plugin = Plugin::new();
        let odd = plugin.changes(|path| {
            symlink("nowhere", path.join("dangling.py")).unwrap();
            fs::create_dir(path.join("directory.py")).unwrap();
            let pipe = rustix::fs::FileType::Fifo;
            let mode = rustix::fs::Mode::RWXU;
            rustix::fs::mknodat(rustix::fs::CWD, path.join("pipe.py"), pipe, mode, 0).unwrap();
        });
        assert_eq!(odd, None);
        let whole = plugin.content();
        assert!(whole.is_whole());
        let part = Content {
            texts: None,
            ..whole.clone()
        };
        assert_eq!(part.changed_since(&whole), None);
        assert_eq!(whole.changed_since(&part), None);
        assert!(!part.is_whole());
        plugin.write("cli", "another");
        let other = Content {
            texts: None,
            ..plugin.content()
        };
        assert_eq!(other.changed_since(&whole).as_deref(), Some("cli"));
        fs::remove_file(plugin.0.path().join("cli")).unwrap();
        assert_eq!(
            plugin.content().changed_since(&whole),
            None,
            "it is gone for a moment"
        );
        fs::remove_dir_all(plugin.0.path()).unwrap();
        assert_eq!(plugin.content().changed_since(&whole), None);
    }
}
