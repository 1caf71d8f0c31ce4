//! What cannot be started, and why.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smcp::process::{Ending, StartError};

use crate::alone::test_name;
use crate::{idle, in_a_process_of_its_own, launcher, marked, run, shell};

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

/// A process that is being started elsewhere holds the descriptors of whoever starts it for a moment, that of a program
/// which was just written among them.
#[tokio::test]
async fn a_program_that_somebody_has_open_for_writing_is_executed_once_that_is_over() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("written");
    std::fs::write(&path, "#!/bin/sh\necho ran\n").expect("it is writable");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let writer = std::fs::File::options().append(true).open(&path);
    let writer = writer.expect("it is ours");
    let launcher = launcher();
    let running = run(&launcher, marked("written", [path.as_os_str()]));
    let closing = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        drop(writer);
    };
    let (done, ()) = tokio::join!(running, closing);
    let done = done.expect("it starts");
    assert_eq!(
        (done.ending, done.stdout),
        (Ending::Exited(0), b"ran\n".to_vec())
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
async fn a_nul_is_refused_before_anything_starts() {
    let launcher = launcher();
    let refused = run(&launcher, marked("nul", ["echo", "a\0b"])).await;
    let text = refused.expect_err("it cannot be passed").to_string();
    assert_eq!(
        text,
        r#"cannot start echo: a NUL byte cannot be passed to a program: "a\0b""#
    );
    idle(&launcher).await;
}

#[test]
fn without_descriptors_a_start_fails_and_works_again_later() {
    in_a_process_of_its_own(
        test_name!(without_descriptors_a_start_fails_and_works_again_later),
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
                idle(&launcher).await;
            }
            setrlimit(Resource::Nofile, usual).expect("as before");
            let done = run(&launcher, marked("scarce", ["true"]))
                .await
                .expect("it starts again");
            assert_eq!(done.ending, Ending::Exited(0));
        },
    );
}
