//! What a program leaves behind, and what is left when its caller or its server goes: nothing.

use std::process::Stdio;

use rustix::process::Pid;
use smcp::process::Ending;

use crate::alone::{self, test_name};
use crate::{LIMIT, idle, in_a_process_of_its_own, launcher, left, left_of, run, shell, until};

#[tokio::test]
async fn a_grandchild_that_holds_stdout_does_not_hold_up_the_answer() {
    let launcher = launcher();
    let job = shell(
        "holder",
        "(trap '' TERM; while :; do sleep 1; done) & echo said",
    );
    let done = run(&launcher, job).await.expect("it starts");
    assert_eq!(
        (done.ending, done.stdout),
        (Ending::Exited(0), b"said\n".to_vec())
    );
    idle(&launcher).await;
    assert_eq!((left("holder"), launcher.running()), (vec![], 0));
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_ended_and_nobody_waits_for_it() {
    let launcher = launcher();
    let job = shell(
        "behind",
        "setsid sleep 600 >/dev/null 2>&1 & (setsid setsid sleep 600 >/dev/null 2>&1 &) ; echo said",
    );
    let done = run(&launcher, job).await.expect("it starts");
    assert_eq!(
        (done.ending, done.stdout),
        (Ending::Exited(0), b"said\n".to_vec())
    );
    idle(&launcher).await;
    assert_eq!(left("behind"), []);
}

#[tokio::test]
async fn a_caller_who_leaves_takes_the_whole_tree_along() {
    let launcher = launcher();
    let job = shell(
        "leaves",
        "setsid sleep 600 & (setsid setsid sleep 600 &); wait",
    );
    {
        let running = run(&launcher, job);
        let started = until("all run", LIMIT, || left("leaves").len() == 3);
        tokio::select! {
            _ = running => panic!("nothing ends it"),
            () = started => {}
        }
    }
    assert_eq!(launcher.running(), 1);
    idle(&launcher).await;
    assert_eq!(left("leaves"), []);
}

#[tokio::test]
async fn a_killed_server_leaves_nothing() {
    let server = alone::command(&[], test_name!(a_server_that_is_to_be_killed))
        .stdout(Stdio::null())
        .spawn();
    let mut server = KilledAtLast(server.expect("this program starts again"));
    let pid = Pid::from_child(&server.0);
    until("all run", LIMIT, || left_of("orphan", pid).len() == 5).await;
    server.0.kill().expect("it is ours");
    server.0.wait().expect("it is ours");
    until("nothing is left", LIMIT, || {
        left_of("orphan", pid).is_empty()
    })
    .await;
}

/// Ends the child also when the claim fails.
pub struct KilledAtLast(pub std::process::Child);

impl Drop for KilledAtLast {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a claim of its own: the server of the test above.
#[test]
#[ignore = "runs until it is killed"]
fn a_server_that_is_to_be_killed() {
    in_a_process_of_its_own(test_name!(a_server_that_is_to_be_killed), || async {
        let job = shell(
            "orphan",
            "trap '' TERM HUP; setsid sleep 600 & (setsid setsid sleep 600 &); setsid sh -c 'sleep 600; :' & exec sleep 600",
        );
        let _ = run(&launcher(), job).await;
    });
}
