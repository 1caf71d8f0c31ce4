//! Claims about processes: how runs end, what is left of them, what a program finds when it starts.
//!
//! The supervisor is the real binary. What belongs to a run is found by a variable in its
//! environment, which `setsid` and double forks do not shake off.

use std::ffi::OsString;
use std::future::Future;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use smcp::process::{Ending, Finished, Job, Launcher, SideChannels, StartError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const MARK: &str = "PROCESSES_TEST_MARK";
const ALONE: &str = "PROCESSES_TEST_ALONE";

fn launcher() -> Launcher {
    Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp")).expect("a sub-reaper")
}

/// A job of this test alone: its processes carry `mark`.
fn marked<S: Into<OsString>>(mark: &str, argv: impl IntoIterator<Item = S>) -> Job {
    let path = std::env::var_os("PATH").expect("there is a PATH");
    Job {
        argv: argv.into_iter().map(Into::into).collect(),
        environment: vec![
            ("PATH".into(), path),
            (MARK.into(), format!("{mark}-{}", getpid()).into()),
        ],
        directory: None,
        stdin: None,
        time_limit: Some(Duration::from_secs(60)),
        stdout_limit: 16 << 20,
        stderr_tail: 64 << 10,
    }
}

fn shell(mark: &str, script: &str) -> Job {
    marked(mark, ["sh", "-c", script])
}

async fn run(launcher: &Launcher, job: Job) -> Result<Finished, StartError> {
    launcher
        .run(job, SideChannels::default(), CancellationToken::new())
        .await
}

async fn finished(job: Job) -> Finished {
    run(&launcher(), job).await.expect("it starts")
}

/// The processes that carry the mark of a test in the process `of`.
fn left_of(mark: &str, of: Pid) -> Vec<Pid> {
    let variable = format!("{MARK}={mark}-{of}").into_bytes();
    std::fs::read_dir("/proc")
        .expect("tests run on Linux")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|text| text == variable)
                .then_some(pid)
        })
        .collect()
}

fn left(mark: &str) -> Vec<Pid> {
    left_of(mark, getpid())
}

async fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn parent_of(pid: Pid) -> Pid {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .expect("every status names the parent");
    Pid::from_raw(line.trim().parse().expect("a number")).expect("not the kernel")
}

/// Runs `body` in a process of its own: this test program again, with this test alone.
fn alone<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(ALONE).is_some() {
        return tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(body());
    }
    let output = again(test).output().expect("this program starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
}

fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("it has a path"));
    command
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(ALONE, "1");
    command
}

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
async fn bytes_pass_through_unchanged_both_ways() {
    let every = OsString::from_vec((1..=255).collect());
    let mut job = marked(
        "bytes",
        [
            "sh".into(),
            "-c".into(),
            r#"printf %s "$1$ANY""#.into(),
            "sh".into(),
            every.clone(),
        ],
    );
    job.environment.push(("ANY".into(), every.clone()));
    let done = finished(job).await;
    assert_eq!(
        done.stdout,
        [every.clone().into_vec(), every.into_vec()].concat()
    );
}

#[tokio::test]
async fn a_program_finds_its_environment_and_nothing_else() {
    let mut job = marked("environment", ["/usr/bin/env"]);
    job.environment = vec![("ONLY".into(), "this".into()), ("EMPTY".into(), "".into())];
    let done = finished(job).await;
    let text = String::from_utf8(done.stdout).expect("it is text");
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["EMPTY=", "ONLY=this"]);
}

#[tokio::test]
async fn a_program_runs_in_its_directory_and_else_in_the_servers() {
    let done = finished(shell("here", "pwd -P")).await;
    let here = std::env::current_dir().expect("there is one");
    assert_eq!(done.stdout, format!("{}\n", here.display()).into_bytes());
    let mut job = shell("there", "pwd -P");
    job.directory = Some("/".into());
    assert_eq!(finished(job).await.stdout, b"/\n");
}

#[tokio::test]
async fn an_events_descriptor_is_number_three_and_nothing_else_is_open() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let taps = SideChannels {
        events: Some(writer.into()),
        ..SideChannels::default()
    };
    // The glob itself opens a directory, the lowest free number: that one is gone when it is looked at.
    let script =
        r#"echo said >&3; for fd in /proc/$$/fd/*; do [ -e "$fd" ] && echo "${fd##*/}"; done"#;
    let done = launcher()
        .run(shell("three", script), taps, CancellationToken::new())
        .await
        .expect("it starts");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "0\n1\n2\n3\n");
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("it is text");
    assert_eq!(
        said, "said\n",
        "and the end comes, because nobody holds it open"
    );
}

