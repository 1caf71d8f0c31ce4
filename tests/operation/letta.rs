//! What plugins find of the agents' variables when they are asked what they can do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::commands::Watchdog;
use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup, run};
use crate::support::session::{directly, text_of};
use crate::support::{s, until};

const VALUE: &str = "canary-71d0";

/// Needs the variable from its first line on, and describes itself.
const DESCRIBING: &str = "\
import os, sys
KEY = os.environ['K_A']
if sys.argv[1] == '--describe':
    print('{\"commands\": [{\"name\": \"go\", \"description\": \"Goes\"}]}')
else:
    print('length', len(KEY), 'path', os.environ['PATH'] != 'of-letta')
";

/// Needs it as well, and has a parser that is watched.
const PARSING: &str = "\
import argparse, os
KEY = os.environ['K_A']
parser = argparse.ArgumentParser(description='Parses')
commands = parser.add_subparsers(dest='command')
commands.add_parser('go', help='Goes').add_argument('--key', default=KEY)
parser.parse_args()
print('length', len(KEY))
";

const INDEPENDENT: &str = "\
import sys
print('{\"commands\": [{\"name\": \"go\", \"description\": \"Goes\"}]}' if '--describe' in sys.argv else 'went')
";

fn plugins() -> Folder {
    let folder = Folder::new();
    folder.add("describing", DESCRIBING);
    folder.add("parsing", PARSING);
    folder.add("independent", INDEPENDENT);
    folder
}

/// A Letta with one agent, which has a secret and a name that is refused. It answers nobody before it is opened.
/// Gone with the value.
struct Letta {
    url: String,
    open: Arc<(Mutex<bool>, Condvar)>,
    over: Arc<AtomicBool>,
}

impl Letta {
    fn closed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let open: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let over: Arc<AtomicBool> = Arc::default();
        let (opened, ended) = (Arc::clone(&open), Arc::clone(&over));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let opened = Arc::clone(&opened);
                std::thread::spawn(move || answer(stream, &opened));
            }
        });
        Self {
            url: format!("http://{address}"),
            open,
            over,
        }
    }

    fn answering() -> Self {
        let letta = Self::closed();
        letta.open();
        letta
    }

    fn open(&self) {
        *self.open.0.lock().expect("nobody panics here") = true;
        self.open.1.notify_all();
    }

    fn known_to(&self, setup: Setup) -> Setup {
        setup
            .variable("LETTA_SERVER_URL", &self.url)
            .variable("LETTA_SERVER_PASSWORD", "secret")
    }
}

impl Drop for Letta {
    fn drop(&mut self) {
        self.open();
        self.over.store(true, Ordering::Relaxed);
        // So that the loop looks.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn answer(mut stream: TcpStream, open: &(Mutex<bool>, Condvar)) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let waited = open
        .1
        .wait_while(open.0.lock().expect("nobody panics here"), |open| !*open);
    drop(waited.expect("nobody panics here"));
    let secret = |key: &str, value: &str| json!({"key": key, "value": value});
    let secrets = [secret("K_A", VALUE), secret("PATH", "of-letta")];
    let agents = json!([{"id": "agent-a", "secrets": secrets}]).to_string();
    let length = agents.len();
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{agents}"
    );
}

/// The tools that plugins have.
fn names(list: &Value) -> Vec<&str> {
    let tools = list["tools"].as_array().expect("a list of tools");
    let names = tools.iter().filter_map(|tool| tool["name"].as_str());
    names.filter(|name| name.ends_with("__go")).collect()
}

/// A list as the first client gets it. It waits until all plugins have answered; nobody has to look whether the server
/// is ready. But it waits ten seconds at most: one that a busy machine has taken those from is asked for again.
fn list(server: &Server) -> Value {
    until("a list in time", 2 * PATIENCE, || {
        let asked = Instant::now();
        let list = directly(server.address(), "tools/list", json!({}))["result"].take();
        (asked.elapsed() < s(9)).then_some(list)
    })
}

fn readiness(server: &Server) -> u16 {
    exchange(server.address(), &get(server.address(), "/readyz", "")).status
}

#[test]
fn a_plugin_that_needs_an_agents_variable_while_it_is_asked_is_served_once_letta_has_answered() {
    for scope in ["merged", "all"] {
        let (letta, folder) = (Letta::closed(), plugins());
        let setup = letta.known_to(Setup::new().plugins(folder.path()));
        let server = Server::start(&setup.variable("LETTA_ENV_SCOPE", scope));
        assert_eq!(readiness(&server), 503, "Letta has not answered");
        letta.open();
        let list = list(&server);
        let expected = ["describing__go", "independent__go", "parsing__go"];
        assert_eq!(names(&list), expected, "{scope}: {}", server.log());
        assert!(!list.to_string().contains(VALUE), "{list}");
        server.ready();
        let call = json!({"name": "describing__go", "arguments": {}});
        let result = directly(server.address(), "tools/call", call)["result"].take();
        let expected = format!("length {} path True", VALUE.len());
        assert_eq!(text_of(&result).trim(), expected);
        let said = until("the refusal is told", PATIENCE, || {
            let said = server.log() + &server.stdout();
            said.contains("PATH: it would change").then_some(said)
        });
        assert!(!said.contains(VALUE), "{said}");
    }
}

#[test]
fn under_scope_agent_plugins_are_asked_without_and_do_not_wait_for_letta() {
    let (letta, folder) = (Letta::closed(), plugins());
    let setup = letta.known_to(Setup::new().plugins(folder.path()));
    let server = Server::start(&setup.variable("LETTA_ENV_SCOPE", "agent"));
    server.ready();
    let list = directly(server.address(), "tools/list", json!({}))["result"].take();
    assert_eq!(names(&list), ["independent__go"]);
    for plugin in ["describing", "parsing"] {
        server.logs(&[&format!("{plugin} is not served"), "K_A"]);
    }
}

