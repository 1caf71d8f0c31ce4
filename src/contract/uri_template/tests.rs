use proptest::prelude::*;

use super::*;

fn matched(template: &str, uri: &str) -> Option<Result<Values, Fault>> {
    UriTemplate::parse(template)
        .expect("a template")
        .matches(uri)
}

fn values(template: &str, uri: &str) -> Option<Values> {
    matched(template, uri).map(|values| values.expect("values for a program"))
}

#[test]
fn an_address_gives_the_variables_that_made_it() {
    type Variables = &'static [(&'static str, &'static str)];
    let cases: &[(&str, &str, Variables)] = &[
        (
            "test://template/{id}/data",
            "test://template/7/data",
            &[("id", "7")],
        ),
        ("notes://{id}", "notes://a%20b", &[("id", "a b")]),
        (
            "file:///{+path}",
            "file:///a/b/c.txt",
            &[("path", "a/b/c.txt")],
        ),
        ("x://{a}-{b}", "x://1-2-3", &[("a", "1-2"), ("b", "3")]),
        ("x://{a,b}", "x://1,2", &[("a", "1"), ("b", "2")]),
        ("x:/{/a}/z", "x://1/z", &[("a", "1")]),
        ("x:{/a,b}", "x:/1/2", &[("a", "1"), ("b", "2")]),
        ("x://n{.kind}", "x://n.txt", &[("kind", "txt")]),
        ("x://n{#part}", "x://n#one/two", &[("part", "one/two")]),
        (
            "x://n{?q,page}",
            "x://n?page=2&q=a%26b",
            &[("page", "2"), ("q", "a&b")],
        ),
        ("x://n{?q}", "x://n", &[]),
        ("x://{a}{b}", "x://123", &[("a", "12"), ("b", "3")]),
        ("x://{a,b}/z", "x://1,2,3/z", &[("a", "1"), ("b", "2,3")]),
        ("x://ü{a}", "x://üñ", &[("a", "ñ")]),
        ("x://{*id}", "", &[]),
    ];
    for (template, uri, expected) in cases {
        if uri.is_empty() {
            assert!(UriTemplate::parse(template).is_err(), "{template}");
            continue;
        }
        let expected: Vec<_> = expected
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(values(template, uri), Some(expected), "{template} {uri}");
    }
}

#[test]
fn an_address_of_another_shape_does_not_fit() {
    for (template, uri) in [
        ("notes://{id}", "notes://"),
        ("notes://{id}", "notes://a/b"),
        ("notes://{id}/text", "notes://a"),
        ("x://n{?q}", "x://n?other=1"),
        ("x://{a,b}", "x://1"),
    ] {
        assert_eq!(values(template, uri), None, "{template} {uri}");
    }
}

#[test]
fn a_hostile_address_is_searched_in_bounded_time() {
    let template = "x:".to_owned() + &"{a}{b}".repeat(20) + "!";
    for length in [300, MAX_URI_BYTES - 2, MAX_URI_BYTES + 1] {
        assert_eq!(
            values(&template, &("x:".to_owned() + &"a".repeat(length))),
            None
        );
    }
}

