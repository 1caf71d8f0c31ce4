//! What a measurement found, as the runner reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::usage::Usage;

/// Different errors that are told; the rest is counted.
const MAX_ERRORS_TOLD: usize = 5;

/// What one client found.
#[derive(Debug, Default)]
pub struct Found {
    /// How long each request took that was answered within the window, in microseconds.
    pub micros: Vec<u32>,
    /// Bytes of their answers.
    pub bytes: u64,
    /// Requests that failed, by what was said.
    pub errors: BTreeMap<String, u64>,
}

impl Found {
    /// Counts an answer.
    pub fn answered(&mut self, time: Duration, bytes: usize) {
        self.micros
            .push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
        self.bytes += bytes as u64;
    }

    /// Counts a failure.
    pub fn failed(&mut self, error: &anyhow::Error) {
        *self.errors.entry(format!("{error:#}")).or_default() += 1;
    }

    /// Puts together what several clients found.
    pub fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.bytes += other.bytes;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }
}

/// A closed loop of requests, or of sessions.
#[derive(Debug, Serialize)]
pub struct LoopFigures {
    /// Clients that worked at once.
    pub clients: usize,
    /// How long was measured, in seconds.
    pub seconds: f64,
    /// What was answered in that time.
    pub requests: usize,
    /// What was answered in a second.
    pub per_second: f64,
    /// Times of one request, in milliseconds.
    pub p50_ms: f64,
    /// See `p50_ms`.
    pub p90_ms: f64,
    /// See `p50_ms`.
    pub p99_ms: f64,
    /// See `p50_ms`.
    pub max_ms: f64,
    /// Bytes of an answer, on average.
    pub answer_bytes: u64,
    /// Failures in all.
    pub errors: u64,
    /// Some of them.
    pub errors_told: Vec<String>,
    /// Processor time for one answer, in milliseconds: of the server, of its children, of this generator.
    pub server_cpu_ms: f64,
    /// See `server_cpu_ms`.
    pub children_cpu_ms: f64,
    /// See `server_cpu_ms`.
    pub generator_cpu_ms: f64,
    /// At the end.
    pub usage: Usage,
}

impl LoopFigures {
    /// Puts together what was found between two looks at the server and at this process.
    pub fn new(
        clients: usize,
        time: Duration,
        mut found: Found,
        server: (Usage, Usage),
        generator: (Usage, Usage),
    ) -> Self {
        found.micros.sort_unstable();
        let micros = &found.micros;
        let per_answer = |seconds: f64| seconds * 1e3 / micros.len().max(1) as f64;
        let errors_told = found.errors.keys().take(MAX_ERRORS_TOLD);
        Self {
            clients,
            seconds: time.as_secs_f64(),
            requests: micros.len(),
            per_second: micros.len() as f64 / time.as_secs_f64(),
            p50_ms: quantile(micros, 0.50),
            p90_ms: quantile(micros, 0.90),
            p99_ms: quantile(micros, 0.99),
            max_ms: quantile(micros, 1.0),
            answer_bytes: found.bytes / micros.len().max(1) as u64,
            errors: found.errors.values().sum(),
            errors_told: errors_told.cloned().collect(),
            server_cpu_ms: per_answer(server.1.server_cpu - server.0.server_cpu),
            children_cpu_ms: per_answer(server.1.children_cpu - server.0.children_cpu),
            generator_cpu_ms: per_answer(generator.1.server_cpu - generator.0.server_cpu),
            usage: server.1,
        }
    }
}

/// Sessions that only stay, in steps.
#[derive(Debug, Serialize)]
pub struct IdleFigures {
    /// One entry for each number of sessions.
    pub steps: Vec<IdleStep>,
    /// Before the first session.
    pub before: Usage,
    /// When all had gone.
    pub after: Usage,
    /// Sessions that could not be opened.
    pub errors: u64,
    /// Some reasons.
    pub errors_told: Vec<String>,
}

/// So many sessions.
#[derive(Debug, Serialize)]
pub struct IdleStep {
    /// How many.
    pub sessions: usize,
    /// With them.
    pub usage: Usage,
    /// Resident memory for each of them, in KiB.
    pub kib_each: f64,
    /// How many requests one more client had answered in a second, beside them.
    pub beside_per_second: f64,
}

/// The value below which this share of the sorted times lies, in milliseconds; 0 where there is none.
pub fn quantile(sorted: &[u32], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let found = sorted.get(rank.saturating_sub(1));
    found.map_or(0.0, |&micros| f64::from(micros) / 1e3)
}
