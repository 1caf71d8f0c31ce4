//! What is told of one span. Knows not what spans are of.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::context::TraceContext;

/// The longest text of an attribute or a name, in characters: names of tools and prompts are shorter.
const MAX_TEXT: usize = 256;

/// One span.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) context: TraceContext,
    pub(super) parent: Option<TraceContext>,
    pub(super) name: Cow<'static, str>,
    pub(super) is_server: bool,
    began: Instant,
    /// Since the epoch.
    pub(super) start: Duration,
    pub(super) took: Duration,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) has_failed: bool,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, cut where it is long.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(cut(text).into())
    }
}

impl From<Cow<'static, str>> for Value {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Owned(text) => text.into(),
            Cow::Borrowed(text) => text.into(),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

fn cut(text: String) -> String {
    if text.len() <= MAX_TEXT {
        return text;
    }
    crate::text::cut(&text, MAX_TEXT).to_owned()
}

impl Record {
    /// A span that begins now.
    pub(super) fn new(
        context: TraceContext,
        parent: Option<TraceContext>,
        name: Cow<'static, str>,
        is_server: bool,
    ) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            context,
            parent,
            name: match name {
                Cow::Owned(name) => cut(name).into(),
                name => name,
            },
            is_server,
            began: Instant::now(),
            start: since_epoch.unwrap_or_default(),
            took: Duration::ZERO,
            attributes: Vec::new(),
            has_failed: false,
        }
    }

    /// It ends now. By the monotonic clock: a clock that is set does not change how long it took.
    pub(super) fn end(&mut self) {
        self.took = self.began.elapsed();
    }
}
