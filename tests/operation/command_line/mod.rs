//! What a person at a shell sees: the commands that run once, what a start says, signals and settings.

mod copies;
mod once;
mod serving;
mod shell;
mod signals;

use std::process::Output;

use crate::support::plugins::Folder;
use crate::support::server::Setup;

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
