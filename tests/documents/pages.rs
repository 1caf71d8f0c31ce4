//! The pages of the documentation as their blocks of code, each with the mark that stands before it.
//!
//! Knows Markdown only as far as fences and comments.

use std::path::{Path, PathBuf};

/// One page.
#[derive(Debug)]
pub struct Page {
    /// Its path below the project's directory.
    pub name: String,
    /// Its blocks of code, in their order, and its hidden preparations.
    pub blocks: Vec<Block>,
    /// Lines outside of fences that Markdown shows as code.
    pub indented: Vec<usize>,
}

/// A block of code, or a hidden preparation.
#[derive(Debug)]
pub struct Block {
    /// The line of its fence, counted from 1.
    pub line: usize,
    /// The word behind the fence.
    pub language: String,
    /// What is between the fences.
    pub text: String,
    /// What the comment before it says of it.
    pub mark: Option<Mark>,
}

/// What is done with a block. CONTRIBUTING.md describes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// `run`, `run, exit 1`: these commands end with this status.
    Run(i32),
    /// `serve`: these commands start a server that goes on running.
    Serve,
    /// `setup` and commands, in a comment: run like `run`, and not shown to readers.
    Setup,
    /// `output`: what the commands before it print; the words after `varies:` may be others.
    Output(Vec<String>),
    /// `line of: FILE`: each line is in the file that the commands before it left; with words that vary.
    LinesOf(String, Vec<String>),
    /// `file: PATH`: the commands after it find a file with this content.
    File(String),
    /// `client`: a desktop client's configuration.
    Client,
    /// `proxy: nginx`, `proxy: caddy`: a configuration of this proxy.
    Proxy(String),
    /// `quoted`: lines of a plugin that other tests run.
    Quoted,
    /// `not run: REASON`.
    NotRun(String),
}

/// The project's directory.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and every page below `docs`: what users read.
pub fn for_users() -> Vec<Page> {
    let mut paths = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    assert!(paths.len() > 10, "the pages were not found");
    paths.iter().map(|path| page(path)).collect()
}

/// The entries of a directory.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("a folder that opened can be listed").path())
        .collect()
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page(path: &Path) -> Page {
    let name = path.strip_prefix(root()).unwrap_or(path);
    parse(&name.display().to_string(), &read(path))
}

/// Reads a page. A comment that is no mark, and a mark without a block, are faults of the page.
pub fn parse(name: &str, text: &str) -> Page {
    let mut page = Page {
        name: name.to_owned(),
        blocks: Vec::new(),
        indented: Vec::new(),
    };
    let mut default = None;
    let mut pending: Option<Mark> = None;
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    while let Some((at, line)) = lines.next() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(language) = content.strip_prefix("```") {
            let text: String = lines
                .by_ref()
                .take_while(|(_, line)| !line.trim_start().starts_with("```"))
                .map(|(_, line)| format!("{}\n", line.get(indent..).unwrap_or_default()))
                .collect();
            page.blocks.push(Block {
                line: at,
                language: language.trim().to_owned(),
                text,
                mark: pending.take().or_else(|| default.clone()),
            });
        } else if let Some(comment) = content.strip_prefix("<!--") {
            let mut comment = comment.to_owned();
            while !comment.contains("-->") {
                let (_, line) = lines
                    .next()
                    .unwrap_or_else(|| panic!("{name}:{at}: a comment has no end"));
                comment = format!("{comment}\n{line}");
            }
            let comment = comment.trim_end().trim_end_matches("-->").trim();
            if let Some(commands) = comment.strip_prefix("setup\n") {
                page.blocks.push(Block {
                    line: at,
                    language: "sh".to_owned(),
                    text: commands.to_owned(),
                    mark: Some(Mark::Setup),
                });
            } else if let Some(every) = comment.strip_prefix("every block: ") {
                default = Some(mark(every, name, at));
            } else {
                pending = Some(mark(comment, name, at));
            }
        } else if !content.is_empty() {
            assert_eq!(pending, None, "{name}:{at}: a mark without a block");
            if indent >= 4 {
                page.indented.push(at);
            }
        }
    }
    page
}

fn mark(text: &str, name: &str, at: usize) -> Mark {
    let (text, varies) = text.split_once("; varies: ").unwrap_or((text, ""));
    let varies = varies
        .split(", ")
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let (word, value) = text.split_once(": ").unwrap_or((text, ""));
    match (word, value.trim()) {
        ("run", "") => Mark::Run(0),
        ("serve", "") => Mark::Serve,
        ("output", "") => Mark::Output(varies),
        ("client", "") => Mark::Client,
        ("quoted", "") => Mark::Quoted,
        ("line of", file) if !file.is_empty() => Mark::LinesOf(file.to_owned(), varies),
        ("file", path) if !path.is_empty() => Mark::File(path.to_owned()),
        ("proxy", program) if !program.is_empty() => Mark::Proxy(program.to_owned()),
        ("not run", reason) if reason.contains(' ') => Mark::NotRun(reason.to_owned()),
        (run, "") if run.starts_with("run, exit ") => {
            let status = run.trim_start_matches("run, exit ").parse();
            Mark::Run(status.unwrap_or_else(|_| panic!("{name}:{at}: no exit status in '{run}'")))
        }
        _ => panic!("{name}:{at}: '{text}' is no mark; CONTRIBUTING.md has them all"),
    }
}

#[test]
fn a_page_is_read_as_its_marked_blocks() {
    let page = parse(
        "page",
        "text\n\n<!-- run, exit 2 -->\n```sh\nls\n```\n1. a list\n\n   <!-- output; varies: a, b -->\n   ```text\n   \
         x\n   ```\n\n<!-- setup\ntouch a\n-->\n```json\n1\n```\n\n    indented\n",
    );
    let marks: Vec<_> = page.blocks.iter().map(|block| block.mark.clone()).collect();
    let varies = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(
        marks,
        [
            Some(Mark::Run(2)),
            Some(Mark::Output(varies)),
            Some(Mark::Setup),
            None
        ]
    );
    let texts: Vec<_> = page
        .blocks
        .iter()
        .map(|block| block.text.as_str())
        .collect();
    assert_eq!(texts, ["ls\n", "x\n", "touch a", "1\n"]);
    assert_eq!(page.indented, [21]);
}

#[test]
#[should_panic(expected = "'runn' is no mark")]
fn a_misspelled_mark_is_a_fault() {
    parse("page", "<!-- runn -->\n```sh\nls\n```\n");
}

#[test]
#[should_panic(expected = "a mark without a block")]
fn a_mark_stands_right_before_its_block() {
    parse("page", "<!-- run -->\ntext\n```sh\nls\n```\n");
}

#[test]
#[should_panic(expected = "is no mark")]
fn what_is_not_run_has_a_reason() {
    parse("page", "<!-- not run: no -->\n```sh\nls\n```\n");
}
