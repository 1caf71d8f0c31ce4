//! Row 42a: the first process of a container is given every process there that has lost its parent, those that it did
//! not start itself too.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::http::{PATIENCE, exchange, post};
use crate::support::plugins::Folder;
use crate::support::{processes, s, until};

const ORPHAN: &str = "row-42a-orphan";

/// Ends what is in the container with it.
struct Container {
    child: Child,
    /// Where the server listens: only processes are apart, and the network is everybody's.
    address: SocketAddr,
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
        let mut reader = BufReader::new(stdout);
        reader.read_line(&mut line).expect("a line");
        let (_, address) = line.split_once("listens on http://").expect("it listens");
        let address = address.trim().parse().expect("an address");
        // Read to its end, so that the server never writes to a closed pipe.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Self { child, address }
    }

    /// The server, as it is called outside.
    fn server(&self) -> Pid {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.expect("the system names them");
        let number = children
            .split(' ')
            .next()
            .and_then(|word| word.parse().ok());
        Pid::from_raw(number.expect("it has a child")).expect("above zero")
    }
}

/// Whether this system lets its users have processes of their own; says so when it does not.
fn is_possible() -> bool {
    let possible = Command::new("unshare")
        .args(["-rpf", "--mount-proc", "true"])
        .output();
    let possible = possible.is_ok_and(|tried| tried.status.success());
    if !possible {
        eprintln!("row 42a is not tested: this system gives out no processes of one's own");
    }
    possible
}

#[test]
fn as_the_first_process_of_a_container_the_server_ends_by_sigterm_when_its_call_is_over() {
    if !is_possible() {
        return;
    }
    let plugins = Folder::new();
    plugins.add_executable(
        "slow",
        "#!/bin/sh\nif [ \"$1\" = --describe ]; then\n\
         echo '{\"commands\":[{\"name\":\"go\",\"description\":\"Goes\",\"parameters\":[]}]}'\n\
         exit 0\nfi\n\
         cd \"$(dirname \"$0\")/..\"\n: >.begun\nuntil [ -e .end ]; do sleep 0.1; done\necho all of it\n",
    );
    let mut container = Container::start(plugins.path());
    let address = container.address;
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow__go","arguments":{}}}"#;
    let request = post(address, "/messages/", "", call);
    let answer = std::thread::spawn(move || exchange(address, &request).text());
    until("row 42a: the call runs", PATIENCE, || {
        plugins.path().join(".begun").exists().then_some(())
    });
    kill_process(container.server(), Signal::TERM).expect("it is ours");
    std::fs::write(plugins.path().join(".end"), "").expect("a folder of our own");
    let answer = answer.join().expect("an answer");
    assert!(answer.contains("all of it"), "row 42a: {answer}");
    let status = until("row 42a: the container ends", PATIENCE, || {
        container.child.try_wait().expect("it is a child")
    });
    assert!(status.success(), "row 42a: {status}");
}

#[test]
fn as_the_first_process_of_a_container_the_server_reaps_what_is_left_to_it() {
    if !is_possible() {
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
