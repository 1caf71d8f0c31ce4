//! The metadata that a script has in its comments (PEP 723), as far as it says what the script needs.

use memchr::memmem;
use toml_edit::{DocumentMut, Item};

/// The line with which the block begins.
const BEGINNING: &str = "# /// script";

/// What a script says in its comments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) dependencies: Vec<String>,
    /// The versions of Python that it asks for.
    pub(super) python: Option<String>,
}

/// What the text of a script says; nothing where it has no such block.
///
/// # Errors
/// What is wrong with the block.
pub(super) fn read(text_of_it: &[u8]) -> Result<Metadata, String> {
    if memmem::find(text_of_it, BEGINNING.as_bytes()).is_none() {
        return Ok(Metadata::default());
    }
    let whole = String::from_utf8_lossy(text_of_it);
    let mut blocks = blocks(whole.trim_start_matches('\u{feff}'));
    let Some(first) = blocks.pop() else {
        return Ok(Metadata::default());
    };
    if !blocks.is_empty() {
        return Err(format!(
            "it has {} blocks that begin with '{BEGINNING}', and only one is allowed; make one of them",
            blocks.len() + 1
        ));
    }
    let metadata: DocumentMut = first.parse().map_err(|fault: toml_edit::TomlError| {
        format!(
            "its block '{BEGINNING}' is no TOML: {}",
            fault.message().trim()
        )
    })?;
    Ok(Metadata {
        dependencies: texts(metadata.get("dependencies"), "dependencies")?,
        python: text(metadata.get("requires-python")),
    })
}

/// A text that may be missing; nothing where it is something else.
pub(super) fn text(value: Option<&Item>) -> Option<String> {
    Some(value?.as_str()?.to_owned())
}

/// A list of texts that may be missing.
pub(super) fn texts(value: Option<&Item>, name: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{name} is not a list of strings");
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let entries = value.as_array().ok_or_else(wrong)?.iter();
    let texts = entries.map(|entry| entry.as_str().map(str::to_owned).ok_or_else(wrong));
    texts.collect()
}

/// The contents of all such blocks, without their marks.
fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim_end).peekable();
    while let Some(line) = lines.next() {
        if line != BEGINNING {
            continue;
        }
        let mut content: Vec<&str> = Vec::new();
        // A block ends with the last such mark before a line that is no comment.
        let mut end = None;
        while let Some(line) = lines.next_if(|line| *line == "#" || line.starts_with("# ")) {
            if line == BEGINNING && end.is_some() {
                found.push(joined(&content, end));
                (content, end) = (Vec::new(), None);
                continue;
            }
            if line == "# ///" {
                end = Some(content.len());
            }
            content.push(line.strip_prefix("# ").unwrap_or(""));
        }
        if end.is_some() {
            found.push(joined(&content, end));
        }
    }
    found
}

fn joined(content: &[&str], end: Option<usize>) -> String {
    content[..end.unwrap_or_default()].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_the_standard_has_it() {
        let of = |text: &str| read(text.as_bytes()).map(|metadata| metadata.dependencies);
        let block = "#!/usr/bin/env python3\n# /// script\n# requires-python = \">=3.9\"\n# dependencies = [\n#   \"httpx<1\",\n#\n#   \"rich\",\n# ]\n# ///\nimport httpx\n";
        let both = Ok(vec!["httpx<1".to_owned(), "rich".to_owned()]);
        assert_eq!(of(block), both);
        assert_eq!(of(&block.replace('\n', "\r\n")), both);
        let python = read(block.as_bytes()).map(|metadata| metadata.python);
        assert_eq!(python, Ok(Some(">=3.9".to_owned())));
        let one = "\u{feff}# /// script\n# dependencies = [\"a\"]\n# ///\n";
        assert_eq!(of(one), Ok(vec!["a".to_owned()]), "with a byte order mark");
        for none in [
            "import sys\n",
            "# /// script\n# dependencies = [\"a\"]\n",
            "# /// other\n# dependencies = [\"a\"]\n# ///\n",
            "# /// script\n# ///\n",
            "print('# /// script')\n",
        ] {
            assert_eq!(of(none), Ok(Vec::new()), "{none}");
        }
        let one = "# /// script\n# dependencies = [\"a\"]\n# ///\n";
        for (wrong, told) in [
            (format!("{one}{one}"), "2 blocks"),
            (format!("{one}\n{one}"), "2 blocks"),
            (
                "# /// script\n# dependencies = [\n# ///\n".to_owned(),
                "no TOML",
            ),
            (
                "# /// script\n# dependencies = \"a\"\n# ///\n".to_owned(),
                "a list",
            ),
            (
                "# /// script\n# dependencies = [1]\n# ///\n".to_owned(),
                "a list",
            ),
        ] {
            let fault = of(&wrong).expect_err(&wrong);
            assert!(fault.contains(told), "{fault}");
        }
    }
}
