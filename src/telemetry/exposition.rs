//! The two text formats of metrics: OpenMetrics, and the classic one of Prometheus, made of it.

use std::fmt::Write;

/// A text format that scrapers read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>, version 1.0.0.
    #[default]
    OpenMetrics,
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>, version 0.0.4.
    Text,
}

impl Format {
    /// The content type of an answer in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// An OpenMetrics text in this format.
    pub(super) fn of(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Text => classic(&text),
        }
    }
}

/// The samples are the same in both. In the classic format a family of counters is named as its samples are, there is no
/// type `info`, and neither units nor an end are marked.
fn classic(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        match line
            .strip_prefix("# ")
            .and_then(|rest| rest.split_once(' '))
        {
            Some(("HELP", said)) => help = Some(said),
            Some(("TYPE", said)) => {
                let (name, kind) = said.split_once(' ').unwrap_or((said, "untyped"));
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    kind => ("", kind),
                };
                if let Some((_, words)) = help.take().and_then(|said| said.split_once(' ')) {
                    let _ = writeln!(out, "# HELP {name}{suffix} {words}");
                }
                let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
            }
            Some(_) => {}
            None if line.starts_with('#') => {}
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_format_has_the_same_samples_under_its_own_types() {
        let open = "\
# HELP a_calls Calls ended.
# TYPE a_calls counter
a_calls_total{tool=\"x # y\"} 1
# HELP a_time Time.
# TYPE a_time histogram
# UNIT a_time seconds
a_time_bucket{le=\"1.0\"} 1
a_time_sum 0.5
a_time_count 1
# HELP a_build Who.
# TYPE a_build info
a_build_info{version=\"1\"} 1
# HELP a_size Size.
# TYPE a_size gauge
a_size 3
# EOF
";
        let text = "\
# HELP a_calls_total Calls ended.
# TYPE a_calls_total counter
a_calls_total{tool=\"x # y\"} 1
# HELP a_time Time.
# TYPE a_time histogram
a_time_bucket{le=\"1.0\"} 1
a_time_sum 0.5
a_time_count 1
# HELP a_build_info Who.
# TYPE a_build_info gauge
a_build_info{version=\"1\"} 1
# HELP a_size Size.
# TYPE a_size gauge
a_size 3
";
        assert_eq!(Format::Text.of(open.to_owned()), text);
        assert_eq!(Format::OpenMetrics.of(open.to_owned()), open);
    }
}
