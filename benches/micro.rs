//! Micro-benchmarks of the way through the server: parse, dispatch, schema check, command line, list.
//!
//!     cargo bench --bench micro [-- NAME]

mod inside;

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use smcp::call::{arguments, argv};
use smcp::contract::schema;
use smcp::contract::{self, Command};
use smcp::jsonrpc;
use smcp::mcp::inbound::Inbound;
use tokio::runtime::Runtime;

use inside::{Inside, many_tools, message};

fn parse(c: &mut Criterion) {
    let ping = message("ping", json!({}));
    let call = message("tools/call", call_params());
    let long = message(
        "tools/call",
        json!({"name": "notes__add", "arguments": {"text": "a line of text\n".repeat(5_000)}}),
    );
    let mut group = c.benchmark_group("parse");
    group.bench_function("ping", |b| b.iter(|| jsonrpc::parse(black_box(&ping))));
    group.bench_function("call", |b| b.iter(|| jsonrpc::parse(black_box(&call))));
    group.bench_function("call with 75 kB", |b| {
        b.iter(|| jsonrpc::parse(black_box(&long)));
    });
    group.bench_function("call, read as a request", |b| {
        b.iter(|| Inbound::read(black_box(&call)));
    });
    group.finish();
}

fn dispatch(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let smcp = Path::new(env!("CARGO_BIN_EXE_smcp"));
    let demos = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins");
    let demo = runtime.block_on(Inside::start(smcp, &demos));
    let hundreds = many_tools(500);
    let many = runtime.block_on(Inside::start(smcp, hundreds.path()));
    let (ping, list) = (message("ping", json!({})), message("tools/list", json!({})));
    let refused = message(
        "tools/call",
        json!({"name": "demo_math__calculate", "arguments": {"operation": "add"}}),
    );
    let mut group = c.benchmark_group("serve");
    for (name, server, message) in [
        ("ping", &demo, &ping),
        ("tools/list, 9 tools", &demo, &list),
        ("tools/list, 502 tools", &many, &list),
        ("tools/call, arguments refused", &demo, &refused),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| runtime.block_on(server.answer(black_box(message))));
        });
    }
    group.finish();
}

fn call(c: &mut Criterion) {
    let command = command();
    let input = schema::of_input(&command).expect("a schema");
    let text = call_params()["arguments"].to_string();
    let given: &RawValue = serde_json::from_str(&text).expect("it is JSON");
    let checked = arguments::check(&command, &input, Some(given)).expect("they fit");
    let mut group = c.benchmark_group("call");
    group.bench_function("arguments held against the schema", |b| {
        b.iter(|| arguments::check(black_box(&command), &input, Some(given)));
    });
    group.bench_function("command line", |b| {
        b.iter(|| argv::write(black_box(&command), &checked));
    });
    group.finish();
}

fn call_params() -> Value {
    json!({
        "name": "demo_math__calculate",
        "arguments": {"operation": "add", "a": 2, "b": 3.5, "tags": ["one", "two"], "exact": true},
    })
}

fn command() -> Command {
    let description = contract::read(&json!({
        "contract_version": "1.1",
        "commands": [{"name": "calculate", "parameters": [
            {"name": "operation", "type": "string", "required": true, "enum": ["add", "subtract"]},
            {"name": "a", "type": "number", "required": true},
            {"name": "b", "type": "number", "required": true},
            {"name": "tags", "type": "array", "items": {"type": "string"}},
            {"name": "exact", "type": "boolean"},
        ]}],
    }));
    let description = description.expect("it keeps the contract");
    description.commands.into_iter().next().expect("it is one")
}

criterion_group!(benches, parse, dispatch, call);
criterion_main!(benches);
