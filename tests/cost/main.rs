//! What parsers of foreign bytes cost: an input of eight times the size takes at most a little more than eight times
//! the allocations and the processor. A parser that compares everything with everything takes 64 times as much.

mod measure;
mod requests;

use std::collections::HashSet;

use measure::grows_with_its_input;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use smcp::call::arguments;
use smcp::call::argv;
use smcp::call::output::{self, Expected};
use smcp::call::types::Limits;
use smcp::contract::schema::{self, Schema};
use smcp::contract::uri_template::UriTemplate;
use smcp::contract::{self, Command, Output, find_payload};
use smcp::discovery::introspect;
use smcp::jsonrpc;
use smcp::jsonrpc::{members, strict};
use smcp::process::{Ending, Finished, OutputShare};
use smcp::text;

/// An object with so many members, whose values are all `value`.
fn object(count: usize, value: &str) -> String {
    let members: Vec<String> = (0..count)
        .map(|n| format!("\"name_{n}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn array(count: usize, item: &str) -> String {
    format!("[{}]", vec![item; count].join(","))
}

fn command(entry: Value) -> Command {
    let description = contract::read(&json!({"contract_version": "1.1", "commands": [entry]}))
        .expect("it keeps the contract");
    description.commands.into_iter().next().expect("it is one")
}

/// The arguments of a command, checked and, if they fit, written.
fn check_and_write((command, schema, text): &(Command, Schema, String)) {
    let raw: &RawValue = serde_json::from_str(text).expect("it is JSON");
    if let Ok(arguments) = arguments::check(command, schema, Some(raw)) {
        let _ = argv::write(command, &arguments);
    }
}

fn call(entry: Value, arguments: String) -> (Command, Schema, String) {
    let command = command(entry);
    let schema = schema::of_input(&command).expect("a schema");
    (command, schema, arguments)
}

#[test]
fn messages_are_parsed_in_linear_time() {
    let message = |params: String| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
            .into_bytes()
    };
    let parse = |body: &Vec<u8>| drop(jsonrpc::parse(body));
    grows_with_its_input("members", 4_000, |n| message(object(n, "1")), parse);
    grows_with_its_input("items", 10_000, |n| message(array(n, "{}")), parse);
    grows_with_its_input(
        "a text",
        100_000,
        |n| message(format!("{{\"a\":\"{}\"}}", "\\u00e9".repeat(n))),
        parse,
    );
    let id = |n: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#,
            "9".repeat(n)
        )
    };
    grows_with_its_input("an id", 100_000, |n| id(n).into_bytes(), parse);
    let batch = |n| array(n, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).into_bytes();
    grows_with_its_input("a batch", 1_000, batch, parse);
}

#[test]
fn json_is_judged_strictly_in_linear_time() {
    let check = |text: &String| drop(strict::check(text));
    grows_with_its_input("members", 8_000, |n| object(n, "1"), check);
    grows_with_its_input(
        "a number",
        100_000,
        |n| format!("[{}]", "9".repeat(n)),
        check,
    );
    grows_with_its_input(
        "members of an object",
        8_000,
        |n| object(n, "[1]"),
        |text: &String| {
            drop(members::members(text));
        },
    );
}

#[test]
fn arguments_are_checked_and_written_in_linear_time() {
    let parameter = |members: Value| {
        let mut entry = json!({"name": "v"});
        let all = entry.as_object_mut().expect("an object");
        all.extend(members.as_object().expect("an object").clone());
        json!({"name": "run", "parameters": [entry]})
    };
    let open = || json!({"name": "run", "input_schema": {"type": "object"}});
    let given =
        |members: Value, value: String| call(parameter(members), format!("{{\"v\":{value}}}"));
    let integers = || json!({"type": "array", "items": {"type": "integer"}});
    let names = |n| call(parameter(json!({})), object(n, "1"));
    grows_with_its_input("unknown names", 4_000, names, check_and_write);
    grows_with_its_input(
        "open names",
        4_000,
        |n| call(open(), object(n, "\"x\"")),
        check_and_write,
    );
    let good = |n| given(integers(), array(n, "1.0"));
    grows_with_its_input("items", 8_000, good, check_and_write);
    let bad = |n| given(integers(), array(n, "\"x\""));
    grows_with_its_input("items that do not fit", 16_000, bad, check_and_write);
    let text = |n| given(json!({"type": "integer"}), format!("\"{}\"", "x".repeat(n)));
    grows_with_its_input("a text that does not fit", 200_000, text, check_and_write);
    let zeros = |n| {
        given(
            json!({"type": "integer"}),
            format!("0.{}1e{}", "0".repeat(n), n + 1),
        )
    };
    grows_with_its_input("zeros of an integer", 100_000, zeros, check_and_write);
    let words = |n| {
        given(
            json!({"type": "array", "arg_style": "list"}),
            array(n, "\"-x\""),
        )
    };
    grows_with_its_input(
        "words that no option can have",
        8_000,
        words,
        check_and_write,
    );
}

