//! What is listed of a program, held against the program's own help pages: no option that it does not have, and none
//! required that it does not require.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::asking::{fixture, payload, python3};
use super::programs::{PROGRAMS, directory, interpreter};
use crate::commands::output_within;

/// The help pages of a program, by the words before `--help`, each asked for once.
struct Pages<'a> {
    python: &'a Path,
    cli: &'a Path,
    known: BTreeMap<Vec<String>, String>,
}

impl Pages<'_> {
    fn of(&mut self, words: &[String]) -> &str {
        let (python, cli) = (self.python, self.cli);
        self.known.entry(words.to_vec()).or_insert_with(|| {
            let mut command = Command::new(python);
            command.arg(cli).args(words).arg("--help");
            // Wide, so that no word is cut in two.
            command.env("COLUMNS", "400");
            let output = output_within(Duration::from_secs(120), &mut command);
            let page = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success(),
                "{} {words:?}: {output:?}",
                cli.display()
            );
            page
        })
    }
}

/// Everything that is listed and not on the pages.
fn lies(python: &Path, cli: &Path) -> Vec<String> {
    let found = payload(python, cli);
    let mut pages = Pages {
        python,
        cli,
        known: BTreeMap::new(),
    };
    let mut lies = Vec::new();
    for command in found["commands"].as_array().expect("a list") {
        let words: Vec<String> = serde_json::from_value(command["invoke"].clone()).expect("words");
        let parameters = command["parameters"].as_array().expect("a list");
        for parameter in parameters {
            let level = level_of(parameter).min(words.len());
            let page = pages.of(&before(&words[..level], parameters));
            let mut lie = |what: &str| {
                lies.push(format!("{} {words:?}: {what}: {parameter}", cli.display()));
            };
            for flag in ["flag", "negative_flag"] {
                if let Some(flag) = parameter[flag].as_str()
                    && !has_word(page, flag)
                {
                    lie("no such option");
                }
            }
            // A word before that of a command would be taken for a positional argument that is left out there.
            let stands_before = level < words.len() && parameter["arg_style"] == "positional";
            if parameter["required"] == true
                && !stands_before
                && !is_required(page, parameter)
                && !refuses_without(python, cli, &words, parameters, parameter)
            {
                lie("it is not required");
            }
        }
    }
    lies
}

/// How many words of its command stand before a parameter.
fn level_of(parameter: &Value) -> usize {
    let level = parameter["level"].as_u64().unwrap_or_default();
    usize::try_from(level).expect("commands have few words")
}

/// The words of a command up to a level, with what has to stand between them.
fn before(words: &[String], parameters: &[Value]) -> Vec<String> {
    let between = directory().join("files/cli_app.py");
    let mut line = Vec::new();
    for (level, word) in words.iter().enumerate() {
        let required = parameters.iter().filter(|parameter| {
            level_of(parameter) == level
                && parameter["required"] == true
                && parameter["arg_style"] == "positional"
        });
        line.extend(required.map(|_| between.display().to_string()));
        line.push(word.clone());
    }
    line
}

/// Whether a text has a word, with nothing before and after it that could belong to it.
fn has_word(text: &str, word: &str) -> bool {
    let belongs = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_alphanumeric() || "-_".contains(letter))
    };
    text.match_indices(word).any(|(place, _)| {
        !belongs(text[..place].chars().next_back())
            && !belongs(text[place + word.len()..].chars().next())
    })
}

/// Whether a page says that a parameter must be given: it stands in the usage outside of brackets, or is marked.
fn is_required(page: &str, parameter: &Value) -> bool {
    let plain = |text: &str| text.to_uppercase().replace('_', "-");
    let name = plain(parameter["name"].as_str().expect("a name"));
    let flag = parameter["flag"].as_str().map(plain);
    let names = [Some(name), flag];
    let names: Vec<&String> = names.iter().flatten().collect();
    let page = plain(page);
    let usage = page.split("\n\n").find(|part| part.contains("USAGE"));
    let usage = outside_of_brackets(usage.unwrap_or_default());
    let marked = page.lines().filter(|line| line.contains("[REQUIRED]"));
    marked
        .chain([usage.as_str()])
        .any(|text| names.iter().any(|name| has_word(text, name)))
}

/// Whether the program itself refuses a line on which that parameter alone is not given. Its page may not say so: one
/// argument of several may be required, or go by another name there.
fn refuses_without(
    python: &Path,
    cli: &Path,
    words: &[String],
    parameters: &[Value],
    left_out: &Value,
) -> bool {
    const USAGE_ERROR: i32 = 2;
    let directory = tempfile::tempdir().expect("there is room for small files");
    let mut command = Command::new(python);
    command.arg(cli).args(before(words, parameters));
    command.current_dir(directory.path()).stdin(Stdio::null());
    let last = parameters.iter().filter(|parameter| {
        parameter["required"] == true
            && *parameter != left_out
            && level_of(parameter) >= words.len()
    });
    for parameter in last {
        command.args(parameter["flag"].as_str()).arg("something");
    }
    output_within(Duration::from_secs(120), &mut command)
        .status
        .code()
        == Some(USAGE_ERROR)
}

fn outside_of_brackets(text: &str) -> String {
    let mut depth = 0_usize;
    let mut outside = String::new();
    for letter in text.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => outside.push(letter),
            _ => {}
        }
    }
    outside
}

#[test]
fn no_option_is_listed_that_is_not_there_and_none_required_that_is_not() {
    let kitchen = [python3()].map(|python| lies(&python, &fixture("kitchen")));
    assert_eq!(kitchen.concat(), [] as [String; 0]);
    let Some(python) = interpreter() else { return };
    let found: Vec<String> = std::thread::scope(|scope| {
        let (some, others) = PROGRAMS.split_at(PROGRAMS.len() / 2);
        let asked = [some, others].map(|programs| {
            let python = &python;
            scope.spawn(move || {
                let clis = programs.iter().map(|program| directory().join(program));
                clis.flat_map(|place| lies(python, &place.join("cli.py")))
                    .collect::<Vec<_>>()
            })
        });
        let found = asked.map(|thread| thread.join().expect("the pages were asked for"));
        found.concat()
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_lie_is_found() {
    let page =
        "usage: cut [-h] [--delimiter D] [--column-names] FILE\n\noptions:\n  --delimiter D\n";
    assert!(has_word(page, "--delimiter") && !has_word(page, "--column"));
    let parameter = |name: &str, flag: &str| serde_json::json!({"name": name, "flag": flag});
    assert!(is_required(page, &serde_json::json!({"name": "file"})));
    assert!(!is_required(page, &parameter("delimiter", "--delimiter")));
    let page = "Usage: add [OPTIONS]\n\n  --size INTEGER  how large  [required]\n";
    assert!(is_required(page, &parameter("size", "--size")));
    assert!(!is_required(page, &parameter("shape", "--shape")));
}