#[test]
fn a_descriptor_that_the_server_inherited_does_not_reach_a_program() {
    let test = "a_descriptor_that_the_server_inherited_does_not_reach_a_program";
    if std::env::var_os(ALONE).is_none() {
        let program = std::env::current_exe().expect("it has a path");
        let status = Command::new("sh")
            .args(["-c", r#"exec "$0" --exact "$1" 7</dev/null 3</dev/null"#])
            .arg(program)
            .arg(test)
            .env(ALONE, "1")
            .stdout(Stdio::null())
            .status()
            .expect("a shell starts");
        return assert!(status.success());
    }
    alone(test, || async {
        assert!(std::fs::exists("/proc/self/fd/7").expect("it is readable"));
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        let taps = SideChannels {
            events: Some(writer.into()),
            ..SideChannels::default()
        };
        let script = r#"for fd in /proc/$$/fd/*; do [ -e "$fd" ] && echo "${fd##*/}"; done"#;
        let done = launcher()
            .run(shell("inherited", script), taps, CancellationToken::new())
            .await
            .expect("it starts");
        assert_eq!(String::from_utf8_lossy(&done.stdout), "0\n1\n2\n3\n");
    });
}

#[tokio::test]
async fn a_program_begins_with_every_signal_at_its_default() {
    let done = finished(marked("signals", ["cat", "/proc/self/status"])).await;
    let text = String::from_utf8(done.stdout).expect("it is text");
    let own = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let set = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.expect("Linux lists it").trim(), 16).expect("a mask")
    };
    assert_eq!(set(&text, "SigCgt:"), 0, "a fresh program catches nothing");
    assert_eq!(set(&text, "SigBlk:"), set(&own, "SigBlk:"));
    let bit = |signal: Signal| 1_u64 << (signal.as_raw() - 1);
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::QUIT,
        Signal::CHILD,
        Signal::PIPE,
    ] {
        assert_eq!(set(&text, "SigIgn:") & bit(signal), 0, "{signal:?}");
    }
}

#[tokio::test]
async fn a_program_leads_a_group_of_its_own() {
    let done = finished(shell("group", "cut -d' ' -f5 /proc/$$/stat; echo $$")).await;
    let text = String::from_utf8(done.stdout).expect("it is text");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], lines[1]);
}

#[tokio::test]
async fn stdin_reaches_a_program_that_reads_it() {
    let bytes: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let mut job = marked("stdin", ["cat"]);
    job.stdin = Some(bytes.clone());
    assert!(finished(job).await.stdout == bytes);
    let mut empty = marked("stdin", ["cat"]);
    empty.stdin = Some(Vec::new());
    assert_eq!(finished(empty).await.ending, Ending::Exited(0));
}

#[tokio::test]
async fn stdin_does_not_hold_up_a_program_that_does_not_read_it() {
    let mut job = shell("unread", "echo done");
    job.stdin = Some(vec![b'x'; 3 << 20]);
    let done = finished(job).await;
    assert_eq!(
        (done.ending, done.stdout),
        (Ending::Exited(0), b"done\n".to_vec())
    );
}

#[tokio::test]
async fn without_stdin_a_program_reads_nothing() {
    let done = finished(marked("null", ["cat"])).await;
    assert_eq!((done.ending, done.stdout), (Ending::Exited(0), Vec::new()));
}

#[tokio::test]
async fn lines_of_stderr_come_while_the_program_runs() {
    let (to, mut lines) = mpsc::channel(8);
    let taps = SideChannels {
        stderr_lines: Some(to),
        ..SideChannels::default()
    };
    let cancel = CancellationToken::new();
    let launcher = launcher();
    let job = shell(
        "lines",
        "echo first >&2; printf 'sec\\377ond\\n' >&2; sleep 600",
    );
    let running = launcher.run(job, taps, cancel.clone());
    let listening = async {
        assert_eq!(lines.recv().await.as_deref(), Some("first"));
        assert_eq!(lines.recv().await.as_deref(), Some("sec\u{fffd}ond"));
        cancel.cancel();
        assert_eq!(lines.recv().await, None);
    };
    let (done, ()) = tokio::join!(running, listening);
    assert_eq!(done.expect("it starts").ending, Ending::Cancelled);
}

