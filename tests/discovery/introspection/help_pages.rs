//! Help pages as they are printed by what people write programs with.

use std::path::{Path, PathBuf};

use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use smcp::call::{arguments, argv};
use smcp::contract::{self, schema};
use smcp::discovery::introspect::{CommandPage, pages_to_ask, parse_help};

use super::asking::shown;

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
    let schema = &first["input_schema"];
    assert_eq!(schema["additionalProperties"], true);
    assert_eq!(schema["required"], json!([]));
    let properties = schema["properties"].as_object().expect("it is an object");
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["arguments"]);
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
        reason
            .to_string()
            .contains("neither an 'Available commands:' section"),
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
    assert!(CommandPage::read(page).add_to(&mut payload, "add"));
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
        assert!(
            !CommandPage::read(page).add_to(&mut payload, "click-button"),
            "{page:?}"
        );
    }
    assert_eq!(payload, before);
}

#[test]
fn pages_of_known_families_and_awkward_ones_are_read_as_far_as_they_are_plain() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/help_pages");
    let pages = std::fs::read_dir(&directory).expect("it is part of the repository");
    let mut paths: Vec<PathBuf> = pages
        .map(|page| page.expect("it can be listed").path())
        .collect();
    paths.sort();
    let mut shown_pages = String::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("it is text");
        let name = path.file_stem().expect("it has one").to_string_lossy();
        let payload = parse_help("tool", &text).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        shown_pages.push_str(&format!("== {name}\n{}", shown(&payload)));
    }
    insta::assert_snapshot!(shown_pages);
}

#[test]
fn a_usage_with_alternatives_makes_nothing_required() {
    let page = "Usage: tool (--up | --down) <place>\n       tool --level N | --off\n\nOptions:\n  --up\n  --down\n  --level N  how far\n";
    let payload = parse_help("tool", page).expect("it has options");
    assert_eq!(
        payload["commands"][0]["input_schema"]["required"],
        json!([])
    );
}

#[test]
fn what_a_page_does_not_show_is_passed_on_in_words() {
    let payload = parse_help("p", VERSION_3).expect("it has the section");
    let description = contract::read(&payload).expect("it keeps the contract");
    let command = &description.commands[0];
    let schema = schema::of_input(command).expect("it is valid");
    let raw = to_raw_value(&json!({"arguments": ["--msg-id", "1", "-", "--", "x"], "wait": 5}));
    let checked = arguments::check(command, &schema, Some(&raw.expect("it is JSON")));
    let line = argv::write(command, &checked.expect("it fits")).expect("it can be written");
    let expected = [
        "click-button",
        "--wait",
        "5",
        "--msg-id",
        "1",
        "-",
        "--",
        "x",
    ];
    assert_eq!(line.words, expected);
}

#[test]
fn a_help_text_of_450_000_lines_gives_a_bounded_answer() {
    let mut page = "usage: tool\n\nOptions:\n".to_owned();
    for number in 0..450_000 {
        page.push_str(&format!("  --o{number} X\n"));
    }
    let payload = parse_help("tool", &page).expect("it has options");
    let options = payload["commands"][0]["parameters"]
        .as_array()
        .expect("a list");
    assert_eq!(options.len(), 1_001, "a thousand options and the words");
    let commands = format!(
        "Commands:\n{}",
        "  same  thing\n    more of it\n".repeat(225_000)
    );
    let payload = parse_help("tool", &commands).expect("it has a command");
    assert!(
        payload.to_string().len() < 10_000,
        "one command, whose text has an end"
    );
}

