//! `smcp new`: a plugin that works at once, to be changed into one's own.

mod templates;

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio_util::sync::CancellationToken;

use super::diagnostics::{note, warn};
use super::setup::{misuse, quoted, say};
use crate::cli::{Language, NewArgs};
use crate::process::{Ending, Finished, Job, Launcher, SideChannels};
use crate::shutdown::Shutdown;
use templates::{NAME, Template};

/// The command of every first plugin.
const COMMAND: &str = "hello";
/// So that the name of its tool has the 48 characters that Letta accepts.
const MAX_NAME: usize = 48 - "__".len() - COMMAND.len();
/// A first build has nothing to fetch. Slow machines take a minute for it.
const BUILD_LIMIT: Duration = Duration::from_secs(600);
/// How much of what the build says is shown where it fails, in bytes.
const SHOWN_OF_BUILD: usize = 8 << 10;

/// Writes the plugin below `plugins`, which is made where it is not there. `is_default` is whether the other commands
/// find it there unasked. What is there already is never touched.
///
/// # Errors
/// The name cannot be that of a plugin, or is taken; the directory cannot be written to; a plugin that has to be built
/// could not be.
pub(super) async fn run(
    args: &NewArgs,
    plugins: &Path,
    is_default: bool,
    environment: Vec<(OsString, OsString)>,
) -> anyhow::Result<ExitCode> {
    check(&args.name).map_err(misuse)?;
    if args.lang == Language::Rust {
        ensure!(
            is_in_path("cargo", &environment),
            "cargo is not in PATH, and a plugin in Rust has to be built; install Rust, or choose another language"
        );
    }
    let directory = plugins.join(&args.name);
    write(args, plugins, &directory)?;
    if args.lang == Language::Rust {
        build(&directory, environment.clone()).await?;
    }
    say(format_args!("made {}", directory.display()));
    for file in templates::of(args.lang) {
        say(format_args!("  {}", file.path));
    }
    let shown = directory.display().to_string();
    let place = match is_default {
        true => String::new(),
        false => format!(" --plugins-dir {}", quoted(&plugins.display().to_string())),
    };
    say("next:");
    say(format_args!("  smcp check {}{place}", args.name));
    say(format_args!(
        "  smcp call {}__{COMMAND} name=Ada{place}",
        args.name
    ));
    say(format_args!("  {}", templates::test_of(args.lang, &shown)));
    if args.lang == Language::Node && !is_in_path("node", &environment) {
        warn(["node is not in PATH; the plugin needs it to run"]);
    }
    Ok(ExitCode::SUCCESS)
}

/// Stricter than what is served: a new name need not be a difficult one.
fn check(name: &str) -> anyhow::Result<()> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    let is_name =
        name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.chars().all(allowed);
    ensure!(
        is_name,
        "'{}' cannot be a plugin's name; use letters, digits, '_' and '-', and begin with a letter or a digit",
        crate::text::quoted(name)
    );
    ensure!(
        name.len() <= MAX_NAME,
        "'{name}' has {} characters; use {MAX_NAME} at most, for Letta refuses tools whose name, such as \
         {name}__{COMMAND}, has more than 48",
        name.len()
    );
    Ok(())
}

fn write(args: &NewArgs, plugins: &Path, directory: &Path) -> anyhow::Result<()> {
    let cannot = |path: &Path| format!("cannot make {}", path.display());
    make(DirBuilder::new().recursive(true), plugins).with_context(|| cannot(plugins))?;
    // The one step that decides whose the name is.
    match make(&mut DirBuilder::new(), directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
            "{} is there already, and is left as it is; choose another name, or remove it",
            directory.display()
        ),
        made => made.with_context(|| cannot(directory))?,
    }
    let written = templates::of(args.lang)
        .iter()
        .try_for_each(|file| write_file(file, &args.name, directory));
    if written.is_err() {
        // Half a plugin would take the name.
        let _ = std::fs::remove_dir_all(directory);
    }
    written
}

/// Whatever the umask is: a directory that anybody may write to is not served.
fn make(builder: &mut DirBuilder, directory: &Path) -> std::io::Result<()> {
    builder.mode(0o755).create(directory)
}

fn write_file(file: &Template, name: &str, directory: &Path) -> anyhow::Result<()> {
    let path = directory.join(file.path);
    let above = path.parent().unwrap_or(directory);
    let write = || -> std::io::Result<()> {
        make(DirBuilder::new().recursive(true), above)?;
        let mode = if file.is_program { 0o755 } else { 0o644 };
        let mut made: File = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)?;
        made.write_all(file.text.replace(NAME, name).as_bytes())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn is_in_path(program: &str, environment: &[(OsString, OsString)]) -> bool {
    let path = environment.iter().find(|(name, _)| name == "PATH");
    let found = |directory: PathBuf| {
        let program = directory.join(program);
        rustix::fs::access(&program, rustix::fs::Access::EXEC_OK).is_ok()
    };
    path.is_some_and(|(_, path)| std::env::split_paths(path).any(found))
}

async fn build(directory: &Path, environment: Vec<(OsString, OsString)>) -> anyhow::Result<()> {
    let script = std::path::absolute(directory)?.join("build.sh");
    note(format_args!(
        "building it: sh {}",
        quoted(&script.display().to_string())
    ));
    let shutdown = Shutdown::new();
    let _signals = shutdown.listen()?;
    let job = Job {
        argv: vec!["sh".into(), script.clone().into()],
        environment,
        directory: None,
        stdin: None,
        time_limit: Some(BUILD_LIMIT),
        stdout_limit: 1 << 20,
        stderr_tail: SHOWN_OF_BUILD,
        background: None,
        warm: None,
    };
    let cancel: CancellationToken = shutdown.draining().clone();
    let launcher = Launcher::new()?;
    let finished: Finished = launcher.run(job, SideChannels::default(), cancel).await?;
    match finished.ending {
        Ending::Exited(0) => return Ok(()),
        Ending::Cancelled => bail!("interrupted; {} stays", directory.display()),
        _ => note(String::from_utf8_lossy(&finished.stderr_tail).trim()),
    }
    bail!(
        "{} is written but could not be built; mend what cargo says above, then: sh {}",
        directory.display(),
        quoted(&script.display().to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_every_client_takes() {
        for good in ["greet", "a", "4-ever_and-a-day", &"x".repeat(MAX_NAME)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "-x",
            "_x",
            "ü",
            "a b",
            "a.b",
            "a\n",
            &"x".repeat(MAX_NAME + 1),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
