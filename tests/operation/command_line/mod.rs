//! What a person at a shell sees: the commands that run once, what a start says, signals and settings.

mod call;
mod check;
mod clients;
mod copies;
mod doctor;
mod doctor_signals;
mod interrupted;
mod new;
mod once;
mod serving;
mod settings;
mod shell;
mod signals;
mod strangers;
mod terminal;

use std::process::{Command, Output};

use crate::support::COVERAGE;
use crate::support::plugins::Folder;
use crate::support::server::Setup;

/// The program with these words, which knows nothing of this shell but where programs are.
fn smcp(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command.args(words).env_clear().envs(COVERAGE);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A program that says of itself that it has one command, `go`, and otherwise does `work`.
fn program(work: &str) -> String {
    format!(
        "#!/bin/sh\nif [ \"$1\" = --describe ]; then\n\
         echo '{{\"commands\":[{{\"name\":\"go\",\"description\":\"Goes\",\"parameters\":[]}}]}}'\n\
         exit 0\nfi\n{work}\n"
    )
}

/// A folder with one plugin, `walker`, whose command `go` does `work`.
fn folder(work: &str) -> Folder {
    let folder = Folder::new();
    folder.add_executable("walker", &program(work));
    folder
}

/// The command line, words separated by spaces.
fn line(words: &str) -> Setup {
    words
        .split(' ')
        .fold(Setup::new(), |setup, word| setup.argument(word))
}

/// `command` with this folder's plugins.
fn with_plugins(command: &str, folder: &Folder) -> Setup {
    line(command)
        .argument("--plugins-dir")
        .argument(folder.path())
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
