//! One service, started and started again until it is not wanted any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::status::Status;
use crate::catalog::{Catalog, Service};
use crate::process::{Ending, Finished, Job, Launcher, SideChannels, StartError};
use crate::text::shown;

/// The pause before a service is started again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest; each is twice the one before.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A service that has run for so long begins with the first pause again.
const IS_WELL_AFTER: Duration = Duration::from_secs(60);

/// How many lines may wait for the log. A service that prints faster loses lines and never waits.
const MAX_LINES: usize = 256;

/// How many lines of a second the log gets: one that prints without end must not fill the disk.
const MAX_LINES_A_SECOND: u64 = 100;

/// How much of one line the log gets, in characters.
const MAX_SHOWN: usize = 2000;

/// How much of the end of what it printed is kept for the word of how it ended, in bytes.
const TAIL: usize = 4 << 10;

/// What a service is started with.
#[derive(Debug, Clone)]
pub(super) struct Starter {
    pub(super) launcher: Launcher,
    /// Knows what a service finds in its environment.
    pub(super) catalog: Catalog,
}

/// Keeps `service` running until `end` is cancelled, and returns when no process of it is left.
pub(super) async fn keep_running(
    service: Arc<Service>,
    starter: Starter,
    status: Status,
    end: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    while !end.is_cancelled() {
        let began = Instant::now();
        status.runs();
        tracing::info!(
            plugin = service.plugin,
            service = service.name,
            "starting a service"
        );
        let finished = run(&service, &starter, &end).await;
        if end.is_cancelled() {
            return;
        }
        let how = said(&finished);
        if began.elapsed() >= IS_WELL_AFTER {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(
            plugin = service.plugin,
            service = service.name,
            "the service {how}; it is started again in {} s",
            pause.as_secs()
        );
        status.ended(how);
        tokio::select! {
            () = sleep(pause) => {}
            () = end.cancelled() => {}
        }
        pause = MAX_PAUSE.min(pause * 2);
    }
}

/// Runs its program once, and writes each line that it prints to the log.
async fn run(
    service: &Service,
    starter: &Starter,
    end: &CancellationToken,
) -> Result<Finished, StartError> {
    let (sender, mut lines) = mpsc::channel(MAX_LINES);
    let job = Job {
        argv: service.argv.clone(),
        environment: starter.catalog.environment_of(service),
        directory: None,
        stdin: None,
        time_limit: None,
        stdout_limit: 0,
        stderr_tail: TAIL,
        background: None,
        warm: None,
    };
    let side_channels = SideChannels {
        stderr_lines: Some(sender),
        stdout_to_stderr: true,
        ..SideChannels::default()
    };
    let running = starter.launcher.run(job, side_channels, end.child_token());
    let logging = async {
        let (mut since, mut written, mut left_out) = (Instant::now(), 0, 0_u64);
        while let Some(line) = lines.recv().await {
            if since.elapsed() >= Duration::from_secs(1) {
                note_left_out(service, left_out);
                (since, written, left_out) = (Instant::now(), 0, 0);
            }
            if written >= MAX_LINES_A_SECOND {
                left_out += 1;
            } else if !line.trim().is_empty() {
                written += 1;
                let line = shown(&line, MAX_SHOWN);
                tracing::info!(plugin = service.plugin, service = service.name, "{line}");
            }
        }
        note_left_out(service, left_out);
    };
    let (finished, ()) = tokio::join!(running, logging);
    finished
}

/// Says how many lines a service has printed that the log did not get.
fn note_left_out(service: &Service, lines: u64) {
    if lines > 0 {
        tracing::warn!(
            plugin = service.plugin,
            service = service.name,
            "{lines} lines are left out: a service may print {MAX_LINES_A_SECOND} a second"
        );
    }
}

/// How a run ended, in words that follow "the service".
fn said(finished: &Result<Finished, StartError>) -> String {
    let finished = match finished {
        Ok(finished) => finished,
        Err(fault) => return format!("was not started: {fault}"),
    };
    let how = match finished.ending {
        Ending::Exited(status) => format!("exited with status {status}"),
        Ending::Signalled(signal) => format!("was ended by signal {signal}"),
        _ => "was ended".to_owned(),
    };
    let printed = String::from_utf8_lossy(&finished.stderr_tail);
    match printed.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{how} ({})", shown(line.trim(), 300)),
        None => how,
    }
}
