//! What an installer said when it failed, in one line, and whether that may pass.

use crate::text::{cleaned, shown};

/// How much of it is told, in characters.
const MAX_REASON: usize = 700;

/// Words of installers that could not reach what they install from, or had no room, in lower case. The packages
/// themselves are not at fault then.
const PASSING: [&str; 27] = [
    "client error (connect)",
    "connection broken by",
    "connection refused",
    "connection reset",
    "connecttimeout",
    "could not connect",
    "could not resolve host",
    "couldn't connect to server",
    "disk quota exceeded",
    "dns error",
    "error sending request",
    "failed to connect to",
    "failed to establish a new connection",
    "file too large",
    "max retries exceeded",
    "name or service not known",
    "network is unreachable",
    NOT_TRUSTED,
    "newconnectionerror",
    "no route to host",
    "no space left on device",
    "operation timed out",
    "proxyerror",
    "read timed out",
    "read-only file system",
    "temporary failure in name resolution",
    "tcp connect error",
];

/// pip's word about an index without TLS that nobody has allowed.
const NOT_TRUSTED: &str = "is not a trusted or secure host";

/// What is told of a failure.
pub(super) fn reason(said: &[u8]) -> String {
    let text = cleaned(&String::from_utf8_lossy(said));
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            line.trim_matches(|letter: char| letter.is_whitespace() || "×╰─▶│├".contains(letter))
        })
        .filter(|line| !line.is_empty())
        .collect();
    // pip marks each line of its reason.
    let marked: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("ERROR: "))
        .collect();
    let last = |most: usize| {
        let lines: Vec<&str> = lines
            .iter()
            .copied()
            .filter(|line| !is_beside(line))
            .collect();
        lines[lines.len().saturating_sub(most)..].join(" ")
    };
    let told = match &marked[..] {
        // uv begins with what failed and ends with hints.
        [] => last(6),
        // What pip did not expect ends with a traceback.
        ["Exception:", ..] => format!("pip failed: {}", last(1)),
        marked => {
            // Where pip has reached nothing, it says that it has found nothing, as if the declaration were wrong.
            let causes = lines.iter().rev().find_map(|line| unreached(line));
            let told: Vec<&str> = causes.into_iter().chain(marked.iter().copied()).collect();
            told.join("; ")
        }
    };
    shown(told.trim_end_matches('.'), MAX_REASON)
}

/// Why something could not be reached, if that is what pip warns of.
fn unreached(line: &str) -> Option<&str> {
    let warning = line.strip_prefix("WARNING: ")?;
    if warning.contains(NOT_TRUSTED) {
        return Some(warning.split(". ").next().unwrap_or(warning));
    }
    let (_, cause) = warning.split_once("connection broken by ")?;
    // `'NewConnectionError("<an object>: the cause")': /simple/name/`
    let cause = cause.split_once(">: ").map_or(cause, |(_, cause)| cause);
    let cause = cause.rsplit_once("': /").map_or(cause, |(cause, _)| cause);
    Some(cause.trim_matches(|letter: char| "'\"()".contains(letter)))
}

/// Whether the same may go well another time although nobody changes the declaration.
pub(super) fn passes(said: &[u8]) -> bool {
    let text = String::from_utf8_lossy(said).to_lowercase();
    PASSING.iter().any(|words| text.contains(words))
}

/// Whether a line says how far something has come, or what else could be done.
fn is_beside(line: &str) -> bool {
    const BEGINNINGS: [&str; 14] = [
        "Collecting ",
        "Downloading ",
        "Looking in ",
        "Prepared ",
        "Processing ",
        "Resolved ",
        "See above for output",
        "Using Python",
        "Using cached",
        "WARNING: ",
        "[notice]",
        "exit code: ",
        "note: ",
        "warning:",
    ];
    BEGINNINGS
        .iter()
        .any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_the_installer_marks_as_such() {
        let pip = "Collecting nowhere==9\n  Downloading x\nERROR: Could not find a version that satisfies the requirement \
                   nowhere==9 (from versions: none)\nERROR: No matching distribution found for nowhere==9\n\n[notice] new pip\n";
        assert_eq!(
            reason(pip.as_bytes()),
            "Could not find a version that satisfies the requirement nowhere==9 (from versions: none); No matching \
             distribution found for nowhere==9"
        );
        assert!(!passes(pip.as_bytes()));
        let found_nothing = "ERROR: Could not find a version that satisfies the requirement a==1 (from versions: none)";
        for (warned, cause) in [
            (
                "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError(\"HTTPConnection(host='127.0.0.1', \
                 port=9): Failed to establish a new connection: [Errno 111] Connection refused\")': /simple/a/",
                "NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=9): Failed to establish a new connection: [Errno 111] Connection refused",
            ),
            (
                "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.X object at 0x7f>: \
                 Failed to establish a new connection: [Errno 111] Connection refused')': /simple/a/",
                "Failed to establish a new connection: [Errno 111] Connection refused",
            ),
            (
                "WARNING: The repository located at index.example is not a trusted or secure host and is being ignored. If this repository \
                 is available via HTTPS we recommend you use HTTPS instead",
                "The repository located at index.example is not a trusted or secure host and is being ignored",
            ),
        ] {
            let said = format!("{warned}\n{warned}\n{found_nothing}\n");
            let told = reason(said.as_bytes());
            let beginning = format!("{cause}; Could not find a version");
            assert!(told.starts_with(&beginning), "{told}");
            assert!(passes(said.as_bytes()), "{said}");
        }
        let traceback = "ERROR: Exception:\nTraceback (most recent call last):\n  File \"x\", line 1\nUnicodeDecodeError: 'utf-8' codec\n";
        assert_eq!(
            reason(traceback.as_bytes()),
            "pip failed: UnicodeDecodeError: 'utf-8' codec"
        );
        let uv = "Using Python 3.11.7 environment at: /x\n  × No solution found when resolving dependencies:\n  ╰─▶ Because \
                  nowhere was not found in the package registry\n      and you require nowhere==9, we can conclude.\n";
        let told = reason(uv.as_bytes());
        assert!(
            told.starts_with("No solution found when resolving dependencies: Because nowhere was"),
            "{told}"
        );
        assert!(!passes(uv.as_bytes()));
        assert!(reason(&[b'x'; 1 << 20]).chars().count() <= MAX_REASON + 1);
    }

    #[test]
    fn what_could_not_be_reached_may_be_another_time() {
        for said in [
            "WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnectionError(': Failed to establish a new \
             connection: [Errno -3] Temporary failure in name resolution')': /simple/x/\nERROR: No matching distribution",
            "error: Failed to fetch: `https://index.example/simple/x/`\n  Caused by: dns error",
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
        ] {
            assert!(passes(said.as_bytes()), "{said}");
        }
    }
}