#[tokio::test]
async fn too_much_output_ends_the_program_and_keeps_the_limit() {
    let mut job = shell(
        "flood",
        "trap '' TERM PIPE; while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done",
    );
    job.stdout_limit = 100_000;
    let done = finished(job).await;
    assert_eq!(
        (done.ending, done.stdout.len()),
        (Ending::OutputTooLarge, 100_000)
    );
    assert_eq!(left("flood"), []);
    let mut small = shell("drop", "echo 12345");
    small.stdout_limit = 5;
    let done = finished(small).await;
    assert_eq!(
        (done.ending, done.stdout),
        (Ending::OutputTooLarge, b"12345".to_vec())
    );
}

#[test]
fn a_gigabyte_on_either_pipe_costs_at_most_32_mib() {
    alone("a_gigabyte_on_either_pipe_costs_at_most_32_mib", || async {
        let launcher = launcher();
        let warm = run(&launcher, marked("warm", ["true"])).await;
        assert_eq!(warm.expect("it starts").ending, Ending::Exited(0));
        let before = peak_kib();
        let out = shell("gigabyte", "head -c 1000000000 /dev/zero");
        let done = run(&launcher, out).await.expect("it starts");
        assert_eq!(
            (done.ending, done.stdout.len()),
            (Ending::OutputTooLarge, 16 << 20)
        );
        drop(done);
        let err = shell(
            "gigabyte",
            "head -c 1000000000 /dev/zero >&2; printf end >&2",
        );
        let done = run(&launcher, err).await.expect("it starts");
        assert_eq!(
            (done.ending, done.stderr_tail.len()),
            (Ending::Exited(0), 64 << 10)
        );
        assert!(done.stderr_tail.ends_with(b"\0end"));
        let grown = peak_kib() - before;
        assert!(grown <= 32 << 10, "grown by {grown} KiB");
    });
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.expect("Linux tells it").trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}

#[tokio::test]
async fn a_grandchild_that_holds_stdout_delays_the_answer_by_two_seconds_at_most() {
    let launcher = launcher();
    let begun = Instant::now();
    let job = shell(
        "holder",
        "(trap '' TERM; while :; do sleep 1; done) & echo said",
    );
    let done = run(&launcher, job).await.expect("it starts");
    assert_eq!(
        (done.ending, done.stdout),
        (Ending::Exited(0), b"said\n".to_vec())
    );
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    launcher.idle().await;
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
    launcher.idle().await;
    assert_eq!(left("behind"), []);
}

#[tokio::test]
async fn a_program_over_its_time_is_ended_with_what_it_had_printed() {
    let mut job = shell("late", "echo so far; sleep 600 & setsid sleep 600 & wait");
    job.time_limit = Some(Duration::from_millis(500));
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
    let taps = SideChannels {
        stderr_lines: Some(to),
        ..SideChannels::default()
    };
    let launcher = launcher();
    let script = "trap 'echo asked; sleep 0.5; echo cleaned; exit 0' TERM; echo ready >&2; while :; do sleep 0.1; done";
    let running = launcher.run(shell("clean", script), taps, cancel.clone());
    let cancelling = async {
        assert_eq!(lines.recv().await.as_deref(), Some("ready"));
        cancel.cancel();
        cancel.cancel();
    };
    let (done, ()) = tokio::join!(running, cancelling);
    let done = done.expect("it starts");
    assert_eq!(done.ending, Ending::Cancelled);
    assert_eq!(String::from_utf8_lossy(&done.stdout), "asked\ncleaned\n");
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_gone_after_five_seconds() {
    let cancel = CancellationToken::new();
    let launcher = launcher();
    let job = shell(
        "deaf",
        "trap '' TERM; setsid sh -c 'while :; do sleep 1; done' & while :; do sleep 1; done",
    );
    let running = launcher.run(job, SideChannels::default(), cancel.clone());
    let cancelling = async {
        until("it runs", Duration::from_secs(10), || {
            left("deaf").len() >= 3
        })
        .await;
        cancel.cancel();
        Instant::now()
    };
    let (done, asked) = tokio::join!(running, cancelling);
    assert_eq!(done.expect("it starts").ending, Ending::Cancelled);
    let took = asked.elapsed();
    assert!(took > Duration::from_secs(4), "it had its grace: {took:?}");
    assert!(took < Duration::from_secs(7), "{took:?}");
    assert_eq!(left("deaf"), []);
}

#[tokio::test]
async fn a_token_cancelled_before_the_start_ends_the_run() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let job = shell("early", "sleep 600");
    let done = launcher().run(job, SideChannels::default(), cancel).await;
    assert_eq!(done.expect("it starts").ending, Ending::Cancelled);
    assert_eq!(left("early"), []);
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
        let started = until("all run", Duration::from_secs(10), || {
            left("leaves").len() == 3
        });
        tokio::select! {
            _ = running => panic!("nothing ends it"),
            () = started => {}
        }
    }
    assert_eq!(launcher.running(), 1);
    launcher.idle().await;
    assert_eq!(left("leaves"), []);
}

