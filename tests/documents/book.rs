//! The book: which pages it has, and whether it can be laid out. mdBook itself is not needed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::pages::{entries, read, root};
use super::references::links;

/// The list of pages.
const SUMMARY: &str = "docs/SUMMARY.md";
/// The index of the decisions.
const DECISIONS: &str = "docs/decisions/README.md";
/// The pages of the project's directory that are in the book.
const AT_THE_TOP: [&str; 5] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
];

#[test]
fn the_book_has_every_page_exactly_once() {
    let listed = listed_in(SUMMARY);
    let mut once = BTreeSet::new();
    let twice: Vec<_> = listed.iter().filter(|page| !once.insert(*page)).collect();
    assert!(twice.is_empty(), "{SUMMARY} lists {twice:?} more than once");
    let listed: BTreeSet<PathBuf> = listed.into_iter().collect();
    let pages = pages_of_the_book();
    let missing: Vec<_> = pages.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&pages).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "{SUMMARY} lacks {missing:?} and lists {unknown:?}"
    );
}

#[test]
fn every_decision_is_in_their_index_under_its_title() {
    let index = read(&root().join(DECISIONS));
    for page in markdown_below(&root().join("docs/decisions")) {
        if page.ends_with(DECISIONS) {
            continue;
        }
        let text = read(&page);
        let heading = text.lines().next().unwrap_or_default();
        let (number, title) = heading
            .trim_start_matches("# ")
            .split_once(". ")
            .unwrap_or_else(|| panic!("{}: no number: {heading}", page.display()));
        let file = page.file_name().unwrap_or_default().to_string_lossy();
        let entry = format!("- {number}. [{title}]({file})");
        assert!(index.contains(&entry), "{DECISIONS} has no line\n{entry}");
    }
}

#[test]
fn the_book_is_laid_out_and_every_link_in_it_leads_to_a_file_of_it() {
    let book = tempfile::tempdir().expect("a directory for temporary files");
    let source = book.path().join("source");
    let made = Command::new("python3")
        .arg(root().join("docs/dev/book.py"))
        .arg(&source)
        .output()
        .expect("Python 3 is installed");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    let pages = markdown_below(&source);
    assert_eq!(pages.len(), pages_of_the_book().len() + 1, "{pages:?}");
    let mut broken = Vec::new();
    for page in &pages {
        let folder = page.parent().expect("a page is in a directory");
        let text = read(page);
        for link in links(&text) {
            let target = link.split('#').next().unwrap_or_default();
            let is_inside = !target.contains(':')
                && folder
                    .join(target)
                    .canonicalize()
                    .is_ok_and(|file| file.is_file() && file.starts_with(resolved(&source)));
            if !target.is_empty() && !target.contains(':') && !is_inside {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_book_is_built_from_what_is_laid_out() {
    let settings = read(&root().join("book.toml"));
    let recipe = read(&root().join("justfile"));
    let place = settings
        .lines()
        .find_map(|line| line.strip_prefix("src = "))
        .map(|value| value.trim_matches('"'))
        .expect("book.toml says where the pages are");
    assert!(
        recipe.contains(&format!("docs/dev/book.py {place}\n")),
        "the recipe lays the book out elsewhere than in {place}"
    );
}

/// The pages that a page lists.
fn listed_in(page: &str) -> Vec<PathBuf> {
    let path = root().join(page);
    let folder = path.parent().expect("a page is in a directory");
    let text = read(&path);
    let listed = links(&text).into_iter().map(|link| {
        let file = folder.join(link).canonicalize();
        file.unwrap_or_else(|error| panic!("{page}: {link}: {error}"))
    });
    listed.collect()
}

fn pages_of_the_book() -> BTreeSet<PathBuf> {
    let top = AT_THE_TOP.iter().map(|name| root().join(name));
    let docs = markdown_below(&root().join("docs"));
    let docs = docs.into_iter().filter(|page| !page.ends_with(SUMMARY));
    top.chain(docs).map(|page| resolved(&page)).collect()
}

fn resolved(path: &Path) -> PathBuf {
    path.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn markdown_below(folder: &Path) -> Vec<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) =
        entries(folder).into_iter().partition(|path| path.is_dir());
    let mut pages: Vec<_> = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.extend(folders.iter().flat_map(|folder| markdown_below(folder)));
    pages
}
