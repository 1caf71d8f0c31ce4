//! Background jobs: what a program that ended with success has detached lives on, until it ends by itself, is
//! asked to end, or the server ends.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use smcp::process::{
    Background, BackgroundJob, Ending, Finished, Held, Job, Keep, Launcher, Owner,
};
use smcp::process::{SideChannels, StartError};
use tokio_util::sync::CancellationToken;

use crate::alone::{self, test_name};
use crate::{
    idle, in_a_process_of_its_own, launcher, left, left_of, marked, parent_of, run, shell, until,
    within,
};

const SOON: Duration = Duration::from_secs(60);
/// Says that it is detached, and stays. `$0` is the file that says so.
const STAYS: &str = r#"sh -c 'echo >"$0"; exec sleep 600' "$0" >/dev/null 2>&1 </dev/null"#;
const WAIT: &str = r#"until [ -e "$0" ]; do sleep 0.02; done; echo said"#;

fn kept(mut job: Job, keep: Keep, plugin: &str) -> Job {
    job.background = Some(Background {
        keep,
        owner: Owner {
            plugin: plugin.to_owned(),
            tool: format!("{plugin}__start"),
            agent: Some("agent-1".to_owned()),
        },
        end: CancellationToken::new(),
    });
    job
}

/// A job of this script, whose `$0` is a file in `directory`.
fn script(mark: &str, script: &str, directory: &Path) -> Job {
    let detached = directory.join(format!("{mark} is detached"));
    let words = [
        "sh".as_ref(),
        "-c".as_ref(),
        script.as_ref(),
        detached.as_os_str(),
    ];
    kept(marked(mark, words), Keep::Detached, mark)
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn said(launcher: &Launcher, job: Job) {
    let done = run(launcher, job).await.expect("it starts");
    let expected = (Ending::Exited(0), b"said\n".to_vec());
    assert_eq!((done.ending, done.stdout), expected);
}

fn running(launcher: &Launcher, plugin: &str) -> u64 {
    let counts = launcher.background_counts();
    counts.get(plugin).map_or(0, |counts| counts.running)
}

fn ended(launcher: &Launcher, plugin: &str, reason: &str) -> u64 {
    let counts = launcher.background_counts();
    let counts = counts
        .get(plugin)
        .and_then(|counts| counts.ended.get(reason));
    counts.copied().unwrap_or_default()
}

/// The only job of a plugin, once it is kept.
async fn job_of(launcher: &Launcher, plugin: &str) -> BackgroundJob {
    until("the job is kept", SOON, || running(launcher, plugin) == 1).await;
    let jobs = launcher.background();
    let mut jobs = jobs.into_iter().filter(|job| job.owner.plugin == plugin);
    jobs.next().expect("it is kept")
}

#[tokio::test]
async fn each_way_to_detach_is_known_and_what_stayed_in_the_session_is_ended() {
    let stays = |before: &str| format!("sleep 601 >/dev/null 2>&1 & {before} {STAYS} & {WAIT}");
    let daemon = r#"
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in 0, 1, 2:
        os.dup2(null, descriptor)
    open(sys.argv[1], "w").close()
    os.execvp("sleep", ["sleep", "600"])
"#;
    let popen = r#"
import subprocess, sys
null = subprocess.DEVNULL
subprocess.Popen(["sh", "-c", "echo > \"$0\"; exec sleep 600", sys.argv[1]], start_new_session=True, stdin=null, stdout=null, stderr=null)
"#;
    let python = |program: &str| {
        format!("sleep 601 >/dev/null 2>&1 & python3 -c '{program}' \"$0\"; {WAIT}")
    };
    let launcher = launcher();
    let directory = directory();
    let cases = [
        ("by-setsid", stays("setsid")),
        ("by-nohup", stays("nohup")),
        ("by-both", stays("nohup setsid")),
        ("twice", stays("setsid setsid")),
        ("as-daemon", python(daemon)),
        ("by-popen", python(popen)),
    ];
    // Below `nohup` a program that was started with `nohup` once more is like any other.
    let told_apart = |mark: &str| mark != "by-nohup" || !crate::hangups::are_ignored();
    let cases: Vec<_> = cases
        .into_iter()
        .filter(|(mark, _)| told_apart(mark))
        .collect();
    for (mark, text) in &cases {
        said(&launcher, script(mark, text, directory.path())).await;
        let job = job_of(&launcher, mark).await;
        assert_eq!(job.owner.tool, format!("{mark}__start"));
        assert_eq!(job.owner.agent.as_deref(), Some("agent-1"));
        until("its program is sleep", SOON, || {
            let jobs = launcher.background();
            let job = jobs.iter().find(|job| job.owner.plugin == *mark);
            job.is_some_and(|job| matches!(&job.processes[..], [one] if one.command == "sleep"))
        })
        .await;
        assert_eq!(
            left(mark).len(),
            1,
            "{mark}: what stayed in the session is left"
        );
    }
    assert_eq!(launcher.end_background(), cases.len());
    idle(&launcher).await;
    for (mark, _) in cases {
        assert_eq!(
            (left(mark), ended(&launcher, mark, "shutdown")),
            (vec![], 1),
            "{mark}"
        );
    }
    assert!(launcher.background().is_empty());
}

/// In each round the child waits until its parent is gone, and a tenth of a second more. Five rounds, because a
/// busy machine may not let it run within the second that it has.
#[tokio::test]
async fn a_process_may_still_be_about_to_detach_itself_when_its_parent_ends() {
    let launcher = launcher();
    let late = r#"
import os, time
parent = os.getpid()
if os.fork() == 0:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in 0, 1, 2:
        os.dup2(null, descriptor)
    while os.getppid() == parent:
        time.sleep(0.01)
    time.sleep(0.1)
    os.setsid()
    time.sleep(600)
"#;
    for round in 0..5 {
        let share = format!("late-{round}");
        let job = kept(
            marked("late", ["python3", "-c", late]),
            Keep::Detached,
            &share,
        );
        run(&launcher, job).await.expect("it starts");
        until("it is kept or ended", SOON, || {
            running(&launcher, &share) == 1 || left("late").is_empty()
        })
        .await;
        if running(&launcher, &share) == 1 {
            launcher.end_background();
            return idle(&launcher).await;
        }
    }
    panic!("it was never kept");
}

/// What is ended takes whole groups along, and `nohup` leaves a process in the group of its starter. Takes two
/// seconds: those until SIGKILL.
#[tokio::test]
async fn what_is_ended_does_not_take_a_job_of_its_group_along() {
    if crate::hangups::are_ignored() {
        // Below `nohup` nothing tells the job from what is ended.
        return;
    }
    let program = r#"
import os, signal, subprocess, sys, time
null = subprocess.DEVNULL
if os.fork() == 0:
    os.setpgid(0, 0)
    for descriptor in 0, 1, 2:
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    subprocess.Popen(["nohup", "sh", "-c", "echo > \"$0\"; exec sleep 600", sys.argv[1]], stdin=null, stdout=null, stderr=null)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(601)
"#;
    let launcher = launcher();
    let directory = directory();
    let text = format!("python3 -c '{program}' \"$0\"; {WAIT}");
    said(&launcher, script("one-group", &text, directory.path())).await;
    job_of(&launcher, "one-group").await;
    assert_eq!(left("one-group").len(), 1);
    launcher.end_background();
    idle(&launcher).await;
}

/// A child that a job does not wait for stays in the process table, with the session that it was started in.
#[tokio::test]
async fn a_dead_child_of_a_job_is_nothing_that_has_to_end() {
    let program = r#"
import os, sys, time
if os.fork() == 0:
    for descriptor in 0, 1, 2:
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    if os.fork() == 0:
        os._exit(0)
    os.setsid()
    open(sys.argv[1], "w").close()
    time.sleep(600)
"#;
    let launcher = launcher();
    let directory = directory();
    let text = format!("python3 -c '{program}' \"$0\"; {WAIT}");
    said(&launcher, script("dead-child", &text, directory.path())).await;
    let job = job_of(&launcher, "dead-child").await;
    assert_eq!(job.processes.len(), 1, "{job:?}");
    assert_eq!(launcher.leftovers(), []);
    launcher.end_background();
    idle(&launcher).await;
}

/// Not a claim of its own: the server of the test below.
#[test]
#[ignore = "needs SIGHUP to be ignored"]
fn a_server_that_ignores_hangups() {
    in_a_process_of_its_own(test_name!(a_server_that_ignores_hangups), || async {
        let launcher = launcher();
        let text = "sleep 600 >/dev/null 2>&1 & echo said";
        said(
            &launcher,
            kept(shell("hangups", text), Keep::Detached, "hangups"),
        )
        .await;
        idle(&launcher).await;
        assert_eq!(left("hangups"), []);
    });
}

#[test]
fn where_the_server_ignores_hangups_that_says_nothing_of_its_programs() {
    let test = test_name!(a_server_that_ignores_hangups);
    let wrapper = ["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""];
    let output = alone::command(&wrapper, test).output();
    alone::must_have_passed(test, &output.expect("a shell starts"));
}

#[tokio::test]
async fn a_job_is_listed_before_its_call_is_answered_and_holds_nothing_of_it() {
    let launcher = launcher();
    let directory = directory();
    let text = format!("setsid {STAYS} & {WAIT}");
    let job = script("listed", &text, directory.path());
    let (held, released) = std::sync::mpsc::channel::<()>();
    let held = Held {
        tree: held,
        busy: (),
    };
    let run = launcher.run_holding(job, SideChannels::default(), CancellationToken::new(), held);
    let done = within("the run ends", run).await.expect("it starts");
    assert_eq!(done.stdout, b"said\n");
    let job = job_of(&launcher, "listed").await;
    let gone = Err(std::sync::mpsc::TryRecvError::Disconnected);
    until("what the call held is free", SOON, || {
        released.try_recv() == gone
    })
    .await;
    assert_eq!(left("listed").len(), 1, "it lives on");
    assert!(launcher.end_background_job(job.id) && !launcher.end_background_job(job.id + 1));
    idle(&launcher).await;
    assert_eq!(
        (left("listed"), ended(&launcher, "listed", "asked")),
        (vec![], 1)
    );
}

#[tokio::test]
async fn a_job_that_kept_the_pipes_of_its_call_does_not_hold_up_the_answer_and_writes_to_nobody() {
    let launcher = launcher();
    let directory = directory();
    let closed = directory.path().join("nobody reads any more");
    let text = r#"setsid sh -c 'trap "" PIPE; echo >"$0.here"; while echo more; do sleep 0.05; done; echo >"$0"; exec sleep 600' "$0" 2>/dev/null &
        until [ -e "$0.here" ]; do sleep 0.02; done; echo said"#;
    let words = [
        "sh".as_ref(),
        "-c".as_ref(),
        text.as_ref(),
        closed.as_os_str(),
    ];
    let job = kept(marked("holds", words), Keep::Detached, "holds");
    let done = run(&launcher, job).await.expect("it starts");
    assert_eq!(done.ending, Ending::Exited(0));
    assert!(String::from_utf8_lossy(&done.stdout).contains("said\n"));
    job_of(&launcher, "holds").await;
    until("its pipe is closed", SOON, || closed.exists()).await;
    launcher.end_background();
    idle(&launcher).await;
    assert_eq!(left("holds"), []);
}

#[tokio::test]
async fn after_anything_but_success_everything_is_ended() {
    let launcher = launcher();
    let directory = directory();
    let job = |mark: &str, rest: &str| {
        let wait = WAIT.replace("echo said", rest);
        script(mark, &format!("setsid {STAYS} & {wait}"), directory.path())
    };
    let failed = run(&launcher, job("fails", "exit 3"))
        .await
        .expect("it starts");
    assert_eq!(failed.ending, Ending::Exited(3));
    let killed = run(&launcher, job("dies", "kill -KILL $$")).await;
    assert_eq!(killed.expect("it starts").ending, Ending::Signalled(9));
    // Ends with status 0 because it was asked to.
    let polite = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let mut limited = job("too-long", polite);
    limited.time_limit = Some(Duration::from_secs(2));
    let limited = run(&launcher, limited).await.expect("it starts");
    assert_eq!(limited.ending, Ending::TimedOut);
    let mut flood = job("floods", "yes");
    flood.stdout_limit = 1000;
    let flood = run(&launcher, flood).await.expect("it starts");
    assert_eq!(flood.ending, Ending::OutputTooLarge);

    let cancel = CancellationToken::new();
    let cancelled = launcher.run(
        job("cancelled", polite),
        SideChannels::default(),
        cancel.clone(),
    );
    let cancelling = async {
        until("it has detached", SOON, || left("cancelled").len() >= 2).await;
        cancel.cancel();
    };
    let (cancelled, ()) = tokio::join!(within("it ends", cancelled), cancelling);
    assert_eq!(cancelled.expect("it starts").ending, Ending::Cancelled);
    {
        let leaving = run(&launcher, job("left-alone", polite));
        tokio::select! {
            _ = leaving => panic!("nothing ends it"),
            () = until("it has detached", SOON, || left("left-alone").len() >= 2) => {}
        }
    }
    idle(&launcher).await;
    for mark in [
        "fails",
        "dies",
        "too-long",
        "floods",
        "cancelled",
        "left-alone",
    ] {
        assert_eq!(
            (left(mark), running(&launcher, mark)),
            (vec![], 0),
            "{mark}"
        );
    }
    assert!(launcher.background_counts().is_empty());
}

#[tokio::test]
async fn nothing_is_kept_for_a_job_that_does_not_ask_for_it_nor_where_there_is_no_place() {
    let directory = directory();
    let text = format!("setsid {STAYS} & {WAIT}");
    let unasked = launcher();
    let mut job = script("unasked", &text, directory.path());
    job.background = None;
    said(&unasked, job).await;
    idle(&unasked).await;
    let none = launcher().with_max_background(0);
    said(&none, script("no-place", &text, directory.path())).await;
    idle(&none).await;
    assert_eq!((left("unasked"), left("no-place")), (vec![], vec![]));
}

#[tokio::test]
async fn everything_is_kept_for_a_job_that_asks_for_that() {
    let launcher = launcher();
    let text = "sleep 600 >/dev/null 2>&1 & setsid sleep 600 >/dev/null 2>&1 & echo said";
    said(&launcher, kept(shell("all", text), Keep::Everything, "all")).await;
    job_of(&launcher, "all").await;
    until("both are there", SOON, || {
        launcher.background()[0].processes.len() == 2
    })
    .await;
    launcher.end_background();
    idle(&launcher).await;
    assert_eq!(left("all"), []);
}

#[tokio::test]
async fn beyond_the_limit_and_a_plugins_share_of_it_a_job_is_ended() {
    let launcher = launcher().with_max_background(3);
    let directory = directory();
    let job = |share: &str, number: u32| {
        let mark = format!("{share}-{number}");
        let text = format!("setsid {STAYS} & {WAIT}");
        let mut job = script(&mark, &text, directory.path());
        job.background.as_mut().expect("it is kept").owner.plugin = share.to_owned();
        job
    };
    for number in 1..=3 {
        said(&launcher, job("many", number)).await;
    }
    until("the third is refused", SOON, || {
        ended(&launcher, "many", "limit") == 1
    })
    .await;
    said(&launcher, job("other", 1)).await;
    until("another plugin has a place", SOON, || {
        running(&launcher, "other") == 1
    })
    .await;
    said(&launcher, job("third", 1)).await;
    until("no place is left", SOON, || {
        ended(&launcher, "third", "limit") == 1
    })
    .await;
    until("those are gone", SOON, || {
        left("third-1").is_empty() && left("many-3").is_empty()
    })
    .await;
    assert_eq!(running(&launcher, "many"), 2);

    let first = launcher.background()[0].id;
    launcher.end_background_job(first);
    until("a place is free", SOON, || running(&launcher, "many") == 1).await;
    said(&launcher, job("third", 2)).await;
    until("it is taken", SOON, || running(&launcher, "third") == 1).await;
    launcher.end_background();
    idle(&launcher).await;
}

#[tokio::test]
async fn a_job_that_ends_by_itself_frees_its_keeper_for_the_next_run() {
    let launcher = launcher();
    let directory = directory();
    let enough = directory.path().join("enough");
    let text = r#"setsid sh -c 'echo >"$0.here"; until [ -e "$0" ]; do sleep 0.05; done' "$0" >/dev/null 2>&1 &
        until [ -e "$0.here" ]; do sleep 0.02; done; echo $PPID"#;
    let words = [
        "sh".as_ref(),
        "-c".as_ref(),
        text.as_ref(),
        enough.as_os_str(),
    ];
    let job = kept(marked("by-itself", words), Keep::Detached, "by-itself");
    let keeper = run(&launcher, job).await.expect("it starts").stdout;
    job_of(&launcher, "by-itself").await;
    // Calls go on meanwhile, below other supervisors.
    for _ in 0..3 {
        let other = run(&launcher, shell("meanwhile", "echo $PPID")).await;
        assert_ne!(other.expect("it starts").stdout, keeper);
    }
    assert_eq!(running(&launcher, "by-itself"), 1);
    std::fs::write(&enough, "").expect("a directory of our own");
    until("it is over", SOON, || {
        ended(&launcher, "by-itself", "itself") == 1
    })
    .await;
    idle(&launcher).await;
    let mut seen = false;
    for _ in 0..3 {
        let next = run(&launcher, shell("next", "echo $PPID")).await;
        seen |= next.expect("it starts").stdout == keeper;
    }
    assert!(seen, "the keeper serves again");
}

/// Takes five seconds: those from SIGTERM to SIGKILL.
#[tokio::test]
async fn a_job_that_ignores_sigterm_and_starts_more_sessions_is_ended_all_the_same() {
    let launcher = launcher();
    let directory = directory();
    let text = format!(
        r#"setsid sh -c 'trap "" TERM; setsid sleep 600 & (setsid setsid sleep 600 &); echo >"$0"; while :; do sleep 1; done' "$0" >/dev/null 2>&1 & {WAIT}"#
    );
    said(&launcher, script("deaf-job", &text, directory.path())).await;
    let job = job_of(&launcher, "deaf-job").await;
    assert!(launcher.end_background_job(job.id));
    idle(&launcher).await;
    assert_eq!(
        (left("deaf-job"), ended(&launcher, "deaf-job", "asked")),
        (vec![], 1)
    );
}

#[tokio::test]
async fn what_a_call_has_left_that_failed_after_all_is_ended() {
    let launcher = launcher();
    let directory = directory();
    let job = script(
        "failed-after",
        &format!("setsid {STAYS} & {WAIT}"),
        directory.path(),
    );
    let end = job.background.as_ref().expect("it is kept").end.clone();
    said(&launcher, job).await;
    job_of(&launcher, "failed-after").await;
    end.cancel();
    idle(&launcher).await;
    assert_eq!(left("failed-after"), []);
    assert_eq!(ended(&launcher, "failed-after", "call_failed"), 1);
}

#[test]
fn a_job_whose_keeper_is_killed_is_ended_and_the_others_live() {
    in_a_process_of_its_own(
        test_name!(a_job_whose_keeper_is_killed_is_ended_and_the_others_live),
        || async {
            let launcher = launcher();
            let directory = directory();
            let text = format!("setsid {STAYS} & {WAIT}");
            for mark in ["orphaned", "spared"] {
                said(&launcher, script(mark, &text, directory.path())).await;
                job_of(&launcher, mark).await;
            }
            let job = left("orphaned")[0];
            kill_process(parent_of(job), Signal::KILL).expect("it is ours");
            until("it is over", SOON, || {
                ended(&launcher, "orphaned", "keeper_lost") == 1
            })
            .await;
            assert_eq!((left("orphaned"), left("spared").len()), (vec![], 1));
            launcher.end_background();
            idle(&launcher).await;
            assert_eq!(left("spared"), []);
        },
    );
}

#[tokio::test]
async fn a_killed_server_takes_its_jobs_along() {
    let server = alone::command(&[], test_name!(a_server_with_jobs_that_is_to_be_killed))
        .stdout(Stdio::null())
        .spawn();
    let mut server = crate::leftovers::KilledAtLast(server.expect("this program starts again"));
    let pid = Pid::from_child(&server.0);
    until("the jobs alone run", SOON, || {
        left_of("said-it", pid).len() == 1 && left_of("jobs", pid).len() == 3
    })
    .await;
    server.0.kill().expect("it is ours");
    server.0.wait().expect("it is ours");
    until("nothing is left", SOON, || left_of("jobs", pid).is_empty()).await;
    until("nor of the other", SOON, || {
        left_of("said-it", pid).is_empty()
    })
    .await;
}

/// Not a claim of its own: the server of the test above.
#[test]
#[ignore = "runs until it is killed"]
fn a_server_with_jobs_that_is_to_be_killed() {
    in_a_process_of_its_own(
        test_name!(a_server_with_jobs_that_is_to_be_killed),
        || async {
            let launcher = launcher();
            let directory = directory();
            let text = format!(
                r#"setsid sh -c 'trap "" TERM HUP; (setsid setsid sleep 600 &); echo >"$0"; sleep 600; :' "$0" >/dev/null 2>&1 & {WAIT}"#
            );
            said(&launcher, script("jobs", &text, directory.path())).await;
            job_of(&launcher, "jobs").await;
            // Begins when the job is alone.
            let _: Result<Finished, StartError> =
                run(&launcher, shell("said-it", "exec sleep 600")).await;
        },
    );
}

#[tokio::test]
async fn what_lives_on_has_no_channel_any_more() {
    let launcher = launcher();
    let directory = directory();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    let channels = SideChannels {
        events: Some(theirs.into()),
        events_held: Some(ours.into()),
        ..SideChannels::default()
    };
    // Reads its channel, and says when that has ended.
    let detached = r#"setsid sh -c 'echo >"$0"; read -r answer <&3; echo >"$0-read"; exec sleep 600' "$0" >/dev/null 2>&1 </dev/null & "#;
    let job = script("channel", &format!("{detached}{WAIT}"), directory.path());
    let done = within(
        "the run ends",
        launcher.run(job, channels, CancellationToken::new()),
    )
    .await;
    assert_eq!(done.expect("it starts").ending, Ending::Exited(0));
    let kept = job_of(&launcher, "channel").await;
    until("its channel ends", SOON, || {
        directory.path().join("channel is detached-read").exists()
    })
    .await;
    assert!(launcher.end_background_job(kept.id));
    idle(&launcher).await;
}
