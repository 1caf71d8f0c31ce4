//! Rows 25 to 27: arguments on their way to a command line.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::served::served;
use crate::support::plugins::{Folder, fixtures};
use crate::support::rows;
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, code_of, text_of};
use crate::support::witness::Witness;

fn arguments(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

#[test]
fn arguments_that_do_not_fit_start_nothing() {
    let started = Folder::new();
    let started = started.path().join("started");
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .variable("STARTED", &started);
    let server = Server::start(&setup);
    server.ready();
    // What discovery may run is another claim.
    let _ = std::fs::remove_file(&started);
    let long = "n".repeat(65);
    let mut cases: Vec<(&str, &str, Value)> = Vec::new();
    for name in [
        "undeclared",
        "-help",
        "--help",
        "=x",
        "a=b",
        "new\nline",
        "",
        " ",
        "ünï",
        "a\0b",
        "text ",
    ] {
        cases.push((name, "args__show", arguments(name, json!("a"))));
    }
    for name in [
        "-help",
        "=x",
        "a=b",
        "new\nline",
        "",
        "ünï",
        "a.b",
        "a b",
        &long,
    ] {
        cases.push((name, "bare__repeat", arguments(name, json!("a"))));
    }
    for (what, name, value) in [
        ("a text for a number", "number", json!("many")),
        ("a list for a number", "number", json!([1])),
        ("a fraction for an integer", "integer", json!(1.5)),
        ("a word for a boolean", "answer", json!("perhaps")),
        ("a number for a text", "text", json!(5)),
        ("an object for a text", "text", json!({"a": 1})),
        ("a number for a list", "items", json!(5)),
        ("a number for an object", "thing", json!(5)),
    ] {
        cases.push((what, "args__show", arguments(name, value)));
    }
    cases.push(("a missing one", "lingers__sleep", json!({})));
    cases.push((
        "null for a required one",
        "lingers__sleep",
        json!({"mark": null}),
    ));
    rows::each(
        &cases,
        4,
        |(what, tool, _)| format!("row 25: {} for {tool}", what.escape_debug()),
        |(_, tool, arguments)| {
            let witness = Witness::of(server.address(), "");
            let mut session = Session::ready(server.address());
            let result = session.call(tool, arguments.clone());
            assert_eq!(code_of(&result), "invalid_arguments", "{result}");
            witness.must_be_served();
        },
    );
    assert!(
        !Path::new(&started).exists(),
        "row 25: a program was started: {:?}",
        std::fs::read_to_string(&started)
    );
    // The same programs leave their line when they are started.
    let mut session = Session::ready(server.address());
    session.call("args__show", json!({"text": "a"}));
    assert!(started.exists(), "row 25: this test would see nothing");
}

#[test]
fn all_faults_of_the_arguments_are_named_at_once() {
    let server = served();
    let mut session = Session::ready(server.address());
    let result = session.call(
        "args__show",
        json!({"undeclared": 1, "number": "many", "integer": 1.5}),
    );
    assert_eq!(code_of(&result), "invalid_arguments");
    for name in ["undeclared", "number", "integer"] {
        assert!(
            text_of(&result).contains(name),
            "{name} is not named: {result}"
        );
    }
}

#[test]
fn a_value_reaches_the_program_as_that_value() {
    let server = served();
    let cases = [
        ("text", json!("--help"), json!("--help")),
        ("text", json!("-x"), json!("-x")),
        ("text", json!("-"), json!("-")),
        ("text", json!("--text=a"), json!("--text=a")),
        ("text", json!("-1e-07"), json!("-1e-07")),
        ("text", json!(""), json!("")),
        ("text", json!(" a  b "), json!(" a  b ")),
        ("text", json!("two\nlines"), json!("two\nlines")),
        (
            "text",
            json!("$(id) `id` ; | & > \\ \" '"),
            json!("$(id) `id` ; | & > \\ \" '"),
        ),
        ("text", json!("ünï 😀 \u{202e}"), json!("ünï 😀 \u{202e}")),
        ("number", json!(-1e-7), json!("-1e-7")),
        ("number", json!(-5), json!("-5")),
        ("number", json!("-1e-07"), json!("-1e-07")),
        ("integer", json!(5.0), json!("5")),
        ("integer", json!(-3), json!("-3")),
        ("answer", json!(true), json!("true")),
        ("answer", json!(false), json!("false")),
        (
            "items",
            json!(["-a", "--help", "b"]),
            json!(["-a", "--help", "b"]),
        ),
        ("items", json!({"item": "one"}), json!(["one"])),
        (
            "items",
            json!("-text for a list"),
            json!(["-text for a list"]),
        ),
        (
            "thing",
            json!({"a": [1, {"b": null}]}),
            json!(r#"{"a":[1,{"b":null}]}"#),
        ),
        ("thing", json!("-not json"), json!("-not json")),
    ];
    rows::each(
        &cases,
        4,
        |(name, value, _)| format!("row 26: {name} = {value}"),
        |(name, value, expected)| {
            let mut session = Session::ready(server.address());
            let result = session.call("args__show", arguments(name, value.clone()));
            let shown: Value =
                serde_json::from_str(text_of(&result)).expect("the program prints JSON");
            let mut shown = shown[name].clone();
            // Numbers keep the text they came with, for which JSON has more than one.
            if *value == json!(-1e-7) {
                assert_eq!(
                    shown.as_str().and_then(|text| text.parse().ok()),
                    value.as_f64()
                );
                shown = expected.clone();
            }
            assert_eq!(shown, *expected, "{result}");
        },
    );
    // Older versions of argparse lose this one by themselves, so a program shows its bare command line.
    let mut session = Session::ready(server.address());
    let result = session.call("bare__repeat", json!({"text": "--"}));
    assert_eq!(text_of(&result), r#"["repeat", "--text=--"]"#, "row 26");
    Witness::of(server.address(), "").must_be_served();
}

#[test]
fn arguments_that_the_system_cannot_carry_are_refused() {
    let server = served();
    let text = |length: usize| "t".repeat(length);
    let many: Map<String, Value> = (0..39)
        .map(|number| (format!("part-{number}"), json!(text(100_000))))
        .collect();
    let cases = [
        (
            "a NUL",
            "args__show",
            json!({"text": "a\0b"}),
            Some("invalid_arguments"),
        ),
        (
            "a NUL in a list",
            "args__show",
            json!({"items": ["a", "\0"]}),
            Some("invalid_arguments"),
        ),
        (
            "131,071 bytes",
            "args__show",
            json!({"text": text(131_071)}),
            None,
        ),
        (
            "131,072 bytes",
            "args__show",
            json!({"text": text(131_072)}),
            Some("arguments_too_large"),
        ),
        (
            "a word of 131,072 bytes with its option",
            "args__show",
            json!({"text": format!("-{}", text(131_070))}),
            Some("arguments_too_large"),
        ),
        (
            "2 MB in one argument",
            "args__show",
            json!({"text": text(2_000_000)}),
            Some("arguments_too_large"),
        ),
        (
            "4 MB in all, above the usual limit of 2 MiB",
            "args__many",
            Value::Object(many),
            Some("arguments_too_large"),
        ),
    ];
    rows::each(
        &cases,
        4,
        |(what, ..)| format!("row 27: {what}"),
        |(_, tool, arguments, code)| {
            let witness = Witness::of(server.address(), "");
            let mut session = Session::ready(server.address());
            let result = session.call(tool, arguments.clone());
            match code {
                Some(code) => assert_eq!(code_of(&result), *code),
                None => assert_eq!(text_of(&result), r#"{"text": 131071}"#),
            }
            witness.must_be_served();
        },
    );
}
