//! What packages and shells take from the program: the manual page and the completions.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use clap::CommandFactory;
use smcp::cli::Cli;

use super::{stderr, stdout};

fn smcp(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smcp"))
        .args(words)
        // These commands use no setting, so a wrong one is no reason to fail.
        .env("MCP_PORT", "wrong")
        .output()
        .expect("the program is there")
}

/// Every command, and every flag of the program and of its commands.
fn words() -> Vec<String> {
    let mut cli = Cli::command();
    cli.build();
    let commands: Vec<_> = cli
        .get_subcommands()
        .filter(|each| each.get_name() != "help")
        .collect();
    let mut words: Vec<String> = commands
        .iter()
        .map(|each| each.get_name().to_owned())
        .collect();
    for each in commands.into_iter().chain([&cli]) {
        let flags = each.get_arguments().filter_map(|arg| arg.get_long());
        words.extend(flags.map(|flag| format!("--{flag}")));
    }
    words
}

#[test]
fn the_manual_page_describes_every_command_and_flag() {
    let printed = smcp(&["man"]);
    assert!(printed.status.success(), "{}", stderr(&printed));
    let page = stdout(&printed).replace("\\-", "-");
    assert!(page.contains(".TH smcp 1"), "{page}");
    for word in words() {
        assert!(page.contains(&word), "no {word} in {page}");
    }
    for section in ["NAME", "SYNOPSIS", "EXAMPLES", "EXIT STATUS", "SIGNALS"] {
        let is_there = page
            .lines()
            .filter_map(|line| line.strip_prefix(".SH "))
            .any(|title| title.trim_matches('"').replace("\\ ", " ") == section);
        assert!(is_there, "no {section} in {page}");
    }
}

#[test]
fn completions_know_every_command_and_flag() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let printed = smcp(&["completions", shell]);
        assert!(printed.status.success(), "{}", stderr(&printed));
        let script = stdout(&printed);
        for word in words() {
            // fish writes flags without their dashes.
            let word = word.trim_start_matches('-');
            assert!(script.contains(word), "{shell}: no {word} in {script}");
        }
    }
    let refused = smcp(&["completions", "cmd"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

#[test]
fn bash_completes_commands_and_flags() {
    let mut bash = Command::new("bash")
        .args(["--norc", "--noprofile"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash is there, as the gate is written in it");
    let mut script = smcp(&["completions", "bash"]).stdout;
    for line in ["ca", "--plugins", "call --js"] {
        let last = line.split(' ').count();
        let word = line.split(' ').next_back().expect("one word at least");
        script.extend(
            format!(
                "\nCOMP_WORDS=(smcp {line}); COMP_CWORD={last}; _smcp smcp '{word}' smcp; echo \"[${{COMPREPLY[*]}}]\"\n"
            )
            .bytes(),
        );
    }
    let mut stdin = bash.stdin.take().expect("it is piped");
    stdin.write_all(&script).expect("bash reads");
    drop(stdin);
    let output = bash.wait_with_output().expect("bash ends");
    assert_eq!(stdout(&output), "[call]\n[--plugins-dir]\n[--json]\n");
}

#[test]
fn a_page_that_cannot_be_written_is_a_failure() {
    for words in [
        "man",
        "--help",
        "-h",
        "help call",
        "check --help",
        "--version",
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let Ok(full) = full else {
            eprintln!("not checked: this system has no /dev/full");
            return;
        };
        let output = Command::new(env!("CARGO_BIN_EXE_smcp"))
            .args(words.split(' '))
            .stdout(full)
            .output()
            .expect("the program is there");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{words}: {said}");
        assert!(said.contains("cannot write"), "{words}: {said}");
        // A reader who has had enough is no fault.
        let script = format!("\"$0\" {words} | true; exit ${{PIPESTATUS[0]}}");
        let output = Command::new("bash")
            .args(["-c", &script, env!("CARGO_BIN_EXE_smcp")])
            .output()
            .expect("there is a bash");
        assert_eq!(
            (output.status.code(), stderr(&output)),
            (Some(0), String::new()),
            "{words}"
        );
    }
}
