//! Names made of digests.

use std::path::Path;

use sha2::{Digest, Sha256};

/// How many hexadecimal digits of a SHA-256 name an environment.
pub(super) const KEY_LENGTH: usize = 32;

/// The SHA-256 of `bytes` in hexadecimal digits.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Puts `bytes` into a digest, their length before them: no two rows of texts give the same digest.
pub(super) fn feed(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}

/// The key in the name of an environment's directory, `KEY-…`, or of what lies beside it: its mark
/// `KEY.json`, its lock `KEY.lock`.
pub(super) fn key_of(name: &str) -> Option<&str> {
    let (key, rest) = name.split_at_checked(KEY_LENGTH)?;
    let is_key = key.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_key
        && (rest == ".json" || rest == ".lock" || (rest.starts_with('-') && !rest.contains('/'))))
    .then_some(key)
}

/// Whether an interpreter is that of an environment which this program has made.
pub fn is_environment(interpreter: &Path) -> bool {
    let mut above = interpreter.ancestors().skip(2);
    let name = above.next().and_then(Path::file_name);
    let within = above.next().and_then(Path::file_name);
    let name = name.and_then(std::ffi::OsStr::to_str);
    within.is_some_and(|within| within == "environments")
        && name.is_some_and(|name| key_of(name).is_some())
}
