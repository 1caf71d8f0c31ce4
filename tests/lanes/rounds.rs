//! Rounds of questions: many programs are forks of one interpreter, and each is what it would be executed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use smcp::process::{Ending, Finished, Job, Launcher, Round};
use tokio_util::sync::CancellationToken;

use crate::kit::{
    BEGINS_WITHIN, LIMIT, cold_launcher, in_a_process_of_its_own, launcher, lives, noted,
    parent_of, python, run, told, until, within,
};
use crate::support::alone::test_name;

/// How many a round asks before it makes an interpreter: fewer are executed.
const ALONE: usize = 1;

/// Says all that can be told of its process, and notes whether it is a fork: the system keeps the command line of what
/// was executed.
const FACTS: &str = r#""""A program."""
import argparse
import json
import os
import sys
from pathlib import Path

assert Path(__file__).name == "cli.py"
with open("/proc/self/cmdline", "rb") as file:
    forked = b"script.pyc" in file.read()
Path(os.environ["NOTE"]).write_text(str(forked))
parser = argparse.ArgumentParser()
parser.add_argument("--describe", action="store_true")
parser.parse_args()
print(json.dumps([
    sys.argv, sys.orig_argv if hasattr(sys, "orig_argv") else 0, sys.path, sys.flags, __file__, __name__, __doc__,
    str(__spec__), type(__loader__).__name__, __loader__.path, sorted(globals()), os.getcwd(), dict(sorted(os.environ.items())),
    sys.stdin.read(), os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid(), sorted(sys.modules),
    sorted(sys.path_importer_cache), json.__file__, [type(finder).__name__ for finder in sys.meta_path],
    sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)),
    sys._getframe().f_back, os.stat(1).st_mode, os.stat(0).st_mode,
], default=str))
print("not flushed", file=sys.stderr, end="")
"#;

/// A directory with programs, each in one of its own.
struct Programs {
    directory: tempfile::TempDir,
    environment: Vec<(OsString, OsString)>,
}

