//! Checks, before a call, that its program and interpreter are still regular files. Looks at them off the event loop.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::call::command::Runnable;
use crate::discovery::regular_file::irregular;

/// How long looking at a file may take; a file system that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(5);

/// How many looks are under way at once. Those at a file system that hangs keep their threads.
pub const MAX_LOOKS: usize = 32;

/// What a look at the files of a command gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Presence {
    /// They can be run, as far as looking tells.
    There,
    /// One is gone.
    Gone(String),
    /// One is nothing that can be run.
    Wrong(String),
}

/// Looks at the program of `run` and at its interpreter, with a permit of `looks`.
pub async fn look(looks: &Arc<Semaphore>, run: &Runnable) -> Presence {
    // When all looks hang, a call finds out by itself.
    let Ok(turn) = Arc::clone(looks).try_acquire_owned() else {
        return Presence::There;
    };
    let files: Vec<PathBuf> = run.start.iter().map(PathBuf::from).collect();
    let names = Arc::new(files);
    let looked_at = Arc::clone(&names);
    let looking = tokio::task::spawn_blocking(move || {
        let presence = look_at(&looked_at);
        drop(turn);
        presence
    });
    match tokio::time::timeout(LIMIT, looking).await {
        Ok(looked) => looked.unwrap_or(Presence::There),
        Err(_) => {
            let program = names.last().map(|path| path.display().to_string());
            let program = program.unwrap_or_default();
            Presence::Wrong(format!("the file system of {program} does not answer"))
        }
    }
}

fn look_at(files: &[PathBuf]) -> Presence {
    for path in files {
        match std::fs::metadata(path) {
            Ok(metadata) => {
                if let Some(kind) = irregular(&metadata) {
                    return Presence::Wrong(format!("{} is {kind}", path.display()));
                }
            }
            Err(fault)
                if matches!(fault.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Presence::Gone(format!("{} is gone", path.display()));
            }
            // The system says more when it is to run it.
            Err(_) => {}
        }
    }
    Presence::There
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_gone_is_told_from_one_that_became_something_else() {
        let directory = tempfile::tempdir().expect("there is room");
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("program"), "").expect("there is room");
        let mode = rustix::fs::Mode::RWXU;
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), fifo, mode, 0).expect("there is room");
        let look = |name: &str| look_at(&[at("program"), at(name)]);
        assert_eq!(look("program"), Presence::There);
        let text = |name: &str, what: &str| format!("{} is {what}", at(name).display());
        assert_eq!(look("none"), Presence::Gone(text("none", "gone")));
        let pipe = Presence::Wrong(text("pipe", "a pipe and no regular file"));
        assert_eq!(look("pipe"), pipe);
        assert_eq!(look(""), Presence::Wrong(text("", "a directory")));
    }
}
