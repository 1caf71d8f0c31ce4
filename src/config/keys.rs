//! The keys that clients may show: from variables, files and credentials, as they are or as digests.

use super::file::Entries;
use super::files::Watched;
use super::reader::Reader;
use super::secrets::{self, Names, Place, SecretFile, Text};
use crate::mcp::principal::KeyId;

/// One key, whatever is in it.
const ONE: Names = Names {
    variable: "MCP_API_KEY",
    file: "MCP_API_KEY_FILE",
};
/// A list of keys.
const SEVERAL: Names = Names {
    variable: "MCP_API_KEYS",
    file: "MCP_API_KEYS_FILE",
};
/// A key shorter than this can be found by trying.
const SHORT_KEY: usize = 16;
/// By which some editors mark the encoding of a file.
const MARK: char = '\u{feff}';
/// What stands before the digest of a key.
const DIGEST: &str = "sha256:";

/// Where the keys come from, so that they can be read again.
#[derive(Debug, Clone, Default)]
pub struct KeySources {
    /// Those of variables, which stay as they are.
    fixed: Vec<KeyId>,
    /// Files, also those that have no key in them yet, and whether each is a list.
    files: Vec<(SecretFile, bool)>,
    /// The settings files, where there are any.
    settings: Option<Watched>,
    /// Whether there were any keys at the start.
    is_closed: bool,
}

/// What the sources have, judged. A start and a reload ask for the same, so that neither lets pass what the other
/// would not.
#[derive(Debug, Default)]
pub struct Reading {
    /// The keys, where there is no fault.
    pub accepted: Vec<KeyId>,
    /// Why they are not to be used, one line each.
    pub faults: Vec<String>,
    /// What a person should know of them, one line each.
    pub warnings: Vec<String>,
    /// Settings that have changed in the settings files and count from the next start on, one line each.
    pub waiting: Vec<String>,
    /// Files that were named and have no key in them.
    empty_files: Vec<String>,
    /// Credentials without one: a unit may have an empty one for those who have their keys elsewhere.
    empty_credentials: Vec<String>,
}

impl KeySources {
    /// Whether any key can change while the server runs.
    pub fn can_change(&self) -> bool {
        !self.files.is_empty() || self.settings.is_some()
    }

    /// Reads the settings files again, too, when keys are read again.
    pub(super) fn watch(&mut self, settings: Watched) {
        self.settings = Some(settings);
    }

    /// The keys as they are now. Whoever names a file wants keys: one without any is a fault, so that keys that went
    /// missing by mistake never open the server.
    pub fn read(&self) -> Reading {
        let mut reading = Reading {
            accepted: self.fixed.clone(),
            ..Reading::default()
        };
        if let Some(settings) = &self.settings {
            reading.add_settings(settings);
        }
        let mut reading = self.judged(reading);
        if reading.accepted.is_empty() && reading.faults.is_empty() && self.is_closed {
            let fault = "no key is left in the settings files".to_owned();
            reading.faults.push(fault);
        }
        reading
    }

    /// The same with what was found elsewhere already.
    fn judged(&self, found: Reading) -> Reading {
        let mut reading = self.with_files(found);
        let none_at_all = reading.accepted.is_empty();
        reading.faults.append(&mut reading.empty_files);
        match none_at_all {
            true => reading.faults.append(&mut reading.empty_credentials),
            false => reading.warnings.append(&mut reading.empty_credentials),
        }
        reading
    }

    fn with_files(&self, mut reading: Reading) -> Reading {
        for (file, is_list) in &self.files {
            match file.read() {
                Ok(content) => {
                    reading.warnings.extend(content.warning);
                    reading.add_file(file, &content.text, *is_list);
                }
                Err(fault) => reading.faults.push(fault),
            }
        }
        reading
    }
}

