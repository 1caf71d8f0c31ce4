//! What a supervised run costs above the bare spawn of the same command line.
//!
//! Both are timed in turn, so that whatever else the machine does meets both alike. The bare
//! spawn is `posix_spawn` with the same pipes, read to their ends.
//!
//!     cargo bench --bench call_overhead [-- ROUNDS [PROGRAM ARGUMENT…]]

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use smcp::process::{Ending, Job, Launcher, SideChannels};
use tokio_util::sync::CancellationToken;

fn main() {
    // Cargo adds `--bench` to whatever was asked for.
    let mut arguments = std::env::args_os().skip(1).filter(|a| a != "--bench");
    let rounds = arguments.next().map_or(500, |rounds| {
        let rounds = rounds.to_str().and_then(|text| text.parse().ok());
        rounds.expect("the first argument is the number of rounds")
    });
    let mut argv: Vec<OsString> = arguments.collect();
    if argv.is_empty() {
        argv.push("/bin/true".into());
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // On a worker thread, where the server's calls are.
        let measured = tokio::spawn(async move { measure(&argv, rounds).await });
        measured.await.expect("no step of it fails");
    });
}

async fn measure(argv: &[OsString], rounds: usize) {
    let launcher = Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp")).expect("a sub-reaper");
    let (mut bare, mut supervised) = (Vec::new(), Vec::new());
    for round in 0..rounds + 20 {
        let bare_time = tokio::task::block_in_place(|| time_bare(argv));
        let supervised_time = time_supervised(&launcher, argv).await;
        // The first ones meet cold caches.
        if round >= 20 {
            bare.push(bare_time);
            supervised.push(supervised_time);
        }
        launcher.idle().await;
    }
    println!("{argv:?}, {rounds} rounds, milliseconds:      p50      p95");
    let (bare, supervised) = (quantiles(bare), quantiles(supervised));
    println!("  bare posix_spawn  {:8.3} {:8.3}", bare.0, bare.1);
    println!(
        "  Launcher::run     {:8.3} {:8.3}",
        supervised.0, supervised.1
    );
    println!(
        "  difference        {:8.3} {:8.3}",
        supervised.0 - bare.0,
        supervised.1 - bare.1
    );
}

fn time_bare(argv: &[OsString]) -> Duration {
    let begun = Instant::now();
    let output = Command::new(&argv[0])
        .args(&argv[1..])
        .stdin(Stdio::null())
        .process_group(0)
        .output()
        .expect("the program starts");
    assert!(output.status.success());
    begun.elapsed()
}

async fn time_supervised(launcher: &Launcher, argv: &[OsString]) -> Duration {
    let begun = Instant::now();
    let job = Job {
        argv: argv.to_vec(),
        environment: std::env::vars_os().collect(),
        directory: None,
        stdin: None,
        time_limit: Some(Duration::from_secs(60)),
        stdout_limit: 16 << 20,
        stderr_tail: 64 << 10,
        background: None,
        warm: None,
    };
    let run = launcher.run(job, SideChannels::default(), CancellationToken::new());
    let finished = run.await.expect("the program starts");
    assert_eq!(finished.ending, Ending::Exited(0));
    begun.elapsed()
}

/// Median and 95th percentile in milliseconds.
fn quantiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1000.0;
    (at(50), at(95))
}
