use serde_json::{Value, json};

use super::super::types::DEFAULT_OUTPUT_BYTES;
use super::*;
use crate::contract::shape::MAX_MEMBERS;
use crate::process::OutputShare;

fn finished(ending: Ending, stdout: &[u8], stderr: &str) -> Finished {
    Finished {
        ending,
        stdout: stdout.to_vec(),
        stderr_tail: stderr.as_bytes().to_vec(),
        share: OutputShare::default(),
    }
}

fn expected(output: Output, schema: Option<&Schema>) -> Expected<'_> {
    Expected {
        tool: "p__run",
        output,
        schema,
        limits: Limits::default(),
    }
}

fn blocks(result: &ToolResult) -> Box<RawValue> {
    result.content.blocks().to_raw().expect("it is JSON")
}

fn shape(result: &ToolResult) -> Value {
    let parse = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).expect("it is JSON");
    let blocks = blocks(result);
    let mut shape = json!({"content": parse(&blocks), "isError": result.is_error});
    if let Some(structured) = result.content.structured() {
        shape["structuredContent"] = parse(structured);
    }
    for (name, value) in &result.other {
        shape[name] = parse(value);
    }
    shape
}

#[test]
fn stdout_without_the_white_space_around_it_is_the_text() {
    let cases: [(&[u8], &str); 5] = [
        (b"  hello\nworld \n\n", "hello\nworld"),
        (b"", ""),
        (b"\n \t", ""),
        (b"a\xffb", "a\u{fffd}b"),
        (b"nul\0kept", "nul\0kept"),
    ];
    for (stdout, text) in cases {
        let result = result(
            finished(Ending::Exited(0), stdout, "ignored"),
            expected(Output::Text, None),
        );
        let shown = shape(&result.expect("it went well"));
        assert_eq!(
            shown,
            json!({"content": [{"type": "text", "text": text}], "isError": false})
        );
    }
}