/// The keys at the start, where they come from, and whether the shell that has `MCP_API_KEY` has a key as clients send
/// it. Where nobody needs a key, files without one are no reason not to start.
pub(super) fn read(reader: &mut Reader, nobody_needs_one: bool) -> (Vec<KeyId>, KeySources, bool) {
    let mut sources = KeySources::default();
    let mut fixed = Reading::default();
    let mut by_file = Reading::default();
    let mut in_shell = false;
    for (names, is_list) in [(ONE, false), (SEVERAL, true)] {
        match secrets::locate(reader, names) {
            Some(Place::Text(Text { place, text, .. })) if reader.is_by_file(names.variable) => {
                by_file.add_setting(&place, &text, is_list);
            }
            Some(Place::Text(Text { place, text })) => {
                in_shell |= !is_list && !is_digest(&text);
                for (which, key) in entries(&place, &text, is_list) {
                    fixed.add(&which, key);
                }
            }
            Some(Place::File(file)) => sources.files.push((file, is_list)),
            None => {}
        }
    }
    sources.fixed = fixed.accepted.clone();
    fixed.accepted.append(&mut by_file.accepted);
    fixed.faults.append(&mut by_file.faults);
    fixed.warnings.append(&mut by_file.warnings);
    let mut reading = match nobody_needs_one {
        true => sources.with_files(fixed),
        false => sources.judged(fixed),
    };
    sources.is_closed = !reading.accepted.is_empty();
    reader.faults.append(&mut reading.faults);
    reader.notices.append(&mut reading.warnings);
    reader.mistakes.append(&mut reading.empty_files);
    reader.mistakes.append(&mut reading.empty_credentials);
    (reading.accepted, sources, in_shell)
}

/// The key that a client shows.
pub(super) fn of_client(reader: &mut Reader) -> Option<String> {
    let found = secrets::find(reader, ONE)?;
    if is_digest(&found.text) {
        reader.faults.push(format!(
            "{} has the digest of a key, by which a server knows it; a client shows the key itself",
            found.place
        ));
    }
    Some(found.text)
}

impl Reading {
    /// The keys that the settings files have now, and what else has changed in them.
    fn add_settings(&mut self, settings: &Watched) {
        let now = match settings.read_again() {
            Ok(now) => now,
            Err(fault) => return self.faults.push(fault),
        };
        for (names, is_list) in [(ONE, false), (SEVERAL, true)] {
            let is_given = [names.variable, names.file]
                .iter()
                .any(|name| settings.overridden.contains(name));
            let value = |entries: &Entries| {
                let entry = entries.get(names.file);
                entry.map(|entry| entry.value.clone())
            };
            if !is_given && value(&now) != value(&settings.entries) {
                self.faults.push(format!(
                    "{} has changed in the settings files, which counts from the next start on",
                    names.file
                ));
            } else if !is_given && now.contains_key(names.file) && now.contains_key(names.variable)
            {
                self.faults.push(format!(
                    "{} and {} are both set in the settings files; leave one of them out",
                    names.variable, names.file
                ));
            }
            if let Some(entry) = now.get(names.variable).filter(|_| !is_given) {
                self.add_setting(&entry.line.to_string(), entry.value.trim(), is_list);
            }
        }
        self.waiting = settings.waiting_for_a_start(&now, &[ONE.variable, SEVERAL.variable]);
    }

    /// What one setting of a settings file has.
    fn add_setting(&mut self, place: &str, text: &str, is_list: bool) {
        let found = entries(place, text, is_list);
        if found.is_empty() {
            self.faults.push(format!(
                "{place} has no key in it; write one, or leave the line out"
            ));
        }
        let has_plain = found.iter().any(|(_, key)| !is_digest(key));
        for (which, key) in found {
            self.add(&which, key);
        }
        if has_plain {
            self.warn_of_plain(place);
        }
    }

    fn warn_of_plain(&mut self, place: &str) {
        self.warnings.push(format!(
            "{place} has a key as clients send it, and plugins can read that file: they run as the same user; write the key's digest into it, sha256: and the 64 hex digits of: printf %s KEY | sha256sum"
        ));
    }

