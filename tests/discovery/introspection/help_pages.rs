//! Help pages as they are printed by what people write programs with.

use serde_json::{Value, json};
use smcp::discovery::introspect::{add_page, pages_to_ask, parse_help};

const VERSION_3: &str = "usage: cli.py [-h] {click-button,take-screenshot} ...

Botfather plugin

Available commands:
  click-button    Click a button on a message
  take-screenshot
  bad.name        no tool can have this name

Examples:
  python cli.py click-button --msg-id 1
";

#[test]
fn the_commands_of_a_version_3_help_text_keep_their_names_and_an_open_schema() {
    let payload = parse_help("botfather", VERSION_3).expect("it has the section");
    assert_eq!(names(&payload), ["click-button", "take-screenshot"]);
    let first = &payload["commands"][0];
    assert_eq!(first["description"], "Click a button on a message");
    assert_eq!(
        first["input_schema"],
        json!({"type": "object", "properties": {}, "required": [], "additionalProperties": true})
    );
    assert_eq!(pages_to_ask(&payload), ["click-button", "take-screenshot"]);
}

#[test]
fn the_section_ends_at_a_blank_line_as_it_did() {
    let text = "Available commands:\n  one  first\n\n  two  is prose of the epilog\n";
    assert_eq!(
        names(&parse_help("p", text).expect("it has the section")),
        ["one"]
    );
}

#[test]
fn a_text_without_commands_or_options_is_refused_with_what_to_do() {
    let reason = parse_help("p", "I just run.\n").expect_err("there is nothing to read");
    assert!(
        reason.contains("neither an 'Available commands:' section"),
        "{reason}"
    );
}

#[test]
fn a_clap_page_is_read() {
    let page = "\
Copies a file

Usage: tool copy [OPTIONS] <SRC> [DST]...

Arguments:
  <SRC>     Where from
  [DST]...  Where to

Options:
  -f, --force              Overwrite
  -l, --level <LEVEL>      How hard
                           to try [default: 3]
      --mode <MODE>        The mode [possible values: fast, slow]
  -v, --verbose...         Say more
  -I, --include <GLOB>...  What to take
  -h, --help               Print help
  -V, --version            Print version
";
    insta::assert_json_snapshot!(filled("copy", page));
}

#[test]
fn a_cobra_page_is_read() {
    let text = "Manages things\n\nUsage:\n  tool [command]\n\nAvailable Commands:\n  add         Add a thing\n  help        Help about any command\n\nFlags:\n  -h, --help   help for tool\n";
    let mut payload = parse_help("tool", text).expect("cobra's section has the same title");
    let page = "Add a thing\n\nUsage:\n  tool add NAME [flags]\n\nFlags:\n      --count int        how many (default 1)\n      --label strings    labels\n  -h, --help             help for add\n      --quiet            say nothing\n";
    assert!(add_page(&mut payload, "add", page));
    insta::assert_json_snapshot!(payload["commands"][0]);
}

#[test]
fn an_argparse_page_is_read() {
    let page = "\
usage: cli.py add [-h] --db DB [--colour {red,blue}] [--wait | --no-wait] [-n N]
                  title [tag ...]

Adds a task.

positional arguments:
  title                 what to do
  tag

options:
  -h, --help            show this help message and exit
  --db DB               the database
  --colour {red,blue}   one of two
  --wait, --no-wait     wait for it
  -n N, --number N      how many
";
    insta::assert_json_snapshot!(filled("add", page));
}

#[test]
fn a_click_page_is_read() {
    let page = "\
Usage: cli.py add [OPTIONS] TITLE [TAGS]...

  Adds a task.

Options:
  --debug / --no-debug
  -n, --num INTEGER RANGE  how many  [0<=x<=9]
  --mode [fast|slow]
  --key TEXT               the key  [required]
  --help                   Show this message and exit.
";
    insta::assert_json_snapshot!(filled("add", page));
}

#[test]
fn a_page_that_cannot_be_read_leaves_the_command_open() {
    let mut payload = parse_help("botfather", VERSION_3).expect("it has the section");
    let before = payload.clone();
    for page in [
        "",
        "unknown option --help",
        "Usage: whatever\n",
        "\u{1b}[1mUSAGE\u{1b}[0m\n\n\0",
    ] {
        assert!(!add_page(&mut payload, "click-button", page), "{page:?}");
    }
    assert_eq!(payload, before);
}

fn names(payload: &Value) -> Vec<&str> {
    let commands = payload["commands"]
        .as_array()
        .expect("payloads have commands");
    commands
        .iter()
        .map(|command| command["name"].as_str().expect("commands have names"))
        .collect()
}

/// The one command of a help text, after its own page was read.
fn filled(command: &str, page: &str) -> Value {
    let mut payload =
        parse_help("p", &format!("Commands:\n  {command}\n")).expect("it has the section");
    assert!(
        add_page(&mut payload, command, page),
        "the page was not read"
    );
    payload["commands"][0].take()
}
