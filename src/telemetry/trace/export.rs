//! Spans on their way to a collector: a bounded queue, a task that sends, and counts of what was sent and lost.
//!
//! A collector that hangs must not hold up a call, and must not take memory.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::context::TraceContext;
use super::otlp;
use super::queue::{Queue, SpanCounts};
use super::record::Record;
use super::settings::{Sampler, Settings};
use super::span::Span;
use crate::fetch::{Client, Failure, Reuse};

/// Spans in one request at most.
const BATCH: usize = 512;
/// How much of an answer is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// The pauses after which a request is sent once more to a collector that is not there or has no room.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Records spans where they are wanted, and passes traces on where they are not. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    queue: Queue,
    sampler: Sampler,
    /// Cancelled when what is queued has to go out now.
    closing: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Tracer {
    /// Exports by these settings. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// The system has no certificates to know an `https` address by.
    pub fn start(settings: Settings) -> Result<Self, String> {
        let limit = settings.timeout;
        let client = match settings.endpoint.scheme() {
            "http" => Client::without_certificates(limit, Reuse::Idle),
            _ => Client::new(limit, Reuse::Idle)?,
        };
        let (queue, spans) = Queue::new();
        let closing = CancellationToken::new();
        let sampler = settings.sampler;
        let exporter = Exporter {
            client: client.with_headers(settings.headers.clone()),
            settings,
            counts: queue.counts().clone(),
            closing: closing.clone(),
            is_failing: false,
        };
        // Ends when it is closed, or when no tracer is left.
        let task = tokio::spawn(exporter.run(spans));
        Ok(Self(Some(Arc::new(Inner {
            queue,
            sampler,
            closing,
            task: Mutex::new(Some(task)),
        }))))
    }

    /// The span of a request, which may say to be part of a trace. `name` is asked for where the span is recorded.
    pub fn request(
        &self,
        parent: Option<TraceContext>,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Span {
        let Some(inner) = &self.0 else {
            return parent.map_or_else(Span::default, Span::passed_on);
        };
        let sampler = inner.sampler;
        let context = match &parent {
            Some(parent) => parent.child(sampler.records_below(parent)),
            None => TraceContext::root(|trace| sampler.records(trace)),
        };
        match context {
            Some(context) if context.is_sampled() => {
                let record = Record::new(context, parent, name(), true);
                Span::recorded(inner.queue.clone(), record)
            }
            Some(context) => Span::passed_on(context),
            None => Span::default(),
        }
    }

    /// What became of spans so far.
    pub fn counts(&self) -> SpanCounts {
        let inner = self.0.as_ref();
        inner
            .map(|inner| inner.queue.counts().clone())
            .unwrap_or_default()
    }

    /// Lets what is queued go out, and ends. Takes `limit` at most; what is left then is lost.
    pub async fn close(&self, limit: Duration) {
        let Some(inner) = &self.0 else { return };
        inner.closing.cancel();
        let task = inner
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut task) = task
            && timeout(limit, &mut task).await.is_err()
        {
            task.abort();
            tracing::warn!(
                "the collector of spans did not take the last ones in time; they are lost"
            );
        }
    }
}

/// What sends spans.
struct Exporter {
    client: Client,
    settings: Settings,
    counts: SpanCounts,
    closing: CancellationToken,
    /// Whether the log knows that the collector does not take them.
    is_failing: bool,
}

impl Exporter {
    async fn run(mut self, mut spans: mpsc::Receiver<Record>) {
        let closing = self.closing.clone();
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                taken = spans.recv_many(&mut batch, BATCH) => if taken == 0 { return },
                () = closing.cancelled() => spans.close(),
            }
            let due = Instant::now() + self.settings.delay;
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                tokio::select! {
                    biased;
                    taken = spans.recv_many(&mut batch, room) => if taken == 0 { break },
                    () = tokio::time::sleep_until(due) => break,
                    // What is queued is taken first, and then nothing is waited for.
                    () = closing.cancelled(), if !spans.is_closed() => spans.close(),
                }
            }
            if !batch.is_empty() {
                self.send(batch).await;
            }
        }
    }

    async fn send(&mut self, batch: Vec<Record>) {
        let count = batch.len() as u64;
        let body = bytes::Bytes::from(otlp::request(&self.settings.resource, &batch));
        drop(batch);
        let mut pauses = PAUSES.iter();
        let fault = loop {
            match self.post(body.clone()).await {
                Ok(rejected) => return self.sent(count, rejected.min(count)),
                Err(Refusal { why, passes }) => {
                    let Some(pause) = pauses.next().filter(|_| passes) else {
                        break why;
                    };
                    let go_on = tokio::select! {
                        () = sleep(*pause) => true,
                        // Once more at most, and at once.
                        () = self.closing.cancelled() => false,
                    };
                    if !go_on {
                        pauses = [].iter();
                    }
                }
            }
        };
        self.counts.unsent(count);
        if !std::mem::replace(&mut self.is_failing, true) {
            let origin = self.settings.endpoint.origin().ascii_serialization();
            tracing::warn!(
                "spans cannot be exported to {origin}: {fault}; they are lost until it takes them"
            );
        }
    }

    fn sent(&mut self, count: u64, rejected: u64) {
        self.counts.sent(count - rejected, rejected);
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("spans are exported again");
        }
    }

    /// How many of the spans the collector does not want.
    async fn post(&self, body: bytes::Bytes) -> Result<u64, Refusal> {
        let url = self.settings.endpoint.as_str();
        let answer = self.client.post(url, "application/json", body).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Refusal {
                why: format!("it answered {status}"),
                passes: may_pass(status),
            });
        }
        let body = answer.body(MAX_ANSWER).await;
        Ok(body.map_or(0, |body| otlp::rejected(&body)))
    }
}

/// The collector has not taken a request.
struct Refusal {
    why: String,
    /// Whether it may take it later.
    passes: bool,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            why: failure.to_string(),
            passes: true,
        }
    }
}

/// <https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes>
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests;