impl Programs {
    fn new() -> Self {
        let path = std::env::var_os("PATH").expect("there is a PATH");
        Self {
            directory: tempfile::tempdir().expect("there is room"),
            environment: vec![("PATH".into(), path), ("LANG".into(), "C.UTF-8".into())],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn note(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.note"))
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
        std::fs::write(path, text).expect("there is room");
        self
    }

    fn job(&self, name: &str) -> Job {
        let mut environment = self.environment.clone();
        environment.push(("NOTE".into(), self.note(name).into()));
        environment.push(("OWN".into(), name.into()));
        let script = self.path(name).join("cli.py");
        Job {
            argv: vec![python().into(), script.into(), "--describe".into()],
            environment,
            directory: None,
            stdin: None,
            time_limit: Some(LIMIT),
            stdout_limit: 16 << 20,
            stderr_tail: 64 << 10,
            background: None,
            warm: None,
        }
    }

    /// A round in which so many were asked that the next are forks.
    async fn round(&self, launcher: &Launcher) -> Arc<Round> {
        let round = launcher.round(self.environment.clone());
        let round = Arc::new(round.expect("there are warm interpreters"));
        self.write("first/cli.py", "print('never run')");
        for _ in 0..ALONE {
            let first = ask(launcher, &round, self.job("first")).await;
            assert!(first.is_none(), "one alone is executed");
        }
        round
    }

    /// What the program noted in its last run.
    fn noted(&self, name: &str) -> String {
        std::fs::read_to_string(self.note(name)).expect("it has run")
    }
}

async fn ask(launcher: &Launcher, round: &Round, job: Job) -> Option<Finished> {
    let asking = launcher.run_in_round(job, round, CancellationToken::new());
    within("the question has an answer", asking).await
}

async fn forked(launcher: &Launcher, round: &Round, job: Job) -> Finished {
    ask(launcher, round, job).await.expect("it has a lane")
}

/// The interpreter that a program was forked from.
fn above(program: Pid) -> Pid {
    parent_of(parent_of(parent_of(program)))
}

async fn everything_ends(launcher: &Launcher) {
    within("no run has a process", launcher.idle()).await;
    within("the warm interpreters end", launcher.end_warm()).await;
}

#[test]
fn a_program_sees_in_a_fork_what_it_sees_executed() {
    let name = test_name!(a_program_sees_in_a_fork_what_it_sees_executed);
    in_a_process_of_its_own(name, || async {
        let (programs, hot, cold) = (Programs::new(), launcher(), cold_launcher());
        let round = programs.round(&hot).await;
        let noting = "open(__import__('os').environ['NOTE'], 'w').write(str('script.pyc' in open('/proc/self/cmdline').read()))";
        let cases = [
            ("facts", FACTS.to_owned(), true),
            ("status", format!("import sys\n{noting}\nsys.exit(3)"), true),
            (
                "text",
                format!("import sys\n{noting}\nsys.exit('why')"),
                true,
            ),
            (
                "raises",
                format!("{noting}\ndef inner():\n    raise ValueError('x')\n\ninner()"),
                true,
            ),
            (
                "late",
                format!(
                    "import atexit\n{noting}\natexit.register(print, 'late', flush=False)\nprint('early')"
                ),
                true,
            ),
            (
                "signal",
                format!("import os\n{noting}\nos.kill(os.getpid(), 9)"),
                true,
            ),
            (
                "encoded",
                format!("# coding: latin-1\n{noting}\nprint(ascii('\u{e4}'))"),
                true,
            ),
            // What Python says of the text itself, it says where it is executed.
            ("broken", "print(".to_owned(), false),
            ("warned", format!("{noting}\nprint(1 is 1)"), false),
        ];
        for (name, text, is_forked) in cases {
            programs.write(&format!("{name}/cli.py"), &text);
            let expected = told(&run(&cold, programs.job(name)).await);
            let _ = std::fs::remove_file(programs.note(name));
            let found = told(&forked(&hot, &round, programs.job(name)).await);
            assert_eq!(found, expected, "{name}");
            if name != "broken" {
                let shown = if is_forked { "True" } else { "False" };
                assert_eq!(programs.noted(name), shown, "{name}");
            }
        }
        everything_ends(&hot).await;
    });
}

#[test]
fn a_module_beside_a_program_is_found_first_and_its_own_are_no_other_programs() {
    let name =
        test_name!(a_module_beside_a_program_is_found_first_and_its_own_are_no_other_programs);
    in_a_process_of_its_own(name, || async {
        let (programs, hot) = (Programs::new(), launcher());
        let round = programs.round(&hot).await;
        let program = "import json\nimport helper\nimport argparse\nprint(json.__file__, helper.WHOSE, argparse.__file__)";
        for (name, beside) in [("one", "json"), ("two", "argparse"), ("three", "re")] {
            programs
                .write(&format!("{name}/cli.py"), program)
                .write(
                    &format!("{name}/helper.py"),
                    &format!("WHOSE = {name:?}"),
                )
                .write(
                    &format!("{name}/{beside}.py"),
                    "IGNORECASE = NOFLAG = MULTILINE = DOTALL = VERBOSE = 0\ncompile = sub = escape = print",
                );
            let expected = told(&run(&cold_launcher(), programs.job(name)).await);
            let found = told(&forked(&hot, &round, programs.job(name)).await);
            assert_eq!(found, expected, "{name}");
        }
        everything_ends(&hot).await;
    });
}

#[test]
fn what_a_program_changes_before_it_imports_holds_for_what_it_imports() {
    let name = test_name!(what_a_program_changes_before_it_imports_holds_for_what_it_imports);
    in_a_process_of_its_own(name, || async {
        let (programs, hot) = (Programs::new(), launcher());
        let round = programs.round(&hot).await;
        let directory = programs.path("elsewhere");
        programs.write("elsewhere/json.py", "WHOSE = 'elsewhere'").write(
            "path/cli.py",
            &format!(
                "import sys\nprint('argparse' in sys.modules, 'json' in sys.modules)\nsys.path.insert(0, {directory:?})\nimport json\nprint(json.WHOSE)"
            ),
        );
        let found = told(&forked(&hot, &round, programs.job("path")).await);
        assert_eq!(
            found,
            (
                Ending::Exited(0),
                "False False\nelsewhere\n".to_owned(),
                String::new()
            )
        );
        everything_ends(&hot).await;
    });
}

#[test]
fn a_program_that_hangs_is_ended_with_its_tree_and_the_next_is_asked() {
    let name = test_name!(a_program_that_hangs_is_ended_with_its_tree_and_the_next_is_asked);
    in_a_process_of_its_own(name, || async {
        let (programs, hot) = (Programs::new(), launcher());
        let round = programs.round(&hot).await;
        programs.write("facts/cli.py", FACTS).write(
            "hangs/cli.py",
            "import os, signal, subprocess, time\n\
             signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
             child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n\
             open(os.environ['NOTE'] + '.fresh', 'w').write(str(child.pid))\n\
             os.rename(os.environ['NOTE'] + '.fresh', os.environ['NOTE'])\n\
             time.sleep(600)\n",
        );
        let mut job = programs.job("hangs");
        job.time_limit = Some(BEGINS_WITHIN);
        let note = programs.note("hangs");
        let (done, child) = tokio::join!(forked(&hot, &round, job), noted(&note));
        assert_eq!(done.ending, Ending::TimedOut);
        until("its tree ends", || !lives(child)).await;
        let next = forked(&hot, &round, programs.job("facts")).await;
        assert_eq!(next.ending, Ending::Exited(0));
        assert_eq!(programs.noted("facts"), "True");
        everything_ends(&hot).await;
    });
}

#[test]
fn whatever_a_program_kills_above_it_the_next_one_is_answered() {
    let name = test_name!(whatever_a_program_kills_above_it_the_next_one_is_answered);
    in_a_process_of_its_own(name, || async {
        let (programs, hot) = (Programs::new(), launcher());
        programs.write("facts/cli.py", FACTS);
        for generations in 1..=4 {
            let round = programs.round(&hot).await;
            let killer = "import os\n\
                pid = os.getpid()\n\
                for _ in range(GENERATIONS):\n\
                \x20   with open('/proc/%d/stat' % pid) as file:\n\
                \x20       pid = int(file.read().rpartition(') ')[2].split()[1])\n\
                os.kill(pid, 9)\n\
                print('{}')\n"
                .replace("GENERATIONS", &generations.to_string());
            programs.write("kills/cli.py", &killer);
            let mut job = programs.job("kills");
            job.time_limit = Some(Duration::from_secs(20));
            // What comes of it is its own affair; it has an end.
            ask(&hot, &round, job).await;
            let job = programs.job("facts");
            let next = match ask(&hot, &round, job.clone()).await {
                Some(next) if next.ending != Ending::SupervisorLost => next,
                // It began before what has forked it was found to be gone. Whoever asks executes the program then.
                _ => run(&hot, job).await,
            };
            assert_eq!(next.ending, Ending::Exited(0), "{generations}");
            within("no run has a process", hot.idle()).await;
        }
        everything_ends(&hot).await;
    });
}

#[test]
fn an_interpreter_that_is_stopped_or_gone_holds_up_few() {
    let name = test_name!(an_interpreter_that_is_stopped_or_gone_holds_up_few);
    in_a_process_of_its_own(name, || async {
        let (programs, hot) = (Programs::new(), launcher());
        programs.write(
            "waits/cli.py",
            "import os, time\n\
             open(os.environ['NOTE'] + '.fresh', 'w').write(str(os.getpid()))\n\
             os.rename(os.environ['NOTE'] + '.fresh', os.environ['NOTE'])\n\
             time.sleep(600)\n",
        );
        for signal in [Signal::STOP, Signal::KILL] {
            let round = programs.round(&hot).await;
            let note = programs.note("waits");
            let _ = std::fs::remove_file(&note);
            let mut job = programs.job("waits");
            job.time_limit = Some(BEGINS_WITHIN);
            let (hot, round) = (&hot, &*round);
            let stopping = async {
                let interpreter = above(noted(&note).await);
                kill_process(interpreter, signal).expect("it lives");
                // Its only lane is in use.
                let next = ask(hot, round, programs.job("first")).await;
                assert!(next.is_none(), "{signal:?}: it cannot have been forked");
                interpreter
            };
            let (_, interpreter) = tokio::join!(ask(hot, round, job), stopping);
            let begun = std::time::Instant::now();
            for _ in 0..5 {
                let next = ask(hot, round, programs.job("first")).await;
                assert!(next.is_none(), "{signal:?}: it is given up");
            }
            assert!(begun.elapsed() < LIMIT, "{signal:?}");
            assert!(signal == Signal::KILL || lives(interpreter));
        }
        everything_ends(&hot).await;
    });
}

#[test]
fn nothing_of_a_round_outlives_it() {
    let name = test_name!(nothing_of_a_round_outlives_it);
    in_a_process_of_its_own(name, || async {
        let (programs, hot) = (Programs::new(), launcher());
        let round = programs.round(&hot).await;
        programs.write(
            "tells/cli.py",
            "import os\nprint(os.getppid(), os.readlink('/proc/%d/exe' % os.getppid()))\n\
             with open('/proc/self/cmdline') as file:\n\
             \x20   print(file.read().split('\\0')[1])\n",
        );
        let told = forked(&hot, &round, programs.job("tells")).await.stdout;
        let told = String::from_utf8(told).expect("it is text");
        let mut words = told.split_ascii_whitespace();
        let forker = words
            .next()
            .and_then(|word| Pid::from_raw(word.parse().ok()?));
        let forker = forker.expect("a number");
        let interpreter = parent_of(parent_of(forker));
        let link = PathBuf::from(words.nth(1).expect("a path"));
        assert!(lives(forker) && lives(interpreter) && link.is_symlink());
        drop(round);
        until("its processes end", || {
            !lives(forker) && !lives(interpreter)
        })
        .await;
        until("its files are gone", || !link.is_symlink()).await;
        everything_ends(&hot).await;
    });
}

#[test]
fn a_surrounding_that_is_not_plain_leaves_programs_executed() {
    let name = test_name!(a_surrounding_that_is_not_plain_leaves_programs_executed);
    in_a_process_of_its_own(name, || async {
        let hot = launcher();
        let custom = tempfile::tempdir().expect("there is room");
        std::fs::write(custom.path().join("sitecustomize.py"), "").expect("there is room");
        let paths = [
            ("PYTHONPATH", custom.path().to_owned()),
            ("PYTHONSTARTUP", "/nowhere".into()),
            ("PYTHONWARNINGS", "error".into()),
            ("PYTHONOPTIMIZE", "1".into()),
        ];
        for (variable, value) in paths {
            let mut programs = Programs::new();
            programs.environment.push((variable.into(), value.into()));
            let round = programs.round(&hot).await;
            let asked = ask(&hot, &round, programs.job("first")).await;
            assert!(asked.is_none(), "{variable}");
        }
        // A variable of the program's own: it is executed below the lane.
        let programs = Programs::new();
        programs.write("facts/cli.py", FACTS);
        let round = programs.round(&hot).await;
        let mut job = programs.job("facts");
        job.environment.push(("PYTHONHASHSEED".into(), "7".into()));
        let done = forked(&hot, &round, job).await;
        assert_eq!(done.ending, Ending::Exited(0));
        assert_eq!(programs.noted("facts"), "False");
        let facts: Value = serde_json::from_slice(&done.stdout).expect("it is JSON");
        assert_eq!(facts[12]["PYTHONHASHSEED"], "7");
        everything_ends(&hot).await;
    });
}
