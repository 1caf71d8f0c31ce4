//! The addresses and codes that `docs/api-reference.md` lists, and those of the source.

use std::collections::BTreeSet;

use super::pages::{entries, read, root};

const PAGE: &str = "docs/api-reference.md";

#[test]
fn the_page_lists_every_address() {
    let source = read(&root().join("src/http/mod.rs"));
    let (_, table) = source
        .split_once("const METHODS:")
        .expect("the routes are in one table");
    let (table, _) = table.split_once("];").expect("the table has an end");
    let served: BTreeSet<&str> = literals(table)
        .filter(|text| text.starts_with('/'))
        .collect();
    assert!(served.len() > 5, "only {served:?} were found");
    let page = read(&root().join(PAGE));
    let missing: Vec<_> = served
        .iter()
        .filter(|path| !page.contains(&format!("{path}`")) && !page.contains(&format!("{path}/`")))
        .collect();
    assert!(missing.is_empty(), "{PAGE} does not list {missing:?}");
}

#[test]
fn the_page_lists_the_codes_of_failed_calls() {
    let source = read(&root().join("src/call/error.rs"));
    let (_, code) = source
        .split_once("pub fn code(&self)")
        .expect("the codes are given by one function");
    let (code, _) = code.split_once("\n    }\n").expect("it has an end");
    let given: BTreeSet<&str> = literals(code).collect();
    assert!(given.len() > 10, "only {given:?} were found");
    let page = read(&root().join(PAGE));
    let section = section(&page, "## Results and failures");
    let listed: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split('`').next())
        .collect();
    assert_eq!(listed, given);
}

#[test]
fn the_page_lists_the_codes_of_refused_requests() {
    let mut given = BTreeSet::new();
    for file in entries(&root().join("src/http")) {
        if file.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let source = read(&file);
        // The status, the code and the text are the arguments of one call, on one line or on three.
        for call in source.split("refusal(").skip(1) {
            let Some((_, rest)) = call
                .split_once("StatusCode::")
                .filter(|(before, _)| before.trim().is_empty())
            else {
                continue;
            };
            let rest = rest
                .split_once(',')
                .map_or("", |(_, rest)| rest)
                .trim_start();
            if let Some(code) = rest
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next())
            {
                given.insert(code.to_owned());
            }
        }
    }
    assert!(given.len() > 8, "only {given:?} were found");
    let page = read(&root().join(PAGE));
    let section = section(&page, "## Refused requests");
    let missing: Vec<_> = given
        .iter()
        .filter(|code| !section.contains(&format!("`{code}`")))
        .collect();
    assert!(missing.is_empty(), "{PAGE} does not list {missing:?}");
}

#[test]
fn the_page_lists_the_methods_and_the_errors_of_the_protocol() {
    let page = read(&root().join(PAGE));
    let methods = read(&root().join("src/mcp/method.rs"));
    let (_, names) = methods
        .split_once("pub const fn name(self) -> &'static str {\n        match self {\n            Self::Complete =>")
        .expect("the names are given by one function");
    let (names, _) = names.split_once("\n    }\n").expect("it has an end");
    let names: Vec<&str> = literals(names).filter(|name| *name != "other").collect();
    assert!(names.len() > 10, "only {names:?} were found");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{PAGE} does not list {missing:?}");
    let errors = read(&root().join("src/jsonrpc/error.rs"));
    let numbers: Vec<&str> = errors
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
        .filter_map(|constant| constant.split(" = ").nth(1))
        .map(|value| value.trim_end_matches(';'))
        .collect();
    assert!(numbers.len() > 7, "only {numbers:?} were found");
    let missing: Vec<_> = numbers
        .iter()
        .filter(|number| !page.contains(*number))
        .collect();
    assert!(missing.is_empty(), "{PAGE} does not list {missing:?}");
}

/// The strings in a piece of source that has no escapes.
fn literals(source: &str) -> impl Iterator<Item = &str> {
    source.split('"').skip(1).step_by(2)
}

/// A section of a page, up to the next of its level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("{heading}\n"))
        .unwrap_or_else(|| panic!("{PAGE} has no section '{heading}'"));
    rest.split("\n## ").next().unwrap_or_default()
}
