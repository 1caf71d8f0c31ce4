//! How calls through a lane end, and what is left of them then.

use std::path::Path;

use rustix::process::Pid;
use smcp::process::{Background, Ending, Keep, Launcher, Owner, SideChannels};
use tokio_util::sync::CancellationToken;

use crate::kit::{
    BEGINS_WITHIN, Plugin, in_a_process_of_its_own, launcher, lives, noted, nothing_is_left,
    parent_of, run, until, warm, within,
};
use crate::support::alone::test_name;

/// The processes of the plugin but for its interpreter and the forkers of its lanes.
fn of_calls(plugin: &Plugin, interpreter: Pid) -> Vec<Pid> {
    let mut processes = plugin.processes();
    processes.retain(|pid| {
        let is_forker = || {
            let supervisor = parent_of(*pid);
            supervisor != interpreter && parent_of(supervisor) == interpreter
        };
        *pid != interpreter && lives(*pid) && !is_forker()
    });
    processes
}

/// Where a program stands: its interpreter, its supervisor, its forker, itself.
struct Place {
    interpreter: Pid,
    supervisor: Pid,
}

async fn place(note: &Path) -> Place {
    let program = noted(note).await;
    let supervisor = parent_of(parent_of(program));
    Place {
        interpreter: parent_of(supervisor),
        supervisor,
    }
}

async fn next_call_is_warm(launcher: &Launcher, plugin: &Plugin) {
    let before = warm(launcher).hits;
    let next = run(launcher, plugin.job(["fill", "5"])).await;
    assert_eq!(next.stdout, b"xxxxx");
    assert_eq!(warm(launcher).hits, before + 1);
}

#[test]
fn the_time_limit_ends_the_whole_tree() {
    in_a_process_of_its_own(test_name!(the_time_limit_ends_the_whole_tree), || async {
        let (plugin, hot) = (Plugin::new("time"), launcher());
        plugin.warm_up(&hot).await;
        for command in ["hang", "deaf"] {
            let note = plugin.note();
            let mut job = plugin.job([command.as_ref(), note.as_os_str()]);
            job.time_limit = Some(BEGINS_WITHIN);
            let (done, place) = tokio::join!(run(&hot, job), place(&note));
            assert_eq!(done.ending, Ending::TimedOut, "{command}");
            assert_eq!(done.stdout, b"begun\n", "{command}");
            assert_eq!(of_calls(&plugin, place.interpreter), [], "{command}");
            until("its lane is given up", || !lives(place.supervisor)).await;
            next_call_is_warm(&hot, &plugin).await;
        }
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn a_cancelled_call_and_one_that_nobody_waits_for_leave_nothing() {
    in_a_process_of_its_own(
        test_name!(a_cancelled_call_and_one_that_nobody_waits_for_leave_nothing),
        || async {
            let (plugin, hot) = (Plugin::new("cancel"), launcher());
            plugin.warm_up(&hot).await;
            let note = plugin.note();
            let job = plugin.job(["hang".as_ref(), note.as_os_str()]);
            let cancel = CancellationToken::new();
            let running = hot.run(job, SideChannels::default(), cancel.clone());
            let cancelling = async {
                let place = place(&note).await;
                cancel.cancel();
                place
            };
            let (done, at) = tokio::join!(within("the run ends", running), cancelling);
            assert_eq!(done.expect("it starts").ending, Ending::Cancelled);
            assert_eq!(of_calls(&plugin, at.interpreter), []);

            let note = plugin.note();
            let job = plugin.job(["hang".as_ref(), note.as_os_str()]);
            let running = hot.run(job, SideChannels::default(), CancellationToken::new());
            let left = tokio::select! {
                _ = running => panic!("it hangs"),
                place = place(&note) => place,
            };
            until("the call that nobody waits for ends", || {
                of_calls(&plugin, left.interpreter).is_empty()
            })
            .await;
            next_call_is_warm(&hot, &plugin).await;
            nothing_is_left(&hot, &plugin).await;
        },
    );
}

#[test]
fn too_much_output_ends_the_call() {
    in_a_process_of_its_own(test_name!(too_much_output_ends_the_call), || async {
        let (plugin, hot) = (Plugin::new("much"), launcher());
        plugin.warm_up(&hot).await;
        let mut job = plugin.job(["fill", "100000000"]);
        job.stdout_limit = 1000;
        let done = run(&hot, job).await;
        assert_eq!(done.ending, Ending::OutputTooLarge);
        assert_eq!(done.stdout.len(), 1000);
        next_call_is_warm(&hot, &plugin).await;
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn what_a_call_leaves_behind_is_ended_and_its_lane_goes_on() {
    in_a_process_of_its_own(
        test_name!(what_a_call_leaves_behind_is_ended_and_its_lane_goes_on),
        || async {
            let (plugin, hot) = (Plugin::new("leftover"), launcher());
            plugin.warm_up(&hot).await;
            let note = plugin.note();
            let job = plugin.job(["leave".as_ref(), note.as_os_str()]);
            let done = run(&hot, job).await;
            assert_eq!(done.ending, Ending::Exited(0));
            within("no run has a process", hot.idle()).await;
            let sleeping = |pid: &Pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.starts_with(b"sleep")
            };
            assert!(!plugin.processes().iter().any(sleeping));
            next_call_is_warm(&hot, &plugin).await;
            nothing_is_left(&hot, &plugin).await;
        },
    );
}

#[test]
fn a_background_job_outlives_its_call_and_ends_when_it_is_asked_to() {
    in_a_process_of_its_own(
        test_name!(a_background_job_outlives_its_call_and_ends_when_it_is_asked_to),
        || async {
            let (plugin, hot) = (Plugin::new("job"), launcher());
            plugin.warm_up(&hot).await;
            let mut job = plugin.job(["daemon"]);
            job.background = Some(Background {
                keep: Keep::Detached,
                owner: Owner::default(),
                end: CancellationToken::new(),
            });
            let done = run(&hot, job).await;
            assert_eq!(
                (done.ending, &done.stdout[..]),
                (Ending::Exited(0), &b"left\n"[..])
            );
            until("the job is kept", || !hot.background().is_empty()).await;
            let jobs = hot.background();
            let processes: Vec<_> = jobs[0].processes.iter().map(|one| &one.command).collect();
            assert_eq!(processes, ["sleep"]);
            next_call_is_warm(&hot, &plugin).await;
            assert!(hot.end_background_job(jobs[0].id));
            until("the job is over", || hot.background().is_empty()).await;
            nothing_is_left(&hot, &plugin).await;
        },
    );
}
