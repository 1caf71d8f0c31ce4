//! Where in a trace somebody is, as W3C Trace Context writes it: <https://www.w3.org/TR/trace-context/>.

use std::fmt::{self, Write};
use std::sync::Arc;

/// The longest `tracestate` that is passed on, in bytes, which is the least that everybody has to pass on.
const MAX_STATE: usize = 512;
/// The most members that a `tracestate` may have.
const MAX_MEMBERS: usize = 32;
/// The flag of a span that is recorded.
const SAMPLED: u8 = 1;
/// The flags that are known; the others are not passed on.
const KNOWN_FLAGS: u8 = 3;

/// A span of a trace, by its ids.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// Reads the two values. A `tracestate` that is none, or too long, is left out; so the specification wants it.
    /// `None` where the `traceparent` is none.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let text = traceparent.trim();
        let version = hex::<1>(text.get(..2)?)?;
        let is_whole =
            text.len() == 55 || (version != [0] && text.as_bytes().get(55) == Some(&b'-'));
        let dashes = [2, 35, 52]
            .iter()
            .all(|at| text.as_bytes().get(*at) == Some(&b'-'));
        if version == [0xff] || !is_whole || !dashes {
            return None;
        }
        let trace = hex(text.get(3..35)?)?;
        let span = hex(text.get(36..52)?)?;
        let [flags] = hex(text.get(53..55)?)?;
        if trace == [0; 16] || span == [0; 8] {
            return None;
        }
        let state = tracestate.map(str::trim).filter(|state| is_state(state));
        Some(Self {
            trace,
            span,
            flags: flags & KNOWN_FLAGS,
            state: state.map(Arc::from),
        })
    }

    /// A span of a new trace.
    pub(super) fn root(is_sampled: impl FnOnce(&[u8; 16]) -> bool) -> Option<Self> {
        let trace = random()?;
        let flags = if is_sampled(&trace) { SAMPLED } else { 0 };
        Some(Self {
            trace,
            span: random()?,
            flags,
            state: None,
        })
    }

    /// A span below this one.
    pub(super) fn child(&self, is_sampled: bool) -> Option<Self> {
        let others = self.flags & !SAMPLED;
        Some(Self {
            trace: self.trace,
            span: random()?,
            flags: if is_sampled { others | SAMPLED } else { others },
            state: self.state.clone(),
        })
    }

    /// Whether the span is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// As the header `traceparent` has it.
    pub fn traceparent(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            self.trace_id(),
            self.span_id(),
            self.flags
        )
    }

    /// As the header `tracestate` has it.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The trace's id, as 32 hex digits.
    pub(super) fn trace_id(&self) -> String {
        digits(&self.trace)
    }

    /// The bytes of the trace's id.
    pub(super) fn trace_bytes(&self) -> &[u8; 16] {
        &self.trace
    }

    /// The span's id, as 16 hex digits.
    pub(super) fn span_id(&self) -> String {
        digits(&self.span)
    }

    pub(super) fn flags(&self) -> u8 {
        self.flags
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({})", self.traceparent())
    }
}

/// Lower case, as the specification has it: what is written otherwise is no id.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

fn digits(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn is_state(text: &str) -> bool {
    let members = text.split(',').map(str::trim);
    let members = members.filter(|member| !member.is_empty());
    let is_member = |member: &str| {
        member
            .split_once('=')
            .is_some_and(|(key, _)| !key.is_empty())
    };
    !text.is_empty()
        && text.len() <= MAX_STATE
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        && members.clone().count() <= MAX_MEMBERS
        && members.clone().all(is_member)
}

/// An id that nobody else has; `None` where the system has no randomness, and then nothing is traced.
fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    (bytes != [0; N]).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_no_traceparent_is_none() {
        let zero_trace = PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_span = PARENT.replace("00f067aa0ba902b7", &"0".repeat(16));
        for bad in [
            "",
            "00",
            &PARENT[..54],
            &PARENT.to_uppercase(),
            &PARENT.replacen("00-", "ff-", 1),
            &PARENT.replace('-', "_"),
            &format!("{PARENT}-00"),
            &format!("{PARENT}0"),
            &zero_trace,
            &zero_span,
            &PARENT.replace("4bf9", "é§"),
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad:?}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read_and_a_later_version_as_this_one() {
        let later = format!("{}-more", PARENT.replacen("00-", "01-", 1));
        for text in [PARENT, &format!(" {PARENT} "), &later] {
            let context = TraceContext::parse(text, None).unwrap();
            assert_eq!(context.traceparent(), PARENT);
            assert!(context.is_sampled());
        }
        let unknown_flags = PARENT.replace("-01", "-fc");
        let context = TraceContext::parse(&unknown_flags, None).unwrap();
        assert!(context.traceparent().ends_with("-00"), "{context:?}");
    }

    #[test]
    fn a_state_that_is_none_is_left_out_and_the_parent_holds() {
        let with = |state: &str| {
            let context = TraceContext::parse(PARENT, Some(state)).unwrap();
            context.tracestate().map(str::to_owned)
        };
        let long = format!("a={}", "x".repeat(600));
        let many = vec!["a=b"; 33].join(",");
        for bad in ["", "nothing", "=x", "a=\u{7}", "a=é", &long, &many] {
            assert_eq!(with(bad), None, "{bad}");
        }
        for good in ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a@b=c=d , e=f"] {
            assert_eq!(with(good).as_deref(), Some(good));
        }
    }

    #[test]
    fn a_child_belongs_to_the_trace_and_has_a_span_of_its_own() {
        let parent = TraceContext::parse(PARENT, Some("a=b")).unwrap();
        let child = parent.child(true).unwrap();
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_ne!(child.span_id(), parent.span_id());
        assert_eq!(child.tracestate(), Some("a=b"));
        assert!(!parent.child(false).unwrap().is_sampled());
    }
}