#[test]
fn many_parameters_are_read_checked_and_written_in_linear_time() {
    let entry = |n: usize| {
        let parameters: Vec<Value> = (0..n)
            .map(
                |n| json!({"name": format!("name_{n}"), "arg_style": "positional", "level": n % 2}),
            )
            .collect();
        let names: Vec<String> = (0..n).map(|n| format!("name_{n}")).collect();
        json!({"name": "run", "parameters": parameters, "one_of": [{"names": names}]})
    };
    let describing = |n| json!({"contract_version": "1.1", "commands": [entry(n)]});
    let read = |payload: &Value| drop(contract::read(payload));
    grows_with_its_input("parameters", 1_000, describing, read);
    let compiled = |command: &Command| drop(schema::of_input(command));
    grows_with_its_input("a schema", 250, |n| command(entry(n)), compiled);
    let all_given = |n| call(entry(n), object(n, "\"x\""));
    grows_with_its_input("all given", 500, all_given, check_and_write);
}

#[test]
fn descriptions_are_read_in_linear_time() {
    let read = |payload: &Value| drop(contract::read(payload));
    let faulty = |n| json!({"commands": vec![json!({"name": "a b"}); n]});
    grows_with_its_input("faults", 1_000, faulty, read);
    let too_many =
        |n| json!({"commands": [{"name": "a", "parameters": vec![json!({"name": "x"}); n]}]});
    grows_with_its_input("too many parameters", 20_000, too_many, read);
    let resources = |n| json!({"commands": [], "resources": vec![json!({"uri": "n://x", "name": "x", "command": "c"}); n]});
    grows_with_its_input("resources", 1_000, resources, read);
    let properties = |n: usize| {
        let all: Value =
            serde_json::from_str(&object(n, "{\"type\":\"string\"}")).expect("it is JSON");
        let declared: Vec<Value> = (0..n)
            .map(|n| json!({"name": format!("name-{n}")}))
            .collect();
        let names: Vec<String> = (0..n).map(|n| format!("name_{n}")).collect();
        let schema = json!({"type": "object", "properties": all, "required": names});
        json!({"commands": [{"name": "a", "input_schema": schema, "parameters": declared}]})
    };
    grows_with_its_input("properties", 1_000, properties, read);
}

#[test]
fn a_description_is_found_among_other_lines_in_linear_time() {
    let find = |printed: &Vec<u8>| drop(find_payload(printed));
    let after =
        |line: &str, n: usize| format!("{}{{\"commands\":[]}}", line.repeat(n)).into_bytes();
    grows_with_its_input(
        "lines of a log",
        10_000,
        |n| after("a line of a log\n", n),
        find,
    );
    grows_with_its_input("lines of JSON", 10_000, |n| after("{\"a\": 1}\n", n), find);
    grows_with_its_input("beginnings", 10_000, |n| after("{\"a\":\n", n), find);
    grows_with_its_input("one long line", 10_000, |n| after("{\"a\": [1]} ", n), find);
}

#[test]
fn help_pages_are_read_in_linear_time() {
    let read = |text: &String| drop(introspect::parse_help("plugin", text));
    let options = |n: usize| {
        let lines: String = (0..n)
            .map(|n| format!("  --option-{n} VALUE  Sets {n}\n"))
            .collect();
        format!("usage: tool [options]\n\nOptions:\n{lines}")
    };
    grows_with_its_input("options", 500, options, read);
    grows_with_its_input(
        "prose",
        5_000,
        |n| format!("usage: tool\n\n{}", "Some words.\n".repeat(n)),
        read,
    );
    grows_with_its_input(
        "usage",
        2_000,
        |n| format!("usage: tool {}", "[-a] ".repeat(n)),
        read,
    );
}

