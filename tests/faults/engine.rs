//! Rows 42, 59 and 75, and what a system may hide: runs of the engine itself, without a server around it.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smcp::process::{Ending, Finished, Held, Job, Launcher, SideChannels, StartError};
use tokio_util::sync::CancellationToken;

use crate::support::server::is_root;
use crate::support::{processes, s, until};

/// Says to this program that it is to be the server of a test.
const SERVER: &str = "SMCP_TEST_ENGINE";

fn launcher() -> Launcher {
    Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp")).expect("programs can be run here")
}

fn job(argv: &[&str]) -> Job {
    let path = std::env::var_os("PATH").expect("there is a PATH");
    Job {
        argv: argv.iter().map(OsString::from).collect(),
        environment: vec![("PATH".into(), path)],
        directory: None,
        stdin: None,
        time_limit: None,
        stdout_limit: 1 << 20,
        stderr_tail: 1 << 10,
        background: None,
        warm: None,
    }
}

async fn run(launcher: &Launcher, job: Job) -> Result<Finished, StartError> {
    let nobody = CancellationToken::new();
    launcher.run(job, SideChannels::default(), nobody).await
}

/// Runs `body` in this test program again, with this test alone; `wrapper` is the command line that
/// starts it. Gives what was written.
fn in_a_process_of_its_own(test: &str, wrapper: &[&str]) -> std::process::Output {
    let (first, rest) = wrapper.split_first().expect("a program");
    Command::new(first)
        .args(rest)
        .arg(std::env::current_exe().expect("it has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(SERVER, "1")
        .output()
        .expect("it starts")
}

fn block_on(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(body);
}

#[track_caller]
fn must_succeed(output: &std::process::Output) {
    let (said, errors) = (&output.stdout, &output.stderr);
    let text = String::from_utf8_lossy(said) + String::from_utf8_lossy(errors);
    assert!(output.status.success(), "{text}");
}

#[test]
fn programs_get_the_limit_of_open_files_that_the_server_was_started_with() {
    let test = "engine::programs_get_the_limit_of_open_files_that_the_server_was_started_with";
    if std::env::var_os(SERVER).is_none() {
        return must_succeed(&in_a_process_of_its_own(test, &["env"]));
    }
    block_on(async {
        let usual = getrlimit(Resource::Nofile);
        let soft = |current| Rlimit { current, ..usual };
        setrlimit(Resource::Nofile, soft(Some(600))).expect("lower is allowed");
        let launcher = launcher();
        setrlimit(Resource::Nofile, soft(usual.maximum)).expect("up to the maximum");
        let done = run(&launcher, job(&["sh", "-c", "ulimit -Sn"])).await;
        assert_eq!(done.expect("it starts").stdout, b"600\n", "row 59");
    });
}

#[test]
fn a_signal_that_the_parent_ignores_is_ignored_by_programs_too() {
    let test = "engine::a_signal_that_the_parent_ignores_is_ignored_by_programs_too";
    if std::env::var_os(SERVER).is_none() {
        let ignoring = ["sh", "-c", "trap '' HUP USR1; exec \"$0\" \"$@\""];
        return must_succeed(&in_a_process_of_its_own(test, &ignoring));
    }
    block_on(async {
        let status = job(&["grep", "SigIgn", "/proc/self/status"]);
        let done = run(&launcher(), status).await.expect("it starts");
        let text = String::from_utf8(done.stdout).expect("it is text");
        let mask = text.trim_start_matches("SigIgn:").trim();
        let mask = u64::from_str_radix(mask, 16).expect("a mask");
        let hangup_and_user_1 = 1 | 1 << 9;
        let term_and_user_2 = 1 << 14 | 1 << 11;
        assert_eq!(
            mask & hangup_and_user_1,
            hangup_and_user_1,
            "row 75: {text}"
        );
        assert_eq!(mask & term_and_user_2, 0, "row 75: {text}");
    });
}

#[test]
fn a_supervisor_that_is_stopped_is_given_up_when_its_program_ends() {
    let test = "engine::a_supervisor_that_is_stopped_is_given_up_when_its_program_ends";
    if std::env::var_os(SERVER).is_none() {
        // What a lost supervisor leaves is every child of the process that no launcher has started.
        return must_succeed(&in_a_process_of_its_own(test, &["env"]));
    }
    block_on(async {
        let launcher = launcher();
        let stopping = job(&["sh", "-c", "echo said; sleep 0.5; kill -STOP $PPID"]);
        let done = tokio::time::timeout(s(60), run(&launcher, stopping)).await;
        let done = done.expect("it is given up").expect("it starts");
        assert_eq!(done.ending, Ending::SupervisorLost);
        assert_eq!(done.stdout, b"said\n");
        launcher.idle().await;
        let next = run(&launcher, job(&["echo", "next"])).await;
        assert_eq!(next.expect("it starts").stdout, b"next\n");
    });
}

/// Waits until there is the file.
async fn appears(file: &Path) {
    let looks = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let seen = tokio::time::timeout(s(60), looks).await;
    seen.expect("the program begins");
}

/// A program whose children hide: their memory cannot be read, so that a `/proc` with `hidepid` does
/// not show them to others of their user. They ignore SIGTERM, and one has a session of its own.
const HIDING: &str = r#"
    my $PR_SET_DUMPABLE = 4;
    for my $number (1, 2) {
        next if fork;
        require POSIX;
        POSIX::setsid() if $number == 2;
        fork if $number == 2;
        syscall(157, $PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 or die "no prctl";
        $SIG{TERM} = 'IGNORE';
        close STDOUT;
        close STDERR;
        sleep 600;
        exit;
    }
    print "begun\n";
    sleep 1;
"#;

#[test]
fn processes_that_proc_does_not_show_are_ended() {
    let test = "engine::processes_that_proc_does_not_show_are_ended";
    let mark = "engine-hiding";
    if std::env::var_os(SERVER).is_some() {
        return block_on(async {
            let launcher = launcher();
            let done = run(&launcher, job(&["perl", "-e", HIDING, mark])).await;
            let done = done.expect("it starts");
            assert_eq!(done.ending, Ending::Exited(0), "{done:?}");
            assert_eq!(done.stdout, b"begun\n");
            // With a limit, for what is not seen would be waited for without end.
            let idle = tokio::time::timeout(s(30), launcher.idle()).await;
            idle.expect("everything is gone");
        });
    }
    if !is_root() || cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let wrapper = "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" \"$@\"";
    let watching = std::thread::spawn(move || {
        until("they run", s(60), || {
            (processes::with_argument(mark).len() >= 4).then_some(())
        });
    });
    must_succeed(&in_a_process_of_its_own(
        test,
        &["unshare", "-m", "sh", "-c", wrapper],
    ));
    watching.join().expect("they were seen");
    until("nothing is left", s(2), || {
        processes::with_argument(mark).is_empty().then_some(())
    });
}

#[test]
fn a_permit_that_is_held_is_given_back_when_the_last_process_is_gone() {
    let test = "engine::a_permit_that_is_held_is_given_back_when_the_last_process_is_gone";
    if std::env::var_os(SERVER).is_none() {
        return must_succeed(&in_a_process_of_its_own(test, &["env"]));
    }
    block_on(async {
        let launcher = launcher();
        let (held, mut dropped) = tokio::sync::oneshot::channel::<()>();
        let folder = tempfile::tempdir().expect("a directory for temporary files");
        let begun = folder.path().join("engine-held");
        let deaf = "trap '' TERM; (sleep 600 & wait) & : > \"$0\"; sleep 600";
        let mut deaf = job(&["sh", "-c", deaf, begun.to_str().expect("a plain path")]);
        deaf.stderr_tail = 0;
        let nobody = CancellationToken::new();
        let held = Held {
            tree: held,
            busy: (),
        };
        let running = launcher.run_holding(deaf, SideChannels::default(), nobody, held);
        // Whoever waits leaves once the program ignores SIGTERM.
        tokio::select! {
            _ = running => panic!("it ended by itself"),
            () = appears(&begun) => {}
        }
        tokio::time::sleep(s(1)).await;
        assert!(
            dropped
                .try_recv()
                .is_err_and(|state| { state == tokio::sync::oneshot::error::TryRecvError::Empty })
        );
        let _ = dropped.await;
        assert_eq!(processes::with_argument("engine-held"), []);
        assert_eq!(launcher.leftovers(), []);
    });
}
