//! Why a program is not served, or only by its help page: the true reason, in the program's own words where it has some.

use smcp::discovery::introspect::REFUSED;

use super::asking::{ask, payload, python3};
use super::serving::served;
use crate::catalog::{Plugins, live};

#[test]
fn a_program_that_ends_itself_is_reported_with_its_last_words() {
    live(async {
        let plugins = Plugins::new();
        plugins.python(
            "complains",
            "import sys\nprint('starting', file=sys.stderr)\nsys.exit('WEATHER_KEY is missing: export it')\n",
        );
        plugins.python(
            "answers",
            "import json, sys\nprint(json.dumps({'error': 'no licence'}, indent=2))\nsys.exit(3)\n",
        );
        plugins.python("fails_quietly", "print('{\"error\": \"no licence\"}')\n");
        let running = served(plugins.path(), python3()).await;
        for (name, words) in [
            (
                "complains",
                "exited with status 1 without asking an argparse, click or typer parser, and said: WEATHER_KEY is missing: export it; give it",
            ),
            (
                "answers",
                "exited with status 3 without asking an argparse, click or typer parser, and said: { \"error\": \"no licence\" }; give it",
            ),
            (
                "fails_quietly",
                "ended without asking an argparse, click or typer parser, and said: {\"error\": \"no licence\"}; give it",
            ),
        ] {
            let reason = running.skipped(name);
            assert!(reason.contains(words), "{reason}");
            assert!(reason.contains("the server's environment"), "{reason}");
            assert!(!reason.contains("Available commands"), "{reason}");
        }
    });
}

#[test]
fn locks_and_queues_between_processes_are_made_before_the_parser_is_asked() {
    let plugin = tempfile::tempdir().expect("there is room");
    let cli = plugin.path().join("cli.py");
    let source = "import argparse, multiprocessing\nmultiprocessing.set_start_method('fork')\n\
            lock, queue = multiprocessing.Lock(), multiprocessing.Queue()\nwith lock: pass\n\
            parser = argparse.ArgumentParser()\nparser.add_argument('--name')\nparser.parse_args()\n";
    std::fs::write(&cli, source).expect("the directory is ours");
    let found = payload(&python3(), &cli);
    assert_eq!(found["commands"][0]["parameters"][0]["name"], "name");
}

#[test]
fn what_native_code_may_not_write_is_called_so() {
    let plugin = tempfile::tempdir().expect("there is room");
    let cli = plugin.path().join("cli.py");
    // The semaphore of another process would stay, and a file of the library's own that is written by it.
    for (source, deed) in [
        (
            "import multiprocessing\nmultiprocessing.get_context('spawn').Lock()\n",
            "makes a semaphore that stays",
        ),
        (
            "import errno\nraise OSError(errno.EFBIG, 'as native code gives it')\n",
            "writes to a file by native code",
        ),
    ] {
        std::fs::write(&cli, source).expect("the directory is ours");
        let answer = ask(&python3(), &cli);
        assert_eq!(answer.status, REFUSED, "{}", answer.reason);
        assert!(answer.reason.contains(deed), "{}", answer.reason);
    }
}
