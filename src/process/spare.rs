//! What a program is given, once more: for a start whose supervisor may die before the program runs.
//!
//! Knows no supervisor.

use std::io;

use super::job::{Job, SideChannels};

/// Copies of what travels with an order.
#[derive(Debug)]
pub(super) struct Spare {
    stdin: Option<Vec<u8>>,
    side_channels: SideChannels,
}

impl Spare {
    /// To be dropped as soon as the program runs: as long as a copy is there, nobody sees the program close its end.
    ///
    /// # Errors
    /// A shortage of descriptors.
    pub(super) fn of(job: &Job, side_channels: &SideChannels) -> io::Result<Self> {
        let copy = |of: &Option<std::os::fd::OwnedFd>| of.as_ref().map(|it| it.try_clone());
        Ok(Self {
            stdin: job.stdin.clone(),
            side_channels: SideChannels {
                events: copy(&side_channels.events).transpose()?,
                events_held: copy(&side_channels.events_held).transpose()?,
                open_questions: None,
                stderr_lines: side_channels.stderr_lines.clone(),
                stdout_to_stderr: side_channels.stdout_to_stderr,
            },
        })
    }

    /// Gives the job its input back, and the channels.
    pub(super) fn into_channels(self, job: &mut Job) -> SideChannels {
        job.stdin = self.stdin;
        self.side_channels
    }
}
