//! `smcp plugins list`: what there is, and what it is run with.

use serde_json::{Value, json};

use super::source;
use crate::catalog::environments::State;
use crate::catalog::prepare::Outfit;
use crate::commands::diagnostics::warn;
use crate::commands::setup::say;
use crate::commands::table::Table;

/// Prints the plugins.
///
/// # Errors
/// They cannot be written as JSON.
pub(super) fn print(outfits: &[Outfit], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let rows: Vec<Value> = outfits.iter().map(as_value).collect();
        say(serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let mut table = Table::new(["PLUGIN", "FROM", "STATE", "RUN BY"]);
    for outfit in outfits {
        table.row([
            outfit.name.clone(),
            from(outfit),
            in_words(outfit),
            interpreter(outfit).unwrap_or_default(),
        ]);
    }
    table.print();
    for outfit in outfits {
        if let Some(reason) = reason(outfit) {
            warn([format_args!("{}: {reason}", outfit.name)]);
        }
    }
    Ok(())
}

/// The state of its environment, in a word.
fn word(outfit: &Outfit) -> &'static str {
    match &outfit.state {
        Ok(State::None { .. }) => "none",
        Ok(State::Made { .. }) => "made",
        Ok(State::Met { .. }) => "met",
        Ok(State::Missing) => "missing",
        Err(_) => "broken",
    }
}

fn in_words(outfit: &Outfit) -> String {
    let words = match word(outfit) {
        "none" => "needs nothing",
        "made" => "environment of its own",
        "met" => "interpreter has all",
        "missing" => "environment missing",
        _ => "cannot be run",
    };
    words.to_owned()
}

fn reason(outfit: &Outfit) -> Option<String> {
    match &outfit.state {
        Ok(State::None { warning } | State::Made { warning, .. } | State::Met { warning }) => {
            warning.clone()
        }
        Ok(State::Missing) => {
            Some("what it needs is not installed; install it: smcp plugins sync".to_owned())
        }
        Err(fault) => Some(fault.to_string()),
    }
}

fn from(outfit: &Outfit) -> String {
    outfit
        .directory
        .as_deref()
        .map(source::of)
        .unwrap_or_default()
}

fn interpreter(outfit: &Outfit) -> Option<String> {
    let interpreter = outfit.interpreter.as_ref()?;
    (word(outfit) != "missing").then(|| interpreter.display().to_string())
}

fn as_value(outfit: &Outfit) -> Value {
    let mut row = json!({
        "name": outfit.name,
        "directory": outfit.directory.as_ref().map(|path| path.display().to_string()),
        "from": from(outfit),
        "environment": word(outfit),
        "interpreter": interpreter(outfit),
    });
    if let Some(reason) = reason(outfit) {
        row["reason"] = reason.into();
    }
    row
}
