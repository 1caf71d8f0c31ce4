//! What was found, for people and for programs.

use serde_json::json;

use super::address::Address;
use super::finding::{Checked, Finding, Severity};
use super::handshake::Server;
use super::reach::Proxy;
use crate::commands::setup::{ERROR, NAME, WARNING, counted, painted, say, say_painted};

/// Everything that was found.
pub(super) struct Report {
    /// Where the server is.
    pub(super) address: Address,
    /// Who has answered.
    pub(super) server: Option<Server>,
    /// What stands between.
    pub(super) proxy: Proxy,
    /// What it calls itself.
    pub(super) proxy_name: Option<String>,
    /// What it came to.
    pub(super) checked: Checked,
    /// The signal that has ended the examination, if one has.
    pub(super) interrupted: Option<&'static str>,
}

impl Report {
    /// Nothing is known yet.
    pub(super) fn new(address: &Address) -> Self {
        Self {
            address: address.clone(),
            server: None,
            proxy: Proxy::Unknown,
            proxy_name: None,
            checked: Checked::default(),
            interrupted: None,
        }
    }

    /// Adds what was found, each fault with the lines for this address and this proxy.
    pub(super) fn add(&mut self, checked: Checked) {
        self.checked.merge(checked);
        for finding in &mut self.checked.findings {
            finding.settle(self.address.prefix(), |line| self.proxy.concerns(line));
        }
    }

    /// Whether everything was looked at, and no fault was found.
    pub(super) fn is_fine(&self) -> bool {
        self.count(Severity::Error) == 0 && self.interrupted.is_none()
    }

    fn count(&self, severity: Severity) -> usize {
        let findings = self.checked.findings.iter();
        findings
            .filter(|finding| finding.severity == severity)
            .count()
    }

    /// For people.
    pub(super) fn print(&self) {
        let server = match &self.server {
            Some(server) => server.shown(),
            None => "no handshake".to_owned(),
        };
        let proxy = match &self.proxy_name {
            Some(name) => format!(", behind {name}"),
            None => String::new(),
        };
        say_painted(format_args!(
            "{}: {server}{proxy}",
            painted(NAME, &self.address.to_string())
        ));
        for passed in &self.checked.passed {
            say(format_args!("ok: {passed}"));
        }
        for finding in &self.checked.findings {
            self.print_finding(finding);
        }
        for skipped in &self.checked.skipped {
            say(format_args!("not looked at: {skipped}"));
        }
        let begin = match self.interrupted {
            Some(signal) => format!("ended by {signal}; until then "),
            None => String::new(),
        };
        say(format_args!(
            "{begin}{}, {}",
            counted(self.count(Severity::Error), "fault"),
            counted(self.count(Severity::Warning), "warning")
        ));
    }

    fn print_finding(&self, finding: &Finding) {
        let word = match finding.severity {
            Severity::Error => painted(ERROR, "error"),
            Severity::Warning => painted(WARNING, "warning"),
        };
        say_painted(format_args!("{word}: {}; {}", finding.seen, finding.mend));
        for line in &finding.lines {
            let verb = match line.remove {
                true => "take out ",
                false => "",
            };
            say(format_args!(
                "    {}: {verb}{}",
                line.program.name(),
                line.line
            ));
        }
    }

    /// For programs.
    pub(super) fn print_json(&self) {
        let server = self
            .server
            .as_ref()
            .map(|server| json!({"name": server.name, "version": server.version}));
        let report = json!({
            "url": self.address.to_string(),
            "ok": self.is_fine(),
            "interrupted": self.interrupted,
            "server": server,
            "proxy": self.proxy_name,
            "passed": self.checked.passed,
            "findings": self.checked.findings,
            "not_looked_at": self.checked.skipped,
        });
        say(format_args!("{report:#}"));
    }
}
