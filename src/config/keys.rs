//! The keys that clients may show: from variables, files and credentials, as they are or as digests.

use super::reader::Reader;
use super::secrets::{self, Found, Names, SecretFile};
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
/// What stands before the digest of a key.
const DIGEST: &str = "sha256:";

/// Where the keys come from, so that they can be read again.
#[derive(Debug, Clone, Default)]
pub struct KeySources {
    /// Those of variables, which stay as they are.
    fixed: Vec<KeyId>,
    /// Files, and whether each is a list.
    files: Vec<(SecretFile, bool)>,
}

impl KeySources {
    /// Whether any key can change while the server runs.
    pub fn can_change(&self) -> bool {
        !self.files.is_empty()
    }

    /// The keys as they are now.
    ///
    /// # Errors
    /// Why they are not to be used: a file cannot be read or has no key in it, or one that is no digest. Keys that
    /// went missing by mistake must not open the server.
    pub fn read_again(&self) -> Result<Vec<KeyId>, String> {
        let mut keys = self.fixed.clone();
        for (file, is_list) in &self.files {
            let text = file.read()?.text;
            let found = entries("a key file", &text, *is_list);
            if found.is_empty() {
                return Err("a key file has no key in it".to_owned());
            }
            for (which, key) in found {
                keys.push(key_id(key).ok_or_else(|| no_digest(&which))?);
            }
        }
        Ok(keys)
    }
}

/// The keys at the start, where they come from, and whether the shell that has `MCP_API_KEY` has a key as clients send
/// it.
pub(super) fn read(reader: &mut Reader) -> (Vec<KeyId>, KeySources, bool) {
    let one = secrets::find(reader, ONE);
    let several = secrets::find(reader, SEVERAL);
    let in_shell = one
        .as_ref()
        .is_some_and(|found| found.file.is_none() && !is_digest(&found.text));
    let mut sources = KeySources::default();
    let mut keys = Vec::new();
    for (found, is_list) in [(one, false), (several, true)] {
        let Some(Found { place, text, file }) = found else {
            continue;
        };
        let mut plain = false;
        for (which, key) in entries(&place, &text, is_list) {
            plain |= !is_digest(key);
            let Some(id) = judged(reader, &which, key) else {
                continue;
            };
            keys.push(id);
            if file.is_none() {
                sources.fixed.push(id);
            }
        }
        if plain && file.is_some() {
            reader.notices.push(format!(
                "{place} has a key as clients send it, and plugins can read that file: they run as the same user; write the key's digest into it, sha256: and the 64 hex digits of: printf %s KEY | sha256sum"
            ));
        }
        sources.files.extend(file.map(|file| (file, is_list)));
    }
    (keys, sources, in_shell)
}

/// The keys in a text, each with the words that messages have for it. No message shows a key: it is a secret even when
/// it is a wrong one.
fn entries<'a>(place: &str, text: &'a str, is_list: bool) -> Vec<(String, &'a str)> {
    if !is_list {
        return vec![(format!("{place}: the key"), text)];
    }
    let entries = text.split([',', '\n']).map(str::trim);
    let entries = entries.filter(|key| !key.is_empty()).enumerate();
    entries
        .map(|(index, key)| (format!("{place}: key {}", index + 1), key))
        .collect()
}

fn judged(reader: &mut Reader, which: &str, key: &str) -> Option<KeyId> {
    if !is_sendable(key) {
        reader.notices.push(format!(
            "{which} has characters that no client can send in a header; make one with: openssl rand -hex 32"
        ));
    }
    if key.len() < SHORT_KEY {
        let letters = if key.len() == 1 {
            "character"
        } else {
            "characters"
        };
        reader.notices.push(format!(
            "{which} has {} {letters} and can be guessed; make one with: openssl rand -hex 32",
            key.len()
        ));
    }
    let id = key_id(key);
    if id.is_none() {
        reader.faults.push(no_digest(which));
    }
    id
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
