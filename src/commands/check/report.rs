//! What was found, for people and for programs.

use serde_json::{Value, json};

use super::finding::{Finding, Rule, Severity};
use crate::catalog::Snapshot;
use crate::commands::setup::{ERROR, WARNING, counted, painted, say, say_painted};
use crate::text::cleaned;

/// Everything that was found.
pub(super) struct Report<'a> {
    /// Where the plugins are.
    pub(super) from: String,
    /// What is served.
    pub(super) snapshot: &'a Snapshot,
    /// Why there is no plugin at all.
    pub(super) nothing: Option<String>,
    /// What has been mended.
    pub(super) mended: Vec<String>,
    /// What is left.
    pub(super) findings: Vec<Finding>,
    /// Commands that could have been called.
    pub(super) untried: usize,
}

impl Report<'_> {
    /// Whether nothing is left to be mended; where `strict`, no warning either.
    pub(super) fn is_fine(&self, strict: bool) -> bool {
        let counts = |finding: &Finding| match finding.severity {
            Severity::Error => true,
            Severity::Warning => strict,
        };
        self.nothing.is_none() && !self.findings.iter().any(counts)
    }

    /// For people.
    pub(super) fn print(&self) {
        let of_none = self
            .findings
            .iter()
            .filter(|finding| finding.plugin.is_none());
        of_none.for_each(|finding| print(finding, ""));
        for plugin in &self.snapshot.plugins {
            say(format_args!(
                "{}: {}, by {}, run by {}",
                plugin.name,
                counted(plugin.tools, "tool"),
                plugin.source,
                plugin.interpreter.display()
            ));
            let tools = self.snapshot.tools.iter();
            for tool in tools.filter(|tool| tool.plugin == plugin.name) {
                say(format_args!("  {}", tool.name));
            }
            self.findings
                .iter()
                .filter(|finding| finding.rule != Rule::NotServed)
                .filter(|finding| finding.plugin.as_ref() == Some(&plugin.name))
                .for_each(|finding| print(finding, "  "));
        }
        for skipped in &self.snapshot.skipped {
            say_painted(format_args!(
                "{}: {}: {}",
                cleaned(&skipped.name),
                painted(ERROR, "not served"),
                cleaned(&skipped.reason)
            ));
        }
        say(format_args!(
            "{}, {}, {} not served",
            counted(self.snapshot.plugins.len(), "plugin"),
            counted(self.snapshot.tools.len(), "tool"),
            self.snapshot.skipped.len()
        ));
        if self.untried > 0 {
            say(format_args!(
                "{} that only read{} can be tried: smcp check --run",
                counted(self.untried, "command"),
                if self.untried == 1 { "s" } else { "" }
            ));
        }
        if let Some(line) = &self.nothing {
            say(line);
        }
    }

    /// For programs.
    pub(super) fn print_json(&self) {
        let plugins = self.snapshot.plugins.iter().map(|plugin| {
            let tools = self.snapshot.tools.iter();
            let tools = tools.filter(|tool| tool.plugin == plugin.name);
            json!({
                "name": plugin.name,
                "directory": plugin.directory,
                "interpreter": plugin.interpreter,
                "source": plugin.source,
                "tools": tools.map(|tool| tool.name.as_str()).collect::<Vec<_>>(),
            })
        });
        let report = json!({
            "from": self.from,
            "ok": self.is_fine(false),
            "plugins": plugins.collect::<Vec<Value>>(),
            "findings": self.findings,
            "mended": self.mended,
            "nothing": self.nothing,
            "untried": self.untried,
        });
        say(format_args!("{report:#}"));
    }
}

fn print(finding: &Finding, indent: &str) {
    let word = match finding.severity {
        Severity::Error => painted(ERROR, "error"),
        Severity::Warning => painted(WARNING, "warning"),
    };
    say_painted(format_args!("{indent}{word}: {}", cleaned(&finding.line())));
}
