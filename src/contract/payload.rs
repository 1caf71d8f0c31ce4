//! The JSON in what a plugin printed, and what stood around it.

use serde_json::Value;

use crate::text::shown;

/// How many lines are tried as the beginning of the payload: enough for any log, and never a quadratic search.
const BEGINNINGS: usize = 64;

/// A payload and what was passed over to find it.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// The JSON.
    pub json: Value,
    /// What its author should read.
    pub warning: Option<String>,
}

/// Finds the payload in what a plugin printed; `None` when there is no JSON object or array.
pub fn find_payload(printed: &[u8]) -> Option<Payload> {
    let text = String::from_utf8_lossy(printed);
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Ok(json) = serde_json::from_str::<Value>(text) {
        let is_payload = json.is_object() || json.is_array();
        return is_payload.then_some(Payload {
            json,
            warning: None,
        });
    }
    let mut fallback = None;
    for start in beginnings(text).take(BEGINNINGS) {
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        let Some(Ok(json)) = values.next() else {
            continue;
        };
        let after = text[start + values.byte_offset()..].trim();
        let warning = warning_about(&text[..start], after);
        let is_description = json.get("commands").is_some();
        let payload = Payload { json, warning };
        if is_description {
            return Some(payload);
        }
        fallback = fallback.or(Some(payload));
    }
    fallback
}

/// Where lines begin that could begin an object.
fn beginnings(text: &str) -> impl Iterator<Item = usize> + '_ {
    let mut start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let here = start + (line.len() - line.trim_start().len());
        start += line.len();
        line.trim_start().starts_with('{').then_some(here)
    })
}

/// What the author should read about the text that stands around the JSON.
fn warning_about(before: &str, after: &str) -> Option<String> {
    let lines = before
        .lines()
        .chain(after.lines())
        .filter(|line| !line.trim().is_empty());
    let first = lines.clone().next().map(|line| shown(line.trim(), 80));
    first.map(|line| {
        let count = lines.count();
        let also = if count > 1 {
            format!(" and {} more", count - 1)
        } else {
            String::new()
        };
        format!("--describe prints more than its JSON: '{line}'{also}; print logs to stderr")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_payload_is_found_among_what_a_plugin_prints() {
        let found = |text: &str| {
            find_payload(text.as_bytes()).map(|payload| (payload.json, payload.warning.is_some()))
        };
        let description = || json!({"commands": []});
        let cases = [
            ("{\"commands\":[]}", Some((description(), false))),
            (
                "\u{feff} \n{\"commands\":[]}\n\n",
                Some((description(), false)),
            ),
            ("loading\n{\"commands\":[]}", Some((description(), true))),
            (
                "{\"level\":\"info\"}\n  {\"commands\":\n[]}\nbye",
                Some((description(), true)),
            ),
            ("{broken\n{\"commands\":[]}", Some((description(), true))),
            ("log\n{\"other\":1}", Some((json!({"other": 1}), true))),
            ("[1]", Some((json!([1]), false))),
            ("", None),
            ("42", None),
            ("\"text\"", None),
            ("usage: x", None),
            ("log {\"commands\":[]}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(found(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_flood_of_beginnings_is_searched_in_bounded_time() {
        let flood = "{\"a\":\n".repeat(200_000);
        assert_eq!(find_payload(flood.as_bytes()), None);
    }
}
