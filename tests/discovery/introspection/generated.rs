//! Generated argparse programs: what a call sends, written to a command line, is what the program's parser reads.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::asking::python3;
use super::serving::Commands;
use crate::commands::output_within;

/// One option or argument of a generated program.
#[derive(Debug, Clone)]
struct Action {
    /// Its destination; an option's string is this with dashes.
    name: String,
    kind: Kind,
    option: bool,
    required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Integer,
    Number,
    Choice,
    Flag,
    Unset,
    Const,
    Count,
    OnOff,
    Maybe,
    Pair,
    Some,
    Any,
    Append,
    AppendPairs,
    Extend,
}

/// A program: its own actions, and those of its sub-commands where it has any.
#[derive(Debug, Clone)]
struct Program {
    own: Vec<Action>,
    branches: Vec<Vec<Action>>,
}

/// One call: the sub-command's place, and an argument for each action that is given.
#[derive(Debug, Clone)]
struct Call {
    branch: usize,
    given: Vec<(Action, Option<Value>)>,
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_a_call_sends_is_what_the_parser_reads((program, calls) in program_and_calls()) {
        let directory = tempfile::tempdir().expect("there is room for a small file");
        let cli = write_plugin(directory.path(), &program);
        let commands = Commands::introspected(&python3(), &cli);
        for call in calls {
            let command = if program.branches.is_empty() { "p".to_owned() } else { format!("branch{}", call.branch) };
            let arguments: Map<String, Value> =
                call.given.iter().filter_map(|(action, value)| Some((action.name.clone(), value.clone()?))).collect();
            match commands.line(&command, &Value::Object(arguments.clone())) {
                Ok(words) => {
                    let parsed = parsed_by(&python3(), &cli, &words);
                    prop_assert_eq!(parsed, Ok(call.expected()), "{:?} was written as {:?}", arguments, words);
                }
                Err(faults) => {
                    prop_assert!(call.may_be_refused(), "refused without need: {:?}: {:?}", arguments, faults);
                }
            }
        }
    }
}

/// Each case starts a handful of Pythons; PROPTEST_CASES asks for more than the gate has time for.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(24),
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    }
}

/// What the program's parser makes of the words; its complaint where it makes nothing of them.
fn parsed_by(python: &Path, cli: &Path, words: &[String]) -> Result<Value, String> {
    let mut command = Command::new(python);
    let finished = output_within(Duration::from_secs(60), command.arg(cli).args(words));
    serde_json::from_slice(&finished.stdout)
        .map_err(|_| String::from_utf8_lossy(&finished.stderr).into_owned())
}

impl Call {
    /// The namespace that the parser must make of it.
    fn expected(&self) -> Value {
        self.given
            .iter()
            .map(|(action, value)| (action.name.clone(), action.read(value.as_ref())))
            .collect()
    }

    /// Whether it holds something that no command line can carry past argparse.
    fn may_be_refused(&self) -> bool {
        self.given.iter().any(|(action, value)| match value {
            None => false,
            // Before a sub-command's name nothing can protect an argument that looks like an option.
            Some(Value::String(text)) => text == "--" || (!action.option && text.starts_with('-')),
            Some(Value::Number(number)) => !action.option && number.to_string().starts_with('-'),
            Some(value) => value.to_string().contains("\"-"),
        })
    }
}

impl Action {
    /// What the namespace holds for it.
    fn read(&self, value: Option<&Value>) -> Value {
        let on = value == Some(&Value::Bool(true));
        match self.kind {
            Kind::Flag => on.into(),
            Kind::Unset => (!on).into(),
            Kind::Const => {
                if on {
                    json!("constant")
                } else {
                    Value::Null
                }
            }
            Kind::Count => value
                .filter(|value| **value != 0)
                .cloned()
                .unwrap_or(Value::Null),
            Kind::Any if !self.option => value.cloned().unwrap_or_else(|| json!([])),
            Kind::Append | Kind::AppendPairs | Kind::Extend => value
                .filter(|value| **value != json!([]))
                .cloned()
                .unwrap_or(Value::Null),
            // Before a sub-command's name, a list has one item and is given as that.
            Kind::Some | Kind::Any if value.is_some_and(Value::is_string) => json!([value]),
            _ => value.cloned().unwrap_or(Value::Null),
        }
    }

