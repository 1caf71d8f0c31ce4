//! What plugins answered at an earlier start, kept by what their answers depend on.
//!
//! What is read here is as little trusted as what a plugin prints: it is a payload, and goes the same way as one.

mod content;
mod files;
mod fingerprint;
mod store;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use self::content::Content;
use self::fingerprint::hex;
pub use self::fingerprint::{Difference, Fingerprint, Sight, Sighting, Surroundings};
use self::store::Store;
pub(super) use self::store::open_directory;
use super::describe::{Answer, SOURCES};
use crate::contract::Payload;
use crate::text::cleaned;

/// How much of a warning is kept, in bytes.
const MAX_WARNING: usize = 4096;

/// Where answers are kept, and what they are used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The directory of this program's caches.
    pub directory: PathBuf,
    /// Whether somebody named it: what was found by itself may be missing without a warning.
    pub is_named: bool,
    /// What they are used for.
    pub usage: Usage,
}

/// What kept answers are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// A server serves them at once, and asks again when it has started.
    Serve,
    /// Every plugin is asked, and what it answers is kept for others.
    Renew,
}

/// The directory of descriptions, open.
#[derive(Debug)]
pub struct Cache {
    store: Store,
    usage: Usage,
}

/// The first line of a kept answer; the second is its payload.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Its fingerprint, which is its name as well.
    of: String,
    /// One of [`SOURCES`].
    source: String,
    /// What its plugin's author should read.
    warning: Option<String>,
    /// The SHA-256 of the payload: a line cut short by a crash is told from a whole one.
    sha256: String,
}

impl Cache {
    /// Opens the directory, and makes it where it is missing.
    ///
    /// # Errors
    /// Why nothing can be kept.
    pub fn open(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            store: Store::open(&settings.directory.join("descriptions"))?,
            usage: settings.usage,
        })
    }

    /// What was answered where everything was as it is now, unless that is too long ago. What is broken counts as not
    /// there.
    pub fn recall(&self, fingerprint: &Fingerprint) -> Option<Answer> {
        if self.usage == Usage::Renew {
            return None;
        }
        let (bytes, age) = self.store.read(fingerprint.as_str())?;
        (age <= store::MAX_AGE).then(|| decoded(&bytes, fingerprint))?
    }

    /// Keeps an answer, unless it says less than the plugin would have said on a better day.
    pub fn keep(&self, fingerprint: &Fingerprint, answer: &Answer) {
        if !answer.is_whole {
            return;
        }
        let Some(text) = encoded(answer, fingerprint) else {
            return;
        };
        if let Err(fault) = self.store.write(fingerprint.as_str(), &text) {
            tracing::debug!("a description cannot be kept: {fault}");
        }
    }

    /// Drops an answer that the plugin does not give any more.
    pub fn forget(&self, fingerprint: &Fingerprint) {
        self.store.remove(fingerprint.as_str());
    }

    /// Removes what nobody has used for long, and what is too much.
    pub fn sweep(&self) {
        self.store.sweep();
    }
}

/// The digest of what a plugin answered: the same for the same answer.
pub fn digest(answer: &Answer) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(answer.source);
    digest.update([0]);
    digest.update(answer.payload.warning.as_deref().unwrap_or_default());
    digest.update([0]);
    digest.update(answer.payload.json.to_string());
    digest.finalize().into()
}

fn encoded(answer: &Answer, fingerprint: &Fingerprint) -> Option<Vec<u8>> {
    let payload = answer.payload.json.to_string();
    // A number that reads back as another would look as if the plugin had changed its mind.
    if serde_json::from_str::<Value>(&payload).ok()? != answer.payload.json {
        return None;
    }
    let warning = answer.payload.warning.as_ref();
    if warning.is_some_and(|warning| warning.len() > MAX_WARNING) {
        return None;
    }
    let head = Head {
        of: fingerprint.as_str().to_owned(),
        source: answer.source.to_owned(),
        warning: warning.cloned(),
        sha256: hex(&Sha256::digest(&payload)),
    };
    let mut text = serde_json::to_vec(&head).ok()?;
    text.push(b'\n');
    text.extend_from_slice(payload.as_bytes());
    Some(text)
}

fn decoded(bytes: &[u8], fingerprint: &Fingerprint) -> Option<Answer> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, payload) = (&bytes[..end], &bytes[end + 1..]);
    let head: Head = serde_json::from_slice(head).ok()?;
    if head.of != fingerprint.as_str() || head.sha256 != hex(&Sha256::digest(payload)) {
        return None;
    }
    let json: Value = serde_json::from_slice(payload).ok()?;
    let is_payload = json.is_object() || json.is_array();
    let source = SOURCES.into_iter().find(|known| *known == head.source)?;
    is_payload.then(|| Answer {
        payload: Payload {
            json,
            warning: head.warning.as_deref().map(cleaned),
        },
        source,
        is_whole: true,
    })
}
