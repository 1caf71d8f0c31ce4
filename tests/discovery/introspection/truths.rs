//! What a program accepts is what is said of it: programs whose parsers are asked in unusual ways.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use smcp::discovery::introspect::{NO_DESCRIBE, REFUSED};

use super::asking::{Answer, ask, python3};
use super::programs::interpreter;
use super::serving::Commands;
use crate::commands::output_within;

/// A program of its own directory, removed with it.
struct Program(tempfile::TempDir);

impl Program {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a small file");
        std::fs::create_dir(directory.path().join("p")).expect("the directory is new");
        let program = Self(directory);
        std::fs::write(program.cli(), text).expect("the directory is ours");
        program
    }

    fn cli(&self) -> PathBuf {
        self.0.path().join("p/cli.py")
    }

    fn ask(&self) -> Answer {
        ask(&python3(), &self.cli())
    }

    /// The names of the arguments of its one command.
    fn arguments(&self) -> Vec<String> {
        arguments_of(&self.ask())
    }

    /// What its parser makes of a call; it prints its namespace as JSON.
    fn reads(&self, given: &Value) -> Result<Value, String> {
        let words = Commands::introspected(&python3(), &self.cli()).line("p", given)?;
        let mut command = Command::new(python3());
        command.arg(self.cli()).args(&words);
        let finished = output_within(Duration::from_secs(60), &mut command);
        serde_json::from_slice(&finished.stdout)
            .map_err(|_| String::from_utf8_lossy(&finished.stderr).into_owned())
    }
}

fn arguments_of(answer: &Answer) -> Vec<String> {
    let payload = answer.payload.as_ref();
    let payload = payload.unwrap_or_else(|| panic!("{} {}", answer.status, answer.reason));
    let parameters = payload["commands"][0]["parameters"].as_array();
    let parameters = parameters.expect("every command has parameters").iter();
    parameters
        .map(|one| {
            one["name"]
                .as_str()
                .expect("parameters have names")
                .to_owned()
        })
        .collect()
}

const TWO_STAGES: &str = "
import argparse, sys
def run():
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument('--config', required=True)
    try:
        known, rest = first.parse_known_args()
        second = argparse.ArgumentParser()
        second.add_argument('name')
        second.parse_args(rest)
    except SystemExit as ending:
        return ending.code
sys.exit(run())
";

#[test]
fn the_second_of_two_stages_is_served_with_the_options_of_the_first() {
    assert_eq!(Program::new(TWO_STAGES).arguments(), ["name", "config"]);
}

#[test]
fn a_first_stage_is_not_served_where_the_second_is_never_reached() {
    let program = TWO_STAGES.replace(
        "        second.add",
        "        __import__('subprocess').run(['true'])\n        second.add",
    );
    let answer = Program::new(&program).ask();
    assert_eq!(answer.status, REFUSED, "{answer:?}");
    assert!(
        answer
            .reason
            .contains("starts a process (subprocess.Popen true) before it asks its parser"),
        "{answer:?}"
    );
}

#[test]
fn a_parser_that_leaves_words_over_is_served_when_it_is_the_only_one() {
    let program = "import argparse, sys\np = argparse.ArgumentParser()\np.add_argument('--name')\n\
                   known, rest = p.parse_known_args()\nsys.exit(len(rest))\n";
    assert_eq!(Program::new(program).arguments(), ["name"]);
}

#[test]
fn a_parser_class_that_prepares_itself_when_it_is_asked_is_read_after_that() {
    let program = "
import argparse
class Late(argparse.ArgumentParser):
    def parse_known_args(self, args=None, namespace=None):
        self.add_argument('--late')
        return super().parse_known_args(args, namespace)
Late().parse_args()
";
    assert_eq!(Program::new(program).arguments(), ["late"]);
}

#[test]
fn converters_that_exit_or_take_their_time_cost_a_type_and_not_the_program() {
    let program = "
import argparse, time
p = argparse.ArgumentParser()
def an_int(text): p.error('no')
def slow_int(text): time.sleep(60)
p.add_argument('--exits', type=an_int)
p.add_argument('--sleeps', type=slow_int, default='1')
p.parse_args()
";
    assert_eq!(Program::new(program).arguments(), ["exits", "sleeps"]);
}

#[test]
fn a_refusal_that_the_program_catches_does_not_sink_it() {
    let program = "
import argparse, os, socket, subprocess
for probe in (lambda: socket.socket().bind(('0.0.0.0', 8080)), lambda: subprocess.run(['true'])):
    try: probe()
    except OSError: pass
try: subprocess.run(['true'])
except FileNotFoundError: pass
assert os.system('true') == 127 << 8, 'as a shell says that there is no such program'
os.kill(os.getpid(), 0)
p = argparse.ArgumentParser()
p.add_argument('--name')
p.parse_args()
";
    assert_eq!(Program::new(program).arguments(), ["name"]);
}

#[test]
fn the_reason_is_the_refusal_that_ended_the_program_and_not_the_first() {
    let program = "
import subprocess
try: subprocess.run(['true'])
except OSError: pass
try: subprocess.run(['false'])
except OSError as error: raise SystemExit('cannot write') from error
";
    let answer = Program::new(program).ask();
    assert_eq!(answer.status, REFUSED, "{answer:?}");
    assert!(answer.reason.contains("Popen false"), "{answer:?}");
}

