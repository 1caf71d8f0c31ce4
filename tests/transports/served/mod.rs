//! What plugins serve beside tools, and the notices of its changes: in a session (2025-11-25) and stateless
//! (2026-07-28), over Streamable HTTP.

mod addresses;
mod changes;
mod completions;
mod levels;
mod missing;
mod sizes;
mod waiting;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use crate::support::http::exchange;
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::streamable::{BOTH, Client, Stream, post};
use crate::support::wire;

/// No two requests of a session that run at once have one id.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

const STATELESS: &str = "2026-07-28";
const INVALID_PARAMS: i64 = -32602;

/// A client of one of the two eras.
enum Door {
    Session(Client),
    Stateless(SocketAddr),
}

impl Door {
    /// A client of each era.
    #[track_caller]
    fn both(at: SocketAddr) -> [Self; 2] {
        [Self::session(at), Self::Stateless(at)]
    }

    #[track_caller]
    fn session(at: SocketAddr) -> Self {
        Self::Session(Client::open(at, wire::NEWEST))
    }

    /// The response to a request.
    #[track_caller]
    fn ask(&self, method: &str, params: Value) -> Value {
        match self {
            Self::Session(client) => {
                let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
                let message =
                    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
                let answer = client.post_with("Accept: application/json\r\n", &message);
                assert_eq!(answer.status, 200, "{method}: {}", answer.text());
                wire::message(&answer.text(), Some(method), wire::NEWEST)
            }
            Self::Stateless(at) => {
                let (headers, message) = stateless(method, params);
                let headers = format!("{headers}Accept: application/json\r\n");
                exchange(*at, &post(*at, &headers, &message)).json()
            }
        }
    }

    /// The result of a request.
    #[track_caller]
    fn result(&self, method: &str, params: Value) -> Value {
        let response = self.ask(method, params);
        assert!(response["result"].is_object(), "{method}: {response}");
        response["result"].clone()
    }

    /// The text of a resource.
    #[track_caller]
    fn read(&self, uri: &str) -> Value {
        let result = self.result("resources/read", json!({"uri": uri}));
        result["contents"][0]["text"].clone()
    }

    /// The text that a tool gives.
    #[track_caller]
    fn call(&self, tool: &str, arguments: Value) -> Value {
        let result = self.result("tools/call", json!({"name": tool, "arguments": arguments}));
        assert_eq!(result["isError"], false, "{result}");
        result["content"][0]["text"].clone()
    }

    /// The code of this era for a resource that is not there.
    fn not_found(&self) -> i64 {
        match self {
            Self::Session(_) => -32002,
            Self::Stateless(_) => INVALID_PARAMS,
        }
    }

    /// Listens for all changes of lists, and for those of the resources `uris`, from now on.
    #[track_caller]
    fn listen(&self, uris: &[&str]) -> Listening {
        match self {
            Self::Session(client) => {
                for uri in uris {
                    self.result("resources/subscribe", json!({"uri": uri}));
                }
                let mut stream = client.listen(None).expect("the session's stream");
                stream.event().expect("an event to come back to");
                Listening { stream }
            }
            Self::Stateless(at) => {
                let wanted = json!({"toolsListChanged": true, "promptsListChanged": true,
                    "resourcesListChanged": true, "resourceSubscriptions": uris});
                let mut listening = Listening {
                    stream: begin_listening(*at, wanted),
                };
                let acknowledged = listening.next();
                assert_eq!(
                    acknowledged["method"], "notifications/subscriptions/acknowledged",
                    "{acknowledged}"
                );
                listening
            }
        }
    }
}

/// Notifications, as they come.
struct Listening {
    stream: Stream,
}

impl Listening {
    #[track_caller]
    fn next(&mut self) -> Value {
        self.stream.event().expect("a notification").message()
    }

    /// What is heard up to the notification in which `last` holds, that one included: methods without their common
    /// beginning, and addresses.
    #[track_caller]
    fn heard_until(&mut self, last: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let message = self.next();
            let method = message["method"].as_str().expect("a notification");
            let method = method.trim_start_matches("notifications/");
            let what = match message["params"]["uri"].as_str() {
                Some(uri) => format!("{method} {uri}"),
                None => method.to_owned(),
            };
            heard.push(what.clone());
            if what == last {
                return heard;
            }
        }
    }
}

/// The headers and the message of a stateless request.
fn stateless(method: &str, mut params: Value) -> (String, Value) {
    let mut headers = format!("MCP-Protocol-Version: {STATELESS}\r\nMcp-Method: {method}\r\n");
    let name = params.get("name").or_else(|| params.get("uri"));
    if let Some(name) = name.and_then(Value::as_str) {
        headers += &format!("Mcp-Name: {name}\r\n");
    }
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    (
        headers,
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}),
    )
}

#[track_caller]
fn begin_listening(at: SocketAddr, wanted: Value) -> Stream {
    let (headers, message) = stateless("subscriptions/listen", json!({"notifications": wanted}));
    Stream::begin(at, &post(at, &format!("{headers}{BOTH}"), &message))
        .unwrap_or_else(|answer| panic!("no stream: {}", answer.head))
}

/// Adds a plugin of contract 1.1 that describes itself by the file `description.json` beside it, and runs `script`
/// with its words for all else. Gives its directory.
fn add(plugins: &Folder, name: &str, description: Value, script: &str) -> PathBuf {
    let directory = plugins.add_executable(
        name,
        &format!(
            "#!/bin/sh\n[ \"$1\" = --describe ] && exec cat \"$SMCP_PLUGIN_DIR/description.json\"\n{script}\n"
        ),
    );
    describe(&directory, description);
    directory
}

/// Replaces what a plugin says of itself.
fn describe(directory: &Path, mut description: Value) {
    description["contract_version"] = json!("1.1");
    let members = description.as_object_mut().expect("an object");
    members.entry("commands").or_insert_with(|| json!([]));
    let fresh = directory.join("description.fresh");
    std::fs::write(&fresh, description.to_string()).expect("a directory of our own");
    std::fs::rename(&fresh, directory.join("description.json")).expect("a directory of our own");
}

/// A server of `plugins`, all of which have answered.
fn serving(plugins: &Folder) -> Server {
    let server = Server::start(&Setup::new().plugins(plugins.path()));
    server.ready();
    server
}

/// An object of one member, whose name is known only when the test runs.
fn one(name: &str, value: impl Into<Value>) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value.into())]))
}