#[tokio::test]
async fn a_stopped_tree_is_ended_as_well() {
    let mut job = shell("stopped", "sleep 600 & kill -STOP $! ; kill -STOP $$");
    job.time_limit = Some(Duration::from_millis(500));
    let begun = Instant::now();
    assert_eq!(finished(job).await.ending, Ending::TimedOut);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "SIGCONT lets SIGTERM through"
    );
    assert_eq!(left("stopped"), []);
}

#[test]
fn a_killed_supervisor_fails_its_run_alone_and_nothing_is_left() {
    alone(
        "a_killed_supervisor_fails_its_run_alone_and_nothing_is_left",
        || async {
            let launcher = launcher();
            let other = shell("other", "sleep 3; echo survived");
            let job = shell(
                "lost",
                "echo begun; setsid sleep 600 & (setsid setsid sleep 600 &); exec sleep 600",
            );
            let killing = async {
                until("all run", Duration::from_secs(10), || {
                    left("lost").len() == 3
                })
                .await;
                let main = |pid: &Pid| {
                    left("lost").contains(pid) && !left("lost").contains(&parent_of(*pid))
                };
                let program = left("lost")
                    .into_iter()
                    .find(main)
                    .expect("one is the program");
                kill_process(parent_of(program), Signal::KILL).expect("it is ours");
            };
            let (lost, other, ()) =
                tokio::join!(run(&launcher, job), run(&launcher, other), killing);
            let lost = lost.expect("it starts");
            assert_eq!(
                (lost.ending, lost.stdout),
                (Ending::SupervisorLost, b"begun\n".to_vec())
            );
            assert_eq!(left("lost"), []);
            assert_eq!(other.expect("it starts").stdout, b"survived\n");
            launcher.idle().await;
            let next = run(&launcher, shell("next", "echo next")).await;
            assert_eq!(next.expect("it starts").stdout, b"next\n");
        },
    );
}

