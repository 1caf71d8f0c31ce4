//! Any bytes as what a program printed: never a panic, and what a client is told is well-formed and bounded.
//!
//! The first byte chooses the style of the output, how the program ended, whether a schema is declared, and whether
//! the bytes came from stdout or from stderr.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use smcp::call::output::{self, Expected};
use smcp::call::types::{CallError, ToolResult};
use smcp::contract::Output;
use smcp::contract::schema::Schema;
use smcp::process::{Ending, Finished};

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let schema = json!({
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "maxLength": 5}, "count": {"type": "integer"}},
    });
    Schema::compile(schema).expect("it is a schema")
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, printed)) = data.split_first() else {
        return;
    };
    let output = match choice & 3 {
        0 | 1 => Output::Text,
        2 => Output::Json,
        _ => Output::Content,
    };
    let ending = match choice >> 2 & 7 {
        0..4 => Ending::Exited(0),
        4 => Ending::Exited(3),
        5 => Ending::Signalled(i32::from(*choice)),
        6 => Ending::TimedOut,
        _ => Ending::SupervisorLost,
    };
    let schema = (choice & 32 != 0).then_some(&*SCHEMA);
    let (stdout, stderr) = if choice & 64 == 0 {
        (printed, &b""[..])
    } else {
        (&b""[..], printed)
    };
    let finished = Finished {
        ending,
        stdout: stdout.to_vec(),
        stderr_tail: stderr.to_vec(),
    };
    let expected = Expected {
        tool: "a__tool",
        output,
        schema,
        time_limit: Some(Duration::from_secs(1)),
    };
    match output::result(finished, expected) {
        Ok(result) => {
            assert_eq!(ending, Ending::Exited(0), "a failed run gave a result");
            is_well_formed(&result);
            is_what_was_printed(&result, output, schema, stdout);
        }
        Err(error) => is_told(&error, ending, printed),
    }
});

fn is_well_formed(result: &ToolResult) {
    let content: Vec<Value> =
        serde_json::from_str(result.content.get()).expect("content is a list");
    assert!(content.iter().all(Value::is_object), "{content:?}");
    let mut names: Vec<&str> = vec!["content", "structuredContent", "isError"];
    for (name, value) in &result.other {
        assert!(!names.contains(&name.as_str()), "{name} is there twice");
        names.push(name);
        is_json(value);
    }
    if let Some(value) = &result.structured_content {
        is_json(value);
    }
    let one_line = |value: &RawValue| !value.get().contains(['\0', '\x1b']);
    assert!(
        one_line(&result.content),
        "a control character stands unescaped"
    );
}

fn is_json(value: &RawValue) {
    let read = serde_json::from_str::<Box<RawValue>>(value.get());
    assert!(read.is_ok_and(|read| read.get() == value.get()));
}

fn is_what_was_printed(
    result: &ToolResult,
    output: Output,
    schema: Option<&Schema>,
    stdout: &[u8],
) {
    let text = String::from_utf8_lossy(stdout);
    if output == Output::Content {
        assert!(text.contains(result.content.get()));
    } else {
        let content: Value = serde_json::from_str(result.content.get()).expect("it was read");
        assert_eq!(content.as_array().map(Vec::len), Some(1));
        let said = content[0]["text"].as_str().expect("one block of text");
        // Bytes that are no UTF-8 keep the other white space around them.
        assert_eq!(said.trim(), text.trim());
        assert!(!result.is_error);
    }
    let structured = result.structured_content.as_deref().map(RawValue::get);
    match (output, schema) {
        (Output::Text, None) => assert_eq!(structured, None),
        (Output::Json | Output::Text, _) => assert_eq!(structured, Some(text.trim())),
        (Output::Content, _) => {}
    }
    if schema.is_some() && !result.is_error {
        let value = structured.expect("a schema asks for a value");
        let value: Value = serde_json::from_str(value).expect("it was read");
        let name = value["name"].as_str().expect("it is required");
        assert!(name.chars().count() <= 5, "{value}");
    }
}

/// An error repeats what was printed, shortened, and has one of the codes that there are for it.
fn is_told(error: &CallError, ending: Ending, printed: &[u8]) {
    let said = error.to_string();
    assert!(!said.is_empty());
    // A byte that is no UTF-8 takes three.
    assert!(
        said.len() <= 3 * printed.len().min(64 << 10) + 4096,
        "{} bytes",
        said.len()
    );
    let code = match ending {
        Ending::TimedOut => "timeout",
        Ending::SupervisorLost => "internal_error",
        Ending::Exited(_)
        | Ending::Signalled(_)
        | Ending::Cancelled
        | Ending::OutputTooLarge => "plugin_error",
    };
    assert_eq!(error.code(), code, "{said}");
}
