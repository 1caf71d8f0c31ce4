//! The environment variables that the program reads or sets, and those that the documents describe.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::pages::{entries, read, root};

/// The page that has all of them.
const SETTINGS: &str = "docs/configuration.md";
/// In the documents, and read by others than the server.
const OF_OTHERS: [&str; 4] = [
    "MCP_DISABLE_STDIO", // Letta's own setting
    "SMCP_WRITE_REPORT", // the tests' own
    "LETTA_BASE_URL",    // a variable of the shell command that `smcp client letta` prints
    "LETTA_PASSWORD",    // a variable of the shell commands in docs/Letta-MCP-Connection-Guide.md
];
/// The page about the tests, whose settings no server reads.
const OF_TESTS: &str = "docs/testing.md";
/// Names in the source that are no settings: names that an agent's variables must not take.
const REFUSED_BY_EXAMPLE: [&str; 1] = ["MCP_TOKEN"];

#[test]
fn every_variable_that_is_read_is_described() {
    let undescribed: Vec<_> = in_the_source()
        .difference(&in_the_documents())
        .cloned()
        .collect();
    assert!(undescribed.is_empty(), "in no document: {undescribed:?}");
}

#[test]
fn every_variable_that_is_described_is_read() {
    let unknown: Vec<_> = in_the_documents()
        .difference(&in_the_source())
        .filter(|name| !OF_OTHERS.contains(&name.as_str()))
        .cloned()
        .collect();
    assert!(
        unknown.is_empty(),
        "described, but nothing reads them: {unknown:?}"
    );
}

#[test]
fn every_setting_is_in_the_tables_of_settings() {
    // What programs find in their environment is the contract's matter.
    let contract = variables(&read(&root().join("docs/plugin-contract/README.md")));
    let page: BTreeSet<String> = read(&root().join(SETTINGS))
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(variables)
        .collect();
    let missing: Vec<_> = in_the_source()
        .into_iter()
        .filter(|name| !page.contains(name) && !contract.contains(name))
        .collect();
    assert!(
        missing.is_empty(),
        "not in the tables of {SETTINGS}: {missing:?}"
    );
}

#[test]
fn every_setting_of_the_tables_can_stand_in_a_file_and_the_other_way_round() {
    let listed = rows_of_config();
    let is_setting = |name: &String| is_ours(name) || name.starts_with("OTEL_");
    let page = |path: &str| -> BTreeSet<String> {
        let text = read(&root().join(path));
        let rows = text.lines().filter(|line| line.starts_with('|'));
        rows.flat_map(words).filter(is_setting).collect()
    };
    let here = page(SETTINGS);
    let there = page("docs/monitoring.md");
    let unknown: Vec<_> = here
        .iter()
        .filter(|name| !listed.contains_key(*name))
        .collect();
    assert!(
        unknown.is_empty(),
        "in {SETTINGS} and no setting of a file: {unknown:?}"
    );
    let is_described =
        |name: &str| here.contains(name) || name.starts_with("OTEL_") && there.contains(name);
    let missing: Vec<_> = listed.keys().filter(|name| !is_described(name)).collect();
    assert!(
        missing.is_empty(),
        "settings of a file, and in no table: {missing:?}"
    );
    for (variable, key) in listed {
        let bare = variable.trim_start_matches('S').trim_start_matches("MCP_");
        assert_eq!(key, bare.to_lowercase(), "the rule that {SETTINGS} tells");
    }
}

/// The settings that `smcp config` knows: their keys by their variables.
fn rows_of_config() -> std::collections::BTreeMap<String, String> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_smcp"))
        .args(["config", "--json", "--config", "/dev/null"])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it can be run");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = report["settings"].as_array().expect("a list");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    rows.iter()
        .map(|row| (text(&row["variable"]), text(&row["key"])))
        .collect()
}

#[test]
fn no_other_page_has_a_table_of_settings() {
    let mut twice = Vec::new();
    // The contract describes what programs find, decisions what was decided at their time, and one page what tests read.
    let others = ["docs/decisions", "docs/plugin-contract", "docs/testing.md"]
        .map(|folder| root().join(folder));
    for page in files_below(&root().join("docs"), "md") {
        if page.ends_with(SETTINGS) || others.iter().any(|folder| page.starts_with(folder)) {
            continue;
        }
        let text = read(&page);
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        let defined = rows.filter_map(|row| row.split('|').nth(1)).filter(|cell| {
            let words = cell.trim().trim_matches('`');
            is_ours(words)
        });
        twice.extend(defined.map(|cell| format!("{}: {}", page.display(), cell.trim())));
    }
    assert!(
        twice.is_empty(),
        "described a second time, beside {SETTINGS}:\n{}",
        twice.join("\n")
    );
}

/// The names that stand as literals in the source, its tests left out.
fn in_the_source() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files_below(&root().join("src"), "rs") {
        if file.ends_with("tests.rs") {
            continue;
        }
        let text = read(&file);
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let literals = code.split('"').skip(1);
        found.extend(
            literals
                .filter(|literal| is_ours(literal))
                .map(str::to_owned),
        );
    }
    for name in REFUSED_BY_EXAMPLE {
        found.remove(name);
    }
    assert!(found.len() > 30, "only {found:?} were found");
    found
}

/// The files with this ending below a folder.
fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) =
        entries(folder).into_iter().partition(|path| path.is_dir());
    let mut found: Vec<_> = files
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == ending)
        })
        .collect();
    for folder in folders {
        found.extend(files_below(&folder, ending));
    }
    found
}

fn in_the_documents() -> BTreeSet<String> {
    let mut found = variables(&read(&root().join("README.md")));
    for page in files_below(&root().join("docs"), "md") {
        if page != root().join(OF_TESTS) {
            found.extend(variables(&read(&page)));
        }
    }
    found
}

/// The names of environment variables in a text.
fn variables(text: &str) -> BTreeSet<String> {
    words(text).filter(|word| is_ours(word)).collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|letter: char| {
        !letter.is_ascii_uppercase() && !letter.is_ascii_digit() && letter != '_'
    });
    words.map(str::to_owned)
}

fn is_ours(word: &str) -> bool {
    let name = word
        .chars()
        .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
    // What ends with a line is the beginning of several names.
    name && !word.ends_with('_')
        && ["MCP_", "SMCP_", "LETTA_", "OTEL_"]
            .iter()
            .any(|start| word.len() > start.len() && word.starts_with(start))
}

#[test]
fn names_of_variables_are_read() {
    let found = variables("`MCP_A_1`, $LETTA_B and SMCP_, HOMCP_C");
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["LETTA_B", "MCP_A_1"]
    );
}
