//! Texts of plugins made fit to be shown: no terminal commands, no control characters.

/// The text without ANSI escape sequences and without control characters other than line ends and tabs.
pub fn cleaned(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\u{1b}' => skip_sequence(&mut rest),
            '\u{9b}' => skip_control(&mut rest),
            '\n' | '\t' => clean.push(letter),
            _ if letter.is_control() => {}
            _ => clean.push(letter),
        }
    }
    clean
}

/// The text on one line and not longer than `limit` characters, for messages that quote it.
pub fn shown(text: &str, limit: usize) -> String {
    let line = cleaned(text).replace(['\n', '\t'], " ");
    if line.chars().count() <= limit {
        return line;
    }
    line.chars().take(limit).chain(['…']).collect()
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
    }
}
