//! What is found between a client and a server: which fault, what was seen, how it is mended.

use serde::Serialize;

use super::fault::Fault;
use super::line::Line;
use super::remedy;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Some client does not work, or works for everybody.
    Error,
    /// Clients work, and somebody will stumble over it.
    Warning,
}

/// One fault that was found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// Which.
    pub(super) fault: Fault,
    /// How grave it is.
    pub(super) severity: Severity,
    /// The header, method or path that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    /// What was seen, with its value.
    pub(super) seen: String,
    /// What to do, in words.
    pub(super) mend: String,
    /// The lines that mend it, by program.
    pub(super) lines: Vec<Line>,
}

impl Finding {
    /// A fault, about `subject` where that is not empty. What mends it is known by both, for a server at the root.
    pub(super) fn new(fault: Fault, subject: &str, seen: impl Into<String>) -> Self {
        let (mend, lines) = remedy::of(fault, subject, "");
        Self {
            fault,
            severity: Severity::Error,
            subject: (!subject.is_empty()).then(|| subject.to_owned()),
            seen: seen.into(),
            mend,
            lines,
        }
    }

    /// Says what mends it of a server that is published below `prefix`, which is empty for none, with those lines alone
    /// that help there.
    pub(super) fn settle(&mut self, prefix: &str, helps: impl Fn(&Line) -> bool) {
        let subject = self.subject.as_deref().unwrap_or_default();
        (self.mend, self.lines) = remedy::of(self.fault, subject, prefix);
        self.lines.retain(helps);
    }

    /// Whether the server gets another path than was asked for: it is there, and the proxy is wrong.
    pub(super) fn is_of_another_path(&self) -> bool {
        self.fault == Fault::NotServed && self.subject.is_none()
    }

    /// The same as a warning.
    pub(super) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Whether the other is the same fault of the same thing.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.fault == other.fault && self.subject == other.subject
    }
}

/// What one part of the examination came to.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// What is well, one sentence each.
    pub(super) passed: Vec<String>,
    /// What is not.
    pub(super) findings: Vec<Finding>,
    /// What was not looked at, and why.
    pub(super) skipped: Vec<String>,
}

impl Checked {
    /// Adds a finding.
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds what another part came to. A fault that two parts saw is one.
    pub(super) fn merge(&mut self, other: Self) {
        self.passed.extend(other.passed);
        for skipped in other.skipped {
            if !self.skipped.contains(&skipped) {
                self.skipped.push(skipped);
            }
        }
        for finding in other.findings {
            if !self.findings.iter().any(|known| known.is_same(&finding)) {
                self.findings.push(finding);
            }
        }
    }
}