/// What argparse prints for sub-parsers: under Python 3.8, and under 3.13 below a title with a description and with a
/// word in place of the names. `quiet` has no help text, so it has no entry.
const ARGPARSE: [&str; 3] = [
    "\
usage: cli.py [-h] [-v]
              {now,n,then-and-again-and-once-more,help,quiet} ...

Keeps time

positional arguments:
  {now,n,then-and-again-and-once-more,help,quiet}
    now (n)             do now
    then-and-again-and-once-more
                        do then, and again, and once more, until there is
                        nothing left to do
    help                answers questions

optional arguments:
  -h, --help            show this help message and exit
  -v, --verbose         say more
",
    "\
usage: cli.py [-h] [-v] {now,n,then-and-again-and-once-more,help,quiet} ...

Keeps time

options:
  -h, --help            show this help message and exit
  -v, --verbose         say more

Commands:
  what it does

  {now,n,then-and-again-and-once-more,help,quiet}
                        one of these
    now (n)             do now
    then-and-again-and-once-more
                        do then, and again, and once more, until there is
                        nothing left to do
    help                answers questions

and so on
",
    "\
usage: cli.py [-h] [-v] COMMAND ...

Keeps time

options:
  -h, --help            show this help message and exit
  -v, --verbose         say more

commands:
  COMMAND
    now (n)             do now
    then-and-again-and-once-more
                        do then, and again, and once more, until there is
                        nothing left to do
    help                answers questions
    quiet
",
];

#[test]
fn the_sub_parsers_of_argparses_own_page_are_commands() {
    for page in ARGPARSE {
        let payload = parse_help("time", page).expect("it has commands");
        let commands = payload["commands"].as_array().expect("a list");
        let said = commands.iter().map(|command| &command["description"]);
        let expected = ["now", "then-and-again-and-once-more", "help", "quiet"];
        assert_eq!(names(&payload), expected, "{page}");
        let descriptions = [
            "do now",
            "do then, and again, and once more, until there is nothing left to do",
            "answers questions",
            "",
        ];
        assert_eq!(said.collect::<Vec<_>>(), descriptions, "{page}");
        assert_eq!(pages_to_ask(&payload), expected);
    }
}

#[test]
fn choices_and_what_needs_a_word_before_its_command_are_one_tool() {
    let pages = [
        "usage: cli.py [-h] {red,blue} [FILE ...]\n\npositional arguments:\n  {red,blue}  the colour\n  FILE        what\n\noptions:\n  -h, --help  show\n",
        "usage: cli.py [-h] [--fast] file {go,stop} ...\n\npositional arguments:\n  file        which\n  {go,stop}\n    go        goes\n    stop      stops\n",
        "usage: cli.py [-h] --db DB {go,stop} ...\n\npositional arguments:\n  {go,stop}\n    go        goes\n    stop      stops\n",
    ];
    for page in pages {
        let payload = parse_help("tool", page).expect("it has a usage line");
        assert_eq!(names(&payload), ["tool"], "{page}");
    }
}

#[test]
fn a_program_that_may_be_called_without_a_command_is_a_tool_as_well() {
    let page = |usage: &str, options: &str| {
        format!(
            "Usage: {usage}\n\nCommands:\n  gen   Generates\n\nOptions:\n{options}  -h, --help  Print help\n"
        )
    };
    let force = "  --force     Does it\n";
    let both = parse_help("deps", &page("deps [OPTIONS] [COMMAND]", force)).expect("it has both");
    assert_eq!(names(&both), ["gen", "deps"]);
    let own = &both["commands"][1];
    assert_eq!(own["invoke"], json!([]));
    assert_eq!(
        own["input_schema"]["properties"]["force"]["type"],
        "boolean"
    );
    assert_eq!(pages_to_ask(&both), ["gen"]);
    for (plugin, usage, options) in [
        ("deps", "deps [OPTIONS] <COMMAND>", force),
        ("deps", "deps [COMMAND]", ""),
        ("gen", "gen [OPTIONS] [COMMAND]", force),
    ] {
        let one = parse_help(plugin, &page(usage, options)).expect("it has a command");
        assert_eq!(names(&one), ["gen"], "{usage}");
    }
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
        CommandPage::read(page).add_to(&mut payload, command),
        "the page was not read"
    );
    payload["commands"][0].take()
}
