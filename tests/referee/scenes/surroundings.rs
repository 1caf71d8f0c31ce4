//! What a server is done to from outside: signals, files that go, descriptors that run out, a Letta that is silent.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::json;

use super::{number, text};
use crate::case::Case;
use crate::play::{over_http, word};
use crate::sites::Site;
use crate::support::http::{Connection, PATIENCE, post};
use crate::support::session::Session;
use crate::support::{s, until, wire};
use crate::template::Words;

/// Idle connections take every descriptor that connections may have; a call can start all the same.
pub fn idle_connections(case: &Case, site: &Arc<Site>) {
    site.unwatched();
    let at = site.address;
    let mut calling = Connection::open(at);
    let idle: Vec<std::net::TcpStream> = (0..number(case, "connections"))
        .filter_map(|_| std::net::TcpStream::connect(at).ok())
        .collect();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "probe__show", "arguments": {"text": "a"}}});
    let request = post(at, "/messages/", "", call.to_string().as_bytes());
    calling.send(&request).expect("an open connection");
    let answer = calling.answer(PATIENCE).expect("an answer");
    assert!(answer.text().contains("--text"), "{}", answer.text());
    drop(idle);
    until("the server takes connections again", PATIENCE, || {
        let mut probe = Connection::open(at);
        let _ = probe.send(&crate::support::http::get(at, "/healthz", ""));
        probe
            .answer(s(1))
            .ok()
            .filter(|answer| answer.status == 200)
    });
}

/// Signals that end a process which does not expect them.
pub fn signals(case: &Case, site: &Arc<Site>) {
    let server = site.server.lock().expect("it has it alone");
    for name in case.entry.with["signals"]
        .as_array()
        .expect("the case lists them")
    {
        server.signal(match name.as_str() {
            Some("XFSZ") => Signal::XFSZ,
            Some("USR1") => Signal::USR1,
            Some("USR2") => Signal::USR2,
            Some("ALRM") => Signal::ALARM,
            Some("PIPE") => Signal::PIPE,
            Some("HUP") => Signal::HUP,
            other => panic!("no signal {other:?}"),
        });
    }
    // A signal that ends a process does so at once.
    std::thread::sleep(Duration::from_millis(300));
}

/// The program of a tool becomes something else after the start, then it is called.
pub fn program_changes(case: &Case, site: &Arc<Site>, words: &Words) {
    let plugin = site.surroundings.plugins().join(text(case, "plugin"));
    let program = plugin.join("cli");
    let remove = || std::fs::remove_file(&program).expect("ours");
    match text(case, "becomes") {
        "a FIFO" => {
            remove();
            mknodat(CWD, &program, FileType::Fifo, Mode::from_raw_mode(0o755), 0).expect("ours");
        }
        "a directory" => {
            remove();
            std::fs::create_dir(&program).expect("ours");
        }
        "nothing" => remove(),
        "a loop of links" => {
            remove();
            std::os::unix::fs::symlink("cli", &program).expect("ours");
        }
        "empty" => {
            remove();
            std::fs::write(&program, "").expect("ours");
            std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("ours");
        }
        "not executable" => {
            std::fs::set_permissions(&program, PermissionsExt::from_mode(0o644)).expect("ours");
        }
        "without an interpreter" => {
            remove();
            std::fs::write(&program, "#!/no/such/interpreter\n").expect("ours");
            std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("ours");
        }
        "without its directory" => std::fs::remove_dir_all(&plugin).expect("ours"),
        other => panic!("nothing becomes {other}"),
    }
    over_http(case, site, words);
}

/// What cleans up temporary files takes those of the server, too.
pub fn temporary_files(case: &Case, site: &Arc<Site>, words: &Words) {
    let directory = site.surroundings.directory.path();
    let mut found = 0;
    for entry in std::fs::read_dir(directory).expect("ours").flatten() {
        found += 1;
        remove(&entry.path());
    }
    assert!(
        found > 0,
        "the demos are unpacked somewhere else: this case would prove nothing"
    );
    over_http(case, site, words);
}

fn remove(path: &Path) {
    let gone = std::fs::remove_dir_all(path).or_else(|_| std::fs::remove_file(path));
    gone.expect("ours");
}

/// A call that waits for an agent's secrets is cancelled: its id is free at once.
pub fn silent_letta(_: &Case, site: &Arc<Site>, words: &Words) {
    let agent = format!(
        "{}X-Agent-Id: agent-{}\r\n",
        site.headers,
        word(words, "mark")
    );
    let mut session = Session::open_with(site.address, "/sse", &agent);
    session.initialize(wire::NEWEST);
    until("the tool is known", PATIENCE, || {
        let listed = session.ask("tools/list", json!({}));
        listed.to_string().contains("probe__show").then_some(())
    });
    let id = session.begin("probe__show", json!({"text": "a"}));
    std::thread::sleep(Duration::from_millis(500));
    session.tell("notifications/cancelled", json!({"requestId": id}));
    let ping = json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string();
    session.expects(&id, "ping");
    until("the id of the cancelled call is free", s(3), || {
        (session.post(ping.as_bytes()).status == 202).then_some(())
    });
}

/// However a call ends, one line says that it began and how it ended.
pub fn audited(case: &Case, site: &Arc<Site>, words: &Words) {
    over_http(case, site, words);
    let wanted = text(case, "tool");
    let lines = || {
        let log = site.server.lock().expect("it has it alone").log();
        let of_it = |line: &&str| line.contains("smcp::audit") && line.contains(wanted);
        log.lines()
            .filter(of_it)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    until("the call has its line", PATIENCE, || {
        (!lines().is_empty()).then_some(())
    });
    // A second line would follow at once.
    std::thread::sleep(Duration::from_millis(300));
    let lines = lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    if let Some(outcome) = case
        .entry
        .with
        .get("outcome")
        .and_then(|value| value.as_str())
    {
        assert!(lines[0].contains(outcome), "{lines:?}");
    }
}
