//! A key that a reload takes away: whatever was begun with it ends.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::kit::{KEYS, Place, began, code, is_gone, let_go, newest_as, ready, session};
use crate::support::http::{Connection, PATIENCE, exchange, get, post};
use crate::support::server::Server;
use crate::support::session::text_of;
use crate::support::{hangups, until};

/// A server whose keys are in a file.
struct Keyed {
    server: Server,
    file: std::path::PathBuf,
}

impl Keyed {
    #[track_caller]
    fn start(place: &Place) -> Self {
        let file = place.file("keys");
        write(&file, "first-key\nsecond-key\n");
        let setup = place.setup().argument("--require-auth");
        let setup = setup
            .variable("MCP_API_KEYS_FILE", &file)
            .variable("MCP_MAX_CALLS", "1");
        let server = ready(&setup);
        Self { server, file }
    }

    /// Reloads these keys, and waits until they count.
    #[track_caller]
    fn reload(&self, keys: &str, first_counts: bool) {
        write(&self.file, keys);
        self.server.signal(Signal::HUP);
        let at = self.server.address();
        let wanted = if first_counts { 200 } else { 401 };
        until("the keys count", PATIENCE, || {
            let status = exchange(at, &get(at, "/metrics", KEYS[0])).status;
            (status == wanted).then_some(())
        });
    }

    /// Begins a task and gives its id.
    #[track_caller]
    fn task(&self, key: &str, file: &Path) -> String {
        let params = json!({"name": "jobs__wait", "arguments": {"file": file}});
        let answer = newest_as(&self.server, key, true, "tools/call", params);
        let id = answer["result"]["taskId"].as_str();
        id.unwrap_or_else(|| panic!("no task: {answer}")).to_owned()
    }

    /// Waits until a task has a status.
    #[track_caller]
    fn reaches(&self, key: &str, id: &str, status: &str) {
        until(status, PATIENCE, || {
            let params = json!({"taskId": id});
            let answer = newest_as(&self.server, key, true, "tasks/get", params);
            (answer["result"]["status"] == status).then_some(())
        });
    }
}

fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new();
    let file = file.write(true).create(true).truncate(true).mode(0o600);
    let mut file = file.open(path).expect("a directory of our own");
    file.write_all(text.as_bytes()).expect("there is room");
}

#[test]
fn tasks_of_a_removed_key_end_and_those_that_wait_for_their_turn_never_run() {
    if hangups::are_ignored() {
        return;
    }
    let place = Place::new();
    let keyed = Keyed::start(&place);
    let [runs, waits, other] = ["runs", "waits", "other"].map(|name| place.file(name));
    let running = keyed.task(KEYS[0], &runs);
    let process = began(&runs);
    let waiting = keyed.task(KEYS[0], &waits);
    let others = keyed.task(KEYS[1], &other);

    // The same key, written in another way.
    let digest = Sha256::digest("second-key");
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    keyed.reload(&format!("sha256:{digest}\n"), false);
    is_gone(process);
    began(&other);
    let_go(&other, "a");
    keyed.reaches(KEYS[1], &others, "completed");

    keyed.reload("first-key\nsecond-key\n", true);
    for id in [running, waiting] {
        keyed.reaches(KEYS[0], &id, "cancelled");
    }
    let told = place.file("waits.began");
    assert!(!told.exists(), "it was started for nobody");
}

#[test]
fn requests_without_a_session_end_with_their_key_and_so_do_kept_calls() {
    if hangups::are_ignored() {
        return;
    }
    let place = Place::new();
    let keyed = Keyed::start(&place);
    let server = &keyed.server;
    let at = server.address();

    let file = place.file("stateless");
    std::thread::scope(|scope| {
        let params = json!({"name": "jobs__attached", "arguments": {"file": file}});
        let ask = || newest_as(server, KEYS[0], false, "tools/call", params);
        let answer = scope.spawn(ask);
        let process = began(&file);
        keyed.reload("second-key\n", false);
        is_gone(process);
        let answer = answer.join().expect("an answer");
        assert_eq!(code(&answer), -32800, "{answer}");
    });
    keyed.reload("first-key\nsecond-key\n", true);

    let file = place.file("direct");
    let params = json!({"name": "jobs__attached", "arguments": {"file": file}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let mut connection = Connection::open(at);
    let request = post(at, "/messages/", KEYS[0], call.to_string().as_bytes());
    connection.send(&request).expect("the server listens");
    let process = began(&file);
    keyed.reload("second-key\n", false);
    is_gone(process);
    let answer = connection.answer(Duration::from_secs(20));
    let answer = answer.expect("nobody is left waiting");
    assert!(!answer.text().contains("result"), "{}", answer.text());
    keyed.reload("first-key\nsecond-key\n", true);

    let file = place.file("kept");
    let mut client = session(server, KEYS[0]);
    client.begin("jobs__wait", json!({"file": file}));
    let process = began(&file);
    keyed.reload("second-key\n", false);
    is_gone(process);
    keyed.reload("first-key\nsecond-key\n", true);
    let mut client = session(server, KEYS[0]);
    until("it is said to be cancelled", PATIENCE, || {
        let listed = client.call("smcp__result", json!({}));
        let listed: Value = serde_json::from_str(text_of(&listed)).expect("a list");
        (listed["calls"][0]["status"] == "cancelled").then_some(())
    });
}