    /// Its line of the program.
    fn line(&self, parser: &str) -> String {
        let more = match self.kind {
            Kind::Text => "",
            Kind::Integer => ", type=int",
            Kind::Number => ", type=float",
            Kind::Choice => ", choices=['red', 'green']",
            Kind::Flag => ", action='store_true'",
            Kind::Unset => ", action='store_false'",
            Kind::Const => ", action='store_const', const='constant'",
            Kind::Count => ", action='count'",
            Kind::OnOff => ", action=argparse.BooleanOptionalAction",
            Kind::Maybe => ", nargs='?', const='bare'",
            Kind::Pair => ", nargs=2, type=int",
            Kind::Some => ", nargs='+'",
            Kind::Any => ", nargs='*'",
            Kind::Append => ", action='append'",
            Kind::AppendPairs => ", action='append', nargs=2",
            Kind::Extend => ", action='extend', nargs='+'",
        };
        let more = if self.option {
            more
        } else {
            more.trim_end_matches(", const='bare'")
        };
        let name = if self.option {
            format!("--{}", self.name.replace('_', "-"))
        } else {
            self.name.clone()
        };
        let required = if self.required && self.option {
            ", required=True"
        } else {
            ""
        };
        format!("{parser}.add_argument('{name}'{more}{required})\n")
    }
}

fn write_plugin(directory: &Path, program: &Program) -> PathBuf {
    let mut text = "import argparse, json\nparser = argparse.ArgumentParser()\n".to_owned();
    for action in &program.own {
        text.push_str(&action.line("parser"));
    }
    if !program.branches.is_empty() {
        text.push_str("branches = parser.add_subparsers(required=True)\n");
    }
    for (place, actions) in program.branches.iter().enumerate() {
        writeln!(text, "branch = branches.add_parser('branch{place}')").expect("strings grow");
        for action in actions {
            text.push_str(&action.line("branch"));
        }
    }
    text.push_str("print(json.dumps(vars(parser.parse_args())))\n");
    let cli = directory.join("p/cli.py");
    std::fs::create_dir(directory.join("p")).expect("the directory is new");
    std::fs::write(&cli, text).expect("the directory is ours");
    cli
}

fn program_and_calls() -> impl Strategy<Value = (Program, Vec<Call>)> {
    let simple = (options("own"), positionals("own")).prop_map(|(mut own, more)| {
        own.extend(more);
        Program {
            own,
            branches: Vec::new(),
        }
    });
    let branch = (options("sub"), positionals("sub")).prop_map(|(mut actions, more)| {
        actions.extend(more);
        actions
    });
    let branched = (
        options("own"),
        proptest::bool::ANY,
        prop::collection::vec(branch, 1..3),
    )
        .prop_map(|(mut own, argument, branches)| {
            if argument {
                own.push(Action {
                    name: "own_word".into(),
                    kind: Kind::Text,
                    option: false,
                    required: true,
                });
            }
            Program { own, branches }
        });
    prop_oneof![simple, branched].prop_flat_map(|program| {
        let calls = calls(&program);
        (Just(program), prop::collection::vec(calls, 4))
    })
}

fn options(stem: &'static str) -> impl Strategy<Value = Vec<Action>> {
    use Kind::{
        Any, Append, AppendPairs, Choice, Const, Count, Extend, Flag, Integer, Maybe, Number,
        OnOff, Pair, Some, Text, Unset,
    };
    let kind = prop::sample::select(vec![
        Text,
        Integer,
        Number,
        Choice,
        Flag,
        Unset,
        Const,
        Count,
        OnOff,
        Maybe,
        Pair,
        Some,
        Any,
        Append,
        AppendPairs,
        Extend,
    ]);
    prop::collection::vec((kind, prop::bool::weighted(0.2)), 0..6).prop_map(move |kinds| {
        let numbered = kinds.into_iter().enumerate();
        numbered
            .map(|(place, (kind, required))| Action {
                name: format!("{stem}_option_{place}"),
                required: required && matches!(kind, Text | Integer | Pair | Append),
                option: true,
                kind,
            })
            .collect()
    })
}

