use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::{call::arguments, contract, contract::schema};

fn write_line(entry: &Value, arguments: &str) -> Result<Line, String> {
    let description = contract::read(&json!({"contract_version": "1.1", "commands": [entry]}))
        .expect("it keeps the contract");
    let command = &description.commands[0];
    let schema = schema::of_input(command).expect("a schema");
    let raw = RawValue::from_string(arguments.to_owned()).expect("it is JSON");
    let checked =
        arguments::check(command, &schema, Some(&raw)).map_err(|faults| faults.to_string())?;
    write(command, &checked).map_err(|refused| match refused {
        Unwritable::Faults(faults) => faults.to_string(),
        Unwritable::TooLarge(message) => message,
    })
}

/// The words of a command `run` with these parameters; without the command itself.
fn words(parameters: Value, arguments: &str) -> Result<Vec<String>, String> {
    let line = write_line(&json!({"name": "run", "parameters": parameters}), arguments)?;
    assert_eq!(line.words.first().map(String::as_str), Some("run"));
    Ok(line.words[1..].to_vec())
}

fn one(members: Value, value: &str) -> Result<Vec<String>, String> {
    let mut parameter = json!({"name": "some_name"});
    parameter
        .as_object_mut()
        .expect("an object")
        .extend(members.as_object().expect("an object").clone());
    words(json!([parameter]), &format!("{{\"some_name\":{value}}}"))
}

