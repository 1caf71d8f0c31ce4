//! A `requirements.txt`, read as pip reads it.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::key::feed;
use super::local::{local_path, names_a_place};
use super::variables::Values;
use super::{Declared, MAX_LINES, PROJECT, Reader};

/// The file that pip knows.
pub(super) const REQUIREMENTS: &str = "requirements.txt";

/// How many files a `requirements.txt` may take in.
pub(super) const MAX_FILES: usize = 32;

impl Reader {
    pub(super) fn of_requirements(&self, directory: &Path) -> Result<Option<Declared>, String> {
        let path = directory.join(REQUIREMENTS);
        let Some(text) = self.contents(&path)? else {
            return Ok(None);
        };
        let mut taking = Taking::of(self, directory);
        taking.seen.insert((path.clone(), false));
        taking.take(&path, &text)?;
        Ok((!taking.lines.is_empty()).then(|| Declared {
            file: REQUIREMENTS,
            read_by_installer: Some(path),
            lines: taking.lines,
            asked: taking.asked,
            python: None,
            is_relative: taking.is_relative,
            digest: taking.digest.finalize().into(),
            named: taking.values.named(),
        }))
    }
}

/// A `requirements.txt` with the files that it names, within bounds.
struct Taking<'a> {
    reader: &'a Reader,
    directory: &'a Path,
    /// The files that were taken, each with whether it only limits.
    seen: HashSet<(PathBuf, bool)>,
    values: Values<'a>,
    lines: Vec<String>,
    asked: Vec<String>,
    is_relative: bool,
    digest: Sha256,
}

impl<'a> Taking<'a> {
    fn of(reader: &'a Reader, directory: &'a Path) -> Self {
        Self {
            reader,
            directory,
            seen: HashSet::new(),
            values: Values::new(&reader.variables),
            lines: Vec::new(),
            asked: Vec::new(),
            is_relative: false,
            digest: Sha256::new(),
        }
    }

    fn take(&mut self, path: &Path, bytes: &[u8]) -> Result<(), String> {
        feed(&mut self.digest, bytes);
        let text = decoded(bytes);
        for line in logical_lines(&text) {
            if self.lines.len() >= MAX_LINES {
                return Err(format!("it asks for more than {MAX_LINES} packages"));
            }
            match Line::of(&self.values.put_into(&line)) {
                Line::File { name, limits } => {
                    let before = self.lines.len();
                    self.take_file(path, &name, limits)?;
                    if limits {
                        // It limits what others ask for, and asks for nothing itself.
                        self.lines.truncate(before);
                        self.asked.truncate(before);
                    }
                }
                Line::Requirement(text) => {
                    self.note_local(&text);
                    self.asked.push(text);
                    self.lines.push(match Line::of(&line) {
                        Line::Requirement(text) => text,
                        Line::File { .. } | Line::Option { .. } => line,
                    });
                }
                Line::Option { is_relative } => self.is_relative |= is_relative,
            }
        }
        Ok(())
    }

    fn take_file(&mut self, from: &Path, name: &str, limits: bool) -> Result<(), String> {
        // What is fetched from elsewhere is the installer's to read.
        if name.contains("://") {
            return Ok(());
        }
        let path = from.parent().unwrap_or(self.directory).join(name);
        if !self.seen.insert((path.clone(), limits)) {
            return Ok(());
        }
        if self.seen.len() > MAX_FILES {
            return Err(format!(
                "its {REQUIREMENTS} takes in more than {MAX_FILES} files"
            ));
        }
        // One that is missing is for the installer to complain of.
        if let Some(bytes) = self.reader.contents(&path)? {
            self.take(&path, &bytes)?;
        }
        Ok(())
    }

    /// What a local directory or file is made of belongs to what is asked for.
    fn note_local(&mut self, requirement: &str) {
        let Some(place) = local_path(requirement) else {
            return;
        };
        self.is_relative = true;
        let place = self.directory.join(place);
        feed(&mut self.digest, place.as_os_str().as_encoded_bytes());
        for name in ["", PROJECT, "setup.py", "setup.cfg"] {
            let path = if name.is_empty() {
                place.clone()
            } else {
                place.join(name)
            };
            if let Ok(metadata) = std::fs::metadata(&path)
                && metadata.is_file()
            {
                for number in [
                    metadata.size().cast_signed(),
                    metadata.mtime(),
                    metadata.mtime_nsec(),
                ] {
                    self.digest.update(number.to_le_bytes());
                }
            }
        }
    }
}

/// One line of a `requirements.txt`.
enum Line {
    Requirement(String),
    File { name: String, limits: bool },
    Option { is_relative: bool },
}

impl Line {
    fn of(line: &str) -> Self {
        let option = |short: &str, long: &str| {
            let value = line
                .strip_prefix(long)
                .filter(|rest| rest.starts_with(['=', ' ', '\t']))
                .or_else(|| line.strip_prefix(short).filter(|_| !line.starts_with("--")))?;
            let value = value.trim_start_matches(['=', ' ', '\t']).trim();
            Some(value.trim_matches(['"', '\'']).to_owned())
        };
        if let Some(name) = option("-r", "--requirement") {
            Self::File {
                name,
                limits: false,
            }
        } else if let Some(name) = option("-c", "--constraint") {
            Self::File { name, limits: true }
        } else if let Some(place) = option("-e", "--editable") {
            Self::Requirement(place)
        } else if line.starts_with('-') {
            Self::Option {
                is_relative: names_a_place(line),
            }
        } else {
            // Options of one requirement, such as its hashes.
            let requirement = line.split(" --").next().unwrap_or(line);
            Self::Requirement(requirement.trim().to_owned())
        }
    }
}

/// The text of a file, whatever Unicode it is in.
fn decoded(bytes: &[u8]) -> String {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units = bytes[2..].as_chunks::<2>().0.iter().map(|pair| read(*pair));
        String::from_utf16_lossy(&units.collect::<Vec<_>>())
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The lines without comments, those that go on put together, without empty ones.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in text.lines() {
        let is_comment = line.trim_start().starts_with('#');
        if let Some(part) = line.strip_suffix('\\').filter(|_| !is_comment) {
            begun.push_str(part);
            continue;
        }
        begun.push_str(if is_comment { "" } else { line });
        let line = std::mem::take(&mut begun);
        let comments = line.match_indices('#').map(|(at, _)| at);
        let mut comments = comments.filter(|at| line[..*at].ends_with(char::is_whitespace));
        lines.push(
            line[..comments.next().unwrap_or(line.len())]
                .trim()
                .to_owned(),
        );
    }
    lines.push(begun.trim().to_owned());
    lines.retain(|line| !line.is_empty());
    lines
}
