//! The clients: one that holds a stream, and three that ask and wait.

mod asking;
mod request;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::book::Book;
use crate::support::chance::Chance;

/// What one worker has to do.
pub struct Plan {
    pub address: SocketAddr,
    pub book: Arc<Book>,
    /// How many calls of the shell script.
    pub calls: usize,
    /// How many calls of the Python program.
    pub python_calls: usize,
    /// The first of the ids that are this worker's.
    pub first_id: u64,
    pub chance: Chance,
}

/// In a hundred calls this many meet a fault.
const FAULTS_PERCENT: usize = 5;

/// One round of these is one cycle.
pub const ALL: [fn(Plan); 10] = [
    stream::work,
    stream::work,
    stream::work,
    asking::directly,
    asking::directly,
    asking::streamable,
    asking::streamable,
    asking::streamable,
    asking::stateless,
    asking::stateless,
];

impl Plan {
    /// The tools of all calls, each with its id: Python's mixed among the others.
    fn tools(&self) -> Vec<(u64, &'static str)> {
        let all = self.calls + self.python_calls;
        let every = all / self.python_calls.max(1);
        (0..all)
            .map(|number| {
                let python = self.python_calls > 0 && number % every == 0;
                let tool = if python { "python__echo" } else { "stub__echo" };
                (self.first_id + number as u64, tool)
            })
            .collect()
    }
}
