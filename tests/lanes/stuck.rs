//! Warm interpreters that do not answer, and attempts to make one that fail for a reason that passes.

use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Signal, kill_process};
use smcp::telemetry::WarmState;

use crate::kit::{
    BEGINS_WITHIN, Plugin, in_a_process_of_its_own, launcher, lives, noted, nothing_is_left,
    parent_of, run, until, warm,
};
use crate::support::alone::test_name;

/// More calls than there are idle lanes, and than may wait for one in vain.
const CALLS: usize = 12;

#[test]
fn an_interpreter_that_is_stopped_is_given_up_and_ended() {
    let name = test_name!(an_interpreter_that_is_stopped_is_given_up_and_ended);
    in_a_process_of_its_own(name, || async {
        let (plugin, hot) = (Plugin::new("stuck"), launcher());
        plugin.warm_up(&hot).await;
        let note = plugin.note();
        let mut job = plugin.job(["hang".as_ref(), note.as_os_str()]);
        job.time_limit = Some(BEGINS_WITHIN);
        let place = async {
            let supervisor = parent_of(parent_of(noted(&note).await));
            parent_of(supervisor)
        };
        let (_, interpreter) = tokio::join!(run(&hot, job), place);
        kill_process(interpreter, Signal::STOP).expect("it lives");
        let calls = (0..CALLS).map(|_| run(&hot, plugin.job(["fill", "3"])));
        for done in join_all(calls).await {
            assert_eq!(done.stdout, b"xxx");
        }
        until("it is given up", || warm(&hot).state != WarmState::Warm).await;
        assert_eq!(warm(&hot).reason, None, "there will be another");
        until("it is ended", || !lives(interpreter)).await;
        plugin.warm_up(&hot).await;
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn what_has_failed_by_accident_is_tried_again() {
    let name = test_name!(what_has_failed_by_accident_is_tried_again);
    in_a_process_of_its_own(name, || async {
        // As an installation that goes on while the plugin is called.
        let program = "import os, sys\n\
            runs = len(os.listdir('.'))\n\
            print('ran')\n\
            if sys.argv[1] == '--help' and runs < 4:\n\
            \x20   open('run_%d' % runs, 'w').close()\n\
            \x20   open(os.path.join(os.path.dirname(sys.argv[0]), 'module_%d.py' % runs), 'w').close()\n";
        let (plugin, hot) = (Plugin::with("accident", program), launcher());
        let room = tempfile::tempdir().expect("there is room");
        std::env::set_current_dir(room.path()).expect("it is there");
        run(&hot, plugin.job(["x"])).await;
        until("the attempt has failed", || warm(&hot).reason.is_some()).await;
        let first = warm(&hot);
        assert_eq!(first.state, WarmState::Cold);
        let why = first.reason.unwrap_or_default();
        assert!(why.contains("changed meanwhile"), "{why}");
        let deadline = std::time::Instant::now() + crate::kit::LIMIT;
        while warm(&hot).state != WarmState::Warm {
            assert!(std::time::Instant::now() < deadline, "{:?}", warm(&hot));
            run(&hot, plugin.job(["x"])).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn a_list_of_modules_that_fits_in_no_packet_is_no_reason_against_an_interpreter() {
    let name =
        test_name!(a_list_of_modules_that_fits_in_no_packet_is_no_reason_against_an_interpreter);
    in_a_process_of_its_own(name, || async {
        let packages = tempfile::tempdir().expect("there is room");
        let write = |name: &str, text: &str| {
            let path = packages.path().join(format!("{name}.py"));
            std::fs::write(path, text).expect("there is room");
        };
        write(
            "one_that_cannot_be_shared",
            "import os\nname = os.environ['PATH']\n",
        );
        let mut program = format!("import sys\nsys.path.append({:?})\n", packages.path());
        for number in 0..1500 {
            let name = format!("a_module_that_comes_from_far_away_{number}");
            write(&name, "import one_that_cannot_be_shared\n");
            program.push_str(&format!("import {name}\n"));
        }
        program.push_str("print('ran')\n");
        let (plugin, hot) = (Plugin::with("many", &program), launcher());
        plugin.warm_up(&hot).await;
        nothing_is_left(&hot, &plugin).await;
    });
}
