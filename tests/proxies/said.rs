//! What `smcp doctor` says of a server behind a proxy.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::behind::KEY;
use super::proxy::{Over, Proxy};
use super::site::{PROGRAMS, Program, Site};
use super::support::commands::output_within;
use super::support::server::{Server, Setup};
use super::support::{COVERAGE, s};

/// What the doctor says of the server at an address.
#[derive(Debug)]
pub struct Said {
    /// The exit status.
    pub status: Option<i32>,
    /// The report in JSON.
    pub report: Value,
}

impl Said {
    /// The finding of this fault about this subject, where that is not empty.
    pub fn finding(&self, fault: &str, subject: &str) -> Option<&Value> {
        let findings = self.report["findings"].as_array().expect("a list");
        findings.iter().find(|finding| {
            finding["fault"] == fault && (subject.is_empty() || finding["subject"] == subject)
        })
    }

    /// The lines for one program, those that are to go with a minus before them.
    pub fn lines(finding: &Value, program: Program) -> Vec<String> {
        let lines = finding["lines"].as_array().expect("a list").iter();
        let own = lines.filter(|line| line["program"] == program.name());
        let written = own.map(|line| {
            let text = line["line"].as_str().expect("a text");
            match line["remove"] == true {
                true => format!("-{text}"),
                false => text.to_owned(),
            }
        });
        written.collect()
    }

    /// Fails where the fault is not found, or its line is not said.
    #[track_caller]
    pub fn names(&self, (fault, subject): (&str, &str), program: Program, line: &str) {
        let finding = self.finding(fault, subject);
        let finding = finding.unwrap_or_else(|| panic!("no {fault} {subject} in {self:#?}"));
        let lines = Self::lines(finding, program);
        assert!(
            lines.iter().any(|known| known == line),
            "{line}: {finding:#}"
        );
        let proxy = self.report["proxy"].as_str().unwrap_or_default();
        let is_named = |program: &Program| proxy.to_ascii_lowercase().contains(program.name());
        if PROGRAMS.iter().filter(|known| is_named(known)).count() == 1 {
            let others = PROGRAMS.into_iter().filter(|known| !is_named(known));
            let foreign: Vec<String> = others
                .flat_map(|known| Self::lines(finding, known))
                .collect();
            assert!(
                foreign.is_empty(),
                "{foreign:?} of a proxy that is not there: {finding:#}"
            );
        }
        let is_error = finding["severity"] == "error";
        assert!(!is_error || self.status == Some(1), "{self:?}");
    }
}

/// Longer than any examination takes, however busy the machine.
const LIMIT: Duration = s(120);
/// Long enough for a busy machine; a planted fault needs what it needs.
pub const PATIENT: [&str; 4] = ["--wait", "30", "--idle", "0"];

/// What it says of the server at a URL, for a client with this key.
pub fn asked(url: &str, key: Option<&str>, more: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command.args(["doctor", "--json"]).args(more).arg(url);
    command.env_clear().envs(COVERAGE);
    command.envs(key.map(|key| ("MCP_API_KEY", key)));
    let output = output_within(LIMIT, &mut command);
    let text = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    Said {
        status: output.status.code(),
        report: serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{wrong}")),
    }
}

/// The first of three examinations that finds the fault, else the last: where a time is what is planted, a busy machine
/// can keep the rest from being in time.
pub fn found((fault, subject): (&str, &str), ask: impl Fn() -> Said) -> Said {
    let first = (0..2)
        .map(|_| ask())
        .find(|said| said.finding(fault, subject).is_some());
    first.unwrap_or_else(ask)
}

/// What it says of the server below a prefix at this address.
pub fn examined(at: SocketAddr, prefix: &str) -> Said {
    asked(&format!("http://{at}{prefix}"), Some(KEY), &PATIENT)
}

/// What is said of this configuration before a server at `upstream`.
pub fn before(site: &Site, upstream: SocketAddr) -> Option<Said> {
    let proxy = Proxy::start(site, upstream, Over::Plain)?;
    Some(examined(proxy.address(), site.prefix))
}

/// With a line more, before that which passes requests on.
pub fn planted(site: Site, line: &str) -> Site {
    site.with("proxy_pass ", &format!("{line}\nproxy_pass "))
}

/// A server that has asked its plugins.
pub fn ready(setup: &Setup) -> Server {
    let server = Server::start(setup);
    server.ready();
    server
}
