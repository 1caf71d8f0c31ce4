//! `smcp client NAME`: what connects a client to this server, printed or written into the client's file.

mod edit;
mod install;
mod place;
mod snippets;
mod target;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{anyhow, bail};

use super::diagnostics::warn;
use super::setup::{BAD_SETTINGS, failed, misuse, say_bytes};
use crate::cli::{ClientArgs, ClientName, Flags};
use crate::config::{self, Config, Origin, Purpose};
use crate::text::in_quotes;
use install::Outcome;
use place::{Form, Place};
use target::Target;

/// Prints what connects the client, or installs it.
pub(super) fn run(
    args: &ClientArgs,
    flags: &Flags,
    environment: Vec<(OsString, OsString)>,
) -> ExitCode {
    if !is_readable(&args.name) {
        warn([format_args!(
            "--name: {} is empty, or has characters in it that nobody can see; give one of letters, digits, '-' and '_': --name NAME",
            in_quotes(&args.name)
        )]);
        return ExitCode::from(BAD_SETTINGS);
    }
    let user = config::user_directories(&environment);
    let place = place::of(args.client, &user);
    let report = config::report(flags, environment.clone());
    // The flags before the command count as those after it do.
    let args = &ClientArgs {
        settings: flags.clone(),
        ..args.clone()
    };
    let config = match config::read(Purpose::Http, flags, environment, Vec::new()) {
        Ok(config) => config,
        Err(faults) => {
            warn(faults.to_string().lines());
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    let outcome = perform(args, &config, place, &unseen(&report));
    outcome.unwrap_or_else(|error| failed(&error))
}

/// Clients show it in their lists: something of it must be seen, and nothing in it may change what stands around it.
fn is_readable(name: &str) -> bool {
    let turns = |letter| matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !name.trim().is_empty() && !name.contains(|letter: char| letter.is_control() || turns(letter))
}

fn perform(
    args: &ClientArgs,
    config: &Config,
    place: Option<Place>,
    unseen: &[&str],
) -> anyhow::Result<ExitCode> {
    let target = Target::of(args, config).map_err(misuse)?;
    let entry = snippets::entry(args.client, &args.name, &target);
    let (Some(entry), Some(place)) = (entry, place) else {
        if args.install {
            return Err(misuse(anyhow!(
                "this client has no file of servers; run what `smcp client` prints without --install"
            )));
        }
        notes(args, &target, unseen);
        return Ok(say_bytes(
            snippets::text(args.client, &args.name, &target).as_bytes(),
        ));
    };
    let path = args.file.clone().or(place.path);
    if args.install {
        let Some(path) = path else {
            bail!(
                "where the client has its file is not known, for HOME is not set to an absolute path; name the file: --file FILE"
            );
        };
        let outcome = install::install(&path, place.form, &entry, args.yes)?;
        if outcome == Outcome::Refused {
            return Ok(ExitCode::FAILURE);
        }
        notes(args, &target, unseen);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(path) = path {
        warn([format_args!(
            "for {}; --install writes it there",
            path.display()
        )]);
    }
    notes(args, &target, unseen);
    let text = match place.form {
        Form::Json | Form::JsonWithComments => entry.as_json(),
        Form::Toml => entry.as_toml(),
    };
    Ok(say_bytes(text.as_bytes()))
}

/// Says on standard error what else has to be done.
fn notes(args: &ClientArgs, target: &Target, unseen: &[&str]) {
    if args.client == ClientName::Letta && target.is_of_a_private_network() {
        warn([
            "Letta refuses addresses of its own machine and of private networks since version 0.16.7; name a public one: --url URL",
        ]);
    }
    match target {
        Target::Http { key: Some(_), .. } if args.client == ClientName::VsCode => {
            warn(["Visual Studio Code asks for the key once, and keeps it"]);
        }
        Target::Http {
            key: Some(name), ..
        } => {
            warn([format_args!(
                "the key is taken from the variable {name}; set it where the client is started"
            )]);
            if args.client == ClientName::Letta {
                warn([
                    "the password of Letta is taken from LETTA_PASSWORD; Letta keeps the key and must reach this address",
                ]);
            }
        }
        Target::Stdio { .. } if !unseen.is_empty() => {
            let unseen = unseen.join(", ");
            warn([format_args!(
                "the client starts the server without the variables of this shell, which set {unseen}; write them into a settings file"
            )]);
        }
        Target::Http { .. } | Target::Stdio { .. } => {}
    }
}

/// Settings of this shell that a client does not know when it starts a server: those of serving to everybody aside.
fn unseen(report: &config::Report) -> Vec<&'static str> {
    let is_of_listening = |variable: &str| {
        ["MCP_HOST", "MCP_PORT", "MCP_API_KEY", "MCP_PLUGINS_DIR"].contains(&variable)
    };
    let by_shell = report
        .rows
        .iter()
        .filter(|row| row.origin == Some(Origin::Environment));
    by_shell
        .map(|row| row.setting.variable)
        .filter(|variable| !is_of_listening(variable))
        .collect()
}
