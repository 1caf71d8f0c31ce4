//! How a run ends, and what is reported of it.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use smcp::process::{Ending, SideChannels};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{LIMIT, finished, idle, launcher, left, marked, next, run, shell, until, within};

/// A time limit that every program outlives with its first words, on a busy machine too.
const BEGINS_WITHIN: Duration = Duration::from_secs(3);

#[tokio::test]
async fn an_exit_status_is_reported_with_what_was_printed() {
    let done = finished(shell("status", "echo out; echo err >&2; exit 7")).await;
    assert_eq!(done.ending, Ending::Exited(7));
    assert_eq!(done.stdout, b"out\n");
    assert_eq!(done.stderr_tail, b"err\n");
}

#[tokio::test]
async fn a_death_by_signal_is_reported_as_such() {
    for (name, number) in [("KILL", 9), ("SEGV", 11), ("TERM", 15)] {
        let done = finished(shell("signal", &format!("kill -{name} $$"))).await;
        assert_eq!(done.ending, Ending::Signalled(number));
    }
}

#[tokio::test]
async fn a_program_over_its_time_is_ended_with_what_it_had_printed() {
    let mut job = shell("late", "echo so far; sleep 600 & setsid sleep 600 & wait");
    job.time_limit = Some(BEGINS_WITHIN);
    let done = finished(job).await;
    assert_eq!(
        (done.ending, done.stdout),
        (Ending::TimedOut, b"so far\n".to_vec())
    );
    assert_eq!(left("late"), []);
}

#[tokio::test]
async fn sigterm_lets_a_program_clean_up_and_is_sent_once() {
    let cancel = CancellationToken::new();
    let (to, mut lines) = mpsc::channel(8);
    let channels = SideChannels {
        stderr_lines: Some(to),
        ..SideChannels::default()
    };
    let launcher = launcher();
    let script = "trap 'echo asked; sleep 0.5; echo cleaned; exit 0' TERM; echo ready >&2; while :; do sleep 0.1; done";
    let running = launcher.run(shell("clean", script), channels, cancel.clone());
    let cancelling = async {
        assert_eq!(next(&mut lines).await.as_deref(), Some("ready"));
        cancel.cancel();
        cancel.cancel();
    };
    let (done, ()) = within("the run ends", async { tokio::join!(running, cancelling) }).await;
    let done = done.expect("it starts");
    assert_eq!(done.ending, Ending::Cancelled);
    assert_eq!(String::from_utf8_lossy(&done.stdout), "asked\ncleaned\n");
}

/// Takes five seconds: the grace that every program has after SIGTERM.
#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed_after_its_grace() {
    let cancel = CancellationToken::new();
    let launcher = launcher();
    let job = shell(
        "deaf",
        "trap '' TERM; setsid sh -c 'while :; do sleep 1; done' & while :; do sleep 1; done",
    );
    let running = launcher.run(job, SideChannels::default(), cancel.clone());
    let cancelling = async {
        until("it runs", LIMIT, || left("deaf").len() >= 3).await;
        cancel.cancel();
    };
    let (done, ()) = within("the run ends", async { tokio::join!(running, cancelling) }).await;
    assert_eq!(done.expect("it starts").ending, Ending::Cancelled);
    assert_eq!(left("deaf"), []);
}

#[tokio::test]
async fn a_stopped_tree_is_ended_as_well() {
    let script =
        "trap 'echo asked; exit' TERM; sleep 600 & kill -STOP $!; kill -STOP $$; sleep 600";
    let mut job = shell("stopped", script);
    job.time_limit = Some(BEGINS_WITHIN);
    let done = finished(job).await;
    assert_eq!(done.ending, Ending::TimedOut);
    assert_eq!(done.stdout, b"asked\n", "SIGCONT lets SIGTERM through");
    assert_eq!(left("stopped"), []);
}

#[tokio::test]
async fn a_token_cancelled_before_the_start_ends_the_run() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let job = shell("early", "sleep 600");
    let done = within(
        "the run ends",
        launcher().run(job, SideChannels::default(), cancel),
    )
    .await;
    assert_eq!(done.expect("it starts").ending, Ending::Cancelled);
    assert_eq!(left("early"), []);
}

#[tokio::test]
async fn many_runs_at_once_do_not_disturb_each_other() {
    let launcher = launcher();
    let runs = (0..64).map(|n| {
        let launcher = launcher.clone();
        tokio::spawn(async move {
            let job = shell("many-runs", &format!("echo {n}; exit {n}"));
            let done = run(&launcher, job).await.expect("it starts");
            assert_eq!(done.ending, Ending::Exited(n));
            assert_eq!(done.stdout, format!("{n}\n").into_bytes());
        })
    });
    for run in runs.collect::<Vec<_>>() {
        within("the run ends", run).await.expect("its claims hold");
    }
    idle(&launcher).await;
    assert_eq!((launcher.running(), left("many-runs")), (0, vec![]));
}

#[tokio::test]
async fn a_program_that_waits_for_its_channel_is_ended_before_the_channel_ends() {
    let launcher = launcher();
    let directory = tempfile::tempdir().expect("a directory");
    let rounds = (0..24).map(|round| {
        let (launcher, went_on) = (launcher.clone(), directory.path().join(round.to_string()));
        async move {
            let (ours, theirs) = StdUnixStream::pair().expect("a socket pair");
            let held = ours.try_clone().expect("there are descriptors");
            ours.set_nonblocking(true).expect("a socket");
            let channels = SideChannels {
                events: Some(theirs.into()),
                events_held: Some(held.into()),
                ..SideChannels::default()
            };
            let script = r#"echo ready >&3; read -r answer <&3; : > "$0""#;
            let words = [
                "sh".as_ref(),
                "-c".as_ref(),
                script.as_ref(),
                went_on.as_os_str(),
            ];
            let job = marked("waits", words);
            let running =
                tokio::spawn(
                    async move { launcher.run(job, channels, CancellationToken::new()).await },
                );
            let ours = UnixStream::from_std(ours).expect("a socket");
            within("it waits", ours.readable())
                .await
                .expect("it says so");
            // The server's end goes first, and nobody waits for the run any more.
            drop(ours);
            tokio::task::yield_now().await;
            running.abort();
        }
    });
    futures_util::future::join_all(rounds).await;
    idle(&launcher).await;
    let went_on = std::fs::read_dir(directory.path()).expect("a directory of our own");
    assert_eq!(went_on.count(), 0);
}
