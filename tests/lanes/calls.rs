//! Calls through a lane beside the same calls of executed programs.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use serde_json::Value;
use smcp::process::{Ending, SideChannels};
use tokio_util::sync::CancellationToken;

use crate::kit::{
    Plugin, cold_launcher, in_a_process_of_its_own, launcher, nothing_is_left, run, told, warm,
    within,
};
use crate::support::alone::test_name;

#[test]
fn a_warm_call_gives_what_a_cold_one_gives() {
    in_a_process_of_its_own(
        test_name!(a_warm_call_gives_what_a_cold_one_gives),
        || async {
            let (plugin, cold, hot) = (Plugin::new("same"), cold_launcher(), launcher());
            plugin.warm_up(&hot).await;
            for words in [
                &["facts", "", "ü", "two words", "--", "-x"][..],
                &["ends", "0"],
                &["ends", "3"],
                &["ends", "text"],
                &["ends", "raise"],
                &["ends", "--", "-9"],
                &["ends", "--", "-15"],
                &["fill", "0"],
                &["fill", "3000000"],
                &["nothing"],
                &["--help"],
                &[],
            ] {
                let expected = told(&run(&cold, plugin.job(words.iter().copied())).await);
                let before = warm(&hot).hits;
                let found = told(&run(&hot, plugin.job(words.iter().copied())).await);
                assert_eq!(found, expected, "{words:?}");
                assert_eq!(warm(&hot).hits, before + 1, "{words:?} was no warm call");
            }
            nothing_is_left(&hot, &plugin).await;
        },
    );
}

#[test]
fn directory_input_and_environment_are_those_of_the_call() {
    in_a_process_of_its_own(
        test_name!(directory_input_and_environment_are_those_of_the_call),
        || async {
            let (plugin, hot) = (Plugin::new("own"), launcher());
            plugin.warm_up(&hot).await;
            let directory = tempfile::tempdir().expect("there is room");
            let directory = directory.path().canonicalize().expect("it is there");
            let mut job = plugin.job(["facts"]);
            job.directory = Some(directory.clone());
            job.environment
                .push(("SECRET".into(), "of this call".into()));
            let facts: Value =
                serde_json::from_slice(&run(&hot, job).await.stdout).expect("it prints JSON");
            assert_eq!(facts["cwd"], directory.to_str().expect("it is text"));
            assert_eq!(facts["environment"]["SECRET"], "of this call");
            let facts: Value =
                serde_json::from_slice(&run(&hot, plugin.job(["facts"])).await.stdout)
                    .expect("it prints JSON");
            assert_eq!(facts["environment"]["SECRET"], Value::Null);
            let mut job = plugin.job(["read"]);
            job.stdin = Some(vec![b'x'; 1 << 20]);
            assert_eq!(run(&hot, job).await.stdout, b"1048576\n");
            assert_eq!(warm(&hot).fallbacks, 0);
            nothing_is_left(&hot, &plugin).await;
        },
    );
}

#[test]
fn a_variable_that_was_read_at_the_start_is_answered_by_a_cold_call() {
    in_a_process_of_its_own(
        test_name!(a_variable_that_was_read_at_the_start_is_answered_by_a_cold_call),
        || async {
            let (plugin, hot) = (Plugin::new("python"), launcher());
            plugin.warm_up(&hot).await;
            let mut job = plugin.job(["facts"]);
            job.environment
                .push(("PYTHONDONTWRITEBYTECODE".into(), "1".into()));
            let done = run(&hot, job).await;
            assert_eq!(done.ending, Ending::Exited(0));
            assert_eq!(warm(&hot).fallbacks, 1);
            // The same lane goes on.
            let before = warm(&hot).hits;
            run(&hot, plugin.job(["facts"])).await;
            assert_eq!((warm(&hot).hits, warm(&hot).fallbacks), (before + 1, 1));
            nothing_is_left(&hot, &plugin).await;
        },
    );
}

#[test]
fn the_events_channel_is_descriptor_three() {
    in_a_process_of_its_own(
        test_name!(the_events_channel_is_descriptor_three),
        || async {
            let (plugin, hot) = (Plugin::new("events"), launcher());
            plugin.warm_up(&hot).await;
            let (mut ours, theirs) = UnixStream::pair().expect("a socket pair");
            let channels = SideChannels {
                events: Some(OwnedFd::from(theirs)),
                ..SideChannels::default()
            };
            let talking = tokio::task::spawn_blocking(move || {
                let mut word = [0; 7];
                ours.read_exact(&mut word).expect("the program speaks");
                ours.write_all(b"an answer").expect("the program listens");
                word
            });
            let done = hot.run(plugin.job(["events"]), channels, CancellationToken::new());
            let done = within("the run ends", done).await.expect("it starts");
            assert_eq!(&talking.await.expect("nothing panics"), b"a word\n");
            assert_eq!(done.stdout, b"an answer\n");
            assert_eq!(warm(&hot).fallbacks, 0);
            nothing_is_left(&hot, &plugin).await;
        },
    );
}

#[test]
fn calls_at_once_have_a_lane_each() {
    in_a_process_of_its_own(test_name!(calls_at_once_have_a_lane_each), || async {
        let (plugin, hot) = (Plugin::new("many"), launcher());
        plugin.warm_up(&hot).await;
        let calls = (0..24).map(|number| {
            let job = plugin.job(["fill".to_owned(), number.to_string()]);
            run(&hot, job)
        });
        let done = futures_util::future::join_all(calls).await;
        for (number, done) in done.iter().enumerate() {
            assert_eq!(done.stdout.len(), number);
        }
        assert_eq!(warm(&hot).fallbacks, 0);
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn a_changed_program_is_run_at_once() {
    in_a_process_of_its_own(test_name!(a_changed_program_is_run_at_once), || async {
        let (plugin, hot) = (Plugin::new("changed"), launcher());
        plugin.warm_up(&hot).await;
        let text = "import sys\nprint('another program', sys.argv[1:])\n";
        std::fs::write(plugin.path("cli.py"), text).expect("there is room");
        let done = run(&hot, plugin.job(["now"])).await;
        assert_eq!(done.stdout, b"another program ['now']\n");
        nothing_is_left(&hot, &plugin).await;
    });
}
