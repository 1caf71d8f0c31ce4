//! The console's end of the log: standard error, or what stands in for it. Knows no events, only lines.

use std::io::{self, BufWriter, IsTerminal, Write};

use super::lines::Lines;
use super::queue::Loss;
use super::settings::Settings;

/// Where console lines go.
pub(super) struct Output {
    /// Takes whole lines.
    pub(super) writer: Box<dyn Write + Send>,
    /// Someone looks at it.
    pub(super) terminal: bool,
}

impl Output {
    /// Standard error.
    pub(super) fn stderr() -> Self {
        let stderr = io::stderr();
        let terminal = stderr.is_terminal();
        let writer = Box::new(stderr);
        Self { writer, terminal }
    }
}

/// How lines look on this console. People read a terminal, so it never gets JSON.
pub(super) fn lines(settings: &Settings, terminal: bool) -> Lines {
    Lines {
        json: settings.json && !terminal,
        colour: settings.console.colour && terminal,
        journal: settings.console.journal && !terminal,
    }
}

/// Whether standard error is the journal's stream that `JOURNAL_STREAM` names as `device:inode` (systemd.exec(5)).
///
/// The variable alone proves nothing: children inherit it together with other outputs.
pub fn stderr_is_journal(journal_stream: &str) -> bool {
    let named = journal_stream
        .split_once(':')
        .and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    let actual = rustix::fs::fstat(io::stderr())
        .ok()
        .map(|stat| (stat.st_dev, stat.st_ino));
    named.is_some() && named == actual
}

/// Writes lines, a burst of them at once, and counts those that were refused.
pub(super) struct Sink {
    output: BufWriter<Box<dyn Write + Send>>,
    /// Lines in the buffer since it was last emptied.
    unflushed: u64,
    loss: Loss,
}

impl Sink {
    pub(super) fn new(output: Box<dyn Write + Send>, loss: Loss) -> Self {
        Self {
            output: BufWriter::new(output),
            unflushed: 0,
            loss,
        }
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.output.write_all(line) {
            Ok(()) => self.unflushed += 1,
            Err(_) => self.loss.add(1),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let unflushed = std::mem::take(&mut self.unflushed);
        if self.output.flush().is_err() {
            self.loss.add(unflushed);
        }
        Ok(())
    }
}
