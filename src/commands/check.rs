//! `smcp check`: what is served, what is not, and what somebody should look at, with how to mend it.

mod asked;
mod files;
mod finding;
mod letta;
mod mend;
mod report;
mod target;
mod tried;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::setup::{Workbench, say, source};
use crate::catalog::{Catalog, Snapshot, Tool};
use crate::catalogue_log;
use crate::cli::CheckArgs;
use crate::config::Config;
use crate::governor::Governor;
use asked::{Looker, writes};
use files::Listing;
use finding::{Finding, Rule, Severity};
use report::Report;
use target::Target;

/// Asks every plugin that is meant and reports. Fails when something is not served, does not do what it says, or nothing
/// is there; where `strict`, on a warning too.
///
/// # Errors
/// There is no such plugin, something cannot be mended, the server cannot be set up, or a signal asked for the end.
pub(super) async fn run(mut config: Config, args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let named = args.target.as_deref();
    let target = Target::of(named, config.catalog.directory.as_deref())?;
    let mended = match &target.directory {
        Some(directory) if args.fix => mend::mend(directory, &target.only)?,
        _ => Vec::new(),
    };
    config.catalog.directory.clone_from(&target.directory);
    let bench = Workbench::new(config)?;
    let from = source(target.directory.as_deref());
    if !args.json {
        say(format_args!("plugins: {from}"));
        for change in &mended {
            say(format_args!("mended: {change}"));
        }
    }
    let variables = bench.variables().await?;
    let cache = bench.config.catalog.cache.as_ref();
    let before = Listings::of(&target, cache.map(|cache| cache.directory.clone()));
    let catalog = bench.catalog(target.only.clone(), &variables).await?;
    let _closed_at_the_end = catalog.close_on_drop();
    let snapshot = catalog.snapshot();
    let mut findings = of_catalogue(&snapshot);
    let looker = Looker::new(&bench, variables.clone());
    for plugin in &snapshot.plugins {
        findings.extend(looker.look(plugin, &snapshot).await?);
    }
    before.note_written(&snapshot, &mut findings);
    let untried = try_out(&bench, &catalog, args.run, &variables, &mut findings).await?;
    let nothing = catalogue_log::nothing_found(&snapshot, target.directory.as_deref());
    if target.only.is_empty() {
        let unmatched = Governor::new(bench.config.profiles.clone()).unmatched(&snapshot);
        let holders =
            catalogue_log::unknown_holders(&bench.config.catalog.reserved.holders, &snapshot);
        let lines = unmatched.into_iter().chain(holders);
        findings.extend(lines.map(|line| of_setting(&line)));
    }
    let report = Report {
        from,
        snapshot: &snapshot,
        nothing,
        mended,
        findings,
        untried,
    };
    if args.json {
        report.print_json();
    } else {
        report.print();
    }
    Ok(match report.is_fine(args.strict) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What lies where plugins may write, before any of them is asked.
struct Listings {
    /// Where descriptions are kept, which is no plugin's work.
    cache: Option<PathBuf>,
    here: Listing,
    plugins: Vec<(PathBuf, Listing)>,
}

impl Listings {
    fn of(target: &Target, cache: Option<PathBuf>) -> Self {
        let entries = target.directory.iter().flat_map(std::fs::read_dir);
        let paths = entries.flatten().flatten().map(|entry| entry.path());
        let is_wanted = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path.is_dir()
                && (target.only.is_empty() || target.only.iter().any(|only| *only == name))
        };
        let listed = paths.filter(is_wanted).map(|path| {
            let listing = Listing::of(&path, true);
            (path, listing)
        });
        Self {
            here: Listing::of_working_directory(cache.as_deref()),
            cache,
            plugins: listed.collect(),
        }
    }

    /// Notes what has been written while they were asked. Each was asked by itself too, so that what is in the working
    /// directory is told once.
    fn note_written(&self, snapshot: &Snapshot, findings: &mut Vec<Finding>) {
        let is_told = findings.iter().any(|finding| finding.rule == Rule::Writes);
        let mut note = |plugin: Option<String>, paths: &[PathBuf]| {
            let message = match plugin {
                Some(_) => writes(paths),
                None => format!("one of them {}", writes(paths)),
            };
            findings.push(Finding {
                plugin,
                severity: Severity::Warning,
                rule: Rule::Writes,
                place: None,
                message,
                mend: "write where the command does its work, not where the program starts"
                    .to_owned(),
                said: None,
            });
        };
        for (directory, before) in &self.plugins {
            let paths = before.changed(&Listing::of(directory, true));
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            if !paths.is_empty() {
                note(Some(name.into_owned()), &paths);
            }
        }
        let paths = self
            .here
            .changed(&Listing::of_working_directory(self.cache.as_deref()));
        if !paths.is_empty() && !is_told {
            let only = match snapshot.plugins.as_slice() {
                [only] if snapshot.skipped.is_empty() => Some(only.name.clone()),
                _ => None,
            };
            note(only, &paths);
        }
    }
}

/// What the catalogue itself says of its plugins, and what its definitions show.
fn of_catalogue(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings: Vec<Finding> = snapshot
        .warnings
        .iter()
        .map(|line| of_setting(line))
        .collect();
    for skipped in &snapshot.skipped {
        let (error, rule) = (Severity::Error, Rule::NotServed);
        findings.push(Finding::of_sentence(
            &skipped.name,
            error,
            rule,
            &skipped.reason,
        ));
    }
    for plugin in &snapshot.plugins {
        for warning in &plugin.warnings {
            let rule = match warning.contains("Letta refuses names") {
                true => Rule::NameLength,
                false => Rule::Contract,
            };
            let severity = Severity::Warning;
            findings.push(Finding::of_sentence(&plugin.name, severity, rule, warning));
        }
    }
    let tools = snapshot.tools.iter();
    findings.extend(tools.flat_map(|tool| of_tool(tool)));
    findings
}

fn of_setting(line: &str) -> Finding {
    let finding = Finding::of_sentence("", Severity::Warning, Rule::Setting, line);
    Finding {
        plugin: None,
        ..finding
    }
}

fn of_tool(tool: &Tool) -> Vec<Finding> {
    let definition: Value = serde_json::from_str(tool.definition.get()).unwrap_or_default();
    let schema = &definition["inputSchema"];
    let found = |rule, message: String, mend: &str| Finding {
        plugin: Some(tool.plugin.clone()),
        severity: Severity::Warning,
        rule,
        place: Some(tool.address().to_owned()),
        message: format!("({}) {message}", tool.name),
        mend: mend.to_owned(),
        said: None,
    };
    let mut findings = Vec::new();
    if !tool.is_described() {
        let message = "has no description, by which a model chooses between tools".to_owned();
        let mend = "say in a sentence what it does and when to use it";
        findings.push(found(Rule::NoDescription, message, mend));
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    let bare = properties.filter(|(_, property)| {
        let text = property["description"].as_str().unwrap_or_default();
        property.is_object() && text.trim().is_empty()
    });
    let bare: Vec<&str> = bare.map(|(name, _)| name.as_str()).collect();
    if !bare.is_empty() {
        let names = crate::text::shown(&bare.join(", "), 200);
        let message = format!("has arguments without a description: {names}");
        let mend = "say of each what it means, and in which unit";
        findings.push(found(Rule::NoDescription, message, mend));
    }
    for (place, fault, mend) in letta::faults(schema) {
        let message = format!("is refused by Letta: {place} {fault}");
        findings.push(found(Rule::LettaSchema, message, mend));
    }
    findings
}

/// Calls what only reads, where that was asked for; else gives how many commands that would have been.
async fn try_out(
    bench: &Workbench,
    catalog: &Catalog,
    is_wanted: bool,
    variables: &[(String, String)],
    findings: &mut Vec<Finding>,
) -> anyhow::Result<usize> {
    let snapshot = catalog.snapshot();
    let tools = snapshot.tools.iter();
    let callable = tools.filter_map(|tool| Some((tool, tried::arguments(tool)?)));
    let callable: Vec<_> = callable.collect();
    if !is_wanted {
        return Ok(callable.len());
    }
    for (tool, arguments) in callable {
        findings.extend(tried::attempt(bench, catalog, tool, arguments, variables).await?);
        bench.launcher.end_background();
    }
    bench.launcher.idle().await;
    Ok(0)
}
