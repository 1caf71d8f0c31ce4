//! `smcp plugins add`: made beside the other plugins under a name that nobody looks at, then given its own at once.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail, ensure};

use super::job::Bench;
use super::leftovers::ADDING;
use super::package::Package;
use super::{copy, package, source};
use crate::cli::AddArgs;
use crate::commands::diagnostics::warn;
use crate::commands::setup::{counted, misuse, say};
use crate::discovery::scan::{PROGRAMS, look};
use crate::text::{in_quotes, without_secrets};

/// Names of which Letta accepts at least a short command.
const MAX_NAME: usize = 40;

/// Where it comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source<'a> {
    Directory(&'a Path),
    Repository(&'a str),
    Package(Package<'a>),
}

/// Adds one plugin to `plugins`.
///
/// # Errors
/// It cannot be added; nothing is left of it then.
pub(super) async fn run(
    bench: &Bench<'_>,
    args: &AddArgs,
    plugins: &Path,
) -> anyhow::Result<ExitCode> {
    let from = Source::read(&args.source).map_err(misuse)?;
    from.check(args).map_err(misuse)?;
    if let Source::Directory(path) = from {
        let source = in_quotes(&without_secrets(&args.source));
        ensure!(path.is_dir(), "{source} is {}", what_instead(path));
    }
    let name = match &args.name {
        Some(name) => name.clone(),
        None => from.name()?,
    };
    check_name(&name).map_err(misuse)?;
    let directory = plugins.join(&name);
    ensure!(
        fs::symlink_metadata(&directory).is_err(),
        "{} is there already, and is left as it is; choose another name: --name NAME, or remove it: smcp plugins remove {name}",
        directory.display()
    );
    if args.link {
        link(&from, &directory, plugins)?;
    } else {
        let staging = tempfile::Builder::new().prefix(ADDING).tempdir_in(plugins);
        let staging = staging.with_context(|| format!("cannot write to {}", plugins.display()))?;
        let made = staging.path().join(&name);
        DirBuilder::new().mode(0o755).create(&made)?;
        let fetched = from.fetch(bench, args, &made).await;
        let checked = fetched.and_then(|origin| {
            check_plugin(bench, staging.path(), &name)?;
            Ok(origin)
        });
        if checked.is_err() && matches!(from, Source::Package(_)) {
            bench.outfitter.give_up(&package::plugin(&made)).await;
        }
        let origin = checked?;
        source::note(&made, &origin).context("cannot write where it comes from")?;
        // Whatever it was fetched with: a directory that anybody may write to is not served.
        fs::set_permissions(&made, Permissions::from_mode(0o755))?;
        fs::rename(&made, &directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    say(format_args!("added {}", directory.display()));
    show(bench, &from, &name, &directory).await
}

impl<'a> Source<'a> {
    fn read(text: &'a str) -> anyhow::Result<Self> {
        let is_repository =
            text.contains("://") || text.starts_with("git@") || text.ends_with(".git");
        if is_repository && !Path::new(text).is_dir() {
            return Ok(Self::Repository(text.strip_prefix("git+").unwrap_or(text)));
        }
        if text.contains('/') || text == "." || text == ".." {
            return Ok(Self::Directory(Path::new(text)));
        }
        let package = Package::read(text)?;
        if Path::new(text).is_dir() {
            warn([format_args!(
                "{text} is taken for a package; the directory of this name is ./{text}"
            )]);
        }
        Ok(Self::Package(package))
    }

    /// What does not go together.
    fn check(&self, args: &AddArgs) -> anyhow::Result<()> {
        let foreign = [
            (
                "--link",
                args.link,
                matches!(self, Self::Directory(_)),
                "a directory",
            ),
            (
                "--rev",
                args.rev.is_some(),
                matches!(self, Self::Repository(_)),
                "a repository",
            ),
            (
                "--script",
                args.script.is_some(),
                matches!(self, Self::Package(_)),
                "a package",
            ),
        ];
        for (flag, is_given, fits, what) in foreign {
            ensure!(
                fits || !is_given,
                "{flag} is for {what}, and {} is none",
                in_quotes(&args.source)
            );
        }
        Ok(())
    }

    fn name(&self) -> anyhow::Result<String> {
        let name = match self {
            Self::Directory(path) => {
                let whole = path
                    .canonicalize()
                    .with_context(|| format!("cannot read {}", path.display()))?;
                whole
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
            }
            Self::Repository(url) => {
                // It may end with its host, behind a password.
                let url = without_secrets(url);
                let last = url.trim_end_matches('/').rsplit(['/', ':']).next();
                last.map(|name| name.trim_end_matches(".git").to_owned())
            }
            Self::Package(package) => Some(package.name.to_ascii_lowercase().replace('.', "-")),
        };
        name.ok_or_else(|| anyhow!("it has no name; give it one: --name NAME"))
    }

    /// Puts its files into the empty directory `to`. Returns where they come from, for people.
    async fn fetch(&self, bench: &Bench<'_>, args: &AddArgs, to: &Path) -> anyhow::Result<String> {
        match self {
            Self::Directory(path) => {
                let whole = path.canonicalize()?;
                let inside = to.canonicalize()?;
                ensure!(
                    !inside.starts_with(&whole),
                    "{} has the plugins directory in it; name one plugin of it",
                    path.display()
                );
                let (from, target) = (whole.clone(), inside);
                let stop = bench.workbench.shutdown.draining().clone();
                let copying = move || copy::directory(&from, &target, &stop);
                tokio::task::spawn_blocking(copying).await??;
                Ok(whole.display().to_string())
            }
            Self::Repository(url) => {
                let commit = copy::repository(bench, url, args.rev.as_deref(), to).await?;
                Ok(format!("{} at {commit}", without_secrets(url)))
            }
            Self::Package(package) => package.make(bench, to, args.script.as_deref()).await,
        }
    }
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    let is_name =
        name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.chars().all(allowed);
    ensure!(
        is_name && name.len() <= MAX_NAME,
        "{} cannot be a plugin's name; give it one of at most {MAX_NAME} letters, digits, '_' and '-': --name NAME",
        in_quotes(name)
    );
    Ok(())
}

/// Whether what was fetched is a plugin.
fn check_plugin(bench: &Bench<'_>, above: &Path, name: &str) -> anyhow::Result<()> {
    let seen = look(above, bench.workbench.config.catalog.allow_writable)
        .map_err(|fault| anyhow!("{fault}"))?;
    if let Some((_, fault)) = seen.rejected.first() {
        bail!("it is no plugin: {fault}");
    }
    ensure!(
        seen.found.iter().any(|found| found.name == name),
        "it is no plugin: it has neither a cli.py nor an executable cli"
    );
    Ok(())
}

fn link(from: &Source<'_>, directory: &Path, plugins: &Path) -> anyhow::Result<()> {
    let Source::Directory(path) = from else {
        bail!("only a directory can be linked");
    };
    let target: PathBuf = path.canonicalize()?;
    let has_program = PROGRAMS.iter().any(|name| target.join(name).is_file());
    ensure!(
        has_program,
        "it is no plugin: it has neither a cli.py nor an executable cli"
    );
    ensure!(
        target.parent() != plugins.canonicalize().ok().as_deref(),
        "{} is a plugin there already",
        path.display()
    );
    std::os::unix::fs::symlink(&target, directory)
        .with_context(|| format!("cannot make {}", directory.display()))
}

/// Asks it what it can do, as a server does. What cannot be used of a package is removed again; a directory of
/// somebody's own may need something else first.
async fn show(
    bench: &Bench<'_>,
    from: &Source<'_>,
    name: &str,
    directory: &Path,
) -> anyhow::Result<ExitCode> {
    let variables = bench.workbench.variables().await?;
    let catalog = bench
        .workbench
        .catalog(vec![name.to_owned()], &variables)
        .await?;
    let snapshot = catalog.snapshot();
    catalog.close();
    let tools: Vec<&str> = snapshot
        .tools
        .iter()
        .filter(|tool| tool.plugin == name)
        .map(|tool| tool.name.as_str())
        .collect();
    for skipped in &snapshot.skipped {
        warn([format_args!(
            "{} is not served: {}",
            skipped.name, skipped.reason
        )]);
    }
    if tools.is_empty() && snapshot.plugins.iter().all(|plugin| plugin.name != name) {
        if matches!(from, Source::Package(_)) {
            bench.outfitter.give_up(&package::plugin(directory)).await;
            fs::remove_dir_all(directory)?;
            bail!("it gives no tool, so it was removed again");
        }
        return Ok(ExitCode::FAILURE);
    }
    say(format_args!("it gives {}:", counted(tools.len(), "tool")));
    for tool in tools {
        say(format_args!("  {tool}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What a path is that is no directory, and what to name in its place.
fn what_instead(path: &Path) -> String {
    let program = path.file_name().and_then(|name| name.to_str());
    if path.is_file() && program.is_some_and(|name| PROGRAMS.contains(&name)) {
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new("."));
        return format!(
            "a plugin's program; name the directory that it is in: {}",
            in_quotes(&above.to_string_lossy())
        );
    }
    let what = if path.exists() {
        "no directory"
    } else {
        "not there"
    };
    format!("{what}; name the directory that has a cli.py or a cli in it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_by_how_it_is_written() {
        let package = |text| Source::Package(Package::read(text).expect("it is one"));
        for (text, expected, name) in [
            ("./greet", Source::Directory(Path::new("./greet")), None),
            (
                "tools/greet",
                Source::Directory(Path::new("tools/greet")),
                None,
            ),
            (
                "https://git.example/tools/greet.git",
                Source::Repository("https://git.example/tools/greet.git"),
                Some("greet"),
            ),
            (
                "git+ssh://git.example/x/y/",
                Source::Repository("ssh://git.example/x/y/"),
                Some("y"),
            ),
            (
                "git@git.example:greet",
                Source::Repository("git@git.example:greet"),
                Some("greet"),
            ),
            ("httpie==3.2.4", package("httpie==3.2.4"), Some("httpie")),
            ("Zope.Tool", package("Zope.Tool"), Some("zope-tool")),
        ] {
            let read = Source::read(text).expect(text);
            assert_eq!(read, expected, "{text}");
            if let Some(name) = name {
                assert_eq!(read.name().expect(text), name);
            }
        }
    }
}