/// Required ones, then one of an open number, then required ones: what words in a row can always tell apart.
fn positionals(stem: &'static str) -> impl Strategy<Value = Vec<Action>> {
    let fixed = || {
        prop::collection::vec(
            prop::sample::select(vec![Kind::Text, Kind::Integer, Kind::Pair, Kind::Choice]),
            0..3,
        )
    };
    let open = prop::option::of(prop::sample::select(vec![
        Kind::Maybe,
        Kind::Some,
        Kind::Any,
    ]));
    (fixed(), open, fixed()).prop_map(move |(before, open, after)| {
        let kinds = before.into_iter().chain(open).chain(after);
        kinds
            .enumerate()
            .map(|(place, kind)| Action {
                name: format!("{stem}_word_{place}"),
                required: !matches!(kind, Kind::Maybe | Kind::Any),
                option: false,
                kind,
            })
            .collect()
    })
}

fn calls(program: &Program) -> BoxedStrategy<Call> {
    let program = program.clone();
    (0..program.branches.len().max(1))
        .prop_flat_map(move |branch| {
            let mut actions = program.own.clone();
            actions.extend(program.branches.get(branch).cloned().unwrap_or_default());
            let inner = !program.branches.is_empty();
            let given: Vec<BoxedStrategy<(Action, Option<Value>)>> = actions
                .into_iter()
                .map(|action| argument(action, inner))
                .collect();
            given.prop_map(move |given| Call { branch, given })
        })
        .boxed()
}

/// The action with the argument that a call gives for it, if any.
fn argument(action: Action, branched: bool) -> BoxedStrategy<(Action, Option<Value>)> {
    // Nothing but a sub-command's name could end such a list, and it would be taken for an item: one value is all.
    let outer = branched && action.option && action.name.starts_with("own");
    let kind = match action.kind {
        Kind::Some | Kind::Any if outer => Kind::Text,
        // Required and empty would not be given at all.
        Kind::Append if action.required => Kind::Some,
        kind => kind,
    };
    let value = value(kind);
    let given = if action.required {
        value.prop_map(Some).boxed()
    } else {
        prop::option::of(value).boxed()
    };
    given.prop_map(move |value| (action.clone(), value)).boxed()
}

fn value(kind: Kind) -> BoxedStrategy<Value> {
    let integer = (-20_i64..100).prop_map(Value::from);
    match kind {
        Kind::Text | Kind::Maybe => text().prop_map(Value::from).boxed(),
        Kind::Integer => integer.boxed(),
        Kind::Number => (-800_i32..800)
            .prop_map(|eighths| json!(f64::from(eighths) / 8.0))
            .boxed(),
        Kind::Choice => prop::sample::select(vec![json!("red"), json!("green")]).boxed(),
        Kind::Flag | Kind::Unset | Kind::Const | Kind::OnOff => {
            any::<bool>().prop_map(Value::from).boxed()
        }
        Kind::Count => (0_u8..4).prop_map(Value::from).boxed(),
        Kind::Pair => prop::collection::vec(integer, 2)
            .prop_map(Value::from)
            .boxed(),
        Kind::Some => prop::collection::vec(text(), 1..4)
            .prop_map(Value::from)
            .boxed(),
        Kind::Any | Kind::Append | Kind::Extend => prop::collection::vec(text(), 0..4)
            .prop_map(Value::from)
            .boxed(),
        Kind::AppendPairs => {
            prop::collection::vec(prop::collection::vec(text(), 2).prop_map(Value::from), 0..3)
                .prop_map(Value::from)
                .boxed()
        }
    }
}

/// Texts, many of them such that a careless writer of command lines would stumble.
fn text() -> impl Strategy<Value = String> {
    let tricky = [
        "",
        "-",
        "--",
        "-x",
        "--help",
        "--own-option-0",
        "-1",
        "-1e-07",
        "=",
        "=x",
        "a=b",
        "@f",
        "branch0",
        "a b",
        "ü",
        "{\"a\": 1}",
    ];
    prop_oneof![
        2 => prop::sample::select(tricky.to_vec()).prop_map(str::to_owned),
        3 => "[a-z ./:,*'\"$é漢-]{0,8}",
    ]
}
