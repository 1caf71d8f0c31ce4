//! Text that came from elsewhere, made safe for one line of a log: knows characters, not events.

use std::fmt::{self, Write};

/// Most bytes of one message or value that reach a line; the rest is cut and marked.
pub(super) const MAX_VALUE_BYTES: usize = 8 * 1024;

/// What the escaped text will stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Free text: only what breaks lines or moves a terminal's cursor is escaped.
    Free,
    /// Between double quotes of a text line: quotes and backslashes too.
    Quotes,
    /// Inside a JSON string.
    Json,
}

/// Writes what it is given escaped, up to [`MAX_VALUE_BYTES`].
pub(super) struct Escaper<'a> {
    out: &'a mut dyn Write,
    quoting: Quoting,
    left: usize,
    cut: bool,
}

impl<'a> Escaper<'a> {
    pub(super) fn new(out: &'a mut dyn Write, quoting: Quoting) -> Self {
        Self {
            out,
            quoting,
            left: MAX_VALUE_BYTES,
            cut: false,
        }
    }

    /// Marks the end: text that was cut says so.
    pub(super) fn finish(self) -> fmt::Result {
        if self.cut {
            self.out.write_str("…[cut]")
        } else {
            Ok(())
        }
    }

    fn write_escaped(&mut self, c: char) -> fmt::Result {
        match (self.quoting, c) {
            (Quoting::Quotes | Quoting::Json, '"' | '\\') => write!(self.out, "\\{c}"),
            (_, '\n') => self.out.write_str("\\n"),
            (_, '\r') => self.out.write_str("\\r"),
            (_, '\t') => self.out.write_str("\\t"),
            // Every character escaped here is below U+FFFF, so it needs no surrogate pair.
            (Quoting::Json, c) => write!(self.out, "\\u{:04x}", u32::from(c)),
            (_, c) => write!(self.out, "\\u{{{:x}}}", u32::from(c)),
        }
    }
}

impl Write for Escaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        let kept = &text[..text.floor_char_boundary(self.left)];
        self.cut = kept.len() < text.len();
        self.left -= kept.len();
        let mut rest = kept;
        while let Some(at) = rest.find(|c| needs_escape(self.quoting, c)) {
            self.out.write_str(&rest[..at])?;
            let mut tail = rest[at..].chars();
            let c = tail.next().expect("find gave the position of a character");
            self.write_escaped(c)?;
            rest = tail.as_str();
        }
        self.out.write_str(rest)
    }
}

fn needs_escape(quoting: Quoting, c: char) -> bool {
    (quoting != Quoting::Free && matches!(c, '"' | '\\')) || is_unsafe(c)
}

/// Characters that end a line, move a cursor, or make text read other than it is stored.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}'                          // line and paragraph separators
            | '\u{061c}' | '\u{200e}' | '\u{200f}'           // direction marks
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // direction overrides and isolates
            | '\u{feff}')
}

/// Whether a value can stand behind `name=` as it is, without being taken for something else.
pub(super) fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_VALUE_BYTES
        && value
            .chars()
            .all(|c| !c.is_whitespace() && !is_unsafe(c) && !matches!(c, '"' | '\\' | '='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str, quoting: Quoting) -> String {
        let mut out = String::new();
        let mut escaper = Escaper::new(&mut out, quoting);
        escaper.write_str(text).unwrap();
        escaper.finish().unwrap();
        out
    }

    #[test]
    fn control_and_direction_characters_are_shown_not_obeyed() {
        let evil = "a\nb\r\x1b[31m\u{9b}2J\u{202e}\u{2028}\t\0";
        assert_eq!(
            escaped(evil, Quoting::Free),
            r"a\nb\r\u{1b}[31m\u{9b}2J\u{202e}\u{2028}\t\u{0}"
        );
    }

    #[test]
    fn quotes_are_escaped_where_they_would_end_a_value() {
        assert_eq!(escaped(r#"say "hi" \o/"#, Quoting::Free), r#"say "hi" \o/"#);
        assert_eq!(
            escaped(r#"say "hi" \o/"#, Quoting::Quotes),
            r#"say \"hi\" \\o/"#
        );
    }

    #[test]
    fn long_text_is_cut_at_a_character_and_marked() {
        let long = "é".repeat(MAX_VALUE_BYTES);
        let out = escaped(&long, Quoting::Free);
        assert_eq!(out, format!("{}…[cut]", "é".repeat(MAX_VALUE_BYTES / 2)));
    }

    proptest! {
        #[test]
        fn json_strings_read_back_as_they_were(text in any::<String>()) {
            let json = format!("\"{}\"", escaped(&text, Quoting::Json));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!json.chars().any(is_unsafe));
        }
    }
}
