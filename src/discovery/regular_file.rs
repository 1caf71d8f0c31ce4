//! Files of a plugin, read without ever waiting for what only looks like one.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// What a file is instead of a regular one.
pub fn irregular(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a pipe and no regular file")
    } else {
        Some("no regular file")
    }
}

/// Opens a regular file; `None` for anything else. Opening never waits, whatever the path has become since somebody
/// looked at it.
///
/// # Errors
/// The system's error.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let file = File::options()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
        .open(path)?;
    let is_file = file.metadata()?.is_file();
    Ok(is_file.then_some(file))
}

/// Reads a regular file, as far as `limit` bytes of it; nothing of anything else, and never waits for it.
///
/// # Errors
/// The system's error.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(file) = open_regular(path)? {
        file.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_read_as_nothing_and_nobody_waits_for_its_writer() {
        let directory = tempfile::tempdir().expect("there is room");
        let pipe = directory.path().join("pipe");
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        );
        made.expect("there is room");
        assert_eq!(read_regular(&pipe, 10).expect("it opens at once"), b"");
        let file = directory.path().join("file");
        std::fs::write(&file, "print()").expect("there is room");
        let beginning = read_regular(&file, 5);
        assert_eq!(beginning.expect("it is readable"), b"print");
    }
}
