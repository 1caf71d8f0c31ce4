//! URI templates as resources declare them: which values a URI gives to a template's variables.
//!
//! Knows simple variables (`{id}`, one path segment) and reserved ones (`{+path}`, any number), of
//! RFC 6570 what resource templates use.

/// The variables' values, in the template's order; `None` when the URI is none of the template's.
pub fn values<'t>(template: &'t str, uri: &str) -> Option<Vec<(&'t str, String)>> {
    let mut values = Vec::new();
    matches(template, uri, &mut values).then_some(values)
}

fn matches<'t>(template: &'t str, uri: &str, values: &mut Vec<(&'t str, String)>) -> bool {
    let Some(open) = template.find('{') else {
        return template == uri;
    };
    let Some(rest) = uri.strip_prefix(&template[..open]) else {
        return false;
    };
    let Some(close) = template[open..].find('}').map(|close| open + close) else {
        return false;
    };
    let variable = &template[open + 1..close];
    let (name, reserved) = match variable.strip_prefix('+') {
        Some(name) => (name, true),
        None => (variable, false),
    };
    let after = &template[close + 1..];
    let longest = if reserved {
        rest.len()
    } else {
        rest.find('/').unwrap_or(rest.len())
    };
    // The longest value first; a template's next literal may need part of it.
    for end in (1..=longest)
        .rev()
        .filter(|end| rest.is_char_boundary(*end))
    {
        let known = values.len();
        let Some(value) = decoded(&rest[..end]) else {
            continue;
        };
        values.push((name, value));
        if matches(after, &rest[end..], values) {
            return true;
        }
        values.truncate(known);
    }
    false
}

/// Percent-decoded; `None` when that gives no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let hex = |digit: &u8| char::from(*digit).to_digit(16);
        match (first, more) {
            (b'%', [high, low, ..]) if hex(high).is_some() && hex(low).is_some() => {
                let value = hex(high)? * 16 + hex(low)?;
                bytes.push(u8::try_from(value).ok()?);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_gives_values_to_the_variables_of_its_template() {
        for (template, uri, expected) in [
            (
                "test://template/{id}/data",
                "test://template/123/data",
                Some(vec![("id", "123")]),
            ),
            (
                "test://template/{id}/data",
                "test://template/a%20b/data",
                Some(vec![("id", "a b")]),
            ),
            (
                "test://{a}/{b}",
                "test://1/2",
                Some(vec![("a", "1"), ("b", "2")]),
            ),
            (
                "file:///{+path}",
                "file:///a/b/c",
                Some(vec![("path", "a/b/c")]),
            ),
            (
                "x://{a}-{b}",
                "x://1-2-3",
                Some(vec![("a", "1-2"), ("b", "3")]),
            ),
            ("x://fixed", "x://fixed", Some(vec![])),
            ("test://template/{id}/data", "test://template//data", None),
            (
                "test://template/{id}/data",
                "test://template/1/2/data",
                None,
            ),
            ("test://template/{id}", "test://template/1/", None),
            ("x://{open", "x://open", None),
            ("x://{a}", "x://%ff", None),
        ] {
            let expected = expected.map(|values| {
                values
                    .into_iter()
                    .map(|(name, value)| (name, value.to_owned()))
                    .collect()
            });
            assert_eq!(values(template, uri), expected, "{template} {uri}");
        }
    }
}
