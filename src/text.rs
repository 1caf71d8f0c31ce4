//! Text from elsewhere made fit to be shown: no terminal commands, no control characters, bounded.
//!
//! Knows neither who wrote the text nor who reads it.

mod addresses;

use std::fmt::{self, Display, Write};

pub use self::addresses::{address_without_secrets, without_secrets};

/// How many characters of a client's value an error message quotes.
const MAX_QUOTED: usize = 128;

/// How many characters of a name or a short value stand between quotation marks.
const MAX_NAMED: usize = 60;

/// The text without ANSI escape sequences and without control characters other than line ends and tabs.
pub fn cleaned(text: &str) -> String {
    Cleaned::of(text).collect()
}

/// The text on one line and not longer than `limit` characters, for messages that quote it.
/// Invisible characters, such as those that turn the direction of writing, are escaped.
pub fn shown(text: &str, limit: usize) -> String {
    let mut letters = Cleaned::of(text);
    let mut line = String::new();
    for letter in letters.by_ref().take(limit) {
        match letter {
            '\n' | '\t' => line.push(' '),
            '"' | '\'' | '\\' => line.push(letter),
            _ => line.extend(letter.escape_debug()),
        }
    }
    if letters.next().is_some() {
        line.push('…');
    }
    line
}

/// A value that a client sent, as error messages quote it: [`shown`], at most 128 characters.
pub fn quoted(text: &str) -> String {
    shown(text, MAX_QUOTED)
}

/// A name or a short value in quotation marks: `'text'`, [`shown`] with at most 60 characters.
pub fn in_quotes(text: &str) -> String {
    format!("'{}'", shown(text, MAX_NAMED))
}

/// The beginning of a text, at most `limit` characters of it.
pub fn cut(text: &str, limit: usize) -> &str {
    let end = text.char_indices().nth(limit).map(|(end, _)| end);
    &text[..end.unwrap_or(text.len())]
}

/// What `value` is displayed as, [`shown`] with at most `limit` characters. The rest is never written, however
/// large the value is.
pub fn excerpt(value: &dyn Display, limit: usize) -> String {
    let mut beginning = Beginning {
        text: String::new(),
        // A character more than is shown, so that a longer text is seen to be longer.
        room: limit.saturating_add(1),
    };
    // The one error is that of a full beginning.
    let _ = write!(beginning, "{value}");
    shown(&beginning.text, limit)
}

/// Takes so many characters and then refuses, which ends the writing.
struct Beginning {
    text: String,
    room: usize,
}

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let taken = cut(text, self.room);
        self.text.push_str(taken);
        self.room -= taken.chars().count();
        if taken.len() == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// The letters of a text that may be shown. Lazy, so that an excerpt of a large text costs little.
struct Cleaned<'a>(Letters<'a>);

impl<'a> Cleaned<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.chars().peekable())
    }
}

impl Iterator for Cleaned<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            match self.0.next()? {
                '\u{1b}' => skip_sequence(&mut self.0),
                '\u{9b}' => skip_control(&mut self.0),
                letter @ ('\n' | '\t') => return Some(letter),
                letter if letter.is_control() => {}
                letter => return Some(letter),
            }
        }
    }
}

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What follows an ESC: a control sequence, a string that ends with BEL or ESC \, or one more character.
fn skip_sequence(rest: &mut Letters<'_>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            skip_control(rest);
        }
        Some(']' | 'P' | '_' | '^' | 'X') => skip_string(rest),
        Some(letter) if letter.is_ascii() && !letter.is_control() => {
            let is_intermediate = matches!(letter, ' '..='/');
            rest.next();
            if is_intermediate {
                rest.next();
            }
        }
        _ => {}
    }
}

fn skip_control(rest: &mut Letters<'_>) {
    while rest.next_if(|letter| matches!(letter, ' '..='?')).is_some() {}
    rest.next_if(|letter| matches!(letter, '@'..='~'));
}

fn skip_string(rest: &mut Letters<'_>) {
    while let Some(letter) = rest.next() {
        match letter {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                rest.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_control_characters_are_removed() {
        let cases = [
            ("plain\ttext\nin lines", "plain\ttext\nin lines"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;a title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9b}2Jcleared", "cleared"),
            ("bell\u{7} back\u{8} nul\0 cr\r", "bell back nul cr"),
            ("\u{1b}(Bcharset", "charset"),
            ("\u{1b}cwhole reset", "whole reset"),
            ("ends with \u{1b}", "ends with "),
            ("ends in \u{1b}[12", "ends in "),
            ("ünï ☃", "ünï ☃"),
        ];
        for (given, expected) in cases {
            assert_eq!(cleaned(given), expected, "{given:?}");
        }
    }

    #[test]
    fn a_quoted_text_is_one_bounded_line() {
        assert_eq!(shown("two\nlines", 20), "two lines");
        assert_eq!(shown("abcdef", 3), "abc…");
        assert_eq!(shown("abc", 3), "abc");
        assert_eq!(shown("a\u{202e}\"b'\\", 20), "a\\u{202e}\"b'\\");
        assert_eq!(in_quotes("two\nlines"), "'two lines'");
    }

    #[test]
    fn a_beginning_is_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("", 3), "");
    }

    #[test]
    fn of_a_large_value_no_more_is_written_than_is_shown() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("word ")?;
                }
            }
        }
        assert_eq!(excerpt(&Endless, 7), "word wo…");
        assert_eq!(excerpt(&"word", 4), "word");
    }
}