#[test]
fn each_kind_of_value_is_written_as_the_contract_says() {
    let strings = json!({"type": "array", "items": {"type": "string"}});
    let with = |base: &Value, more: Value| {
        let mut members = base.clone();
        members
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        members
    };
    let cases: Vec<(Value, &str, &[&str])> = vec![
        (
            json!({"type": "boolean", "action": "store_true"}),
            "true",
            &["--some-name"],
        ),
        (
            json!({"type": "boolean", "action": "store_true"}),
            "false",
            &[],
        ),
        (
            json!({"type": "boolean", "action": "store_false"}),
            "true",
            &["--some-name"],
        ),
        (
            json!({"type": "boolean", "takes_value": false}),
            "\"true\"",
            &["--some-name"],
        ),
        (
            json!({"type": "boolean", "flag": "--on", "negative_flag": "--off"}),
            "true",
            &["--on"],
        ),
        (
            json!({"type": "boolean", "flag": "--on", "negative_flag": "--off"}),
            "false",
            &["--off"],
        ),
        (json!({"type": "boolean"}), "true", &["--some-name", "true"]),
        (
            json!({"type": "boolean"}),
            "false",
            &["--some-name", "false"],
        ),
        (
            json!({"type": "boolean"}),
            "\"True\"",
            &["--some-name", "True"],
        ),
        (
            json!({"type": "boolean", "arg_style": "value"}),
            "true",
            &["--some-name", "true"],
        ),
        (strings.clone(), "{\"item\":\"x\"}", &["--some-name", "x"]),
        (
            strings.clone(),
            "[\"a\",\"b\"]",
            &["--some-name", "a", "--some-name", "b"],
        ),
        (
            strings.clone(),
            "[\"-a\",\"\"]",
            &["--some-name=-a", "--some-name", ""],
        ),
        (strings.clone(), "[]", &[]),
        (strings.clone(), "\"a,b\"", &["--some-name", "a,b"]),
        (
            with(&strings, json!({"arg_style": "list"})),
            "[\"a\",\"b\"]",
            &["--some-name", "a", "b"],
        ),
        (
            with(&strings, json!({"arg_style": "list"})),
            "[\"-a\"]",
            &["--some-name=-a"],
        ),
        (
            with(&strings, json!({"arg_style": "list"})),
            "[]",
            &["--some-name"],
        ),
        (
            with(&strings, json!({"arg_style": "list", "dashes": "any"})),
            "[\"-a\",\"b\"]",
            &["--some-name", "-a", "b"],
        ),
        (
            with(&strings, json!({"arg_style": "list", "dashes": "numbers"})),
            "[\"-.5\",\"b\"]",
            &["--some-name", "-.5", "b"],
        ),
        (
            with(&strings, json!({"arg_style": "value"})),
            "[\"a\"]",
            &["--some-name", "[\"a\"]"],
        ),
        (
            with(&strings, json!({"arg_style": "positional"})),
            "[\"a\",\"b\"]",
            &["a", "b"],
        ),
        (
            with(&strings, json!({"arg_style": "positional"})),
            "[\"a\",\"-b\"]",
            &["--", "a", "-b"],
        ),
        (
            with(&strings, json!({"arg_style": "rest"})),
            "[\"a\",\"-b\"]",
            &["a", "-b"],
        ),
        (json!({"type": "array"}), "[1, true, \"x\"]", &["!"]),
        (
            json!({"type": "array", "items": {}}),
            "[1.50, true, \"x\"]",
            &[
                "--some-name",
                "1.50",
                "--some-name",
                "true",
                "--some-name",
                "x",
            ],
        ),
        (
            json!({"type": "array", "items": {}}),
            "[1, {\"a\": 2}]",
            &["--some-name", "[1, {\"a\": 2}]"],
        ),
        (
            json!({"type": "array", "items": {"type": "object"}}),
            "[{\"a\": 1.0}]",
            &["--some-name", "[{\"a\": 1.0}]"],
        ),
        (
            json!({"type": "array", "items": {"type": "object"}}),
            "[]",
            &["--some-name", "[]"],
        ),
        (
            json!({"type": "array", "items": {"type": "array"}, "arg_style": "repeat"}),
            "[[\"a\",\"b\"],[\"c\"]]",
            &["--some-name", "a", "b", "--some-name", "c"],
        ),
        (
            json!({"type": "object"}),
            "{\"a\": 1e2}",
            &["--some-name", "{\"a\": 1e2}"],
        ),
        (
            json!({"type": "object"}),
            "\"@file\"",
            &["--some-name", "@file"],
        ),
        (json!({"type": "object"}), "\"-x\"", &["--some-name=-x"]),
        (json!({}), "\"--help\"", &["--some-name=--help"]),
        (json!({}), "\"-\"", &["--some-name=-"]),
        (json!({}), "\"--\"", &["--some-name=--"]),
        (json!({}), "\"\"", &["--some-name", ""]),
        (json!({}), "\"two\\nlines\"", &["--some-name", "two\nlines"]),
        (json!({"type": "number"}), "-1e-07", &["--some-name=-1e-07"]),
        (json!({"type": "number"}), "2.50", &["--some-name", "2.50"]),
        (json!({"type": "integer"}), "5.0", &["--some-name", "5"]),
        (
            json!({"type": "integer", "arg_style": "count", "flag": "-v"}),
            "3",
            &["-v", "-v", "-v"],
        ),
        (
            json!({"type": "integer", "arg_style": "count", "flag": "-v"}),
            "0",
            &[],
        ),
        (
            json!({"flag": "--some_name"}),
            "\"x\"",
            &["--some_name", "x"],
        ),
        (json!({"flag": "-n"}), "\"x\"", &["-n", "x"]),
        (json!({"type": "integer"}), "-5", &["--some-name", "-5"]),
        (json!({"type": "number"}), "-0.5", &["--some-name", "-0.5"]),
        (json!({}), "\"-5\"", &["--some-name", "-5"]),
        (json!({}), "\"-5a\"", &["--some-name=-5a"]),
        (json!({"dashes": "none"}), "\"-5\"", &["--some-name=-5"]),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            "[-1,2]",
            &["--some-name", "-1", "--some-name", "2"],
        ),
        (
            json!({"flag": "-n", "type": "integer"}),
            "-5",
            &["-n", "-5"],
        ),
        (json!({"flag": "-n"}), "\"-x\"", &["-n-x"]),
        (json!({"flag": "-name"}), "\"-x\"", &["-name=-x"]),
        (json!({"separator": "="}), "\"x\"", &["--some-name=x"]),
        (json!({"separator": "=", "flag": "-n"}), "\"\"", &["-n="]),
        (json!({"separator": "", "flag": "-n"}), "\"-x\"", &["-n-x"]),
        (json!({"separator": "", "flag": "-n"}), "\"\"", &["-n", ""]),
        (json!({"arg_style": "positional"}), "\"x\"", &["x"]),
        (
            json!({"arg_style": "positional"}),
            "\"--help\"",
            &["--", "--help"],
        ),
    ];
    for (members, value, expected) in cases {
        if expected == ["!"] {
            assert!(one(members.clone(), value).is_err(), "{members} {value}");
            continue;
        }
        assert_eq!(
            one(members.clone(), value).as_deref(),
            Ok(&expected
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()[..]),
            "{members} {value}"
        );
    }
}

