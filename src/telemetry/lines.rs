//! One event, one line: as text for people or as JSON for programs. Knows no destination.
//!
//! The formats of tracing-subscriber leave line breaks in messages and cut nothing; what a client
//! sends must neither forge a line nor fill a disk, so the lines are composed here.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::escape::{Escaper, Quoting, is_plain};

/// The look of the lines of one log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    /// JSON instead of text.
    pub(super) json: bool,
    /// Levels are coloured.
    pub(super) colour: bool,
    /// journald reads the lines: it wants a priority in front and brings the time itself.
    pub(super) journal: bool,
}

impl Lines {
    /// A line about logging itself, from where events cannot be used.
    pub(super) fn notice(&self, level: Level, message: &str) -> String {
        let mut line = String::new();
        self.write_line(&mut line, level, "smcp::telemetry", |out, json| {
            if json {
                write_json_string(out, "message", format_args!("{message}"))
            } else {
                write_escaped(out, Quoting::Free, format_args!(" {message}"))
            }
        })
        .expect("writing to a String cannot fail");
        line
    }

    /// The frame of a line; `body` writes the fields, ` name=value` each or `,"name":value` each.
    fn write_line(
        &self,
        out: &mut dyn Write,
        level: Level,
        target: &str,
        body: impl FnOnce(&mut dyn Write, bool) -> fmt::Result,
    ) -> fmt::Result {
        if self.journal {
            write!(out, "<{}>", journal_priority(level))?;
        }
        if self.json {
            out.write_str("{\"timestamp\":\"")?;
            write_time(out)?;
            write!(out, "\",\"level\":\"{level}\",\"target\":\"")?;
            write_escaped(out, Quoting::Json, format_args!("{target}"))?;
            out.write_str("\"")?;
            body(out, true)?;
            return out.write_str("}\n");
        }
        if !self.journal {
            write_time(out)?;
            out.write_str(" ")?;
        }
        if self.colour {
            write!(out, "\x1b[{}m{level:>5}\x1b[0m ", colour_of(level))?;
        } else {
            write!(out, "{level:>5} ")?;
        }
        write_escaped(out, Quoting::Free, format_args!("{target}:"))?;
        body(out, false)?;
        out.write_str("\n")
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut foreign = ForeignTarget::default();
        // Records of the `log` crate carry their true target in a field.
        if metadata.target() == "log" {
            event.record(&mut foreign);
        }
        let target = foreign.0.as_deref().unwrap_or(metadata.target());
        self.write_line(&mut writer, *metadata.level(), target, |out, json| {
            let mut fields = FieldWriter::new(out, json);
            event.record(&mut fields);
            fields.result?;
            write_spans(out, json, context)
        })
    }
}

/// The message of an event and its values, as a line of text has them.
pub(super) fn text_of(event: &Event<'_>) -> String {
    let mut text = String::new();
    event.record(&mut FieldWriter::new(&mut text, false));
    text
}

/// How the fields of spans are kept: as text, already escaped.
pub(super) struct SpanFields;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut written = FieldWriter::new(&mut writer, false);
        fields.record(&mut written);
        written.result
    }
}

/// The spans around an event, outermost first: `in=request{session=1} > call{tool=x}`.
fn write_spans<S, N>(out: &mut dyn Write, json: bool, context: &FmtContext<'_, S, N>) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let Some(scope) = context.event_scope() else {
        return Ok(());
    };
    let mut path = String::new();
    for span in scope.from_root() {
        if !path.is_empty() {
            path.push('>');
        }
        path.push_str(span.name());
        if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
            && !fields.is_empty()
        {
            write!(path, "{{{}}}", fields.trim_start())?;
        }
    }
    if json {
        write_json_string(out, "in", format_args!("{path}"))
    } else {
        // Its values were escaped when the spans opened.
        write!(out, " in={path}")
    }
}

/// Finds the target of a record that came through the `log` crate.
#[derive(Default)]
struct ForeignTarget(Option<String>);

impl Visit for ForeignTarget {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

/// Writes the fields of an event in the order they come.
struct FieldWriter<'a> {
    out: &'a mut dyn Write,
    json: bool,
    result: fmt::Result,
}

impl<'a> FieldWriter<'a> {
    fn new(out: &'a mut dyn Write, json: bool) -> Self {
        let result = Ok(());
        Self { out, json, result }
    }

    fn bare(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let Some(name) = name_of(field) else { return };
        self.result = self.result.and_then(|()| {
            if self.json {
                write!(self.out, ",\"{name}\":{value}")
            } else {
                write!(self.out, " {name}={value}")
            }
        });
    }

    fn text(&mut self, field: &Field, value: &str) {
        let Some(name) = name_of(field) else { return };
        self.result = self.result.and_then(|()| {
            if self.json {
                write_json_string(self.out, name, format_args!("{value}"))
            } else if is_plain(value) {
                write!(self.out, " {name}={value}")
            } else {
                write!(self.out, " {name}=\"")?;
                write_escaped(self.out, Quoting::Quotes, format_args!("{value}"))?;
                self.out.write_str("\"")
            }
        });
    }
}

impl Visit for FieldWriter<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, format_args!("{value}"));
        } else {
            self.text(field, &value.to_string());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.text(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "message" {
            return self.text(field, &format!("{value:?}"));
        }
        self.result = self.result.and_then(|()| {
            if self.json {
                write_json_string(self.out, "message", format_args!("{value:?}"))
            } else {
                self.out.write_str(" ")?;
                write_escaped(self.out, Quoting::Free, format_args!("{value:?}"))
            }
        });
    }
}

/// The name a field is written under; `None` for the bookkeeping of the `log` crate.
fn name_of(field: &Field) -> Option<&'static str> {
    let name = field.name();
    match name {
        // A member may appear once in a JSON object.
        "timestamp" => Some("timestamp_"),
        "level" => Some("level_"),
        "target" => Some("target_"),
        "in" => Some("in_"),
        _ if name.starts_with("log.") => None,
        _ => Some(name.strip_prefix("r#").unwrap_or(name)),
    }
}

fn write_json_string(out: &mut dyn Write, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    write!(out, ",\"{name}\":\"")?;
    write_escaped(out, Quoting::Json, value)?;
    out.write_str("\"")
}

fn write_escaped(out: &mut dyn Write, quoting: Quoting, value: fmt::Arguments<'_>) -> fmt::Result {
    let mut escaper = Escaper::new(out, quoting);
    escaper.write_fmt(value)?;
    escaper.finish()
}

/// UTC with microseconds, as RFC 3339 has it.
fn write_time(mut out: &mut dyn Write) -> fmt::Result {
    SystemTime.format_time(&mut Writer::new(&mut out))
}

/// The priority that journald reads from `<N>` at the start of a line (sd-daemon(3)).
fn journal_priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

fn colour_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}
