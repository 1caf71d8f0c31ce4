//! What a call costs above the bare spawn of the same command line: both in turn, so that whatever else the machine
//! does meets both alike.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::closed_loop::Plan;
use super::figures::quantile;
use super::session::Session;

/// The first ones meet cold caches.
const UNCOUNTED: usize = 5;

/// Medians and 90th percentiles, in milliseconds.
#[derive(Debug, Serialize)]
pub struct OverheadFigures {
    rounds: usize,
    bare_p50_ms: f64,
    bare_p90_ms: f64,
    call_p50_ms: f64,
    call_p90_ms: f64,
    /// The median of the differences, round by round.
    difference_p50_ms: f64,
}

/// Runs `argv` by `posix_spawn` and the plan's call in turn, for as long as the plan's window.
pub async fn compare(plan: &Plan, argv: &[String]) -> anyhow::Result<OverheadFigures> {
    let mut session = Session::open(&plan.target).await?;
    let (mut bare, mut calls, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    let begun = Instant::now();
    let mut round = 0;
    while begun.elapsed() < plan.window || bare.is_empty() {
        let spawned = tokio::task::block_in_place(|| spawn(argv))?;
        let call_begun = Instant::now();
        session.request(&plan.method, &plan.params).await?;
        let called = call_begun.elapsed();
        round += 1;
        if round > UNCOUNTED {
            bare.push(micros(spawned));
            calls.push(micros(called));
            differences.push((called.as_secs_f64() - spawned.as_secs_f64()) * 1e3);
        }
    }
    session.close().await?;
    bare.sort_unstable();
    calls.sort_unstable();
    // On a busy machine some of them are below zero.
    differences.sort_unstable_by(f64::total_cmp);
    Ok(OverheadFigures {
        rounds: bare.len(),
        bare_p50_ms: quantile(&bare, 0.5),
        bare_p90_ms: quantile(&bare, 0.9),
        call_p50_ms: quantile(&calls, 0.5),
        call_p90_ms: quantile(&calls, 0.9),
        difference_p50_ms: differences
            .get(differences.len() / 2)
            .copied()
            .unwrap_or(0.0),
    })
}

fn spawn(argv: &[String]) -> anyhow::Result<Duration> {
    let (program, words) = argv.split_first().context("no command line")?;
    let begun = Instant::now();
    // None of these settings keeps the standard library from `posix_spawn`.
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .process_group(0)
        .output()?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    Ok(begun.elapsed())
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
