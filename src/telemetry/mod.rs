//! Console, rotating file, audit line, counters: what the server reports about itself.
//!
//! Knows neither the environment nor what the events mean. [`init`] turns on the logs, [`audit`] and
//! [`counters`] are what the floors above speak through.

pub mod audit;
mod by_plugin;
mod bytes;
mod call_queue;
mod console;
pub mod counters;
mod escape;
mod exposition;
mod families;
mod file;
mod labels;
mod lines;
mod metrics;
mod moment;
mod queue;
mod service;
mod settings;
mod snapshot;
mod tables;
mod tail;
mod task;
pub mod trace;
mod warm;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::Layer as FmtLayer;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub use audit::AuditLine;
pub use bytes::ByteCount;
pub use call_queue::{CallQueueCounts, QueueLimit};
pub use console::stderr_is_journal;
pub use counters::{Counters, OK, OpenSession, RunningCall};
pub use exposition::Format;
pub use labels::KeyLabel;
pub use moment::{CallLimits, CallLoad, JobCounts, Moment, PluginCounts, ProcessCounts};
pub use queue::{Loss, Losses};
pub use service::{PluginService, ServiceState};
pub use settings::{
    Console, DEFAULT_BACKUPS, DEFAULT_DIRECTORY, DEFAULT_FILE_NAME, DEFAULT_MAX_BYTES, Directives,
    FileSettings, LEVELS, Rotation, RotationKind, Settings, log_path, parse_level,
};
pub use snapshot::CountersSnapshot;
pub use tables::CallLabels;
pub use tail::{Tail, TailLine};
pub use task::TaskCounts;
pub use warm::{WarmInterpreter, WarmState};

/// The logs could not be turned on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another logger is in place; a process has one.
    #[error("cannot turn on the logs: {0}; turn them on once, before anything logs")]
    AlreadyOn(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps the logs alive. Dropping it writes what is still queued, for a second or two at most.
#[derive(Debug)]
#[must_use = "the logs end with their guard"]
pub struct Guard {
    losses: Losses,
    // The file's thread may still have something to tell the console, so it ends first.
    _file: Option<queue::Worker>,
    _console: queue::Worker,
}

impl Guard {
    /// The counts of lines lost, for [`Counters::new`].
    pub fn losses(&self) -> Losses {
        self.losses.clone()
    }
}

/// Turns on the logs for the whole process, panics included.
///
/// A log file that cannot be written is no error: the console says so once, and the lost lines are counted.
///
/// # Errors
/// Another logger is in place.
pub fn init(settings: &Settings) -> Result<Guard, Error> {
    let (subscriber, guard) = build(settings);
    subscriber.try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(guard)
}

/// The logs of `settings`, not yet turned on.
pub fn build(settings: &Settings) -> (impl Subscriber + Send + Sync + use<>, Guard) {
    build_with(settings, console::Output::stderr())
}

fn build_with(
    settings: &Settings,
    output: console::Output,
) -> (impl Subscriber + Send + Sync + use<>, Guard) {
    let console_lines = console::lines(settings, output.terminal);
    let loss = Loss::default();
    let sink = console::Sink::new(output.writer, loss.clone());
    let (console_queue, console_worker, console_loss) = queue::spawn("log-console", sink, loss);

    let mut losses = Losses {
        console: console_loss,
        file: Loss::default(),
    };
    let mut file_worker = None;
    let file_layer = settings.file.as_ref().map(|file_settings| {
        let notices = file::Notices {
            console: console_queue.clone(),
            lines: console_lines,
        };
        let mut file = file::LogFile::new(file_settings.clone(), losses.file.clone(), notices);
        file.open_at(file::Now::read());
        let (queue, worker, loss) = queue::spawn("log-file", file, losses.file.clone());
        losses.file = loss;
        file_worker = Some(worker);
        let lines = lines::Lines {
            json: settings.json,
            ..lines::Lines::default()
        };
        layer(lines, queue)
    });
    let subscriber = Registry::default()
        .with(settings.level.filter())
        .with(layer(console_lines, console_queue))
        .with(file_layer)
        .with(settings.tail.clone());
    let guard = Guard {
        losses,
        _file: file_worker,
        _console: console_worker,
    };
    (subscriber, guard)
}

fn layer<S>(
    lines: lines::Lines,
    queue: tracing_appender::non_blocking::NonBlocking,
) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    FmtLayer::new()
        .event_format(lines)
        .fmt_fields(lines::SpanFields)
        .log_internal_errors(false)
        .with_writer(queue)
}

/// A panic is one line of the log like any other, so that it reaches the file and cannot forge a second line.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a value that is no text");
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(target: "smcp::panic", location, thread = thread.name(), backtrace, "panicked: {message}");
}

#[cfg(test)]
mod tests;