#[test]
fn outputs_are_read_in_linear_time() {
    let schema = Schema::compile(
        json!({"type": "object", "properties": {"v": {"items": {"type": "integer"}}}}),
    )
    .expect("a schema");
    let read = |kind: Output| {
        let schema = &schema;
        move |printed: &String| {
            let finished = Finished {
                ending: Ending::Exited(0),
                stdout: printed.clone().into_bytes(),
                stderr_tail: Vec::new(),
                share: OutputShare::default(),
            };
            let expected = Expected {
                tool: "one__run",
                output: kind,
                schema: (kind == Output::Json).then_some(schema),
                limits: Limits::default(),
            };
            drop(output::result(finished, expected));
        }
    };
    let content = |n| format!("{{\"content\":[],\"_meta\":{}}}", object(n, "1"));
    grows_with_its_input("members of a result", 8_000, content, read(Output::Content));
    let blocks = |n| {
        format!(
            "{{\"content\":{}}}",
            array(n, "{\"type\":\"text\",\"text\":\"x\"}")
        )
    };
    grows_with_its_input("blocks", 4_000, blocks, read(Output::Content));
    let wrong = |n| format!("{{\"v\":{}}}", array(n, "\"x\""));
    grows_with_its_input("what does not fit", 20_000, wrong, read(Output::Json));
    grows_with_its_input(
        "a text",
        200_000,
        |n| "x\u{1b}[1m".repeat(n),
        read(Output::Text),
    );
}

#[test]
fn addresses_are_matched_in_linear_time() {
    let text = "x:".to_owned() + &"{a}{b}".repeat(20) + "!";
    let template = UriTemplate::parse(&text).expect("a template");
    let matches = |uri: &String| drop(template.matches(uri));
    grows_with_its_input(
        "a hostile address",
        500,
        |n| format!("x:{}", "a".repeat(n)),
        matches,
    );
    let query = UriTemplate::parse("x://{a,b}{?q,page}").expect("a template");
    let matches = |uri: &String| drop(query.matches(uri));
    grows_with_its_input(
        "pairs",
        60,
        |n| format!("x://1,2?{}", "q=1&?".repeat(n)),
        matches,
    );
    let parse = |text: &String| drop(UriTemplate::parse(text));
    grows_with_its_input("a template", 4_000, |n| "{a}x".repeat(n), parse);
}

#[test]
fn texts_are_shown_in_linear_time_and_the_rest_of_them_costs_nothing() {
    let shown = |text: &String| drop(text::shown(text, usize::MAX));
    grows_with_its_input(
        "sequences",
        20_000,
        |n| "\u{1b}]0;title\u{7}\u{1b}[1mx".repeat(n),
        shown,
    );
    grows_with_its_input(
        "open sequences",
        20_000,
        |n| "\u{1b}]0;title ".repeat(n),
        shown,
    );
    let cleaned = |text: &String| drop(text::cleaned(text));
    grows_with_its_input(
        "control characters",
        50_000,
        |n| "\u{9b}1;2\u{0}".repeat(n),
        cleaned,
    );
    let excerpt = |value: &Value| drop(text::excerpt(value, 100));
    let large: fn(usize) -> Value = |n| json!(vec!["x"; n]);
    let (small, large) = (measure::allocated(|| excerpt(&large(10))), large(1_000_000));
    assert!(measure::allocated(|| excerpt(&large)) < 2 * small + 10_000);
}

#[test]
fn the_faults_of_an_instance_are_found_in_linear_time() {
    let schema =
        Schema::compile(json!({"type": "object", "additionalProperties": {"type": "integer"}}))
            .expect("a schema");
    let nobody = HashSet::new();
    let find = |instance: &Value| drop(schema.faults(instance, &nobody));
    let instance = |n| serde_json::from_str(&object(n, "\"x\"")).expect("it is JSON");
    grows_with_its_input("members that do not fit", 15_000, instance, find);
}
