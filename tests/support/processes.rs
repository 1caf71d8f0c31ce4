//! Which processes there are. Linux only, as the promises about them are.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::process::Pid;

/// Every process, as its number and its directory in `/proc`.
fn all() -> impl Iterator<Item = (Pid, std::path::PathBuf)> {
    std::fs::read_dir("/proc")
        .expect("tests run on Linux")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            Some((pid, entry.path()))
        })
}

/// Processes that have `mark` as a word, or as a part of one, on their command line. Children that a program
/// forks keep its command line, whatever else they shake off.
pub fn with_argument(mark: &str) -> Vec<Pid> {
    let lines = command_lines();
    let marked = lines
        .iter()
        .filter(|(_, line)| line.windows(mark.len()).any(|part| part == mark.as_bytes()));
    marked.map(|(pid, _)| *pid).collect()
}

/// A process and its command line.
type CommandLines = Arc<Vec<(Pid, Vec<u8>)>>;

/// The command lines of all processes, none of them older than the call. Whoever asks while others are looked at waits
/// and shares the next look: many tests that each look again and again would keep a machine busy.
fn command_lines() -> CommandLines {
    static LAST: Mutex<Option<(Instant, CommandLines)>> = Mutex::new(None);
    let asked = Instant::now();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((begun, lines)) = &*last
        && *begun >= asked
    {
        return Arc::clone(lines);
    }
    let begun = Instant::now();
    let lines = all().filter_map(|(pid, directory)| {
        let line = std::fs::read(directory.join("cmdline")).ok()?;
        Some((pid, line))
    });
    let lines = Arc::new(lines.collect());
    *last = Some((begun, Arc::clone(&lines)));
    lines
}

/// Processes that have the variable in the environment they were started with. Processes that hide their
/// environment from this user are not seen.
pub fn with_variable(name: &str, value: &str) -> Vec<Pid> {
    let wanted = format!("{name}={value}").into_bytes();
    all()
        .filter(|(_, directory)| {
            std::fs::read(directory.join("environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|text| text == wanted)
            })
        })
        .filter(|(_, directory)| !is_over(directory))
        .map(|(pid, _)| pid)
        .collect()
}

/// Processes that execute this file.
pub fn executing(program: &Path) -> Vec<Pid> {
    all()
        .filter(|(_, directory)| {
            std::fs::read_link(directory.join("exe")).is_ok_and(|link| link == program)
        })
        .filter(|(_, directory)| !is_over(directory))
        .map(|(pid, _)| pid)
        .collect()
}

/// The parent of a process, its parent, and so on.
pub fn ancestors(pid: Pid) -> impl Iterator<Item = Pid> {
    std::iter::successors(Some(pid), |pid| parent(*pid)).skip(1)
}

fn parent(pid: Pid) -> Option<Pid> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    Pid::from_raw(line.trim().parse().ok()?)
}

/// Whether the process is there and not merely waiting to be reaped.
pub fn lives(pid: Pid) -> bool {
    let directory = Path::new("/proc").join(pid.to_string());
    directory.exists() && !is_over(&directory)
}

/// Resident memory in bytes.
pub fn resident(pid: Pid) -> u64 {
    memory(pid, "VmRSS:")
}

/// The most that its resident memory ever was, in bytes.
pub fn highest(pid: Pid) -> u64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: Pid, which: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(which))
        .expect("every process with memory has the line");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib << 10
}

/// The command line of a process, for messages.
pub fn describe(pid: Pid) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    format!("{pid} ({})", words.trim())
}

fn is_over(directory: &Path) -> bool {
    std::fs::read_to_string(directory.join("stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z') || rest.starts_with('X'))
    })
}
