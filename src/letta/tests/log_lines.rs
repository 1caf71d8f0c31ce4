//! What this thread logs, down to the libraries' own lines.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// Log lines of this thread, down to the libraries' own.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    pub(super) fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// What is logged while `letta` loads at the start.
    pub(super) async fn of_the_start(letta: &Letta) -> Self {
        let lines = Self::default();
        let guard = lines.capture();
        letta.load_at_start().await;
        drop(guard);
        lines
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let text = self.text();
        let warnings = text.lines().filter(|line| line.contains(" WARN "));
        warnings.map(str::to_owned).collect()
    }
}
