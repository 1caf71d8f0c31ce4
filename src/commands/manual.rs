//! `smcp man`: the manual page, made from the definition of the command line.

use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::variables;
use crate::cli::{Cli, EXAMPLES};

/// The whole page smcp(1), for man(1) to format.
pub fn page() -> Vec<u8> {
    let mut command = Cli::command();
    command.build();
    let man = Man::new(Cli::command().version(env!("CARGO_PKG_VERSION"))).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| synopsis().to_writer(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| commands(&command).to_writer(&mut page))
        .and_then(|()| environment().to_writer(&mut page))
        .and_then(|()| rest().to_writer(&mut page))
        .expect("memory takes what is written to it");
    page
}

fn synopsis() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([
        bold("smcp"),
        roman(" ["),
        italic("OPTIONS"),
        roman("] ["),
        italic("COMMAND"),
        roman("]"),
    ]);
    roff
}

/// A paragraph for each command with what belongs to it alone; the settings stand above.
fn commands(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for each in command.get_subcommands() {
        roff.control("SS", [format!("smcp {}", each.get_name()).as_str()]);
        roff.text([roman(each.get_about().unwrap_or_default().to_string())]);
        let shared = |arg: &&Arg| {
            command
                .get_arguments()
                .any(|own| own.get_id() == arg.get_id())
        };
        let settings: Vec<Inline> = each
            .get_arguments()
            .filter(|arg| shared(arg) && arg.get_id() != "help")
            .filter_map(Arg::get_long)
            .flat_map(|long| [roman(", "), bold(format!("--{long}"))])
            .skip(1)
            .collect();
        if !settings.is_empty() {
            roff.control("PP", []);
            roff.text(
                [roman("Settings: ")]
                    .into_iter()
                    .chain(settings)
                    .collect::<Vec<_>>(),
            );
        }
        for own in each.get_arguments().filter(|arg| !shared(arg)) {
            roff.control("TP", []);
            roff.text(heading(own));
            roff.text([roman(own.get_help().unwrap_or_default().to_string())]);
        }
    }
    roff
}

/// Every variable, with its default.
fn environment() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    roff.text([roman(
        "A flag wins over its variable. An empty variable counts as not set.",
    )]);
    for row in variables::all() {
        roff.control("TP", []);
        let default = match row.default.as_str() {
            "" | "none" => String::new(),
            default => format!(" [default: {default}]"),
        };
        roff.text([bold(row.variables), roman(default)]);
        roff.text([roman(row.meaning)]);
    }
    roff
}

/// `--json OBJECT`, or `NAME=VALUE` for an argument without a flag.
fn heading(arg: &Arg) -> Vec<Inline> {
    let names: Vec<&str> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| name.as_str())
        .collect();
    let value = italic(names.join(" "));
    match arg.get_long() {
        None => vec![value],
        Some(long) if arg.get_action().takes_values() => {
            vec![bold(format!("--{long}")), roman(" "), value]
        }
        Some(long) => vec![bold(format!("--{long}"))],
    }
}

/// What the definition of the command line does not say.
fn rest() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in EXAMPLES.lines().skip(1) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in [
        (
            "0",
            "The command did what it was asked to, or a signal ended the server.",
        ),
        (
            "1",
            "It failed: a tool, a server that is not ready, a plugin that is not served.",
        ),
        (
            "2",
            "The command line or a setting is wrong, or the server would be open to other machines without a key. smcp health ends with 1 for a wrong address or setting.",
        ),
    ] {
        roff.control("TP", []);
        roff.text([bold(status)]);
        roff.text([roman(meaning)]);
    }
    roff.control("SH", ["SIGNALS"]);
    for (signal, meaning) in [
        (
            "SIGTERM, SIGINT",
            "The server takes no more calls, lets those that run finish, and ends.",
        ),
        (
            "SIGHUP",
            "A server without a terminal asks all plugins again and reads the files of keys again; all else ends.",
        ),
    ] {
        roff.control("TP", []);
        roff.text([bold(signal)]);
        roff.text([roman(meaning)]);
    }
    roff
}
