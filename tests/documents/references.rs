//! The documents against the tree they speak of: links, named tests, marks left to fill in.
//!
//! Knows Markdown only as far as its links and its tables.

use std::path::{Path, PathBuf};

use super::pages::{entries, read, root};

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let folder = page.parent().expect("a page was found in a folder");
        for link in links(&read(&page)) {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') && !folder.join(target).exists() {
                broken.push(format!("{}: {link}", name(&page)));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "links that lead nowhere:\n{}",
        broken.join("\n")
    );
}

#[test]
fn every_anchor_of_a_link_is_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        let folder = page.parent().expect("a page was found in a folder");
        for link in links(&read(&page)) {
            let Some((target, anchor)) = link.split_once('#') else {
                continue;
            };
            let there = match target {
                "" => page.clone(),
                target => folder.join(target),
            };
            let is_page = there.extension().is_some_and(|extension| extension == "md");
            if is_page && there.exists() && !anchors(&read(&there)).contains(&anchor.to_owned()) {
                broken.push(format!("{}: {link}", name(&page)));
            }
        }
    }
    assert!(broken.is_empty(), "no such heading:\n{}", broken.join("\n"));
}

#[test]
fn every_test_that_parity_names_exists() {
    let page = read(&root().join("docs/parity.md"));
    let missing: Vec<_> = named_tests(&page)
        .into_iter()
        .filter(|name| !exists(name))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/parity.md names tests that do not exist:\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_row_of_parity_names_what_shows_it() {
    let page = read(&root().join("docs/parity.md"));
    let rows = rows(&page);
    assert!(rows.len() > 80, "the rows were not found");
    let unshown: Vec<_> = rows
        .iter()
        .filter(|row| row.last().is_none_or(|cell| tests_in(cell).is_empty()))
        .map(|row| row.join(" | "))
        .collect();
    assert!(
        unshown.is_empty(),
        "rows of docs/parity.md that no test shows:\n{}",
        unshown.join("\n")
    );
}

#[test]
fn every_row_of_parity_has_four_cells_and_a_verdict() {
    let verdicts = ["same", "better:", "new", "left out:"];
    for row in rows(&read(&root().join("docs/parity.md"))) {
        let [_, _, here, _] = row.as_slice() else {
            panic!("not four cells: {row:?}")
        };
        assert!(
            verdicts.iter().any(|verdict| here.starts_with(verdict)),
            "no verdict: {here}"
        );
    }
}

#[test]
fn no_page_has_a_mark_that_was_left_to_fill_in() {
    let marks = ["TODO", "FIXME", "TBD", "<!-- tour:"];
    for page in pages() {
        let text = read(&page);
        let found: Vec<_> = marks.iter().filter(|mark| text.contains(**mark)).collect();
        assert!(found.is_empty(), "{} still has {found:?}", name(&page));
    }
}

#[test]
fn windows_is_refused_with_a_word_about_wsl() {
    let source = read(&root().join("src/lib.rs"));
    let refusal = source.split_once("#[cfg(not(unix))]\ncompile_error!(");
    let (_, message) = refusal.expect("other systems are refused at compile time");
    let (message, _) = message.split_once(");").expect("the refusal has an end");
    assert!(message.contains("WSL"), "{message}");
}

#[test]
fn a_test_that_does_not_exist_is_noticed() {
    let page = "| 3.1 | a | same | `tests/documents::no_such_test`, `tests/no_such_suite::exists`, \
                `tests/documents::links_and_rows_are_read`, `src/config/tests.rs::flags_win_over_the_environment`, \
                `tests/conformance/run` |";
    let found: Vec<_> = named_tests(page).iter().map(|name| exists(name)).collect();
    assert_eq!(found, [false, false, true, true, true]);
}

#[test]
fn links_and_rows_are_read() {
    assert_eq!(
        links("see [a](b.md), [c](d/e.md#f) and [g](https://h.example)"),
        ["b.md", "d/e.md#f", "https://h.example"]
    );
    assert_eq!(anchors("# A b, `c`\ntext\n## D-e?\n"), ["a-b-c", "d-e"]);
    assert_eq!(
        rows("text\n| a | b | c | d |\n|---|---|---|---|\n| 3.1 | `x` | same | |\n"),
        [["3.1", "`x`", "same", ""]]
    );
}

/// `tests/SUITE::NAME` or `src/FILE.rs::NAME` where that suite or file has a function of that name, or a path that is
/// there.
fn exists(test: &str) -> bool {
    let Some((place, function)) = test.split_once("::") else {
        return root().join(test).exists();
    };
    let declared = format!("fn {function}(");
    files_of(&root().join(place))
        .iter()
        .any(|file| read(file).contains(&declared))
}

/// A file, or the files of a suite: `tests/SUITE.rs` and those in `tests/SUITE/`.
fn files_of(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let mut files = vec![place.with_extension("rs")];
    if place.is_dir() {
        files.extend(entries(place));
    }
    files.retain(|file| file.is_file() && file.extension().is_some_and(|end| end == "rs"));
    files
}

fn named_tests(page: &str) -> Vec<String> {
    let cells = page
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| line.trim_end_matches('|').rsplit('|').next());
    cells.flat_map(tests_in).collect()
}

fn tests_in(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.starts_with("tests/") || code.starts_with("src/"))
        .map(str::to_owned)
        .collect()
}

/// The body rows of the page's tables, cell by cell.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = page.lines().collect();
    let heads = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("|---"))
        .map(|(at, _)| at);
    let bodies = heads.flat_map(|at| {
        lines[at + 1..]
            .iter()
            .take_while(|line| line.starts_with('|'))
    });
    bodies
        .map(|line| {
            line.trim()
                .trim_start_matches('|')
                .trim_end_matches('|')
                .split('|')
                .map(str::trim)
                .collect()
        })
        .collect()
}

/// The headings of a page as links name them.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let titles = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    titles
        .map(|title| {
            let kept = title
                .chars()
                .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
            kept.map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}

/// Where the links of a page lead.
pub fn links(page: &str) -> Vec<&str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains(char::is_whitespace))
        .collect()
}

/// The pages at the top and all below `docs`.
fn pages() -> Vec<PathBuf> {
    let mut pages = markdown_in(root());
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        pages.extend(markdown_in(&folder));
        folders.extend(entries(&folder).into_iter().filter(|path| path.is_dir()));
    }
    assert!(pages.len() > 10, "the pages were not found");
    pages.sort();
    pages
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

fn name(page: &Path) -> String {
    page.strip_prefix(root())
        .unwrap_or(page)
        .display()
        .to_string()
}