#[test]
fn a_broken_template_is_refused() {
    for text in ["x://{", "x://}", "x://{}", "x://{a b}", "{a}{"] {
        assert!(UriTemplate::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_value_that_is_no_exact_text_is_refused() {
    for (template, uri, expected) in [
        ("x://{id}", "x://%ff", "'id' is not UTF-8"),
        ("x://{id}", "x://%C3", "'id' is not UTF-8"),
        ("x://{id}", "x://a%", "'id' has a '%' without"),
        ("x://{id}", "x://%2", "'id' has a '%' without"),
        ("x://{id}", "x://%+1", "'id' has a '%' without"),
        ("x://{id}", "x://%00", "'id' has a NUL"),
        ("x://{+path}", "x://a%2fb", "'path' has a '%2F'"),
        ("x://n{#part}", "x://n#a%2Fb", "'part' has a '%2F'"),
        ("x://{a}/{a}", "x://1/2", "'a' has two values"),
        ("x://n{?q}", "x://n?q=1&q=2", "'q' has two values"),
    ] {
        let fault = matched(template, uri).expect(uri).expect_err(uri);
        assert!(fault.to_string().starts_with(expected), "{uri}: {fault}");
    }
    assert_eq!(values("x://{a}/{a}", "x://1/1"), values("x://{a}", "x://1"));
}

#[test]
fn a_value_leads_out_of_a_directory_only_where_its_plugin_checks_that() {
    let uris = [
        "x://../a",
        "x://a/..",
        "x:///a",
        "x://a%5Cb",
        "x://%2e%2E",
        "x://a/%2e./b",
    ];
    let template = UriTemplate::parse("x://{+path}").expect("a template");
    for uri in uris {
        assert!(matches!(template.matches(uri), Some(Err(_))), "{uri}");
    }
    let template = template.with_unchecked_paths();
    for uri in uris {
        assert!(matches!(template.matches(uri), Some(Ok(_))), "{uri}");
    }
    let simple = UriTemplate::parse("x://{id}").expect("a template");
    let simple = simple.with_unchecked_paths();
    assert!(matches!(simple.matches("x://.."), Some(Err(_))));
    assert_eq!(
        values("x://{+path}", "x://a../.b/..."),
        values("x://{path}", "x://a..%2F.b%2F...")
    );
}

/// Templates that leave no doubt where a value begins and ends.
const CLEAR: [&str; 8] = [
    "x://{id}",
    "x://{a}/{b}",
    "x://{a,b}/end",
    "x://{+path}",
    "x:{/a}/and{/b}",
    "x://n{.kind}",
    "x://n{?a,b}",
    "x://n{#part}",
];

/// The address that `values` give (RFC 6570, read forwards), every `%` of a value encoded.
fn expand(template: &UriTemplate, values: &Values) -> String {
    let of = |name: &String| {
        let value = values.iter().find(|(known, _)| known == name);
        value.map(|(_, value)| value.as_str())
    };
    let expand_part = |part: &Part| {
        let (operator, names) = match part {
            Part::Literal(text) => return text.clone(),
            Part::Variables(operator, names) => (*operator, names),
        };
        let (first, between) = match operator {
            Operator::Plain | Operator::Reserved => ("", ","),
            Operator::Fragment => ("#", ","),
            Operator::Path => ("/", "/"),
            Operator::Label => (".", "."),
            Operator::Query(_) => ("?", "&"),
        };
        let given = names
            .iter()
            .filter_map(|name| Some((name, encoded(of(name)?, operator))));
        let texts: Vec<String> = given
            .map(|(name, text)| match operator {
                Operator::Query(_) => format!("{name}={text}"),
                _ => text,
            })
            .collect();
        if texts.is_empty() {
            String::new()
        } else {
            format!("{first}{}", texts.join(between))
        }
    };
    template.parts.iter().map(expand_part).collect()
}

fn encoded(value: &str, operator: Operator) -> String {
    let keeps_reserved = matches!(operator, Operator::Reserved | Operator::Fragment);
    let stays = |letter: char| {
        letter.is_ascii_alphanumeric()
            || "-._~".contains(letter)
            || (keeps_reserved && ":/?#[]@!$&'()*+,;=".contains(letter))
    };
    let mut bytes = [0; 4];
    let letters = value.chars().map(|letter| {
        if stays(letter) {
            return letter.to_string();
        }
        let bytes = letter.encode_utf8(&mut bytes).bytes();
        bytes.map(|byte| format!("%{byte:02X}")).collect()
    });
    letters.collect()
}

proptest! {
    #[test]
    fn an_address_that_was_made_of_values_gives_them_back_or_is_refused(
        index in 0..CLEAR.len(),
        texts in proptest::collection::vec("[a./\\\\%2F\u{0}ü ,?#&=+-]{1,8}", 2),
    ) {
        let template = UriTemplate::parse(CLEAR[index]).expect("a template");
        let names = template.variables().map(str::to_owned);
        let values: Values = names.zip(texts).collect();
        let uri = expand(&template, &values);
        match template.matches(&uri) {
            Some(Ok(read)) => prop_assert_eq!(read, values, "{}", uri),
            Some(Err(_)) => {
                let is_safe = |(_, value): &(String, String)| {
                    !value.contains(['\\', '\0']) && !value.contains("..") && !value.starts_with('/')
                };
                prop_assert!(!values.iter().all(is_safe), "{} is refused", uri);
            }
            None => prop_assert!(false, "{} fits {} no more", uri, CLEAR[index]),
        }
    }

    #[test]
    fn what_is_read_of_any_address_is_what_it_would_be_made_of(
        index in 0..CLEAR.len(),
        rest in "[ab./%25FfCc3ü,?#&=+ -]{0,12}",
    ) {
        let template = UriTemplate::parse(CLEAR[index]).expect("a template");
        let literal = CLEAR[index].split('{').next().unwrap_or_default();
        let uri = format!("{literal}{rest}");
        if let Some(Ok(values)) = template.matches(&uri) {
            for (_, value) in &values {
                prop_assert!(!value.split('/').any(|segment| segment == ".."), "{}", uri);
            }
            let sorted = |mut values: Values| {
                values.sort();
                values
            };
            let again = template.matches(&expand(&template, &values));
            let again = again.map(|read| read.map(sorted));
            prop_assert_eq!(again, Some(Ok(sorted(values))), "{}", uri);
        }
    }
}
