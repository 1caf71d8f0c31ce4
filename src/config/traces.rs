//! Settings of traces, under the names that OpenTelemetry gives them for all programs.
//!
//! They are often set for many programs at once. So a value that cannot be used keeps nothing from starting.

use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use url::Url;

use super::given::Given;
use super::reader::{Purpose, Reader};
use crate::telemetry::trace::{Sampler, Settings, pairs};

/// What the server calls itself where nobody says otherwise.
const SERVICE: &str = "smcp";
/// The path of spans below a collector's address.
const PATH: &str = "v1/traces";
/// The longest time in milliseconds that a setting may give: an hour.
const MAX_MILLISECONDS: u64 = 3_600_000;

/// `None` where no spans are exported.
pub(super) fn read(reader: &mut Reader, purpose: Purpose) -> Option<Settings> {
    if purpose == Purpose::Once {
        return reader.unused(|reader| read(reader, Purpose::Http));
    }
    let is_off = [is_disabled(reader), exports_nothing(reader)];
    let endpoint = endpoint(reader);
    let settings = Settings {
        headers: headers(reader),
        timeout: milliseconds(
            reader,
            &[
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
                "OTEL_EXPORTER_OTLP_TIMEOUT",
            ],
            10_000,
        ),
        delay: milliseconds(reader, &["OTEL_BSP_SCHEDULE_DELAY"], 5_000),
        resource: resource(reader),
        sampler: sampler(reader),
        endpoint: endpoint?,
    };
    (!is_off.contains(&true)).then_some(settings)
}

/// Nothing but `true` turns it off, as OpenTelemetry has it.
fn is_disabled(reader: &mut Reader) -> bool {
    let name = "OTEL_SDK_DISABLED";
    let value = reader.text(name).unwrap_or_default();
    let is = |word: &str| value.eq_ignore_ascii_case(word);
    if !value.is_empty() && !is("true") && !is("false") {
        ignore(reader, name, "true or false");
    }
    is("true")
}

/// Whether the list of exporters has none that could be used. One that is not known here does not keep another from it.
fn exports_nothing(reader: &mut Reader) -> bool {
    let name = "OTEL_TRACES_EXPORTER";
    let value = reader.text(name).unwrap_or_default();
    if value == "none" {
        return true;
    }
    let mut exporters = value
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    if exporters.any(|word| word != "otlp") {
        ignore(reader, name, "otlp or none");
    }
    false
}