#[test]
fn what_no_command_line_can_carry_is_refused() {
    let list = |more: Value| {
        let mut members = json!({"type": "array", "items": {"type": "string"}});
        members
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        members
    };
    let cases = [
        (
            list(json!({"arg_style": "list"})),
            "[\"a\",\"-b\"]",
            "cannot have the item -b among others",
        ),
        (
            list(json!({"arg_style": "list", "dashes": "numbers"})),
            "[\"-5\",\"-b\"]",
            "cannot have the item -b",
        ),
        (
            list(json!({"arg_style": "list", "dashes": "numbers"})),
            "[\"a\",\"-1e5\"]",
            "cannot have the item -1e5",
        ),
        (
            list(json!({"arg_style": "rest"})),
            "[\"-a\"]",
            "'some_name' cannot be -a",
        ),
        (
            json!({"arg_style": "positional", "level": 0}),
            "\"-a\"",
            "'some_name' cannot be -a",
        ),
        (
            json!({}),
            "\"a\\u0000b\"",
            "'some_name' contains a NUL character",
        ),
        (
            json!({"env": "NAME"}),
            "\"a\\u0000b\"",
            "'some_name' contains a NUL character",
        ),
        (
            json!({"type": "integer", "arg_style": "count", "flag": "-v"}),
            "100000",
            "must be from 0 to 1000",
        ),
    ];
    for (members, value, expected) in cases {
        let fault = one(members.clone(), value).expect_err("it is refused");
        assert!(fault.contains(expected), "{members} {value}: {fault}");
    }
}

#[test]
fn one_word_is_as_long_as_the_system_takes_and_no_longer() {
    let sized =
        |members: Value, length: usize| one(members, &format!("\"{}\"", "x".repeat(length)));
    let in_one_word = "--some-name=".len();
    assert!(sized(json!({}), MAX_WORD).is_ok());
    assert!(sized(json!({"separator": "="}), MAX_WORD - in_one_word).is_ok());
    for fault in [
        sized(json!({}), MAX_WORD + 1),
        sized(json!({"separator": "="}), MAX_WORD - in_one_word + 1),
        sized(json!({"env": "TEXT"}), MAX_WORD - 4),
    ] {
        let fault = fault.expect_err("it is too large");
        assert!(fault.contains("'some_name' takes 131072 bytes"), "{fault}");
    }
}

