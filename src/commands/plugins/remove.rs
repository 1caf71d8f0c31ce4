//! `smcp plugins remove`: one directory of the plugins directory, or one link in it.

use std::fs;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};

use super::leftovers::REMOVING;
use crate::cli::RemoveArgs;
use crate::commands::diagnostics::{note, prompt};
use crate::commands::setup::{Workbench, say};
use crate::discovery::scan::PROGRAMS;
use crate::text::in_quotes;

/// Removes one plugin from `plugins`.
///
/// # Errors
/// There is none of this name, it cannot be removed, or a signal asked for the end before somebody has agreed.
pub(super) async fn run(
    bench: &Workbench,
    args: &RemoveArgs,
    plugins: &Path,
) -> anyhow::Result<ExitCode> {
    let name = &args.name;
    // A name with a slash, or one that begins with a dot, leads elsewhere or to what is no plugin.
    ensure!(
        !name.is_empty() && !name.contains('/') && !name.starts_with('.'),
        "{} is no name of a plugin; smcp plugins list names them",
        in_quotes(name)
    );
    let directory = plugins.join(name);
    let Ok(metadata) = fs::symlink_metadata(&directory) else {
        bail!(
            "there is no {}; smcp plugins list names what there is",
            directory.display()
        );
    };
    let is_link = metadata.is_symlink();
    let has_program = PROGRAMS.iter().any(|program| {
        let about = directory.join(program).symlink_metadata();
        about.is_ok_and(|about| !about.is_dir())
    });
    ensure!(
        is_link || (metadata.is_dir() && has_program),
        "{} is no plugin: it is no directory with a cli.py or a cli in it; remove it by hand if you mean it",
        directory.display()
    );
    let what = if is_link {
        "the link"
    } else {
        "the directory with all that is in it"
    };
    let question = format!("remove {what}, {}?", directory.display());
    if !args.yes && !is_confirmed(bench, &question).await? {
        say("nothing was removed");
        return Ok(ExitCode::FAILURE);
    }
    let cannot = || format!("cannot remove {}", directory.display());
    if is_link {
        fs::remove_file(&directory).with_context(cannot)?;
    } else {
        // In one step: a server must not find half of it.
        let leaving = tempfile::Builder::new()
            .prefix(REMOVING)
            .tempdir_in(plugins)
            .with_context(cannot)?;
        fs::rename(&directory, leaving.path().join(name)).with_context(cannot)?;
        leaving.close().with_context(cannot)?;
    }
    say(format_args!("removed {}", directory.display()));
    say("its environment stays until: smcp plugins sync --prune");
    Ok(ExitCode::SUCCESS)
}

async fn is_confirmed(bench: &Workbench, question: &str) -> anyhow::Result<bool> {
    ensure!(
        std::io::stdin().is_terminal(),
        "nobody can be asked without a terminal; to remove it without being asked: --yes"
    );
    prompt(format_args!("{question} [y/N]"));
    // By a thread that nothing can interrupt; nobody waits for it after a signal.
    let reading = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        read.map(|_| answer)
    });
    let answer = bench.unless_ended(reading).await;
    // The cursor still stands behind the question then.
    let answer = answer.inspect_err(|_| note(""))???;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
