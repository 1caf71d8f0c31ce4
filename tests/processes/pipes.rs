//! Standard input, output and error of a running program.

use smcp::process::{Ending, OutputLoad, SideChannels};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::alone::test_name;
use crate::{
    finished, in_a_process_of_its_own, launcher, left, marked, next, run, shell, until, within,
};

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
    let channels = SideChannels {
        stderr_lines: Some(to),
        ..SideChannels::default()
    };
    let cancel = CancellationToken::new();
    let launcher = launcher();
    let job = shell(
        "lines",
        "echo first >&2; printf 'sec\\377ond\\n' >&2; sleep 600",
    );
    let running = launcher.run(job, channels, cancel.clone());
    let listening = async {
        assert_eq!(next(&mut lines).await.as_deref(), Some("first"));
        assert_eq!(next(&mut lines).await.as_deref(), Some("sec\u{fffd}ond"));
        cancel.cancel();
        assert_eq!(next(&mut lines).await, None);
    };
    let (done, ()) = within("the run ends", async { tokio::join!(running, listening) }).await;
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
    in_a_process_of_its_own(
        test_name!(a_gigabyte_on_either_pipe_costs_at_most_32_mib),
        || async {
            let launcher = launcher();
            let warm = run(&launcher, marked("warm", ["true"])).await;
            assert_eq!(warm.expect("it starts").ending, Ending::Exited(0));
            let before = peak_kib();
            // It takes as long as it takes.
            let timeless = |script: &str| {
                let mut job = shell("gigabyte", script);
                job.time_limit = None;
                job
            };
            let out = timeless("head -c 1000000000 /dev/zero");
            let done = run(&launcher, out).await.expect("it starts");
            assert_eq!(
                (done.ending, done.stdout.len()),
                (Ending::OutputTooLarge, 16 << 20)
            );
            drop(done);
            let err = timeless("head -c 1000000000 /dev/zero >&2; printf end >&2");
            let done = run(&launcher, err).await.expect("it starts");
            assert_eq!(
                (done.ending, done.stderr_tail.len()),
                (Ending::Exited(0), 64 << 10)
            );
            assert!(done.stderr_tail.ends_with(b"\0end"));
            let grown = peak_kib() - before;
            assert!(grown <= 32 << 10, "grown by {grown} KiB");
        },
    );
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.expect("Linux tells it").trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}

/// Prints so many bytes and then does `next`.
fn prints(bytes: usize, next: &str) -> smcp::process::Job {
    let mut job = shell("memory", &format!("head -c {bytes} /dev/zero; {next}"));
    job.stdout_limit = 16 << 20;
    job
}

#[tokio::test]
async fn outputs_that_wait_for_memory_are_read_whole_one_after_the_other() {
    let launcher = launcher().with_output_budget(1);
    // What was read is dropped at once, as it is when an answer is written.
    let runs = (0..4).map(async |_| {
        let done = run(&launcher, prints(1 << 20, ":")).await;
        let done = done.expect("it starts");
        (done.ending, done.stdout.len())
    });
    for done in futures_util::future::join_all(runs).await {
        assert_eq!(done, (Ending::Exited(0), 1 << 20));
    }
    assert_eq!(launcher.outputs(), OutputLoad::default());
}

#[tokio::test]
async fn an_output_that_waits_for_memory_is_not_cut_short_and_its_call_can_be_ended() {
    let launcher = launcher().with_output_budget(1);
    let [first, ends, stops] = [(); 3].map(|()| CancellationToken::new());
    let start = |job, cancel: &CancellationToken| {
        let (launcher, cancel) = (launcher.clone(), cancel.clone());
        tokio::spawn(async move { launcher.run(job, SideChannels::default(), cancel).await })
    };
    let waiting = async |count| {
        let waits = || launcher.outputs().waiting == count;
        until("they wait", crate::LIMIT, waits).await;
    };
    let first_run = start(prints(1 << 20, "sleep 600"), &first);
    let taken = || launcher.outputs().bytes >= 1 << 20;
    until("the first goes on above the budget", crate::LIMIT, taken).await;
    // One whose program goes on, one whose program has printed all into its pipe and ended.
    let stopped_run = start(prints(1 << 20, "sleep 600"), &stops);
    waiting(1).await;
    let ended_run = start(prints(100_000, ":"), &ends);
    waiting(2).await;
    stops.cancel();
    let stopped = within("it is ended", stopped_run).await.expect("no panic");
    assert_eq!(stopped.expect("it starts").ending, Ending::Cancelled);
    // Longer than pipes that somebody else holds are waited for.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(!ended_run.is_finished());
    let mut late = prints(100_000, ":");
    late.time_limit = Some(std::time::Duration::from_millis(200));
    let late = within("its time is over", run(&launcher, late)).await;
    assert_eq!(late.expect("it starts").ending, Ending::TimedOut);
    first.cancel();
    within("it is ended", first_run)
        .await
        .expect("no panic")
        .expect("it starts");
    let ended = within("it is read", ended_run)
        .await
        .expect("no panic")
        .expect("it starts");
    assert_eq!(
        (ended.ending, ended.stdout.len()),
        (Ending::Exited(0), 100_000)
    );
}