#[test]
fn options_of_outer_parsers_stand_before_the_words_of_inner_ones() {
    let entry = json!({"name": "run", "invoke": ["remote", "add"], "parameters": [
        {"name": "url", "arg_style": "positional"},
        {"name": "verbose", "type": "integer", "arg_style": "count", "flag": "-v", "level": 0},
        {"name": "repository", "level": 0, "arg_style": "positional"},
        {"name": "dry", "type": "boolean", "arg_style": "flag", "level": 1},
        {"name": "tags", "type": "array", "arg_style": "list"},
    ]});
    let line = write_line(
        &entry,
        r#"{"url":"u","verbose":2,"dry":true,"tags":["a","b"],"repository":"r"}"#,
    );
    let expected = [
        "-v", "-v", "r", "remote", "--dry", "add", "--tags", "a", "b", "--", "u",
    ];
    assert_eq!(line.expect("it is written").words, expected);
    let bare = json!({"name": "run", "invoke": [], "parameters": [{"name": "x"}]});
    assert_eq!(
        write_line(&bare, r#"{"x":"1"}"#)
            .expect("it is written")
            .words,
        ["--x", "1"]
    );
}

#[test]
fn a_word_in_the_middle_cannot_be_left_out() {
    let parameters = json!([
        {"name": "a", "arg_style": "positional"}, {"name": "b", "arg_style": "positional"},
        {"name": "c", "arg_style": "positional", "required": true},
    ]);
    assert_eq!(
        words(parameters.clone(), r#"{"c":"3"}"#),
        Ok(vec!["3".to_owned()])
    );
    assert_eq!(
        words(parameters.clone(), r#"{"a":"1","c":"3"}"#),
        Ok(vec!["1".to_owned(), "3".to_owned()])
    );
    assert_eq!(
        words(parameters, r#"{"b":"2","c":"3"}"#),
        Err("'b' needs 'a' before it".to_owned())
    );
}

#[test]
fn values_for_the_environment_and_for_stdin_stay_off_the_command_line() {
    let entry = json!({"name": "run", "input": "stdin", "parameters": [
        {"name": "b", "type": "number"}, {"name": "a", "type": "string"}, {"name": "key", "env": "KEY"},
        {"name": "list", "type": "array", "env": "LIST"},
    ]});
    let line = write_line(
        &entry,
        r#"{"key":"s","a":"x\u0000","b":1.50,"list":["p", "q"]}"#,
    )
    .expect("it is written");
    assert_eq!(line.words, ["run"]);
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        line.environment,
        [variable("KEY", "s"), variable("LIST", "[\"p\", \"q\"]")]
    );
    assert_eq!(
        line.stdin.as_deref(),
        Some(br#"{"b":1.50,"a":"x\u0000"}"#.as_slice())
    );
}

#[test]
fn undeclared_names_become_options_only_where_they_are_plain() {
    let open = json!({"name": "run", "input_schema": {"type": "object"}});
    let line = write_line(
        &open,
        r#"{"max_size":1,"ok":false,"list":["-a"],"o":{"k":1}}"#,
    )
    .expect("it is written");
    assert_eq!(
        line.words,
        [
            "run",
            "--max-size",
            "1",
            "--ok",
            "false",
            "--list=-a",
            "--o",
            "{\"k\":1}"
        ]
    );
    for name in ["-help", "=x", "a b", "", "ü", "a\n", "_x", &"x".repeat(65)] {
        let arguments = json!({name: "v"}).to_string();
        assert!(
            write_line(&open, &arguments)
                .expect_err("it is refused")
                .contains("cannot be an option"),
            "{name:?}"
        );
    }
}

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

#[test]
fn an_option_with_several_values_swallows_neither_the_command_nor_a_positional_value() {
    let list = |name: &str| json!({"name": name, "type": "array", "arg_style": "list", "level": 0});
    let text = json!({"name": "text", "level": 0});
    let with = |parameters: Value, arguments: &str| {
        let line = write_line(&json!({"name": "run", "parameters": parameters}), arguments)?;
        Ok::<_, String>(line.words.join(" "))
    };
    let both = json!([list("many"), text]);
    assert_eq!(
        with(both.clone(), r#"{"many":["a","b"],"text":"x"}"#).as_deref(),
        Ok("--many a b --text x run")
    );
    assert_eq!(
        with(both.clone(), r#"{"many":["a"]}"#).as_deref(),
        Ok("--many=a run")
    );
    let fault = with(both, r#"{"many":["a","b"]}"#).expect_err("the command would be a value");
    assert!(fault.contains("needs another option behind it"), "{fault}");
    let positional = json!([
        {"name": "many", "type": "array", "arg_style": "list"},
        {"name": "word", "arg_style": "positional"},
    ]);
    assert_eq!(
        with(positional, r#"{"many":["a"],"word":"w"}"#).as_deref(),
        Ok("run --many a -- w")
    );
    let pairs = json!([{"name": "pair", "type": "array", "arg_style": "list", "level": 0, "minItems": 2, "maxItems": 2}]);
    assert_eq!(
        with(pairs, r#"{"pair":["a","b"]}"#).as_deref(),
        Ok("--pair a b run")
    );
}

#[test]
fn a_negative_number_is_a_word_of_its_own_only_where_no_option_looks_like_one() {
    let number = json!({"name": "size", "type": "number"});
    for (flag, expected) in [
        ("--one", vec!["--size", "-1"]),
        ("-o1", vec!["--size", "-1"]),
        ("-1", vec!["--size=-1"]),
        ("-10x", vec!["--size=-1"]),
        ("-.5", vec!["--size=-1"]),
    ] {
        let switch = json!({"name": "one", "type": "boolean", "arg_style": "flag", "flag": flag});
        let written = words(json!([number, switch]), r#"{"size": -1}"#);
        assert_eq!(written.expect("it can be written"), expected, "{flag}");
    }
}
