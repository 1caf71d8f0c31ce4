//! What a program finds when it starts: arguments, environment, directory, descriptors, signals.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;

use rustix::process::{Resource, Signal, getrlimit};
use smcp::process::SideChannels;
use tokio_util::sync::CancellationToken;

use crate::alone::{self, test_name};
use crate::{LIMIT, finished, in_a_process_of_its_own, launcher, marked, shell};

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
    let channels = SideChannels {
        events: Some(writer.into()),
        ..SideChannels::default()
    };
    // The glob itself opens a directory, the lowest free number: that one is gone when it is looked at.
    let script =
        r#"echo said >&3; for fd in /proc/$$/fd/*; do [ -e "$fd" ] && echo "${fd##*/}"; done"#;
    let done = launcher()
        .run(shell("three", script), channels, CancellationToken::new())
        .await
        .expect("it starts");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "0\n1\n2\n3\n");
    let (read, whole) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut said = String::new();
        let _ = read.send(reader.read_to_string(&mut said).map(|_| said));
    });
    let said = whole.recv_timeout(LIMIT);
    let said = said.expect("and the end comes, because nobody holds it open");
    assert_eq!(said.expect("it is text"), "said\n");
}

#[test]
fn a_descriptor_that_the_server_inherited_does_not_reach_a_program() {
    let test = test_name!(a_descriptor_that_the_server_inherited_does_not_reach_a_program);
    if !alone::is_here() {
        let wrapper = ["sh", "-c", r#"exec "$0" "$@" 7</dev/null 3</dev/null"#];
        let output = alone::command(&wrapper, test).output();
        return alone::must_have_passed(test, &output.expect("a shell starts"));
    }
    in_a_process_of_its_own(test, || async {
        assert!(std::fs::exists("/proc/self/fd/7").expect("it is readable"));
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        let channels = SideChannels {
            events: Some(writer.into()),
            ..SideChannels::default()
        };
        let script = r#"for fd in /proc/$$/fd/*; do [ -e "$fd" ] && echo "${fd##*/}"; done"#;
        let done = launcher()
            .run(
                shell("inherited", script),
                channels,
                CancellationToken::new(),
            )
            .await
            .expect("it starts");
        assert_eq!(String::from_utf8_lossy(&done.stdout), "0\n1\n2\n3\n");
    });
}

#[tokio::test]
async fn a_program_begins_with_the_signals_of_whoever_started_the_server() {
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
    // The runtime ignores it in this process, and programs do not inherit that.
    assert_eq!(set(&text, "SigIgn:") & bit(Signal::PIPE), 0);
    // What whoever started these tests has ignored stays ignored, as a shell does with SIGINT for what runs behind it.
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::QUIT,
        Signal::CHILD,
    ] {
        let ignored = |text: &str| set(text, "SigIgn:") & bit(signal) != 0;
        assert_eq!(ignored(&text), ignored(&own), "{signal:?}");
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
