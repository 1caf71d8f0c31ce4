//! The file in an environment that lets programs find what the interpreter has: written once, read at every look.

use std::path::PathBuf;

/// A file that Python runs at its start when it looks at a directory of packages. Those of packages come before it.
pub const BEHIND: &str = "~interpreter.pth";

/// What stands before and after a directory in a line of it.
const AROUND: (&str, &str) = ("import site; site.addsitedir(", ")");

/// The line for a directory, which is written as Python writes it.
pub(super) fn line_of(place: &str) -> String {
    format!("{}{place}{}\n", AROUND.0, AROUND.1)
}

/// The directory that a line names. `None` where it is written with what stands for a byte that is no text.
pub fn directory_in(line: &str) -> Option<PathBuf> {
    let place = line.strip_prefix(AROUND.0)?.strip_suffix(AROUND.1)?;
    let quote = place
        .chars()
        .next()
        .filter(|quote| "'\"".contains(*quote))?;
    let mut letters = place.strip_prefix(quote)?.strip_suffix(quote)?.chars();
    let mut path = String::new();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            path.push(letter);
            continue;
        }
        let digits = match letters.next()? {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            itself @ ('\\' | '\'' | '"') => {
                path.push(itself);
                continue;
            }
            _ => return None,
        };
        let code: String = letters.by_ref().take(digits).collect();
        path.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
    }
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_read_as_python_writes_them() {
        for (written, directory) in [
            ("'/opt/lib'", Some("/opt/lib")),
            ("\"/it's\"", Some("/it's")),
            (r"'/a\\b'", Some(r"/a\b")),
            (r"'/\xe4\u20ac\U0001f600'", Some("/\u{e4}\u{20ac}\u{1f600}")),
            // A byte that is no text.
            (r"'/\udcff'", None),
            ("/opt", None),
        ] {
            let line = line_of(written);
            let read = directory_in(line.trim_end());
            assert_eq!(read, directory.map(PathBuf::from), "{written}");
        }
        assert_eq!(directory_in("import other"), None);
    }
}