    fn add_file(&mut self, file: &SecretFile, text: &str, is_list: bool) {
        let place = file.place();
        // A mark of the encoding may stand at the beginning of each file that was put into this one.
        let lines = text.lines().map(|line| line.trim_start_matches(MARK));
        let lines = lines.filter(|line| !is_comment(line));
        let text = lines.collect::<Vec<_>>().join("\n");
        let found = entries(place, text.trim(), is_list);
        if found.is_empty() {
            let empty = match file.is_credential() {
                true => &mut self.empty_credentials,
                false => &mut self.empty_files,
            };
            empty.push(format!(
                "{place} has no key in it; write the digest of one into {}, or set MCP_AUTH_DISABLED=1 if nobody shall need one",
                file.where_to_write()
            ));
        }
        let has_plain = found.iter().any(|(_, key)| !is_digest(key));
        for (which, key) in found {
            if is_comment(key) || has_comment_behind(key) {
                let what = if is_comment(key) {
                    "begins with"
                } else {
                    "is followed by"
                };
                self.faults.push(format!(
                    "{which} {what} #; a comment stands on a line of its own"
                ));
                continue;
            }
            if key.contains('\n') {
                self.faults.push(format!(
                    "{which} has more than one line; a file with several keys is that of {}",
                    SEVERAL.file
                ));
                continue;
            }
            self.add(&which, key);
        }
        if has_plain {
            self.warn_of_plain(place);
        }
    }

    fn add(&mut self, which: &str, key: &str) {
        if !is_sendable(key) {
            self.warnings.push(format!(
                "{which} has characters that no client can send in a header; make one with: openssl rand -hex 32"
            ));
        }
        if key.len() < SHORT_KEY {
            let letters = if key.len() == 1 {
                "character"
            } else {
                "characters"
            };
            self.warnings.push(format!(
                "{which} has {} {letters} and can be guessed; make one with: openssl rand -hex 32",
                key.len()
            ));
        }
        match key_id(key) {
            Some(id) => self.accepted.push(id),
            None => self.faults.push(no_digest(which)),
        }
    }
}

/// The keys in a text, each with the words that messages have for it. No message shows a key: it is a secret even when
/// it is a wrong one.
fn entries<'a>(place: &str, text: &'a str, is_list: bool) -> Vec<(String, &'a str)> {
    if !is_list {
        let key = Some(text).filter(|key| !key.is_empty());
        return key
            .map(|key| (format!("{place}: the key"), key))
            .into_iter()
            .collect();
    }
    let entries = text.split([',', '\n']).map(str::trim);
    let entries = entries.filter(|key| !key.is_empty()).enumerate();
    entries
        .map(|(index, key)| (format!("{place}: key {}", index + 1), key))
        .collect()
}

/// Whether a line of a file is for people. In a variable it is a key, as in version 3, which had no files.
fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Whether something stands behind a key that people take for a comment.
fn has_comment_behind(key: &str) -> bool {
    key.split_once('#')
        .is_some_and(|(before, _)| before.ends_with(char::is_whitespace))
}

fn no_digest(which: &str) -> String {
    format!(
        "{which} is no digest; use sha256: and 64 hex digits, as printed by: printf %s KEY | sha256sum"
    )
}

/// Whoever sets one of them means to close the server.
pub(super) fn note_empty(reader: &mut Reader) {
    for name in [ONE.variable, SEVERAL.variable] {
        if reader.is_set(name) {
            reader.mistakes.push(format!(
                "{name} is set and has no key in it: NOBODY NEEDS A KEY; set it to one, or unset it if that is meant"
            ));
        }
    }
}

fn key_id(key: &str) -> Option<KeyId> {
    if is_digest(key) {
        digest(&key[DIGEST.len()..]).map(KeyId::from_digest)
    } else {
        Some(KeyId::of(key.as_bytes()))
    }
}

/// In capitals too: taken as a key, the text in a unit file would be the secret itself.
fn is_digest(key: &str) -> bool {
    key.get(..DIGEST.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(DIGEST))
}

/// Whether clients can show this key.
fn is_sendable(key: &str) -> bool {
    key.bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}