#[test]
fn without_letta_the_other_plugins_are_served_after_one_warning() {
    let folder = plugins();
    let setup = Setup::new()
        .plugins(folder.path())
        .variable("LETTA_SERVER_URL", "http://127.0.0.1:9")
        .variable("LETTA_SERVER_PASSWORD", "secret");
    let server = Server::start(&setup);
    assert_eq!(names(&list(&server)), ["independent__go"]);
    let log = until("the plugins are named", PATIENCE, || {
        Some(server.log()).filter(|log| log.contains("parsing is not served"))
    });
    let warnings = log.lines().filter(|line| line.contains("Letta: loading"));
    assert_eq!(warnings.count(), 1, "{log}");
}

#[test]
fn commands_that_run_once_ask_plugins_as_the_server_does() {
    let (letta, folder) = (Letta::answering(), plugins());
    let command = |words: &str, scope: &str| {
        let setup = words
            .split(' ')
            .fold(Setup::new(), |setup, word| setup.argument(word))
            .argument("--plugins-dir")
            .argument(folder.path());
        let output = run(&letta.known_to(setup).variable("LETTA_ENV_SCOPE", scope));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(!said.contains(VALUE), "{words}: {said}");
        (output.status.success(), said)
    };
    for (words, expected) in [
        ("check", "parsing"),
        ("tools", "parsing__go"),
        ("call parsing__go", "length 11"),
    ] {
        let (worked, said) = command(words, "merged");
        assert!(worked && said.contains(expected), "{words}: {said}");
        assert!(!said.contains("not served:"), "{words}: {said}");
        let (_, said) = command(words, "agent");
        assert!(
            said.contains("not served:") && said.contains("K_A"),
            "{words}: {said}"
        );
    }
}

#[test]
fn a_name_in_the_list_of_those_who_get_lettas_credentials_that_no_plugin_has_is_pointed_out() {
    let folder = plugins();
    let check = |names: &str| {
        let setup = Setup::new()
            .argument("check")
            .argument("--plugins-dir")
            .argument(folder.path());
        let output = run(&setup.variable("SMCP_LETTA_CREDENTIALS", names));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = check("independent,nosuch");
    assert!(
        said.contains(r#"SMCP_LETTA_CREDENTIALS names ["nosuch"]"#),
        "{said}"
    );
    // One that is not served is there all the same.
    for names in ["independent,parsing", "none", "all"] {
        let said = check(names);
        assert!(!said.contains("SMCP_LETTA_CREDENTIALS"), "{names}: {said}");
    }
    let setup = Setup::new().plugins(folder.path());
    let server = Server::start(&setup.variable("SMCP_LETTA_CREDENTIALS", "nosuch"));
    until("it is in the log", PATIENCE, || {
        server.log().contains("nosuch").then_some(())
    });
}

/// A Letta with one agent behind TLS, with the certificate of `tests/fixtures/tls`. Says its port, and ends when nobody
/// holds its input any more.
const OVER_TLS: &str = r#"
import json, ssl, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
class Letta(BaseHTTPRequestHandler):
    def do_GET(self):
        secrets = [{'key': 'K_A', 'value': sys.argv[2]}]
        allowed = self.headers['Authorization'] == 'Bearer secret' and 'User-Agent' not in self.headers
        body = json.dumps([{'id': 'agent-a', 'secrets': secrets if allowed else []}]).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = HTTPServer(('127.0.0.1', 0), Letta)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
"#;

#[test]
fn letta_over_tls_is_trusted_by_the_systems_certificates() {
    let fixture = |name: &str| {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        fixtures.join(name)
    };
    let mut letta = Command::new("python3")
        .args(["-c", OVER_TLS])
        .arg(fixture("server.pem"))
        .arg(VALUE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tests need Python");
    let _limit = Watchdog::of(letta.id(), s(400));
    let mut port = String::new();
    let said = letta.stdout.take().expect("it is piped");
    BufReader::new(said)
        .read_line(&mut port)
        .expect("it says its port");
    let folder = plugins();
    let setup = || {
        Setup::new()
            .plugins(folder.path())
            .variable(
                "LETTA_SERVER_URL",
                format!("https://127.0.0.1:{}", port.trim()),
            )
            .variable("LETTA_SERVER_PASSWORD", "secret")
    };
    // What the system trusts is what this variable names, where it is set.
    let server = Server::start(&setup().variable("SSL_CERT_FILE", fixture("authority.pem")));
    let expected = ["describing__go", "independent__go", "parsing__go"];
    assert_eq!(names(&list(&server)), expected, "{}", server.log());
    drop(server);
    let server = Server::start(&setup().variable("SSL_CERT_FILE", fixture("server.pem")));
    assert_eq!(names(&list(&server)), ["independent__go"]);
    server.logs(&["Letta: loading", "cannot be reached", "certificate"]);
    drop(letta.stdin.take());
    letta.wait().expect("it is ours");
}

#[test]
fn an_agents_id_that_is_none_is_said_to_be_so_and_nothing_is_said_of_letta() {
    let server = Server::start(
        &Setup::new()
            .variable("LETTA_SERVER_URL", "http://127.0.0.1:1")
            .variable("LETTA_SERVER_PASSWORD", "secret")
            .variable("LETTA_AGENT_ID", "x y"),
    );
    server.logs(&["LETTA_AGENT_ID", "x y", "letters, digits"]);
    assert!(
        !server.log().contains("Letta knows no agent"),
        "{}",
        server.log()
    );
}
