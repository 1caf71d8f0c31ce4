//! What a request allocates on its way from the socket and back: counted, never timed.
//!
//! The server runs on the thread that is counted, its client on another. Only the plugins run in processes of
//! their own.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use allocation_counter::measure;
use clap::Parser;
use serde_json::{Value, json};
use smcp::app::App;
use smcp::cli::Cli;
use smcp::config::{self, Purpose};
use smcp::process::Launcher;
use smcp::shutdown::Shutdown;
use smcp::telemetry::Counters;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// Requests that are counted together: what one takes is the mean.
const ROUNDS: u64 = 50;
/// Requests before those: tables, buffers and what is kept for the next request are there after them.
const FIRST_ROUNDS: u64 = 20;

/// What one request allocates.
#[derive(Debug, Clone, Copy)]
struct Cost {
    count: u64,
    bytes: u64,
}

/// A server on this thread, and a client with a session on another.
struct Server {
    runtime: Runtime,
    address: SocketAddr,
    app: App,
    _plugins: tempfile::TempDir,
}

impl Server {
    /// Serves so many tools, 500 to a plugin.
    fn with(tools: usize) -> Self {
        let plugins = tempfile::tempdir().expect("there is room");
        for first in (0..tools).step_by(500) {
            let commands: Vec<Value> = (first..tools.min(first + 500)).map(command).collect();
            let description = json!({"contract_version": "1.1", "commands": commands});
            write_plugin(
                &plugins.path().join(format!("set{first}")),
                &description.to_string(),
            );
        }
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let flags = ["smcp", "--port", "0", "--plugins-dir"].map(OsString::from);
        let flags = flags.into_iter().chain([plugins.path().into()]);
        let flags = Cli::try_parse_from(flags).expect("known flags").flags;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let environment = vec![("PATH".into(), path)];
        let config =
            config::read(Purpose::Http, &flags, environment, Vec::new()).expect("good settings");
        let app = runtime.block_on(async {
            let launcher = Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp"));
            let launcher = launcher.expect("programs can be run");
            let counters = Counters::new(smcp::telemetry::Losses::default());
            let app = App::start(config, launcher, counters, Shutdown::new()).await;
            let app = app.expect("a free port");
            app.services().catalog.complete().await;
            app
        });
        let served = app.services().catalog.snapshot().tools.len();
        assert_eq!(served, tools, "every tool is served");
        Self {
            runtime,
            address: app.addresses()[0],
            app,
            _plugins: plugins,
        }
    }

    /// What one request of this method takes, from its first byte to the last byte of its answer.
    fn cost_of(&self, method: &str, params: &Value) -> Cost {
        let (method, params) = (method.to_owned(), params.to_string());
        let address = self.address;
        let (turn, done) = (Arc::new(Turn::default()), Arc::new(Notify::new()));
        let (turns, ends) = (Arc::clone(&turn), Arc::clone(&done));
        let client = thread::spawn(move || {
            let mut client = Client::open(address);
            for rounds in [FIRST_ROUNDS, ROUNDS] {
                turns.wait();
                (0..rounds).for_each(|_| client.ask(&method, &params));
                ends.notify_one();
            }
        });
        let mut counted = None;
        for _ in 0..2 {
            turn.give();
            counted = Some(measure(|| self.runtime.block_on(done.notified())));
        }
        client.join().expect("the client has its answers");
        let counted = counted.expect("two rounds were measured");
        let cost = Cost {
            count: counted.count_total / ROUNDS,
            bytes: counted.bytes_total / ROUNDS,
        };
        println!("one {cost:?}");
        cost
    }
}

/// Lets the client go on.
#[derive(Default)]
struct Turn {
    given: std::sync::Mutex<bool>,
    changed: std::sync::Condvar,
}

impl Turn {
    fn give(&self) {
        *self.given.lock().expect("nobody panics with it") = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let given = self.given.lock().expect("nobody panics with it");
        let given = self.changed.wait_while(given, |given| !*given);
        *given.expect("nobody panics with it") = false;
    }
}

