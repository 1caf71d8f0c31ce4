//! The console's end of the log: standard error, or what stands in for it. Knows no events, only lines.

use std::io::{self, IsTerminal, Write};

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

/// Writes lines and counts those that were refused.
pub(super) struct Sink {
    pub(super) output: Box<dyn Write + Send>,
    pub(super) loss: Loss,
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line)?;
        Ok(line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.output.write_all(line).is_err() {
            self.loss.add(1);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
