//! A program that the server keeps running for as long as the plugin is served.

use std::collections::HashSet;

use super::command::command_name;
use super::members::Members;
use crate::text::in_quotes;

/// How many services a plugin may have: each is a process that runs always.
const MAX_SERVICES: usize = 8;

/// The longest name of a service, in characters: it is a label of metrics and stands in every line of its log.
const MAX_NAME: usize = 64;

/// One entry of `services`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// By which people tell it from the plugin's others.
    pub name: String,
    /// What its program is started with, after the words that start the plugin: the command, then its arguments.
    pub words: Vec<String>,
}

/// The entries of `services`, in their order; a fault for each that cannot be run as it stands.
pub fn read(description: &Members<'_>) -> Vec<Service> {
    let entries = description.objects("services");
    if entries.len() > MAX_SERVICES {
        let what = format!(
            "has {} entries; a plugin has at most {MAX_SERVICES} services",
            entries.len()
        );
        description.fault("services", &what);
        return Vec::new();
    }
    let mut names = HashSet::new();
    let mut services = Vec::new();
    for entry in &entries {
        let name = command_name(entry, "name");
        let command = entry.name("command");
        let arguments = entry.texts("args");
        entry.prose("description");
        let (Some(name), Some(command)) = (name, command) else {
            continue;
        };
        if name.chars().count() > MAX_NAME {
            let what = format!("is longer than {MAX_NAME} characters");
            entry.fault("name", &what);
        } else if !names.insert(name.clone()) {
            let what = format!("{} is that of an earlier service", in_quotes(&name));
            entry.fault("name", &what);
        } else {
            let mut words = vec![command];
            words.extend(arguments);
            services.push(Service { name, words });
        }
    }
    services
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::members::Findings;

    fn read(services: Value) -> Result<Vec<Service>, String> {
        let description = json!({"services": services});
        let findings = Findings::of(false);
        let members = Members::of(&description, String::new(), &findings);
        let services = super::read(&members.expect("it is an object"));
        let (faults, _) = findings.into_parts();
        match faults.is_empty() {
            true => Ok(services),
            false => Err(faults.to_string()),
        }
    }

    #[test]
    fn a_service_is_a_command_with_its_arguments() {
        let services = read(json!([
            {"name": "one", "command": "run", "args": ["--every", "30s"], "description": "d"},
            {"name": "two", "command": "--serve"},
        ]));
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let expected = [
            ("one", words(&["run", "--every", "30s"])),
            ("two", words(&["--serve"])),
        ];
        let expected = expected.map(|(name, words)| Service {
            name: name.to_owned(),
            words,
        });
        assert_eq!(services, Ok(expected.to_vec()));
        assert_eq!(read(Value::Null), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_run_as_it_stands_is_a_fault_with_its_address() {
        let one = || json!({"name": "one", "command": "run"});
        for (services, fault) in [
            (json!({}), "services must be an array"),
            (json!([{"command": "run"}]), "services[0].name is missing"),
            (json!([{"name": "one"}]), "services[0].command is missing"),
            (
                json!([{"name": "a b", "command": "run"}]),
                "services[0].name 'a b' has characters other than",
            ),
            (
                json!([{"name": "x".repeat(65), "command": "run"}]),
                "services[0].name is longer than 64 characters",
            ),
            (
                json!([{"name": "one", "command": "run", "args": ["a\0"]}]),
                "services[0].args[0] must be a string",
            ),
            (
                json!([one(), one()]),
                "services[1].name 'one' is that of an earlier service",
            ),
            (
                vec![one(); MAX_SERVICES + 1].into(),
                "services has 9 entries; a plugin has at most 8 services",
            ),
        ] {
            let faults = read(services.clone()).expect_err("it has a fault");
            assert!(faults.contains(fault), "{services}: {faults}");
        }
    }
}
