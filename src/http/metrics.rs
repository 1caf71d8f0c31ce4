//! `/metrics`: which text format a scraper gets. Knows no credential: `gate` has checked it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::reply;
use super::state::AppState;
use crate::telemetry::{Format, Moment};

/// `GET /metrics`: the counters for Prometheus. It names tools, plugins and keys, so it needs a key.
pub async fn metrics(State(state): State<Arc<AppState>>, headers: HeaderMap) -> Response {
    let services = state.sessions.services();
    let moment = Moment {
        waiting_bytes: services.budget.used() as u64,
        max_waiting_bytes: services.budget.max_bytes() as u64,
        spans: services.tracer.counts(),
        services: services.plugin_services.list(),
        tasks: services.kept.counts(),
        ..services.catalog.moment()
    };
    let format = wanted(&headers);
    let text = services.counters.render_prometheus(moment, format);
    let mut response = reply::typed(StatusCode::OK, format.content_type(), text);
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// The format that the header `Accept` likes better: OpenMetrics where both are the same to it, and where it allows
/// neither, for a scraper that reads anything is better served by an answer than by a refusal.
fn wanted(headers: &HeaderMap) -> Format {
    let values = headers.get_all(header::ACCEPT).iter();
    let ranges: Vec<Range<'_>> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(Range::parse)
        .collect();
    let quality = |kind, subtype, version| {
        let fitting = ranges.iter().filter_map(|range| {
            let precision = range.precision(kind, subtype, version)?;
            Some((precision, range.quality))
        });
        // Of two ranges the more precise one counts, whatever its quality.
        fitting.max().map_or(0, |(_, quality)| quality)
    };
    let open = quality("application", "openmetrics-text", "1.0.0");
    let text = quality("text", "plain", "0.0.4");
    if text > open {
        Format::Text
    } else {
        Format::OpenMetrics
    }
}

/// One entry of an `Accept` header.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    /// <https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1>
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let whole = parts.next().unwrap_or_default();
        let (kind, subtype) = whole.split_once('/').unwrap_or((whole, ""));
        let (mut version, mut quality) = (None, 1000);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            if name.trim().eq_ignore_ascii_case("version") {
                version = Some(value);
            } else if name.trim().eq_ignore_ascii_case("q") {
                let number = value.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0);
                quality = (number * 1000.0) as u16;
            }
        }
        Self {
            kind,
            subtype,
            version,
            quality,
        }
    }

    /// How precisely it names a type, where it does at all.
    fn precision(&self, kind: &str, subtype: &str, version: &str) -> Option<u8> {
        if self.kind == "*" && self.subtype == "*" {
            return Some(0);
        }
        if !self.kind.eq_ignore_ascii_case(kind) {
            return None;
        }
        if self.subtype == "*" {
            return Some(1);
        }
        if !self.subtype.eq_ignore_ascii_case(subtype) {
            return None;
        }
        match self.version {
            None => Some(2),
            Some(named) => (named == version).then_some(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_accept(values: &[&'static str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        wanted(&headers)
    }

    #[test]
    fn a_scraper_gets_the_format_that_it_likes_best() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let classic_alone =
            "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=0.0.1;q=0.75";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, format) in [
            (&[][..], Format::OpenMetrics),
            (&["*/*"], Format::OpenMetrics),
            (&[prometheus_2], Format::OpenMetrics),
            (&[prometheus_3], Format::OpenMetrics),
            (&[browser], Format::OpenMetrics),
            (&["application/json"], Format::OpenMetrics),
            (&["text/plain"], Format::Text),
            (&["text/*"], Format::Text),
            (&["Text/Plain; Version=0.0.4"], Format::Text),
            (&["text/plain", "*/*;q=0.1"], Format::Text),
            (
                &["text/plain, application/openmetrics-text"],
                Format::OpenMetrics,
            ),
            (
                &["text/plain, application/openmetrics-text;q=0.9"],
                Format::Text,
            ),
            (&["application/openmetrics-text;q=0, */*"], Format::Text),
            (&["text/plain;q=0, */*;q=0.1"], Format::OpenMetrics),
            (&[classic_alone], Format::Text),
        ] {
            assert_eq!(for_accept(accept), format, "{accept:?}");
        }
    }
}
