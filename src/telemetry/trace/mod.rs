//! Traces: spans of requests and of the parts of their work, exported by OTLP over HTTP.
//!
//! Knows no request and no program. Where nobody wants spans, a trace is passed on as it came.

mod context;
mod export;
mod otlp;
mod queue;
mod record;
mod settings;
mod span;

pub use context::TraceContext;
pub use export::Tracer;
pub use queue::SpanCounts;
pub use record::Value;
pub use settings::{Sampler, Settings, pairs};
pub use span::{Span, Trace};
