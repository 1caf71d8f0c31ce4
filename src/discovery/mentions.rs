//! Whether a plugin's own files say that it knows a question.

use std::path::Path;

use super::regular_file::read_regular;

/// Whether a Python plugin's own files have `--describe` as a text of the program, not of a comment.
///
/// A program that never heard of it would do its work when asked that way.
pub fn mentions_describe(directory: &Path) -> bool {
    const DEPTH: usize = 3;
    let mut left = Budget {
        files: 400,
        bytes: 16 << 20,
    };
    mentioned_below(directory, DEPTH, &mut left)
}

struct Budget {
    files: usize,
    bytes: u64,
}

/// Whether the word stands there between two equal quotes.
fn has_literal(text: &[u8]) -> bool {
    const WORD: &[u8] = b"--describe";
    text.windows(WORD.len() + 2).any(|window| match window {
        [open @ (b'"' | b'\''), word @ .., close] => open == close && word == WORD,
        _ => false,
    })
}

fn mentioned_below(directory: &Path, depth: usize, left: &mut Budget) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return false;
    };
    let mut inner = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let passed_over = ["venv", "__pycache__", "node_modules"]
            .iter()
            .any(|known| name == *known);
        let Ok(metadata) = std::fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() && !passed_over && !name.as_encoded_bytes().starts_with(b".") {
            inner.push(path);
        } else if metadata.is_file() && path.extension().is_some_and(|ending| ending == "py") {
            // Out of budget, the program is only asked under the guard.
            if left.files == 0 || metadata.len() > left.bytes {
                return false;
            }
            left.files -= 1;
            left.bytes -= metadata.len();
            let text = read_regular(&path, metadata.len());
            if has_literal(&text.unwrap_or_default()) {
                return true;
            }
        }
    }
    depth > 0
        && inner
            .iter()
            .any(|path| mentioned_below(path, depth - 1, left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_knows_the_question_when_one_of_its_own_files_has_the_word() {
        let plugins = tempfile::tempdir().expect("there is room");
        let write = |path: &str, text: &str| {
            let path = plugins.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
            std::fs::write(path, text).expect("there is room");
        };
        for plugin in ["silent", "helped", "foreign"] {
            write(&format!("{plugin}/cli.py"), "print()");
        }
        write("remarks/cli.py", "# it does not know --describe\n");
        for path in ["helped/inner/deep.py", "foreign/.venv/lib.py"] {
            write(path, "if '--describe' in sys.argv: …");
        }
        let mentions = |name: &str| mentions_describe(&plugins.path().join(name));
        assert_eq!(
            (mentions("silent"), mentions("helped"), mentions("foreign")),
            (false, true, false)
        );
        assert!(!mentions("remarks"), "a comment is no program");
    }
}