/// The first of these variables that is set. The others do not count then.
fn first(reader: &mut Reader, names: &[&'static str]) -> Option<Given> {
    let mut given = None;
    for name in names {
        let next = reader.variable(name);
        match given {
            None => given = next,
            Some(_) => reader.overrule(name),
        }
    }
    given
}

/// Says that a value has no effect. Not which: it may hold a secret.
fn ignore(reader: &mut Reader, name: &'static str, allowed: &str) {
    let what = format!("is not understood and has no effect; use {allowed}");
    reader.ignore(name, &what);
}

fn endpoint(reader: &mut Reader) -> Option<Url> {
    let endpoints = [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ];
    let given = first(reader, &endpoints);
    let protocols = [
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ];
    let protocol = first(reader, &protocols);
    let given = given?;
    let is_own = given.variable == endpoints[0];
    let Some(mut url) = Url::parse(&given.value).ok().filter(is_http) else {
        let allowed = "http://HOST:4318 or https://HOST: no spans are exported";
        ignore(reader, given.variable, allowed);
        return None;
    };
    if !is_own {
        let path = format!("{}/{PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    match protocol {
        Some(protocol) if protocol.value == "grpc" => reader.notices.push(format!(
            "{}=grpc: smcp sends spans as JSON over HTTP; the collector must take OTLP over HTTP at {} (often port 4318)",
            protocol.name(),
            given.name()
        )),
        Some(protocol) if !matches!(&*protocol.value, "http/json" | "http/protobuf") => {
            ignore(reader, protocol.variable, "http/json");
        }
        _ => {}
    }
    Some(url)
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

fn headers(reader: &mut Reader) -> Vec<(HeaderName, HeaderValue)> {
    let names = [
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    ];
    let mut headers = Vec::new();
    for name in names {
        let Some(given) = reader.variable(name) else {
            continue;
        };
        let header = |(name, value): (String, String)| {
            let mut value = HeaderValue::from_str(&value).ok()?;
            value.set_sensitive(true);
            Some((name.parse().ok()?, value))
        };
        let found = pairs(&given.value).ok();
        let found =
            found.and_then(|found| found.into_iter().map(header).collect::<Option<Vec<_>>>());
        match found {
            Some(found) => headers.extend(found),
            None => ignore(reader, name, "name=value,name=value, percent-encoded"),
        }
    }
    // Of two with one name the later one counts: it is that of spans alone.
    let mut own: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in headers {
        own.retain(|(known, _)| *known != name);
        own.push((name, value));
    }
    own
}

fn milliseconds(reader: &mut Reader, names: &[&'static str], default: u64) -> Duration {
    if let Some(general) = names.last() {
        reader.note_default(general, default);
    }
    let given = first(reader, names);
    let number = given.as_ref().map(|given| given.value.parse::<u64>());
    let milliseconds = match (given, number) {
        (_, Some(Ok(number))) if number <= MAX_MILLISECONDS => number,
        (Some(given), _) => {
            ignore(
                reader,
                given.variable,
                "a whole number of milliseconds, up to an hour",
            );
            default
        }
        (None, _) => default,
    };
    Duration::from_millis(milliseconds)
}

fn resource(reader: &mut Reader) -> Vec<(String, String)> {
    let name = "OTEL_RESOURCE_ATTRIBUTES";
    let given = reader.text(name).map(|text| pairs(&text));
    let mut attributes = match given {
        Some(Ok(attributes)) => attributes,
        Some(Err(_)) => {
            ignore(reader, name, "name=value,name=value, percent-encoded");
            Vec::new()
        }
        None => Vec::new(),
    };
    let named = attributes.iter().find(|(name, _)| name == "service.name");
    let default = named.map_or(SERVICE, |(_, value)| value);
    reader.note_default("OTEL_SERVICE_NAME", default);
    let name = reader.text("OTEL_SERVICE_NAME");
    let mut set = |name: &str, value: Option<String>, default: &str| {
        let known = attributes.iter().position(|(known, _)| known == name);
        let value = value.or_else(|| known.is_none().then(|| default.to_owned()));
        if let Some(value) = value {
            attributes.retain(|(known, _)| known != name);
            attributes.push((name.to_owned(), value));
        }
    };
    set("service.name", name, SERVICE);
    set("service.version", None, env!("CARGO_PKG_VERSION"));
    attributes
}

fn sampler(reader: &mut Reader) -> Sampler {
    let ratio = reader.variable("OTEL_TRACES_SAMPLER_ARG");
    let name = reader.variable("OTEL_TRACES_SAMPLER");
    let number = ratio.as_ref().map(|given| given.value.parse::<f64>());
    let number = match (ratio, number) {
        (_, Some(Ok(number))) if (0.0..=1.0).contains(&number) => number,
        (Some(given), _) => {
            ignore(reader, given.variable, "a number from 0 to 1");
            1.0
        }
        (None, _) => 1.0,
    };
    let Some(name) = name else {
        return Sampler::default();
    };
    Sampler::named(&name.value, number).unwrap_or_else(|| {
        ignore(reader, name.variable, Sampler::NAMES);
        Sampler::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(variables: &[(&str, &str)]) -> (Option<Settings>, Vec<String>) {
        let environment: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let mut reader = Reader::new(&environment);
        let settings = read(&mut reader, Purpose::Http);
        assert!(reader.faults.is_empty(), "{:?}", reader.faults);
        (settings, [reader.mistakes, reader.notices].concat())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");

    #[test]
    fn without_an_endpoint_nothing_is_exported_and_the_path_is_added_to_the_general_one() {
        assert!(reading(&[]).0.is_none());
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://own/path");
        for (variables, expected) in [
            (&[ENDPOINT][..], "http://c:4318/v1/traces"),
            (
                &[(ENDPOINT.0, "http://c:4318/otlp/")],
                "http://c:4318/otlp/v1/traces",
            ),
            (&[own], "https://own/path"),
            (&[ENDPOINT, own], "https://own/path"),
        ] {
            let (settings, said) = reading(variables);
            assert_eq!(settings.unwrap().endpoint.as_str(), expected);
            assert!(said.is_empty(), "{said:?}");
        }
        for off in [
            ("OTEL_SDK_DISABLED", "True"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ] {
            assert!(reading(&[ENDPOINT, off]).0.is_none(), "{off:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_without_its_value_and_stops_nothing() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "secret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=secret"),
            ("OTEL_RESOURCE_ATTRIBUTES", "secret"),
            ("OTEL_TRACES_SAMPLER", "secret"),
            ("OTEL_TRACES_SAMPLER_ARG", "secret"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "secret"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "secret"),
            ("OTEL_SDK_DISABLED", "secret"),
            ("OTEL_TRACES_EXPORTER", "secret"),
            ("OTEL_TRACES_EXPORTER", "otlp,secret"),
        ] {
            let (settings, said) = reading(&[ENDPOINT, (name, value)]);
            assert!(settings.is_some(), "{name}");
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(
                said[0].contains(name) && !said[0].contains("secret"),
                "{said:?}"
            );
        }
        for (name, value) in [
            ("OTEL_SDK_DISABLED", "False"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ] {
            let (settings, said) = reading(&[ENDPOINT, (name, value)]);
            assert!(settings.is_some() && said.is_empty(), "{name}: {said:?}");
        }
        let (settings, said) = reading(&[(ENDPOINT.0, "collector:4317")]);
        assert!(settings.is_none() && said.len() == 1, "{said:?}");
    }

    #[test]
    fn the_server_is_named_as_it_was_told_to() {
        let named = |variables: &[(&str, &str)]| {
            let resource = reading(variables).0.unwrap().resource;
            let name = resource
                .into_iter()
                .find(|(name, _)| name == "service.name");
            name.unwrap().1
        };
        let attributes = (
            "OTEL_RESOURCE_ATTRIBUTES",
            "a=b,service.name=by%20attribute",
        );
        let own = ("OTEL_SERVICE_NAME", "by name");
        assert_eq!(named(&[ENDPOINT]), "smcp");
        assert_eq!(named(&[ENDPOINT, attributes]), "by attribute");
        assert_eq!(named(&[ENDPOINT, attributes, own]), "by name");
    }

    #[test]
    fn headers_of_spans_come_before_those_of_everything_and_are_not_shown() {
        let all = ("OTEL_EXPORTER_OTLP_HEADERS", "x-a=canary%2C1,x-b=2");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-b=3");
        let settings = reading(&[ENDPOINT, all, own]).0.unwrap();
        let value = |name: &str| {
            let found = settings.headers.iter().find(|(known, _)| known == name);
            found.unwrap().1.to_str().unwrap().to_owned()
        };
        assert_eq!(
            (value("x-a"), value("x-b")),
            ("canary,1".into(), "3".into())
        );
        assert!(!format!("{settings:?}").contains("canary"));
    }
}
