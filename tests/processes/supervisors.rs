//! Supervisors that are killed, stopped or asked to go.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use smcp::process::Ending;

use crate::alone::test_name;
use crate::{
    LIMIT, all_sleep, finished, idle, in_a_process_of_its_own, launcher, left, marked, parent_of,
    run, shell, until,
};

#[test]
fn a_killed_supervisor_fails_its_run_alone_and_nothing_is_left() {
    in_a_process_of_its_own(
        test_name!(a_killed_supervisor_fails_its_run_alone_and_nothing_is_left),
        || async {
            let launcher = launcher();
            let directory = tempfile::tempdir().expect("a directory");
            let gone = directory.path().join("the other supervisor is gone");
            // Ends when it is told to, so that it must outlive what became of the other one.
            let script = r#"until [ -e "$0" ]; do sleep 0.05; done; echo survived"#;
            let other = marked(
                "other",
                [
                    "sh".as_ref(),
                    "-c".as_ref(),
                    script.as_ref(),
                    gone.as_os_str(),
                ],
            );
            let job = shell(
                "lost",
                "echo begun; setsid sleep 600 & (setsid setsid sleep 600 &); exec sleep 600",
            );
            let killing = async {
                until("all run", LIMIT, || all_sleep("lost", 3)).await;
                let main = |pid: &Pid| {
                    left("lost").contains(pid) && !left("lost").contains(&parent_of(*pid))
                };
                let program = left("lost")
                    .into_iter()
                    .find(main)
                    .expect("one is the program");
                kill_process(parent_of(program), Signal::KILL).expect("it is ours");
            };
            let losing = async {
                let (lost, ()) = tokio::join!(run(&launcher, job), killing);
                let lost = lost.expect("it starts");
                assert_eq!(
                    (lost.ending, lost.stdout),
                    (Ending::SupervisorLost, b"begun\n".to_vec())
                );
                assert_eq!(left("lost"), []);
                std::fs::write(&gone, "").expect("a directory of our own");
            };
            let (other, ()) = tokio::join!(run(&launcher, other), losing);
            assert_eq!(other.expect("it starts").stdout, b"survived\n");
            idle(&launcher).await;
            let next = run(&launcher, shell("next", "echo next")).await;
            assert_eq!(next.expect("it starts").stdout, b"next\n");
        },
    );
}

/// Takes nine seconds: the time and the grace of the run, and the time after which a supervisor that says nothing is given up.
#[test]
fn a_stopped_supervisor_is_given_up_and_nothing_is_left() {
    in_a_process_of_its_own(
        test_name!(a_stopped_supervisor_is_given_up_and_nothing_is_left),
        || async {
            let launcher = launcher();
            let mut job = shell(
                "hostile",
                "kill -STOP $PPID; setsid sleep 600 & exec sleep 600",
            );
            job.time_limit = Some(Duration::from_secs(2));
            let done = run(&launcher, job).await.expect("it starts");
            assert_eq!(done.ending, Ending::TimedOut);
            idle(&launcher).await;
            assert_eq!(left("hostile"), []);
        },
    );
}

#[tokio::test]
async fn a_supervisor_is_deaf_to_polite_signals() {
    let job = shell(
        "deaf-supervisor",
        "for s in TERM INT HUP QUIT; do kill -$s $PPID; done; sleep 0.2; echo here",
    );
    let done = finished(job).await;
    assert_eq!(
        (done.ending, done.stdout),
        (Ending::Exited(0), b"here\n".to_vec())
    );
}
