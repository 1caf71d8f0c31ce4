//! What a program printed, as text: with or without the white space around it, whole or quoted in a message.

use crate::text::cleaned;

/// The most that an error message repeats of what was printed, in bytes.
const MAX_REPEATED: usize = 64 << 10;

/// The bytes without the white space around them.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => bytes.trim_ascii(),
    }
}

/// What a program printed without the white space around it, in place.
pub(super) fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    let inner = trim(&bytes);
    let begin = inner.as_ptr().addr() - bytes.as_ptr().addr();
    let end = begin + inner.len();
    bytes.truncate(end);
    bytes.drain(..begin);
    bytes
}

/// The same as a text, in place where it is UTF-8; other bytes are replaced.
pub(super) fn into_text(bytes: Vec<u8>) -> String {
    whole_text(trimmed(bytes))
}

/// What a program printed as a text with all its white space, in place where it is UTF-8; other bytes are replaced.
pub(super) fn whole_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned())
}

/// The beginning of what was printed, for an error message: colours and the like mean nothing to its reader.
pub(super) fn repeated(bytes: &[u8]) -> String {
    let bytes = trim(bytes);
    if bytes.len() <= MAX_REPEATED {
        return cleaned(&String::from_utf8_lossy(bytes));
    }
    // A letter may be cut in two: what is left of it counts as three bytes at most.
    let cut = &bytes[..MAX_REPEATED];
    let whole = cut.len()
        - cut
            .iter()
            .rev()
            .take(3)
            .take_while(|byte| **byte >= 0x80)
            .count();
    let begin = cleaned(&String::from_utf8_lossy(&cut[..whole]));
    format!("{begin}… ({} bytes in all)", bytes.len())
}
