//! Where spans go and which are recorded, as plain data. Reads no environment.

use std::fmt;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::context::TraceContext;

/// What is needed to export spans.
#[derive(Clone)]
pub struct Settings {
    /// The address that takes them, its path included.
    pub endpoint: url::Url,
    /// Headers of every request to it; their values may be secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long spans gather before they are sent.
    pub delay: Duration,
    /// What the server calls itself, and what else is known of it.
    pub resource: Vec<(String, String)>,
    /// Which are recorded.
    pub sampler: Sampler,
}

impl fmt::Debug for Settings {
    /// Without the address and the headers: somebody may have put a password into them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("timeout", &self.timeout)
            .field("sampler", &self.sampler)
            .finish_non_exhaustive()
    }
}

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether a request that says to be part of a trace is recorded where that is, and only there.
    pub follows_parent: bool,
    /// The share of the others that are.
    pub ratio: f64,
}

impl Default for Sampler {
    /// The default of OpenTelemetry, `parentbased_always_on`.
    fn default() -> Self {
        Self {
            follows_parent: true,
            ratio: 1.0,
        }
    }
}

impl Sampler {
    /// The names that `OTEL_TRACES_SAMPLER` may have.
    pub const NAMES: &str = "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio";

    /// The sampler of this name, with the share of `OTEL_TRACES_SAMPLER_ARG` where it has one.
    pub fn named(name: &str, ratio: f64) -> Option<Self> {
        let own = name.strip_prefix("parentbased_");
        let ratio = match own.unwrap_or(name) {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio,
            _ => return None,
        };
        Some(Self {
            follows_parent: own.is_some(),
            ratio,
        })
    }

    /// Whether a span below `parent` is recorded.
    pub(super) fn records_below(self, parent: &TraceContext) -> bool {
        if self.follows_parent {
            return parent.is_sampled();
        }
        self.records(parent.trace_bytes())
    }

    /// Whether a trace is recorded: by the end of its id, as other programs decide it, so that they agree.
    pub(super) fn records(self, trace: &[u8; 16]) -> bool {
        let [.., a, b, c, d, e, f, g, h] = *trace;
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        self.ratio >= 1.0 || (number as f64) < self.ratio * (1_u64 << 63) as f64
    }
}

/// The pairs of a list such as `name=value,other=value`, percent-decoded, as `OTEL_RESOURCE_ATTRIBUTES` and
/// `OTEL_EXPORTER_OTLP_HEADERS` are written.
///
/// # Errors
/// The number of the entry that is no pair. It says nothing of what is in it.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, usize> {
    let entries = text.split(',').map(str::trim).enumerate();
    let entries = entries.filter(|(_, entry)| !entry.is_empty());
    let pair = |(index, entry): (usize, &str)| {
        let (name, value) = entry.split_once('=').ok_or(index + 1)?;
        let name = percent_decode_str(name.trim())
            .decode_utf8()
            .map_err(|_| index + 1)?;
        let value = percent_decode_str(value.trim())
            .decode_utf8()
            .map_err(|_| index + 1)?;
        if name.is_empty() {
            return Err(index + 1);
        }
        Ok((name.into_owned(), value.into_owned()))
    };
    entries.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampler_follows_the_parent_or_the_id_of_the_trace() {
        let parent = |flags: &str| {
            let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            TraceContext::parse(&text, None).unwrap()
        };
        for (name, sampled, unsampled) in [
            ("parentbased_always_on", true, false),
            ("parentbased_always_off", true, false),
            ("parentbased_traceidratio", true, false),
            ("always_on", true, true),
            ("always_off", false, false),
        ] {
            let sampler = Sampler::named(name, 0.0).unwrap();
            assert_eq!(sampler.records_below(&parent("01")), sampled, "{name}");
            assert_eq!(sampler.records_below(&parent("00")), unsampled, "{name}");
        }
        assert_eq!(Sampler::named("jaeger_remote", 1.0), None);
        let half = Sampler::named("traceidratio", 0.5).unwrap();
        let mut low = [0xff; 16];
        low[8..].fill(0x10);
        assert!(half.records(&low) && !half.records(&[0xff; 16]));
        assert!(Sampler::default().records(&[0xff; 16]));
        assert!(!Sampler::named("always_off", 1.0).unwrap().records(&[0; 16]));
    }

    #[test]
    fn lists_are_read_as_other_programs_read_them() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs(" a=1, b = x%20y,c=,,d=e=f "),
            Ok(vec![
                pair("a", "1"),
                pair("b", "x y"),
                pair("c", ""),
                pair("d", "e=f")
            ])
        );
        assert_eq!(pairs("a=1,secret"), Err(2));
        assert_eq!(pairs("=x"), Err(1));
    }
}