#[test]
fn a_stopped_supervisor_is_given_up_and_nothing_is_left() {
    alone(
        "a_stopped_supervisor_is_given_up_and_nothing_is_left",
        || async {
            let launcher = launcher();
            let mut job = shell(
                "hostile",
                "kill -STOP $PPID; setsid sleep 600 & exec sleep 600",
            );
            job.time_limit = Some(Duration::from_millis(500));
            let done = run(&launcher, job).await.expect("it starts");
            assert_eq!(done.ending, Ending::TimedOut);
            launcher.idle().await;
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

#[tokio::test]
async fn a_killed_server_leaves_nothing_after_a_second() {
    let test = "a_server_that_is_to_be_killed";
    let server = again(test).stdout(Stdio::null()).spawn();
    let mut server = KilledAtLast(server.expect("this program starts again"));
    let pid = Pid::from_child(&server.0);
    until("all run", Duration::from_secs(20), || {
        left_of("orphan", pid).len() == 5
    })
    .await;
    server.0.kill().expect("it is ours");
    server.0.wait().expect("it is ours");
    until("nothing is left", Duration::from_secs(1), || {
        left_of("orphan", pid).is_empty()
    })
    .await;
}

/// Ends the child also when the claim fails.
struct KilledAtLast(std::process::Child);

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
    alone("a_server_that_is_to_be_killed", || async {
        let job = shell(
            "orphan",
            "trap '' TERM HUP; setsid sleep 600 & (setsid setsid sleep 600 &); setsid sh -c 'sleep 600; :' & exec sleep 600",
        );
        let _ = run(&launcher(), job).await;
    });
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let refused = run(&launcher(), marked("missing", ["/nowhere/at/all"])).await;
    let text = refused.expect_err("it is not there").to_string();
    assert_eq!(text, "cannot start /nowhere/at/all: no such file");
    let refused = run(&launcher(), marked("missing", ["no-such-program-anywhere"])).await;
    let text = refused.expect_err("it is not there").to_string();
    assert_eq!(
        text,
        "cannot start no-such-program-anywhere: no such program in PATH"
    );
}

#[tokio::test]
async fn what_the_system_refuses_to_execute_is_explained() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let cases = [
        (
            "plain",
            "#!/bin/sh\n",
            0o644,
            "it is not executable; chmod +x it",
        ),
        (
            "shebang",
            "#!/nowhere/python9 -u\n",
            0o755,
            "its first line names the interpreter /nowhere/python9, which is not there",
        ),
        (
            "text",
            "import sys\n",
            0o755,
            "not a program of this machine; a script begins with a line like #!/usr/bin/env python3",
        ),
    ];
    for (name, text, mode, reason) in cases {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("it is writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
        let refused = run(&launcher(), marked("refused", [path.as_os_str()])).await;
        let text = refused.expect_err(name).to_string();
        assert_eq!(text, format!("cannot start {}: {reason}", path.display()));
    }
    let mut job = shell("directory", "true");
    job.directory = Some("/nowhere".into());
    let text = run(&launcher(), job)
        .await
        .expect_err("no directory")
        .to_string();
    assert_eq!(
        text,
        "cannot start sh: its working directory /nowhere is not there"
    );
}

#[tokio::test]
async fn arguments_larger_than_the_system_takes_are_refused_as_such() {
    let one = "x".repeat(200_000);
    let refused = run(&launcher(), marked("long", ["true", &one])).await;
    assert!(matches!(refused, Err(StartError::TooLarge)), "{refused:?}");
    let all: Vec<_> = std::iter::once("true".to_owned())
        .chain(std::iter::repeat_n("y".repeat(100_000), 80))
        .collect();
    let refused = run(&launcher(), marked("many", all)).await;
    assert!(matches!(refused, Err(StartError::TooLarge)), "{refused:?}");
}

#[tokio::test]
async fn two_megabytes_of_arguments_and_environment_arrive() {
    let texts: Vec<_> = std::iter::repeat_n("z".repeat(100_000), 10).collect();
    let mut argv: Vec<OsString> = ["sh", "-c", r#"printf %s "$*" | wc -c; env | wc -c"#, "sh"]
        .map(Into::into)
        .to_vec();
    argv.extend(texts.iter().map(Into::into));
    let mut job = marked("large", argv);
    job.environment
        .extend((0..10).map(|n| (format!("LARGE{n}").into(), texts[0].clone().into())));
    if getrlimit(Resource::Stack)
        .current
        .is_some_and(|limit| limit < (8 << 20))
    {
        return;
    }
    let text = String::from_utf8(finished(job).await.stdout).expect("it is text");
    let sizes: Vec<usize> = text
        .split_whitespace()
        .map(|n| n.parse().expect("a number"))
        .collect();
    assert_eq!(sizes[0], 10 * 100_000 + 9);
    assert!(sizes[1] > 1_000_000);
}

#[tokio::test]
async fn a_nul_is_refused_before_anything_starts() {
    let launcher = launcher();
    let refused = run(&launcher, marked("nul", ["echo", "a\0b"])).await;
    let text = refused.expect_err("it cannot be passed").to_string();
    assert_eq!(
        text,
        r#"cannot start echo: a NUL byte cannot be passed to a program: "a\0b""#
    );
    launcher.idle().await;
}

#[test]
fn without_descriptors_a_start_fails_and_works_again_later() {
    alone(
        "without_descriptors_a_start_fails_and_works_again_later",
        || async {
            let launcher = launcher();
            let usual = getrlimit(Resource::Nofile);
            let open = std::fs::read_dir("/proc/self/fd")
                .expect("it is readable")
                .count() as u64;
            let scarce = |current| Rlimit {
                current: Some(current),
                maximum: usual.maximum,
            };
            // One more each time, so that every step of a start fails once.
            for more in 0..9 {
                setrlimit(Resource::Nofile, scarce(open + more)).expect("lower is allowed");
                match run(&launcher, marked("scarce", ["true"])).await {
                    Err(StartError::System(_)) => assert!(more < 8, "with {more}"),
                    Ok(done) => {
                        assert!(done.ending == Ending::Exited(0) && more > 3, "with {more}")
                    }
                    Err(other) => panic!("with {more}: {other}"),
                }
                launcher.idle().await;
            }
            setrlimit(Resource::Nofile, usual).expect("as before");
            let done = run(&launcher, marked("scarce", ["true"]))
                .await
                .expect("it starts again");
            assert_eq!(done.ending, Ending::Exited(0));
        },
    );
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
        run.await.expect("its claims hold");
    }
    launcher.idle().await;
    assert_eq!((launcher.running(), left("many-runs")), (0, vec![]));
}
