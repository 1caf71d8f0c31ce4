//! The bundled plugins, run as anybody would run them: what they offer, what they print, how they fail.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::commands::output_within;

fn run(plugin: &str, words: &[&str]) -> Output {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("plugins")
        .join(plugin)
        .join("cli.py");
    output_within(
        Duration::from_secs(60),
        Command::new("python3").arg("-B").arg(cli).args(words),
    )
}

/// The exit status and the JSON on stdout.
fn answer(plugin: &str, words: &[&str]) -> (i32, Value) {
    let output = run(plugin, words);
    let status = output.status.code().expect("no signal ended it");
    let printed = String::from_utf8(output.stdout).expect("it prints UTF-8");
    let json = serde_json::from_str(&printed)
        .unwrap_or_else(|fault| panic!("{plugin} {words:?} printed {printed:?}: {fault}"));
    (status, json)
}

#[test]
fn each_plugin_describes_its_commands_and_their_parameters() {
    let expected = [
        (
            "demo_math",
            "calculate",
            &["operation:string!", "a:number!", "b:number!"][..],
        ),
        ("demo_math", "format_bytes", &["value:number!"]),
        ("demo_math", "coin_flip", &[]),
        (
            "demo_text",
            "echo",
            &["message:string!", "prefix:string=\"\""],
        ),
        ("demo_text", "word_count", &["text:string!"]),
        ("demo_text", "slugify", &["title:string!"]),
        ("demo_text", "hash_preview", &["text:string!"]),
    ];
    for plugin in ["demo_math", "demo_text"] {
        let (status, description) = answer(plugin, &["--describe"]);
        assert_eq!(
            (status, &description["contract_version"]),
            (0, &json!("1.0"))
        );
        assert_eq!(description["plugin"]["name"], plugin);
        let commands = description["commands"]
            .as_array()
            .expect("a list of commands");
        let expected: Vec<_> = expected.iter().filter(|(of, ..)| *of == plugin).collect();
        assert_eq!(commands.len(), expected.len());
        for (command, (_, name, parameters)) in commands.iter().zip(expected) {
            assert_eq!(command["name"], *name);
            assert_ne!(command["description"], "");
            let shown: Vec<String> = command["parameters"]
                .as_array()
                .expect("a list of parameters")
                .iter()
                .map(short)
                .collect();
            assert_eq!(shown, *parameters, "{name}");
        }
    }
}

#[test]
fn each_operation_that_the_description_names_is_accepted_in_any_case() {
    let (_, description) = answer("demo_math", &["--describe"]);
    let operation = &description["commands"][0]["parameters"][0];
    assert_eq!(operation["name"], "operation");
    let told = operation["description"].as_str().expect("a text");
    let (_, names) = told.split_once(": ").expect("it names them");
    assert_eq!(names.split(", ").count(), 6);
    for name in names.split(", ") {
        for spelled in [name.to_owned(), name.to_uppercase()] {
            let words = ["calculate", "--operation", &spelled, "--a=6", "--b=2"];
            let (status, printed) = answer("demo_math", &words);
            let answered = (status, &printed["ok"], &printed["operation"]);
            assert_eq!(answered, (0, &json!(true), &json!(name)), "{spelled}");
        }
    }
}

/// `name:type!` for a required parameter, `name:type=DEFAULT` for another.
fn short(parameter: &Value) -> String {
    let mut text = format!(
        "{}:{}",
        parameter["name"].as_str().unwrap(),
        parameter["type"].as_str().unwrap()
    );
    match parameter["required"].as_bool() {
        Some(true) => text.push('!'),
        _ => text.push_str(&format!("={}", parameter["default"])),
    }
    text
}