/// A client of HTTP+SSE over two connections that stay.
struct Client {
    posts: TcpStream,
    events: TcpStream,
    path: String,
    address: SocketAddr,
    next: u64,
}

impl Client {
    fn open(address: SocketAddr) -> Self {
        let connect = || {
            let stream = TcpStream::connect(address).expect("the server listens");
            stream.set_nodelay(true).expect("a TCP socket");
            stream
        };
        let mut events = connect();
        let head =
            format!("GET /sse HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n");
        events.write_all(head.as_bytes()).expect("it reads");
        let first = read_until(&mut events, b"\n\n");
        let (_, path) = first.split_once("data: ").expect("the endpoint");
        let path = path.lines().next().expect("a line").to_owned();
        let mut client = Self {
            posts: connect(),
            events,
            path,
            address,
            next: 0,
        };
        client.ask(
            "initialize",
            r#"{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"cost","version":"1"}}"#,
        );
        client
    }

    fn ask(&mut self, method: &str, params: &str) {
        self.next += 1;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{params}}}"#,
            self.next
        );
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.path,
            self.address,
            body.len()
        );
        self.posts.write_all(request.as_bytes()).expect("it reads");
        read_until(&mut self.posts, b"Accepted");
        let answer = read_until(&mut self.events, b"\n\n");
        let answered = format!(r#""id":{},"result":"#, self.next);
        assert!(answer.contains(&answered), "{method}: {answer}");
    }
}

/// Reads until `end` has come, which nothing follows but the end of a chunk.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut read = Vec::new();
    let mut block = vec![0; 64 << 10];
    while !read.strip_suffix(b"\r\n").unwrap_or(&read).ends_with(end) {
        let count = stream.read(&mut block).expect("an answer");
        assert!(count > 0, "the server closed the connection");
        read.extend_from_slice(&block[..count]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

fn command(number: usize) -> Value {
    json!({
        "name": format!("tool-{number}"),
        "description": "Converts an amount of one currency into another, by the rate of a day.",
        "parameters": [
            {"name": "amount", "type": "number", "required": true, "description": "How much of it."},
            {"name": "from", "type": "string", "required": true, "description": "The currency it is in."},
            {"name": "to", "type": "string", "description": "The currency it is to be in."},
        ],
    })
}

fn write_plugin(directory: &Path, description: &str) {
    std::fs::create_dir(directory).expect("a new name");
    std::fs::write(directory.join("description.json"), description).expect("there is room");
    let program = directory.join("cli");
    let script = "#!/bin/sh\n[ \"$1\" = --describe ] && exec cat \"$SMCP_PLUGIN_DIR/description.json\"\necho '{\"rate\": 1.5}'\n";
    std::fs::write(&program, script).expect("there is room");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn a_ping_allocates_little() {
    let cost = Server::with(0).cost_of("ping", &json!({}));
    assert!(cost.count <= 90 && cost.bytes <= 32 << 10, "{cost:?}");
}

/// What a list is made of is written once; after that it is copied into its answer, and from there in pieces.
#[test]
fn a_list_is_copied_twice_and_never_written_again() {
    let (few, many) = (Server::with(200), Server::with(2_000));
    let length: usize = {
        let snapshot = many.app.services().catalog.snapshot();
        let tools = snapshot.tools.iter();
        tools.map(|tool| tool.definition.get().len()).sum()
    };
    let few = few.cost_of("tools/list", &json!({}));
    let many = many.cost_of("tools/list", &json!({}));
    assert!(many.bytes <= 10 * few.bytes, "{many:?} and {few:?}");
    assert!(
        many.bytes as usize <= length * 9 / 4,
        "{many:?} for {length}"
    );
}

#[test]
fn a_call_allocates_little() {
    let call =
        json!({"name": "set0__tool-7", "arguments": {"amount": 5, "from": "EUR", "to": "USD"}});
    let cost = Server::with(50).cost_of("tools/call", &call);
    assert!(cost.count <= 280 && cost.bytes <= 180_000, "{cost:?}");
}
