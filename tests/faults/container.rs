//! Row 42a: the first process of a container is given every process there that has lost its parent, those that it did
//! not start itself too.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;
use crate::support::{processes, s, until};

const ORPHAN: &str = "row-42a-orphan";

/// Ends what is in the container with it.
struct Container(Child);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Container {
    /// A name space of processes whose first one is the server.
    fn start(plugins: &Path) -> Self {
        let mut child = Command::new("unshare")
            .args(["-rpf", "--mount-proc", "--kill-child"])
            .arg(env!("CARGO_BIN_EXE_smcp"))
            .args(["--port", "0", "--plugins-dir"])
            .arg(plugins)
            .env("MCP_DISABLE_FILE_LOG", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it could be executed before");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let container = Self(child);
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert!(line.contains("listens on"), "{line:?}");
        container
    }

    /// The server, as it is called outside.
    fn server(&self) -> Pid {
        let id = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.expect("the system names them");
        let number = children
            .split(' ')
            .next()
            .and_then(|word| word.parse().ok());
        Pid::from_raw(number.expect("it has a child")).expect("above zero")
    }
}

#[test]
fn as_the_first_process_of_a_container_the_server_reaps_what_is_left_to_it() {
    let possible = Command::new("unshare")
        .args(["-rpf", "--mount-proc", "true"])
        .output();
    if !possible.is_ok_and(|tried| tried.status.success()) {
        eprintln!("row 42a is not tested: this system gives out no processes of one's own");
        return;
    }
    let plugins = Folder::new();
    let container = Container::start(plugins.path());
    let server = container.server();
    // What `docker exec` does: a process from outside that begins another and leaves it.
    let end = plugins.path().join(".end");
    let inside = format!(
        "sh -c 'until [ -e \"$1\" ]; do sleep 0.1; done' {ORPHAN} '{}' >/dev/null 2>&1 &",
        end.display()
    );
    let status = Command::new("nsenter")
        .args([
            "--preserve-credentials",
            "-U",
            "-p",
            "-t",
            &server.to_string(),
        ])
        .args(["sh", "-c", &inside])
        .status();
    assert!(status.expect("it is where unshare is").success());
    let orphan = until("row 42a: the orphan is the server's", PATIENCE, || {
        let marked = processes::with_argument(ORPHAN);
        marked
            .into_iter()
            .find(|pid| processes::ancestors(*pid).next() == Some(server))
    });
    std::fs::write(&end, "").expect("a folder of our own");
    // One that is dead and was not reaped has its number still.
    until("row 42a: the orphan is reaped", s(60), || {
        (!Path::new(&format!("/proc/{orphan}")).exists()).then_some(())
    });
    assert!(processes::lives(server), "row 42a: the server has ended");
}
