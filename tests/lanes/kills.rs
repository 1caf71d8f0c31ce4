//! Processes of a lane that are killed from outside, during a call and between calls.

use rustix::process::{Pid, Signal, kill_process};
use smcp::process::Ending;
use smcp::telemetry::WarmState;

use crate::kit::{
    BEGINS_WITHIN, Plugin, in_a_process_of_its_own, launcher, lives, noted, nothing_is_left,
    parent_of, run, until, warm,
};
use crate::support::alone::test_name;

/// Which process of the lane is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    /// The program.
    Program,
    /// What forks programs.
    Forker,
    /// The lane's supervisor.
    Supervisor,
    /// The warm interpreter.
    Interpreter,
    /// Its supervisor.
    Nest,
}

impl Victim {
    fn above(self, program: Pid) -> Pid {
        let generations = match self {
            Self::Program => 0,
            Self::Forker => 1,
            Self::Supervisor => 2,
            Self::Interpreter => 3,
            Self::Nest => 4,
        };
        (0..generations).fold(program, |pid, _| parent_of(pid))
    }
}

async fn killed_during_a_call(victim: Victim) {
    let (plugin, hot) = (Plugin::new("killed"), launcher());
    for round in 0..5 {
        plugin.warm_up(&hot).await;
        let note = plugin.note();
        let job = plugin.job(["hang".as_ref(), note.as_os_str()]);
        let killing = async {
            let program = noted(&note).await;
            kill_process(victim.above(program), Signal::KILL).expect("it is ours");
            program
        };
        let (done, program) = tokio::join!(
            async {
                let mut job = job;
                if victim == Victim::Forker {
                    // The program goes on without it.
                    job.time_limit = Some(BEGINS_WITHIN);
                }
                run(&hot, job).await
            },
            killing
        );
        let expected = match victim {
            Victim::Program => Ending::Signalled(9),
            Victim::Forker => Ending::TimedOut,
            _ => Ending::SupervisorLost,
        };
        assert_eq!(done.ending, expected, "round {round}");
        assert!(!lives(program), "round {round}");
        hot.idle().await;
        let next = run(&hot, plugin.job(["fill", "5"])).await;
        assert_eq!(next.stdout, b"xxxxx", "round {round}");
    }
    nothing_is_left(&hot, &plugin).await;
}

#[test]
fn a_killed_program_is_answered_as_such() {
    let name = test_name!(a_killed_program_is_answered_as_such);
    in_a_process_of_its_own(name, || killed_during_a_call(Victim::Program));
}

#[test]
fn a_program_goes_on_without_what_has_forked_it() {
    let name = test_name!(a_program_goes_on_without_what_has_forked_it);
    in_a_process_of_its_own(name, || killed_during_a_call(Victim::Forker));
}

#[test]
fn a_killed_supervisor_of_a_lane_fails_its_call_alone_and_nothing_is_left() {
    let name = test_name!(a_killed_supervisor_of_a_lane_fails_its_call_alone_and_nothing_is_left);
    in_a_process_of_its_own(name, || killed_during_a_call(Victim::Supervisor));
}

#[test]
fn a_killed_interpreter_fails_its_calls_and_nothing_is_left() {
    let name = test_name!(a_killed_interpreter_fails_its_calls_and_nothing_is_left);
    in_a_process_of_its_own(name, || killed_during_a_call(Victim::Interpreter));
}

#[test]
fn a_killed_supervisor_of_an_interpreter_fails_its_calls_and_nothing_is_left() {
    let name =
        test_name!(a_killed_supervisor_of_an_interpreter_fails_its_calls_and_nothing_is_left);
    in_a_process_of_its_own(name, || killed_during_a_call(Victim::Nest));
}

#[test]
fn another_call_of_the_same_interpreter_outlives_a_killed_lane() {
    let name = test_name!(another_call_of_the_same_interpreter_outlives_a_killed_lane);
    in_a_process_of_its_own(name, || async {
        let (plugin, hot) = (Plugin::new("beside"), launcher());
        plugin.warm_up(&hot).await;
        let notes = [plugin.note(), plugin.note()];
        let job = |note: &std::path::Path| plugin.job(["hang".as_ref(), note.as_os_str()]);
        let mut lives_on = job(&notes[1]);
        // Until both run and one of them is gone.
        lives_on.time_limit = Some(2 * BEGINS_WITHIN);
        let killing = async {
            let (lost, other) = (noted(&notes[0]).await, noted(&notes[1]).await);
            kill_process(Victim::Supervisor.above(lost), Signal::KILL).expect("it is ours");
            until("the lost call's program is gone", || !lives(lost)).await;
            assert!(lives(other));
        };
        let (lost, other, ()) =
            tokio::join!(run(&hot, job(&notes[0])), run(&hot, lives_on), killing);
        assert_eq!(lost.ending, Ending::SupervisorLost);
        assert_eq!(other.ending, Ending::TimedOut);
        nothing_is_left(&hot, &plugin).await;
    });
}

/// What is killed while nobody calls harms nobody.
#[test]
fn idle_processes_that_are_killed_cost_warmth_alone() {
    let name = test_name!(idle_processes_that_are_killed_cost_warmth_alone);
    in_a_process_of_its_own(name, || async {
        let (plugin, hot) = (Plugin::new("idle"), launcher());
        for victim in [
            Victim::Forker,
            Victim::Supervisor,
            Victim::Interpreter,
            Victim::Nest,
        ] {
            plugin.warm_up(&hot).await;
            // It ends while its place is known.
            let note = plugin.note();
            let mut job = plugin.job(["hang".as_ref(), note.as_os_str()]);
            job.time_limit = Some(std::time::Duration::from_secs(600));
            let looking = async {
                let program = noted(&note).await;
                let pid = victim.above(program);
                kill_process(program, Signal::KILL).expect("it is ours");
                pid
            };
            let (done, pid) = tokio::join!(run(&hot, job), looking);
            assert_eq!(done.ending, Ending::Signalled(9));
            hot.idle().await;
            kill_process(pid, Signal::KILL).expect("it is ours");
            until("it is gone", || !lives(pid)).await;
            // What ends with it does so a moment later, and with it a call that has begun meanwhile.
            hot.idle().await;
            until("its lanes have gone", || {
                warm(&hot).state != WarmState::Warm
                    || matches!(victim, Victim::Forker | Victim::Supervisor)
            })
            .await;
            let next = run(&hot, plugin.job(["fill", "5"])).await;
            assert_eq!(next.stdout, b"xxxxx", "{victim:?}");
        }
        assert!(warm(&hot).reason.is_none());
        nothing_is_left(&hot, &plugin).await;
    });
}