#[test]
fn a_program_that_failed_speaks_for_itself() {
    let exit = Ending::Exited(3);
    let cases = [
        (
            exit,
            r#"{"ok":false,"error":"division_by_zero"}"#,
            "noise",
            "division_by_zero",
        ),
        (
            exit,
            r#"{"error":{"code":1,"why":[]}}"#,
            "",
            r#"{"code":1,"why":[]}"#,
        ),
        (exit, "a log line\n{\"error\":\"last\"}\n", "", "last"),
        (exit, r#"{"error":null}"#, "", r#"{"error":null}"#),
        (exit, "  what went wrong \n", "noise", "what went wrong"),
        (exit, "{\"error\":", "", "{\"error\":"),
        (
            exit,
            "",
            "Traceback\nValueError: no\n",
            "Traceback\nValueError: no",
        ),
        (
            exit,
            "",
            "",
            "p__run exited with status 3 and printed nothing",
        ),
        (
            Ending::Signalled(11),
            "",
            "",
            "p__run was ended by SIGSEGV (signal 11) and printed nothing",
        ),
        (
            Ending::Signalled(64),
            "",
            "",
            "p__run was ended by signal 64 and printed nothing",
        ),
    ];
    for (ending, stdout, stderr, message) in cases {
        let failed = result(
            finished(ending, stdout.as_bytes(), stderr),
            expected(Output::Text, None),
        );
        let failed = failed.expect_err("it failed");
        assert_eq!(
            (failed.code(), failed.to_string().as_str()),
            ("plugin_error", message),
            "{stdout}{stderr}"
        );
    }
}

#[test]
fn each_ending_has_its_code() {
    let cases = [
        (Ending::TimedOut, "timeout"),
        (Ending::Cancelled, "cancelled"),
        (Ending::OutputTooLarge, "output_too_large"),
        (Ending::SupervisorLost, "internal_error"),
    ];
    for (ending, code) in cases {
        let failed = result(
            finished(ending, b"so far", ""),
            expected(Output::Text, None),
        )
        .expect_err("it failed");
        assert_eq!(failed.code(), code);
    }
    let long = vec![b'x'; 1 << 20];
    let failed = result(
        finished(Ending::TimedOut, &long, ""),
        expected(Output::Text, None),
    )
    .expect_err("it failed");
    assert!(
        failed.to_string().ends_with("(1048576 bytes in all)") && failed.to_string().len() < 70_000
    );
}

#[test]
fn json_is_parsed_checked_and_given_as_structure_too() {
    let schema = Schema::compile(json!({"type": "object", "required": ["id"]})).expect("a schema");
    let run = |stdout: &str, output, schema| {
        result(
            finished(Ending::Exited(0), stdout.as_bytes(), ""),
            expected(output, schema),
        )
    };
    for output in [Output::Text, Output::Json] {
        let fits = run(" {\"id\": 1.0}\n", output, Some(&schema)).expect("it fits");
        assert_eq!(
            fits.content.structured().map(RawValue::get),
            Some("{\"id\": 1.0}")
        );
        assert_eq!(shape(&fits)["content"][0]["text"], "{\"id\": 1.0}");
        let refused = run("{}", output, Some(&schema)).expect_err("it does not fit");
        assert!(refused.to_string().contains("'id' is missing"), "{refused}");
        let broken = run("{\"id\": NaN}", output, Some(&schema)).expect_err("it is no JSON");
        assert_eq!(broken.code(), "plugin_error");
    }
    assert_eq!(
        shape(&run("[1]", Output::Json, None).expect("any JSON"))["structuredContent"],
        json!([1])
    );
    assert!(run("text", Output::Json, None).is_err());
}

#[test]
fn a_complete_result_is_passed_on_as_it_was_written() {
    let run = |stdout: &str, schema| {
        result(
            finished(Ending::Exited(0), stdout.as_bytes(), ""),
            expected(Output::Content, schema),
        )
    };
    let printed = r#"{"content":[{"type":"hologram","data":1e2}],"isError":true,"_meta":{"k":1},"later":[2],"structuredContent":{"a":1}}"#;
    let passed = run(printed, None).expect("it is a result");
    assert_eq!(blocks(&passed).get(), r#"[{"type":"hologram","data":1e2}]"#);
    assert_eq!(
        shape(&passed),
        serde_json::from_str::<Value>(printed).expect("it is JSON")
    );
    assert_eq!(
        passed
            .other
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        ["_meta", "later"]
    );
    for wrong in [
        "text",
        "{}",
        r#"{"content":"x"}"#,
        r#"{"content":["x"]}"#,
        r#"{"content":[],"_meta":{},"_meta":{"k":1}}"#,
        r#"{"content":[],"later":1,"l\u0061ter":2}"#,
        r#"{"content":[],"isError":"no"}"#,
    ] {
        assert_eq!(
            run(wrong, None).expect_err("it is no result").code(),
            "plugin_error",
            "{wrong}"
        );
    }
    let schema = Schema::compile(json!({"type": "object", "required": ["a"]})).expect("a schema");
    assert!(
        run(
            r#"{"content":[],"structuredContent":{"a":1}}"#,
            Some(&schema)
        )
        .is_ok()
    );
    assert!(run(r#"{"content":[],"isError":true}"#, Some(&schema)).is_ok());
    for wrong in [
        r#"{"content":[]}"#,
        r#"{"content":[],"structuredContent":{}}"#,
    ] {
        assert!(run(wrong, Some(&schema)).is_err(), "{wrong}");
    }
}

#[test]
fn an_array_or_a_text_is_no_object_with_an_error() {
    for stdout in [r#"["x"]"#, r#"[{"error":"inner"}]"#, r#""error""#, "7"] {
        let failed = result(
            finished(Ending::Exited(1), stdout.as_bytes(), ""),
            expected(Output::Text, None),
        );
        assert_eq!(failed.expect_err("it failed").to_string(), stdout);
    }
}

#[test]
fn a_text_that_grows_too_much_when_it_is_escaped_is_too_large() {
    let run = |byte: u8, length: usize, output| {
        result(
            finished(Ending::Exited(0), &vec![byte; length], ""),
            expected(output, None),
        )
    };
    let room = Limits::default().escaped() / 6;
    assert!(run(0, room, Output::Text).is_ok());
    let refused = run(0, room + 1, Output::Text).expect_err("six bytes each");
    assert_eq!(refused.code(), "output_too_large");
    let refused =
        run(0xff, Limits::default().escaped() / 3 + 1, Output::Text).expect_err("three bytes each");
    assert_eq!(refused.code(), "output_too_large");
    let given = run(b'x', DEFAULT_OUTPUT_BYTES, Output::Text).expect("one byte each");
    assert!(blocks(&given).get().len() < DEFAULT_OUTPUT_BYTES + 100);
}

#[test]
fn what_is_too_large_to_be_checked_is_refused_and_passes_without_a_schema() {
    let schema = Schema::compile(json!({"type": "array"})).expect("a schema");
    let many = format!(
        "[1{}]",
        ",1".repeat(Limits::default().tree() / size_of::<Value>())
    );
    let run = |schema| {
        result(
            finished(Ending::Exited(0), many.as_bytes(), ""),
            expected(Output::Json, schema),
        )
    };
    let refused = run(Some(&schema)).expect_err("a tree of it is too large");
    assert_eq!(refused.code(), "output_too_large");
    assert!(refused.to_string().contains("output_schema"), "{refused}");
    assert!(run(None).is_ok());
}

#[test]
fn a_complete_result_has_a_bounded_number_of_members() {
    let printed = |more: usize| {
        let more: String = (0..more).map(|n| format!(",\"m{n}\":1")).collect();
        format!("{{\"content\":[]{more}}}")
    };
    for (more, passes) in [(MAX_MEMBERS - 1, true), (MAX_MEMBERS, false)] {
        let done = finished(Ending::Exited(0), printed(more).as_bytes(), "");
        let outcome = result(done, expected(Output::Content, None));
        assert_eq!(outcome.is_ok(), passes, "{more} more");
    }
}
