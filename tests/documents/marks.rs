//! Every block of code in the documents says what is done with it.

use serde_json::Value;

use super::pages::{self, Mark};

/// The pages of the test `code_in_the_guides_is_taken_from_plugins_that_run`.
const QUOTING: [&str; 2] = ["docs/plugin-contract/README.md", "docs/plugin-events.md"];

#[test]
fn every_block_of_code_is_marked() {
    let mut unmarked = Vec::new();
    for page in pages::for_users() {
        for block in page.blocks.iter().filter(|block| block.mark.is_none()) {
            unmarked.push(format!("{}:{}: {}", page.name, block.line, block.language));
        }
    }
    assert!(
        unmarked.is_empty(),
        "code that is neither run nor marked with the reason why not:\n{}",
        unmarked.join("\n")
    );
}

#[test]
fn code_stands_between_fences() {
    let indented: Vec<String> = pages::for_users()
        .iter()
        .flat_map(|page| {
            page.indented
                .iter()
                .map(move |line| format!("{}:{line}", page.name))
        })
        .collect();
    assert!(
        indented.is_empty(),
        "indented lines are code that no mark can stand before:\n{}",
        indented.join("\n")
    );
}

#[test]
fn a_quotation_is_on_a_page_that_is_held_against_its_sources() {
    for page in pages::for_users() {
        let quotes = page
            .blocks
            .iter()
            .any(|block| block.mark == Some(Mark::Quoted));
        assert!(
            !quotes || QUOTING.contains(&page.name.as_str()),
            "{}: nothing compares its quotations",
            page.name
        );
    }
}

#[test]
fn json_that_is_shown_is_json() {
    for page in pages::for_users() {
        let whole = page
            .blocks
            .iter()
            .filter(|block| block.language == "json" && block.mark != Some(Mark::Quoted));
        for block in whole {
            if let Err(error) = serde_json::from_str::<Value>(&block.text) {
                panic!("{}:{}: {error}", page.name, block.line);
            }
        }
    }
}