#[test]
fn a_help_text_that_is_printed_by_hand_comes_with_the_first_question() {
    let program = "import subprocess\ntry: subprocess.run(['true'])\nexcept OSError: pass\nprint('Usage: tool FILE')\n";
    let program = Program::new(program);
    let answer = program.ask();
    assert_eq!(answer.status, NO_DESCRIBE, "{answer:?}");
    assert_eq!(answer.printed.trim(), "Usage: tool FILE");
}

#[test]
fn what_no_audit_event_tells_of_is_refused_as_well() {
    for (deed, words) in [
        ("os.mkfifo(made)", "changes files (os.mkfifo"),
        (
            "ctypes.CDLL(None).mkdir(made.encode(), 0o700)",
            "changes files (ctypes mkdir)",
        ),
        (
            "ctypes.CDLL(None)['system'](b'touch made')",
            "starts a process (ctypes system)",
        ),
        (
            "multiprocessing.get_context('spawn').Process(target=print).start()",
            "starts a process (_posixsubprocess.fork_exec",
        ),
        (
            "multiprocessing.get_context('fork').Process(target=print).start()",
            "starts a process (os.fork",
        ),
        (
            "os.posix_spawn('/bin/true', ['true'], {})",
            "starts a process (os.posix_spawn",
        ),
    ] {
        let program =
            format!("import ctypes, multiprocessing, os\nmade = __file__ + '.made'\n{deed}\n");
        let program = Program::new(&program);
        let answer = program.ask();
        assert_eq!(answer.status, REFUSED, "{deed}: {answer:?}");
        assert!(answer.reason.contains(words), "{deed}: {}", answer.reason);
        assert!(
            !Path::new(&format!("{}.made", program.cli().display())).exists(),
            "{deed}"
        );
    }
}

#[test]
fn words_that_are_taken_unread_reach_the_program_as_they_are() {
    let program = "
import argparse, json
p = argparse.ArgumentParser()
p.add_argument('--files', nargs='+')
p.add_argument('script')
p.add_argument('rest', nargs=argparse.REMAINDER)
print(json.dumps(vars(p.parse_args())))
";
    let given = json!({"files": ["a", "-", "b"], "script": "-", "rest": ["-x", "--files", "-"]});
    assert_eq!(Program::new(program).reads(&given), Ok(given));
}

#[test]
fn an_option_that_takes_the_rest_of_the_line_stands_last() {
    let program = "
import argparse, json
p = argparse.ArgumentParser()
p.add_argument('--run', nargs=argparse.REMAINDER)
p.add_argument('--quiet', action='store_true')
p.add_argument('names', nargs='*')
print(json.dumps(vars(p.parse_args())))
";
    let given = json!({"names": ["a", "-"], "quiet": true, "run": ["make", "-j", "--quiet"]});
    assert_eq!(Program::new(program).reads(&given), Ok(given));
}

#[test]
fn a_file_named_by_an_argument_is_never_opened() {
    let program = "
import argparse, json
p = argparse.ArgumentParser(fromfile_prefix_chars='@')
p.add_argument('--many', nargs='*')
p.add_argument('--pairs', nargs=2, action='append')
p.add_argument('--one')
p.add_argument('words', nargs='*')
print(json.dumps(vars(p.parse_args())))
";
    let program = Program::new(program);
    for given in [
        json!({"many": ["a", "@/etc/hostname"]}),
        json!({"pairs": [["a", "@/etc/hostname"]]}),
        json!({"words": ["@/etc/hostname"]}),
    ] {
        let refused = program.reads(&given).expect_err("its lines would be read");
        assert!(
            refused.contains("pattern") || refused.contains("match"),
            "{refused}"
        );
    }
    let read = program
        .reads(&json!({"one": "@/etc/hostname"}))
        .expect("it is one word");
    assert_eq!(read["one"], "@/etc/hostname");
}

#[test]
fn click_commands_are_found_as_the_program_finds_them() {
    let Some(python) = interpreter() else { return };
    let program = Program::new(
        "
import click, sys
class Lazy(click.Group):
    def list_commands(self, context): return ['gone', 'serve', 'works']
    def get_command(self, context, name):
        if name == 'gone': sys.exit('a module is missing')
        return super().get_command(context, name) if name == 'works' else None
    def resolve_command(self, context, args):
        return ('serve', serve, args[1:]) if args[0] == 'serve' else super().resolve_command(context, args)
@click.command(context_settings={'help_option_names': ['-h', '--help']})
@click.option('-h', '--host', default='localhost')
def serve(host): pass
@click.group(cls=Lazy)
def cli(): pass
cli.command('works')(lambda: None)
cli()
",
    );
    let answer = ask(&python, &program.cli());
    let payload = answer
        .payload
        .as_ref()
        .unwrap_or_else(|| panic!("{answer:?}"));
    let commands = payload["commands"].as_array().expect("a list").iter();
    let names: Vec<&Value> = commands.map(|command| &command["name"]).collect();
    assert_eq!(names, ["serve", "works"]);
    assert_eq!(arguments_of(&answer), ["host"]);
    let warnings = payload["warnings"].to_string();
    assert!(
        warnings.contains("gone is left out: it cannot be loaded"),
        "{warnings}"
    );
}
