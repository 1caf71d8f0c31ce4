//! What a failed program says when that which it was to read is not there.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The code by which a program says so.
const NOT_FOUND: &str = "not_found";

/// The program's words when the object that `stdout` is, or that its last line is, says that there is no such thing.
/// Empty when it has none.
pub fn not_found(stdout: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Failure<'a> {
        #[serde(borrow)]
        code: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    let stdout = stdout.trim_ascii();
    // Logs may stand before it.
    let last_line = stdout.rsplit(|byte| *byte == b'\n').next();
    let texts = [Some(stdout), last_line].into_iter().flatten();
    let mut objects = texts.filter(|text| text.starts_with(b"{"));
    let failure = objects.find_map(|text| serde_json::from_slice::<Failure<'_>>(text).ok())?;
    let text =
        |value: Option<&RawValue>| -> Option<String> { serde_json::from_str(value?.get()).ok() };
    let is_not_found = text(failure.code).as_deref() == Some(NOT_FOUND);
    is_not_found.then(|| text(failure.error).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_that_something_is_not_there_by_a_code_and_by_nothing_else() {
        for (stdout, expected) in [
            (
                r#"{"code":"not_found","error":"no note 7"}"#,
                Some("no note 7"),
            ),
            (" {\"error\":\"é\",\n\"code\":\"not_found\"}\n", Some("é")),
            ("looking\n{\"code\":\"not_found\"}\n", Some("")),
            (r#"{"code":"not_found","error":{"no":"text"}}"#, Some("")),
            (r#"{"code":"other","error":"not_found"}"#, None),
            (r#"{"error":"no note 7"}"#, None),
            (r#"["not_found"]"#, None),
            ("not_found", None),
            ("", None),
        ] {
            assert_eq!(
                not_found(stdout.as_bytes()).as_deref(),
                expected,
                "{stdout}"
            );
        }
    }
}
