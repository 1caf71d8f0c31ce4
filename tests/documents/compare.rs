//! What a page shows against what was printed, as far as the page says that it is always the same.

use serde_json::Value;

/// Stands for any text within a line; alone in a line, for any number of lines.
const ANYTHING: &str = "…";

/// Whether the printed text is the one shown. `varies` are words for which any other may stand.
pub fn text_matches(shown: &str, printed: &str, varies: &[String]) -> bool {
    let shown: Vec<&str> = shown.trim_end().lines().collect();
    let printed: Vec<&str> = printed.trim_end().lines().collect();
    lines_match(&shown, &printed, varies)
}

/// Whether the printed JSON has the value of the one shown, however both are folded.
pub fn json_matches(shown: &Value, printed: &Value, varies: &[String]) -> bool {
    match (shown, printed) {
        (Value::Object(shown), Value::Object(printed)) => {
            shown.len() == printed.len()
                && shown.iter().all(|(name, shown)| {
                    let printed = printed.get(name);
                    printed.is_some_and(|printed| json_matches(shown, printed, varies))
                })
        }
        (Value::Array(shown), Value::Array(printed)) => {
            shown.len() == printed.len()
                && shown
                    .iter()
                    .zip(printed)
                    .all(|(shown, printed)| json_matches(shown, printed, varies))
        }
        (Value::String(shown), Value::String(printed)) => line_matches(shown, printed, varies),
        (shown, printed) => shown == printed || varies.contains(&shown.to_string()),
    }
}

fn lines_match(shown: &[&str], printed: &[&str], varies: &[String]) -> bool {
    match shown {
        [] => printed.is_empty(),
        [first, rest @ ..] if first.trim() == ANYTHING => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..], varies))
        }
        [first, rest @ ..] => printed.split_first().is_some_and(|(line, printed)| {
            line_matches(first, line, varies) && lines_match(rest, printed, varies)
        }),
    }
}

/// Whether a line is the one shown.
pub fn line_matches(shown: &str, printed: &str, varies: &[String]) -> bool {
    let mut pattern = shown.trim_end().to_owned();
    for word in varies {
        pattern = pattern.replace(word, ANYTHING);
    }
    let mut pieces = pattern.split(ANYTHING);
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = printed.trim_end().strip_prefix(first) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, between)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in between {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn only_what_is_marked_may_differ() {
    let varies = ["0.1.0".to_owned(), "17".to_owned()];
    let same = |shown: &str, printed: &str| text_matches(shown, printed, &varies);
    assert!(same("a\nb", "a\nb\n"));
    assert!(!same("a\nb", "a\nc"));
    assert!(!same("a", "a\nb"));
    assert!(!same("a\nb", "a"));
    assert!(same(
        "smcp 0.1.0 (…/python3)",
        "smcp 2.3 (/usr/bin/python3)"
    ));
    assert!(!same(
        "smcp 0.1.0 (…/python3)",
        "smcp 2.3 (/usr/bin/python2)"
    ));
    assert!(same("a\n…\nd", "a\nb\nc\nd") && same("a\n…\nd", "a\nd"));
    assert!(!same("a\n…\nd", "a\nb\nc"));
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("the test writes JSON");
    let same = |shown: &str, printed: &str| json_matches(&json(shown), &json(printed), &varies);
    assert!(same(r#"{"a": [17, "x…"]}"#, r#"{"a":[3,"xyz"]}"#));
    assert!(!same(r#"{"a": 1}"#, r#"{"a":2}"#));
    assert!(!same(r#"{"a": 1}"#, r#"{"a":1,"b":2}"#));
    assert!(!same(r#"[1]"#, r#"[1,2]"#));
}
