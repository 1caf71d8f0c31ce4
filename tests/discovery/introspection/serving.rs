//! What was found, put to use: as command lines alone, and through a real catalogue with the real supervisor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use smcp::catalog::Settings;
use smcp::contract::{self, Command};
use smcp::{call::arguments, call::argv, contract::schema};

use super::asking::payload;
use crate::catalog::{Running, settings};

/// The commands of one program, without a server around them.
pub struct Commands(Vec<Command>);

impl Commands {
    /// Asks the program.
    pub fn introspected(python: &Path, cli: &Path) -> Self {
        let payload = payload(python, cli);
        let description = contract::read(&payload).unwrap_or_else(|faults| {
            panic!("what introspection gives breaks the contract: {faults:?}: {payload}")
        });
        assert!(description.refused.is_empty(), "{:?}", description.refused);
        Self(description.commands)
    }

    /// The words that a call of `command` is run with; why there are none, where they cannot be written.
    pub fn line(&self, command: &str, given: &Value) -> Result<Vec<String>, String> {
        let known = self.0.iter().find(|known| known.name == command);
        let known = known.unwrap_or_else(|| panic!("there is no command {command}"));
        let schema = schema::of_input(known).expect("introspection gives valid schemas");
        let raw = serde_json::value::to_raw_value(given).expect("values can be written");
        let checked =
            arguments::check(known, &schema, Some(&raw)).map_err(|faults| format!("{faults:?}"))?;
        argv::write(known, &checked)
            .map(|line| line.words)
            .map_err(|fault| format!("{fault:?}"))
    }
}

/// A catalogue of the plugins of `directory`, run by `python`, all of which have answered.
pub async fn served(directory: &Path, python: PathBuf) -> Running {
    let settings = Settings {
        python: Some(python),
        environment: std::env::vars_os().collect(),
        describe_limit: Duration::from_secs(100),
        ..settings(Some(directory.to_owned()))
    };
    Running::of(settings).complete().await
}
