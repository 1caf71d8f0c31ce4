//! The page that says what was tried and what came of it: `docs/faults-report.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::case::Case;
use crate::held::{self, Held};
use crate::play::Note;
use crate::watch::Late;

/// How a case ended.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub case: Case,
    /// What was wrong, if anything.
    pub fault: Option<String>,
    /// What was wrong with the end of the row's server, which the row's last case has seen.
    pub end_fault: Option<String>,
    /// A health check of the row's server that took too long, seen at its end.
    pub late_in_row: Option<Late>,
    pub note: Note,
}

#[derive(Default)]
struct Row {
    cases: usize,
    held: usize,
    tests: usize,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults-report.md")
}

/// Writes the page anew.
pub fn write(verdicts: &[Verdict]) {
    std::fs::write(path(), page(verdicts)).expect("the tree can be written to");
}

/// The lines of the committed page that list cases.
pub fn committed() -> Vec<String> {
    let page = std::fs::read_to_string(path()).unwrap_or_default();
    let (_, list) = page.split_once("## Cases").unwrap_or_default();
    let lines = list.lines().filter_map(|line| line.strip_prefix("- row "));
    lines.map(|line| format!("- row {line}")).collect()
}

/// The lines that list these cases.
pub fn listed<'a>(cases: impl IntoIterator<Item = &'a Case>, held: &[Held]) -> Vec<String> {
    // An entry is one line, whatever its transports are.
    let mut lines: BTreeMap<(u32, &str), Vec<&str>> = BTreeMap::new();
    for case in cases {
        let entry = (case.entry.row, case.entry.name.as_str());
        lines.entry(entry).or_default().push(case.transport.name());
    }
    let cases = lines.into_iter().map(|((row, name), mut on)| {
        on.sort_unstable();
        format!("- row {row}: {name} ({})", on.join(", "))
    });
    let tests = held.iter().map(|held| {
        let names: Vec<String> = held.tests.iter().map(|test| format!("`{test}`")).collect();
        format!("- row {}: {}: {}", held.row, held.fault, names.join(", "))
    });
    cases.chain(tests).collect()
}

fn page(verdicts: &[Verdict]) -> String {
    let held = held::all();
    let mut rows: BTreeMap<(u32, String), Row> = BTreeMap::new();
    for verdict in verdicts {
        let row = rows.entry(place(&verdict.case.entry.row.to_string()));
        let row = row.or_default();
        row.cases += 1;
        row.held += usize::from(verdict.fault.is_none());
    }
    for held in &held {
        rows.entry(place(&held.row)).or_default().tests += held.tests.len();
    }
    let mut page = String::from(HEAD);
    let holding: usize = rows.values().map(|row| row.held).sum();
    writeln!(page, "{} cases, {holding} held.\n", verdicts.len()).expect("a string grows");
    page.push_str("| Row | Cases | Held | Tests by name |\n|---|---|---|---|\n");
    for ((_, number), row) in &rows {
        let Row { cases, held, tests } = row;
        writeln!(page, "| {number} | {cases} | {held} | {tests} |").expect("a string grows");
    }
    page.push_str("\n## Open\n\n");
    let open: Vec<&Verdict> = verdicts
        .iter()
        .filter(|verdict| verdict.fault.is_some())
        .collect();
    if open.is_empty() {
        page.push_str("None.\n");
    }
    for verdict in open {
        writeln!(page, "- {}", verdict.case.name()).expect("a string grows");
    }
    page.push_str("\n## Cases\n\n");
    for line in listed(verdicts.iter().map(|verdict| &verdict.case), &held) {
        page.push_str(&line);
        page.push('\n');
    }
    page
}

/// Where a row stands among the others.
fn place(row: &str) -> (u32, String) {
    let digits = row.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    (digits.parse().expect("rows have numbers"), row.to_owned())
}

const HEAD: &str = "# Faults: what was tried, and what came of it

Written by the test program `referee` (`SMCP_WRITE_REPORT=1 cargo test --test referee`); its cases are data, in
`tests/referee/cases`. Each case sends bad input or causes a fault, waits for the answer that is promised, and fails
when that answer does not come in time. Meanwhile and afterwards a second, well-behaved session must be served.
`GET /healthz` is asked all the time and must answer within 100 ms, beyond what an idle server takes on the same
machine and without the time in which the system gave the server no processor; a case that seems to break this is
played once more. SIGTERM must end the server of each row within 20 s and leave nothing.

What needs a clock, a disk, a network or a catalogue of its own has tests elsewhere. They are named at the end of the
list, and the referee looks whether they are there and run.

";
