//! Any values, written and read back as programs read them.

use proptest::prelude::*;

use super::*;

/// Any text, and often one that looks like an option.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_filter("no NUL", |text| !text.contains('\0')),
        "-{1,3}[a-z]{0,6}(=[a-z]{0,3})?",
        "-[0-9.e-]{0,5}",
        Just("--".to_owned()),
        Just("--flag".to_owned()),
    ]
}

const PARAMETERS: &str = r#"[
    {"name": "flag", "type": "boolean", "arg_style": "flag"},
    {"name": "text"},
    {"name": "short", "flag": "-s"},
    {"name": "many", "type": "array", "items": {"type": "string"}},
    {"name": "word", "arg_style": "positional"},
    {"name": "words", "type": "array", "items": {"type": "string"}, "arg_style": "positional"}
]"#;

/// Reads a command line as getopt and its heirs do, for the options of [`PARAMETERS`].
fn parsed(words: &[String]) -> Value {
    let mut read = json!({});
    let mut many = Vec::new();
    let mut positional = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if word.starts_with("--") => (option, Some(value.to_owned())),
            _ if word.starts_with("-s") && word.len() > 2 => ("-s", Some(word[2..].to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value = || {
            value
                .clone()
                .or_else(|| rest.next().cloned())
                .expect("an option has its value")
        };
        match option {
            "--" if word == "--" => positional.extend(rest.by_ref().cloned()),
            "--flag" => read["flag"] = true.into(),
            "--text" => read["text"] = value().into(),
            "-s" => read["short"] = value().into(),
            "--many" => many.push(value()),
            other => {
                assert!(
                    !other.starts_with('-'),
                    "{word} would be taken for an option"
                );
                positional.push(word.clone());
            }
        }
    }
    if !many.is_empty() {
        read["many"] = json!(many);
    }
    let mut positional = positional.into_iter();
    if let Some(word) = positional.next() {
        read["word"] = word.into();
    }
    if positional.len() > 0 {
        read["words"] = positional.collect::<Vec<_>>().into();
    }
    read
}

proptest! {
    #[test]
    fn whatever_a_value_is_the_program_gets_it_as_that_value(
        flag in proptest::bool::ANY, value in text(), short in text(), word in text(),
        many in prop::collection::vec(text(), 1..4), spread in prop::collection::vec(text(), 1..4),
    ) {
        let mut given = json!({"text": value, "short": short, "many": many, "word": word, "words": spread});
        if flag {
            given["flag"] = true.into();
        }
        let parameters: Value = serde_json::from_str(PARAMETERS).expect("it is JSON");
        let written = words(parameters, &given.to_string()).expect("all of it can be written");
        prop_assert_eq!(parsed(&written), given);
    }
}

/// What a program gets as the value of its one argument: the words of its command line, one variable of its
/// environment, the object on its standard input.
fn by_every_way(members: &Value, value: &str) -> (Vec<String>, String, String) {
    let entry = |more: Value| {
        let mut parameter = json!({"name": "v"});
        let all = parameter.as_object_mut().expect("an object");
        all.extend(members.as_object().expect("an object").clone());
        all.extend(more.as_object().expect("an object").clone());
        json!({"name": "run", "parameters": [parameter]})
    };
    let arguments = format!("{{\"v\":{value}}}");
    let write = |entry: &Value| write_line(entry, &arguments).expect("it fits");
    let words = write(&entry(json!({"separator": "="}))).words[1..].to_vec();
    let environment = write(&entry(json!({"env": "V"}))).environment.remove(0).1;
    let mut reading_stdin = entry(json!({}));
    reading_stdin["input"] = "stdin".into();
    let stdin = write(&reading_stdin)
        .stdin
        .expect("it reads standard input");
    (
        words,
        environment,
        String::from_utf8(stdin).expect("it is JSON"),
    )
}

proptest! {
    #[test]
    fn a_number_reaches_the_program_as_it_was_written_by_every_way(
        integer in "-?[1-9][0-9]{0,40}", fraction in "(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
    ) {
        let number = || format!("{integer}{fraction}");
        let cases = [
            ("integer", integer.clone()),
            ("number", number()),
        ];
        for (kind, digits) in &cases {
            let one = json!({"type": kind});
            let list = json!({"type": "array", "items": {"type": kind}});
            let object = json!({"type": "object"});
            let text = format!("\"{digits}\"");
            let word = || vec![format!("--v={digits}")];
            let listed = format!("[{digits}]");
            let stdin = |json: &str| format!("{{\"v\":{json}}}");
            for given in [digits, &text] {
                prop_assert_eq!(by_every_way(&one, given), (word(), digits.clone(), stdin(digits)));
            }
            // A text that stands for a list of one goes as that one.
            prop_assert_eq!(by_every_way(&list, &text), (word(), digits.clone(), stdin(&listed)));
            for given in [listed.clone(), format!("[{text}]"), format!("{{\"item\":{digits}}}"), format!("{{\"item\":[{text}]}}")] {
                prop_assert_eq!(by_every_way(&list, &given), (word(), listed.clone(), stdin(&listed)));
            }
            let nested = format!("{{\"a\":[{digits}]}}");
            prop_assert_eq!(
                by_every_way(&object, &nested),
                (vec![format!("--v={nested}")], nested.clone(), stdin(&nested))
            );
            let several = json!({"anyOf": [{"type": "number"}, {"type": "null"}]});
            prop_assert_eq!(by_every_way(&several, digits), (word(), digits.clone(), stdin(digits)));
        }
    }
}
