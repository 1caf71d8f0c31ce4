//! The differences that are listed, and the judgement of what was answered.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::recording::Row;

/// `differences.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    on_purpose: Vec<Group>,
}

/// Rows that differ for one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// Why they differ.
    reason: String,
    /// The first cell of the row in `docs/migration.md` that tells users.
    told: String,
    rows: Vec<Difference>,
}

/// One row that differs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    /// Its line in the recording.
    row: usize,
    /// The recorded question, so that the file can be read without the recording.
    question: Value,
    /// What is answered now. `$VERSION` stands for the version of this server.
    now: Option<Value>,
}

fn listed() -> Listed {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/differences.json");
    let text = std::fs::read_to_string(file).expect("the list of differences");
    let text = text.replace("$VERSION", env!("CARGO_PKG_VERSION"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("differences.json: {error}"))
}

/// Holds what was answered in these areas against the recording and the list of differences.
#[track_caller]
pub fn judge(areas: &[&str], answers: &[(Row, Value)]) {
    let listed = listed();
    let mut expected: BTreeMap<usize, &Difference> = BTreeMap::new();
    for difference in listed.on_purpose.iter().flat_map(|group| &group.rows) {
        let area = difference.question["area"].as_str().unwrap_or_default();
        if areas.contains(&area) && expected.insert(difference.row, difference).is_some() {
            panic!("row {} is listed twice", difference.row);
        }
    }
    let mut faults = Vec::new();
    for (row, now) in answers {
        let difference = expected.remove(&row.number);
        faults.extend(fault(row, now, difference));
    }
    for row in expected.into_keys() {
        faults.push(format!("row {row} is listed and not in the recording"));
    }
    assert!(
        faults.is_empty(),
        "{} of {} rows:\n{}",
        faults.len(),
        answers.len(),
        faults.join("\n")
    );
}

/// What is wrong with an answer, given the difference that is listed for its row.
fn fault(row: &Row, now: &Value, difference: Option<&Difference>) -> Option<String> {
    let number = row.number;
    let equal = row.answer == *now;
    let Some(difference) = difference else {
        let listing = json!({"row": number, "question": row.question, "now": now});
        let what =
            "differs and is not listed in differences.json; if it is on purpose, this is its line";
        return (!equal).then(|| format!("row {number} {what}:\n{listing}\n3.1.0: {}", row.answer));
    };
    if difference.question != row.question {
        return Some(format!(
            "row {number} of the recording asks something else: {}",
            row.question
        ));
    }
    if equal {
        return Some(format!(
            "row {number} does not differ any more; strike it from differences.json"
        ));
    }
    let listed = difference.now.as_ref()?;
    (listed != now)
        .then(|| format!("row {number} is listed with {listed}, but the answer is {now}"))
}

#[test]
fn every_difference_on_purpose_is_told_in_the_first_table_of_the_migration_page() {
    let listed = listed();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migration.md");
    let told = first_column(&std::fs::read_to_string(page).expect("the page"));
    let mut faults = Vec::new();
    for group in &listed.on_purpose {
        let row = &group.told;
        if !told.iter().any(|cell| cell == row) {
            faults.push(format!("{row:?} ({})", group.reason));
        }
        if group.rows.is_empty() || group.rows.iter().any(|row| row.now.is_none()) {
            faults.push(format!("{row:?} does not say what is answered now"));
        }
    }
    assert!(
        faults.is_empty(),
        "no such row in the first table of docs/migration.md:\n{}",
        faults.join("\n")
    );
}

/// The first cells of the first table of a page, without its heading.
fn first_column(page: &str) -> Vec<String> {
    let lines = page.lines().skip_while(|line| !line.starts_with('|'));
    let table = lines.take_while(|line| line.starts_with('|')).skip(2);
    table
        .filter_map(|row| row.split('|').nth(1))
        .map(|cell| cell.trim().to_owned())
        .collect()
}
