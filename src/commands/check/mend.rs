//! `--fix`: what can be mended without guessing. Nothing is run, and no link is followed.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::commands::setup::leave_to_owner;
use crate::discovery::introspect::MAX_SCRIPT_BYTES;
use crate::discovery::regular_file::read_regular;
use crate::discovery::scan::PROGRAMS;

/// The permission to write for others.
const WRITE_FOR_ALL: u32 = 0o002;
/// What an editor of another system puts before a script.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Mends the plugins in `directory`, those of these names where there are any, and says what it has changed.
///
/// # Errors
/// Something cannot be changed.
pub(super) fn mend(directory: &Path, only: &[String]) -> anyhow::Result<Vec<String>> {
    let mut mended = Vec::new();
    let entries = std::fs::read_dir(directory);
    let entries = entries.with_context(|| format!("cannot read {}", directory.display()))?;
    let mut plugins: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    plugins.retain(|path| is_wanted(path, only) && program(path).is_some());
    plugins.sort();
    if !plugins.is_empty() {
        close(directory, &mut mended)?;
    }
    for plugin in plugins {
        close(&plugin, &mut mended)?;
        let Some(program) = program(&plugin) else {
            continue;
        };
        close(&program, &mut mended)?;
        mend_text(&program, &mut mended)?;
        make_executable(&program, &mut mended)?;
    }
    Ok(mended)
}

fn is_wanted(path: &Path, only: &[String]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_hidden = name.starts_with('.') || name == "__pycache__";
    !is_hidden
        && is_own(path, Path::is_dir)
        && (only.is_empty() || only.contains(&name.into_owned()))
}

/// The program of a plugin, if it is a file of its own: what a link leads to belongs to others too.
fn program(plugin: &Path) -> Option<PathBuf> {
    let mut programs = PROGRAMS.iter().map(|name| plugin.join(name));
    let first = programs.find(|path| path.symlink_metadata().is_ok())?;
    is_own(&first, Path::is_file).then_some(first)
}

fn is_own(path: &Path, is: impl Fn(&Path) -> bool) -> bool {
    is(path) && !path.is_symlink()
}

/// Takes the permission to write from others.
fn close(path: &Path, mended: &mut Vec<String>) -> anyhow::Result<()> {
    change_mode(path, |mode| mode & !WRITE_FOR_ALL, "chmod o-w", mended)
}

/// Lets everybody execute it who may read it.
fn make_executable(program: &Path, mended: &mut Vec<String>) -> anyhow::Result<()> {
    let is_executed = program.file_name().is_some_and(|name| name == "cli");
    let text = read_regular(program, 2).unwrap_or_default();
    if !is_executed || !text.starts_with(b"#!") {
        return Ok(());
    }
    let execute = |mode: u32| match mode & 0o100 {
        0 => mode | (mode & 0o444) >> 2,
        _ => mode,
    };
    change_mode(program, execute, "chmod +x", mended)
}

fn change_mode(
    path: &Path,
    change: impl Fn(u32) -> u32,
    name: &str,
    mended: &mut Vec<String>,
) -> anyhow::Result<()> {
    let look = || format!("cannot mend {}", path.display());
    let mode = std::fs::symlink_metadata(path)
        .with_context(look)?
        .permissions()
        .mode();
    let wanted = change(mode);
    if wanted != mode {
        let wanted = std::fs::Permissions::from_mode(wanted);
        std::fs::set_permissions(path, wanted).with_context(look)?;
        mended.push(format!("{name} {}", path.display()));
    }
    Ok(())
}

/// Gives a script the line ends of Unix, and takes away what an editor put before its first line. The file is replaced
/// as a whole.
fn mend_text(program: &Path, mended: &mut Vec<String>) -> anyhow::Result<()> {
    let Ok(text) = read_regular(program, MAX_SCRIPT_BYTES as u64) else {
        return Ok(());
    };
    let mark = text.starts_with(BYTE_ORDER_MARK);
    let script = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let first = script.split_inclusive(|byte| *byte == b'\n').next();
    let first = first.unwrap_or_default();
    // A longer file was read in part.
    let is_whole = text.len() < MAX_SCRIPT_BYTES;
    let ends = first.ends_with(b"\r\n");
    if !first.starts_with(b"#!") || !is_whole || !(mark || ends) {
        return Ok(());
    }
    let wanted = match ends {
        true => without_returns(script),
        false => script.to_vec(),
    };
    let replace = || -> std::io::Result<()> {
        let above = program.parent().unwrap_or(Path::new("."));
        let mut new = tempfile::NamedTempFile::new_in(above)?;
        new.write_all(&wanted)?;
        new.as_file()
            .set_permissions(std::fs::metadata(program)?.permissions())?;
        leave_to_owner(program, new.path());
        new.persist(program)?;
        Ok(())
    };
    replace().with_context(|| format!("cannot mend {}", program.display()))?;
    mended.push(format!("Unix line ends in {}", program.display()));
    Ok(())
}

fn without_returns(text: &[u8]) -> Vec<u8> {
    let mut unix = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                unix.extend_from_slice(line);
                unix.push(b'\n');
            }
            None => unix.extend_from_slice(line),
        }
    }
    unix
}
