//! How long threads were ready to run and got no processor: what a busy machine takes, whatever a server does.

use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;

/// How long this thread has waited for a processor in all. Nothing where the system does not count it.
pub fn waited_here() -> Duration {
    waited(Path::new("/proc/thread-self/schedstat"))
}

/// How long the threads of a process have waited for a processor in all, one after the other.
pub fn waited_in(pid: Pid) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let threads = threads.flatten().flatten();
    threads
        .map(|thread| waited(&thread.path().join("schedstat")))
        .sum()
}

/// The second of three numbers is the wait, in nanoseconds.
fn waited(statistics: &Path) -> Duration {
    let text = std::fs::read_to_string(statistics).unwrap_or_default();
    let number = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    Duration::from_nanos(number.unwrap_or_default())
}
