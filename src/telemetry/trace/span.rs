//! Spans: what is recorded of one request and of the parts of its work, and what of it those below get to know.

use super::context::TraceContext;
use super::queue::Queue;
use super::record::{Record, Value};

/// A place in a trace, below which spans and programs belong. The default is no trace.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Where what is below goes when it is over; `None` where nobody records it.
    queue: Option<Queue>,
    context: Option<TraceContext>,
}

/// A span under way. Dropping it ends it.
#[derive(Debug, Default)]
#[must_use = "a span ends with its guard"]
pub struct Span {
    /// Where those are that are below.
    trace: Trace,
    /// `None` where it is not recorded.
    record: Option<Box<Record>>,
}

impl Trace {
    /// What a client says that its request is part of. Nobody records what is below.
    pub fn of(context: TraceContext) -> Self {
        Self {
            queue: None,
            context: Some(context),
        }
    }

    /// Whether there is no trace.
    pub fn is_none(&self) -> bool {
        self.context.is_none()
    }

    /// What a program finds in its environment, so that its spans are below this.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let Some(context) = &self.context else {
            return Vec::new();
        };
        let state = context.tracestate();
        let state = state.map(|state| ("TRACESTATE", state.to_owned()));
        [("TRACEPARENT", context.traceparent())]
            .into_iter()
            .chain(state)
            .collect()
    }

    /// A span of the server's own work below this. Not recorded where nobody records.
    pub fn span(&self, name: &'static str) -> Span {
        let (Some(queue), Some(parent)) = (&self.queue, &self.context) else {
            return Span::unrecorded(self.clone());
        };
        let Some(context) = parent.child(true) else {
            return Span::unrecorded(self.clone());
        };
        let record = Record::new(context, Some(parent.clone()), name.into(), false);
        Span::recorded(queue.clone(), record)
    }
}

impl Span {
    /// What is not recorded: those below are where it is itself.
    pub(super) fn unrecorded(trace: Trace) -> Self {
        Self {
            trace,
            record: None,
        }
    }

    /// The span of a request that is not recorded, but has its place in a trace.
    pub(super) fn passed_on(context: TraceContext) -> Self {
        Self::unrecorded(Trace::of(context))
    }

    /// What is recorded, and goes to `queue` when it is over.
    pub(super) fn recorded(queue: Queue, record: Record) -> Self {
        let trace = Trace {
            queue: Some(queue),
            context: Some(record.context.clone()),
        };
        Self {
            trace,
            record: Some(Box::new(record)),
        }
    }

    /// Where those are that are below.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Whether anybody gets to know what is said of it.
    pub fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    /// Says something of it.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(record) = &mut self.record {
            record.attributes.push((name, value.into()));
        }
    }

    /// What it stands for has failed, for a reason of this class.
    pub fn fail(&mut self, class: impl Into<Value>) {
        if let Some(record) = &mut self.record {
            record.has_failed = true;
            record.attributes.push(("error.type", class.into()));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let (Some(queue), Some(mut record)) = (&self.trace.queue, self.record.take()) {
            record.end();
            queue.take(*record);
        }
    }
}
