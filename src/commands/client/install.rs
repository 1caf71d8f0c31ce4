//! A client's file changed: shown, asked for, kept as a backup, and replaced in one step.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, BufRead as _, ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use similar::TextDiff;

use super::edit;
use super::place::Form;
use super::snippets::Entry;
use crate::commands::diagnostics::{prompt, warn};
use crate::commands::setup::{leave_to_owner, say};

/// More than any such file has, in bytes.
const MAX_BYTES: u64 = 16 << 20;
/// Backups of one file that are kept before somebody has to clear up.
const MAX_BACKUPS: u32 = 1000;
/// Who may read a file that is made: it may get a secret one day.
const MODE: u32 = 0o600;

/// How long another installation into the same directory is waited for. It has the lock while it writes, and never
/// while it waits for a person.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks whether it has ended.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// What became of an installation.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file is changed, or was as it should be.
    Done,
    /// Nobody has agreed, and nothing was changed.
    Refused,
}

/// Puts the entry into the file at `path`.
///
/// # Errors
/// The file cannot be read, understood or written. It is as it was.
pub fn install(path: &Path, form: Form, entry: &Entry, is_agreed: bool) -> anyhow::Result<Outcome> {
    // A link is kept: it is what somebody has linked it to that changes.
    let target = match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => {
            std::path::absolute(path)?
        }
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    // Who need not be asked keeps others out from the beginning on, and never finds the file changed.
    let early = is_agreed.then(|| lock(&target)).transpose()?;
    let before = read(&target)?;
    let old = before.as_deref().unwrap_or_default();
    let new = edit::with_entry(old, form, entry).with_context(|| {
        format!(
            "{} is left as it is; mend it, or add by hand what `smcp client` prints without --install",
            target.display()
        )
    })?;
    if old == new {
        say(format_args!(
            "{} connects to it already; nothing is changed",
            target.display()
        ));
        return Ok(Outcome::Done);
    }
    show(&target, old, &new);
    if !is_agreed && !ask(&target)? {
        return Ok(Outcome::Refused);
    }
    let _lock = match early {
        Some(lock) => lock,
        None => lock(&target)?,
    };
    if read(&target)? != before {
        bail!(
            "{} has changed in the meantime and is left as it is; try again",
            target.display()
        );
    }
    let backup = match &before {
        Some(_) => Some(keep(&target)?),
        None => None,
    };
    write(&target, &new).with_context(|| format!("writing {}", target.display()))?;
    say(format_args!("{} is written", target.display()));
    if let Some(backup) = backup {
        say(format_args!("as it was before: {}", backup.display()));
    }
    Ok(Outcome::Done)
}

/// Keeps other installations out of the directory of `path`, which is made where it is missing, until the lock is
/// dropped. `None` where the file system has no locks.
fn lock(path: &Path) -> anyhow::Result<Option<File>> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)
        .with_context(|| format!("making {}", directory.display()))?;
    let handle =
        File::open(directory).with_context(|| format!("reading {}", directory.display()))?;
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(Some(handle)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => bail!(
                "another program keeps {} locked; nothing is written, try again when it has ended",
                directory.display()
            ),
            Err(TryLockError::WouldBlock) => {}
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "the command does nothing else meanwhile"
        )]
        std::thread::sleep(LOCK_PAUSE);
    }
}

/// `None` where there is no such file.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    if !about.is_file() || about.len() > MAX_BYTES {
        bail!("{} is no file with settings of a client", path.display());
    }
    let text = std::fs::read_to_string(path);
    Ok(Some(
        text.with_context(|| format!("reading {}", path.display()))?,
    ))
}

/// Prints what would change.
fn show(path: &Path, old: &str, new: &str) {
    let name = path.display().to_string();
    let diff = TextDiff::from_lines(old, new);
    let mut shown = diff.unified_diff();
    let before = if old.is_empty() { "/dev/null" } else { &name };
    let shown = shown.context_radius(3).header(before, &name).to_string();
    say(shown.trim_end());
}

/// Asks on the terminal. Where there is none, nobody can agree.
fn ask(path: &Path) -> anyhow::Result<bool> {
    let mut input = std::io::stdin().lock();
    if !input.is_terminal() {
        warn(["nothing is written; --yes writes it without asking"]);
        return Ok(false);
    }
    prompt(format_args!("Write this to {}? [y/N]", path.display()));
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    let is_yes = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
    if !is_yes {
        warn(["nothing is written"]);
    }
    Ok(is_yes)
}

/// Copies the file to a name beside it that is free.
fn keep(path: &Path) -> anyhow::Result<PathBuf> {
    for number in 0..MAX_BACKUPS {
        let mut name = path.as_os_str().to_owned();
        name.push(".bak");
        if number > 0 {
            name.push(format!(".{number}"));
        }
        let name = PathBuf::from(name);
        // Only a name that nobody has, and be it by a link: no other file is ever written over.
        let made = OpenOptions::new().write(true).create_new(true).open(&name);
        let mut copy = match made {
            Ok(copy) => copy,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error).with_context(|| format!("writing {}", name.display())),
        };
        fill(&mut copy, path).with_context(|| format!("writing {}", name.display()))?;
        leave_to_owner(path, &name);
        return Ok(name);
    }
    bail!(
        "there are {MAX_BACKUPS} backups of {}; remove some",
        path.display()
    );
}

/// Copies what is in the file, and its permissions, which come first: it may hold a secret.
fn fill(copy: &mut File, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    copy.set_permissions(file.metadata()?.permissions())?;
    io::copy(&mut file, copy)?;
    Ok(())
}

/// Replaces the file in one step: a client that reads it meanwhile reads the old one or the new one.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let permissions = match std::fs::metadata(path) {
        Ok(about) => about.permissions(),
        Err(_) => Permissions::from_mode(MODE),
    };
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    leave_to_owner(path, file.path());
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests;