#[test]
fn each_command_prints_its_result() {
    let calculate = |operation, a, b| {
        let (status, json) = answer(
            "demo_math",
            &[
                "calculate",
                "--operation",
                operation,
                &format!("--a={a}"),
                &format!("--b={b}"),
            ],
        );
        assert_eq!(
            (status, &json["ok"], &json["operation"]),
            (0, &json!(true), &json!(operation))
        );
        json["result"].as_f64().expect("a number")
    };
    assert_eq!(calculate("add", "2", "3"), 5.0);
    assert_eq!(calculate("subtract", "2", "3"), -1.0);
    assert_eq!(calculate("multiply", "-1e-07", "2"), -2e-7);
    assert_eq!(calculate("divide", "1", "4"), 0.25);
    assert_eq!(calculate("power", "2", "10"), 1024.0);
    assert_eq!(calculate("modulo", "7", "4"), 3.0);
    let cases: &[(&str, &[&str], Value)] = &[
        (
            "demo_math",
            &["calculate", "--operation", "add", "--a", "2", "--b", "3"],
            json!({"ok": true, "operation": "add", "a": 2.0, "b": 3.0, "result": 5.0}),
        ),
        (
            "demo_math",
            &["format_bytes", "--value", "1536"],
            json!({"ok": true, "bytes": 1536, "human": "1.50 KiB"}),
        ),
        (
            "demo_math",
            &["format_bytes", "--value", "0"],
            json!({"ok": true, "bytes": 0, "human": "0 B"}),
        ),
        (
            "demo_math",
            &["format_bytes", "--value", "1.5"],
            json!({"ok": true, "bytes": 1, "human": "1 B"}),
        ),
        (
            "demo_math",
            &["format_bytes", "--value", "1048575"],
            json!({"ok": true, "bytes": 1_048_575, "human": "1.00 MiB"}),
        ),
        (
            "demo_math",
            &["format_bytes", "--value", "1180591620717411303424"],
            json!({"ok": true, "bytes": 1_180_591_620_717_411_303_424_f64, "human": "1024.00 EiB"}),
        ),
        (
            "demo_text",
            &["echo", "--message", "hello"],
            json!({"ok": true, "output": "hello"}),
        ),
        (
            "demo_text",
            &["echo", "--message", "message", "--prefix", "prefix"],
            json!({"ok": true, "output": "prefix: message"}),
        ),
        (
            "demo_text",
            &["word_count", "--text", "zwei Wörter\nund mehr"],
            json!({"ok": true, "words": 4, "characters": 20}),
        ),
        (
            "demo_text",
            &["slugify", "--title", " Crème brûlée, & more! "],
            json!({"ok": true, "slug": "cr-me-br-l-e-more"}),
        ),
        (
            "demo_text",
            &["slugify", "--title", "☃"],
            json!({"ok": true, "slug": "untitled"}),
        ),
        (
            "demo_text",
            &["hash_preview", "--text", "abc"],
            json!({"ok": true, "sha256_preview": "ba7816bf8f01cfea", "algorithm": "sha256"}),
        ),
    ];
    for (plugin, words, expected) in cases {
        assert_eq!(answer(plugin, words), (0, expected.clone()), "{words:?}");
    }
}

#[test]
fn a_coin_falls_on_both_sides() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..64 {
        let (status, json) = answer("demo_math", &["coin_flip"]);
        assert_eq!((status, &json["ok"]), (0, &json!(true)));
        seen.insert(json["result"].as_str().expect("a text").to_owned());
        if seen.len() == 2 {
            break;
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["heads", "tails"]);
}

#[test]
fn what_cannot_be_calculated_fails_with_one_word() {
    let cases = [
        (["divide", "1", "0"], "division_by_zero"),
        (["modulo", "1", "0"], "division_by_zero"),
        (["power", "0", "-1"], "division_by_zero"),
        (["root", "1", "2"], "invalid_operation"),
        (["power", "1e300", "2"], "result_too_large"),
        (["multiply", "1e300", "1e300"], "result_too_large"),
        (["power", "-8", "0.5"], "result_not_a_number"),
    ];
    for ([operation, a, b], error) in cases {
        let words = [
            "calculate",
            "--operation",
            operation,
            &format!("--a={a}"),
            &format!("--b={b}"),
        ];
        assert_eq!(
            answer("demo_math", &words),
            (1, json!({"ok": false, "error": error})),
            "{words:?}"
        );
    }
    let negative = answer("demo_math", &["format_bytes", "--value=-1"]);
    assert_eq!(
        negative,
        (
            1,
            json!({"ok": false, "error": "value must be non-negative"})
        )
    );
}

#[test]
fn a_wrong_command_line_is_answered_with_the_usage() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("demo_math", &[], "coin_flip"),
        (
            "demo_math",
            &["calculate", "--a", "1"],
            "required: --operation, --b",
        ),
        (
            "demo_math",
            &["calculate", "--operation", "add", "--a", "nan", "--b", "1"],
            "not a finite number",
        ),
        (
            "demo_math",
            &["format_bytes", "--value", "many"],
            "invalid size value",
        ),
        ("demo_text", &[], "hash_preview"),
        ("demo_text", &["slugify"], "required: --title"),
        ("demo_text", &["sing"], "invalid choice"),
    ];
    for (plugin, words, expected) in cases {
        let output = run(plugin, words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(stderr.contains(expected), "{words:?}: {stderr}");
    }
}

#[test]
fn the_help_names_every_command_and_shows_an_example() {
    for (plugin, commands) in [
        ("demo_math", &["calculate", "format_bytes", "coin_flip"][..]),
        (
            "demo_text",
            &["echo", "word_count", "slugify", "hash_preview"],
        ),
    ] {
        let output = run(plugin, &["--help"]);
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success());
        for word in commands.iter().chain(&["example: cli.py", "--describe"]) {
            assert!(help.contains(word), "{word} is not in {help}");
        }
    }
}
