//! A plugin's directory from elsewhere: copied, or fetched from a Git repository.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use tokio_util::sync::CancellationToken;

use super::job::{Bench, Command};

/// What no plugin needs of a directory: what running it makes, and what belongs to other tools.
const LEFT_OUT: [&str; 8] = [
    ".git",
    ".hg",
    ".mypy_cache",
    ".pytest_cache",
    ".svn",
    ".venv",
    "__pycache__",
    "venv",
];

/// How many files a plugin may have.
const MAX_FILES: usize = 20_000;

/// How deep its directories may be.
const MAX_DEPTH: usize = 32;

/// Copies what is in `from` into the empty directory `to`.
///
/// # Errors
/// Something cannot be copied, or is too much, or the end has been asked for.
pub(super) fn directory(from: &Path, to: &Path, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut left = MAX_FILES;
    below(from, to, stop, &mut left, 0)?;
    unless_asked_to_end(stop)
}

fn unless_asked_to_end(stop: &CancellationToken) -> anyhow::Result<()> {
    ensure!(!stop.is_cancelled(), "interrupted");
    Ok(())
}

fn below(
    from: &Path,
    to: &Path,
    stop: &CancellationToken,
    left: &mut usize,
    depth: usize,
) -> anyhow::Result<()> {
    ensure!(
        depth <= MAX_DEPTH,
        "{} is deeper than {MAX_DEPTH} directories",
        from.display()
    );
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        unless_asked_to_end(stop)?;
        let entry = entry?;
        let (name, source) = (entry.file_name(), entry.path());
        if LEFT_OUT.iter().any(|known| name == *known) {
            continue;
        }
        ensure!(
            *left > 0,
            "it has more than {MAX_FILES} files; link it: --link"
        );
        *left -= 1;
        let target = to.join(&name);
        let kind = entry.file_type()?;
        let cannot = || format!("cannot copy {}", source.display());
        if kind.is_symlink() {
            let leads_to = fs::read_link(&source).with_context(cannot)?;
            std::os::unix::fs::symlink(leads_to, &target).with_context(cannot)?;
        } else if kind.is_dir() {
            DirBuilder::new()
                .mode(0o755)
                .create(&target)
                .with_context(cannot)?;
            below(&source, &target, stop, left, depth + 1)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).with_context(cannot)?;
        } else {
            bail!("{} is neither a file nor a directory", source.display());
        }
    }
    Ok(())
}

/// Fetches a repository's files into the empty directory `to`, without its history. Returns the commit.
///
/// # Errors
/// Git is not there, or what it says.
pub(super) async fn repository(
    bench: &Bench<'_>,
    url: &str,
    rev: Option<&str>,
    to: &Path,
) -> anyhow::Result<String> {
    let rev = rev.unwrap_or("HEAD");
    ensure!(
        !rev.is_empty() && !rev.starts_with('-'),
        "--rev: '{rev}' is no branch, tag or commit"
    );
    ensure!(!url.starts_with('-'), "'{url}' is no address");
    let git = || {
        // No hook and no template of anybody's is run meanwhile, and nobody is asked. What this user has set up for Git is
        // used, as by hand: addresses, credentials, and filters of files, such as those for large ones.
        Command::new("git")
            .words([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "init.templateDir=",
                "-c",
                "protocol.ext.allow=never",
                "-C",
            ])
            .path(to)
            .variable("GIT_TERMINAL_PROMPT", "0")
            .variable("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    };
    git().words(["init", "--quiet"]).run(bench).await?;
    git()
        .words([
            "fetch",
            "--quiet",
            "--depth",
            "1",
            "--no-tags",
            "--",
            url,
            rev,
        ])
        .run(bench)
        .await?;
    git()
        .words(["checkout", "--quiet", "--detach", "FETCH_HEAD"])
        .run(bench)
        .await?;
    let commit = git()
        .words(["rev-parse", "--short=12", "HEAD"])
        .run(bench)
        .await?;
    fs::remove_dir_all(to.join(".git")).context("cannot remove the history")?;
    Ok(commit)
}
