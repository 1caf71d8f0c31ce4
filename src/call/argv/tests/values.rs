//! Values in the forms that options and positional arguments have.

use super::*;

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
