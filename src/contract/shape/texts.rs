//! Texts that stand for something else: addresses, bytes, moments. Where clients differ, the strictest in use decides.

use std::sync::LazyLock;

use chrono::DateTime;
use jsonschema::Validator;
use serde_json::{Value, json};

/// Whether `text` is an address with a scheme that clients can read: some of them read each with the parser of the
/// URL standard.
pub fn is_uri(text: &str) -> bool {
    url::Url::parse(text).is_ok()
}

/// Whether `text` is an address with a scheme as RFC 3986 writes it.
pub fn is_exact_uri(text: &str) -> bool {
    static EXACT: LazyLock<Validator> = LazyLock::new(|| of_format("uri"));
    is_uri(text) && EXACT.is_valid(&Value::from(text))
}

/// Whether `text` is a template of addresses as RFC 6570 has it.
pub fn is_uri_template(text: &str) -> bool {
    static TEMPLATE: LazyLock<Validator> = LazyLock::new(|| of_format("uri-template"));
    TEMPLATE.is_valid(&Value::from(text))
}

/// What a validator of JSON Schema takes for the format of this name, as it is for whoever checks a description by the
/// contract's schema.
fn of_format(name: &'static str) -> Validator {
    let schema = json!({"format": name});
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("a format alone is a schema")
}

/// Whether `text` is base64, as browsers read it: white space does not count, nor does padding that is left out.
pub fn is_base64(text: &str) -> bool {
    let mut letters = 0_usize;
    let mut padding = 0_usize;
    for byte in text.bytes() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 12 => {}
            b'=' => padding += 1,
            _ if padding > 0 => return false,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => letters += 1,
            _ => return false,
        }
    }
    let padded = padding <= 2 && (letters + padding).is_multiple_of(4);
    letters % 4 != 1 && (padding == 0 || padded)
}

/// Whether `text` is a moment as RFC 3339 writes it.
pub fn is_time(text: &str) -> bool {
    // What RFC 3339 leaves open, one client in use does not: capitals alone, and no second after the 59th.
    let is_plain = text
        .bytes()
        .all(|byte| byte != b' ' && byte != b't' && byte != b'z');
    is_plain && text.get(17..19) != Some("60") && DateTime::parse_from_rfc3339(text).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_are_read_as_the_strictest_client_reads_them() {
        for (text, is_base64) in [
            ("", true),
            ("aGk=", true),
            ("aGk", true),
            ("aG\nk=\n", true),
            ("+/+/", true),
            ("aGk==", false),
            ("a", false),
            ("aG=k", false),
            ("a-_b", false),
            ("\u{e9}aaa", false),
        ] {
            assert_eq!(super::is_base64(text), is_base64, "{text}");
        }
        for (text, is_uri) in [
            ("notes://all", true),
            ("urn:a:b", true),
            ("file:///x", true),
            ("all", false),
            ("/all", false),
            ("http://", false),
            ("", false),
        ] {
            assert_eq!(super::is_uri(text), is_uri, "{text}");
        }
        for (text, is_exact) in [
            ("notes://all", true),
            ("notes://a%20b", true),
            ("notes://a b", false),
            ("notes://\u{fc}", false),
            ("http://", false),
            ("all", false),
        ] {
            assert_eq!(super::is_exact_uri(text), is_exact, "{text}");
        }
        for (text, is_template) in [("notes://{id}", true), ("notes://{", false)] {
            assert_eq!(super::is_uri_template(text), is_template, "{text}");
        }
        for (text, is_time) in [
            ("2025-01-12T15:00:58Z", true),
            ("2025-01-12T15:00:58.123+02:00", true),
            ("2025-01-12", false),
            ("2025-01-12 15:00:58Z", false),
            ("2025-01-12T15:00:58", false),
            ("2025-01-12T15:00:60Z", false),
            ("yesterday", false),
        ] {
            assert_eq!(super::is_time(text), is_time, "{text}");
        }
    }
}
