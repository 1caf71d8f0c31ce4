//! What the Debian package says of its documents, against those that it has.

use super::pages::{read, root};

/// Where the package puts them.
const PLACE: &str = "/usr/share/doc/smcp/";

/// The pages that `packaging/deb/build` compresses, by their names in the package.
fn shipped() -> Vec<String> {
    let build = read(&root().join("packaging/deb/build"));
    let (_, rest) = build.split_once("for page in ").expect("a loop over pages");
    let (pages, _) = rest.split_once("; do").expect("it has a body");
    let pages = pages.split_whitespace().filter(|word| *word != "\\");
    let shipped = pages.map(|page| {
        assert!(root().join(page).is_file(), "{page} is not there");
        let name = page.rsplit('/').next().unwrap_or(page);
        format!("{PLACE}{name}.gz")
    });
    shipped.collect()
}

#[test]
fn every_document_that_the_package_names_is_in_it() {
    let shipped = shipped();
    let manual = std::process::Command::new(env!("CARGO_BIN_EXE_smcp"))
        .arg("man")
        .output()
        .expect("it runs");
    let manual = String::from_utf8_lossy(&manual.stdout).replace("\\-", "-");
    let settings = read(&root().join("packaging/deb/smcp.env"));
    for (what, text) in [("smcp.env", &settings), ("the manual page", &manual)] {
        for (at, _) in text.match_indices(PLACE) {
            let end =
                text[at..].find(|letter: char| letter.is_whitespace() || ",;)\\".contains(letter));
            let named = &text[at..end.map_or(text.len(), |end| at + end)];
            let named = named.trim_end_matches('.');
            assert!(
                shipped.iter().any(|page| page == named),
                "{what} names {named}"
            );
        }
    }
    let list = format!("{PLACE}configuration.md.gz");
    assert!(
        settings.contains(&list),
        "smcp.env does not say where the settings are"
    );
}

#[test]
fn the_manual_page_lists_every_variable_of_the_page_of_settings() {
    let manual = std::process::Command::new(env!("CARGO_BIN_EXE_smcp"))
        .arg("man")
        .output()
        .expect("it runs");
    let manual = String::from_utf8_lossy(&manual.stdout).into_owned();
    let (_, environment) = manual
        .split_once(".SH ENVIRONMENT")
        .expect("such a section");
    let (environment, _) = environment.split_once(".SH ").expect("it is not the last");
    let page = read(&root().join("docs/configuration.md"));
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let is_variable = |word: &&str| {
        ["MCP_", "SMCP_", "LETTA_", "OTEL_"]
            .iter()
            .any(|start| word.starts_with(start))
            && word
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let variables: Vec<&str> = words.filter(is_variable).collect();
    assert!(variables.len() > 40, "only {variables:?} were found");
    let missing: Vec<_> = variables
        .into_iter()
        .filter(|name| !environment.contains(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "the manual page does not have {missing:?}"
    );
    assert!(!environment.contains("]("), "a link of Markdown is left");
}
