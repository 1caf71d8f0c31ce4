//! A server behind a proxy that clients reach by HTTP.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::proxy::{Over, Proxy, installed};
use super::site::Site;
use super::support::http::{Answer, exchange, get, post};
use super::support::plugins::Folder;
use super::support::server::{Server, Setup};

/// The server's key.
pub const KEY: &str = "a-key-for-the-tests-of-the-proxies";

/// A server behind a proxy. Dropping it ends both, the proxy first.
pub struct Behind {
    pub proxy: Proxy,
    pub server: Server,
}

impl fmt::Debug for Behind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.proxy)
    }
}

impl Behind {
    /// Starts both; `None` where the proxy is not installed.
    pub fn start(site: &Site, setup: &Setup) -> Option<Self> {
        installed(site.program)?;
        let server = Server::start(setup);
        server.ready();
        let proxy = Proxy::start(site, server.address(), Over::Plain)?;
        Some(Self { proxy, server })
    }

    /// Where clients reach the proxy.
    pub fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// A GET request through the proxy.
    pub fn get(&self, path: &str, headers: &str) -> Answer {
        exchange(self.address(), &get(self.address(), path, headers))
    }

    /// The number of sessions that the server has, as it says itself.
    pub fn sessions(&self) -> u64 {
        let server = self.server.address();
        let health = exchange(server, &get(server, "/health", "")).json();
        health["sessions"].as_u64().expect("a number")
    }
}

/// A server that wants a key.
pub fn keyed() -> Setup {
    Setup::new()
        .argument("--require-auth")
        .variable("MCP_API_KEY", KEY)
}

/// The header line with the key.
pub fn key() -> String {
    format!("Authorization: Bearer {KEY}\r\n")
}

/// Posts one message without a session.
pub fn directly(address: SocketAddr, path: &str, headers: &str, message: &Value) -> Answer {
    let body = message.to_string();
    exchange(address, &post(address, path, headers, body.as_bytes()))
}

/// A request that every server answers.
pub fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})
}

/// A plugin whose tool `gate__pass` waits until somebody opens it.
#[derive(Debug)]
pub struct Gate {
    folder: Folder,
    open: PathBuf,
    _place: tempfile::TempDir,
}

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory for temporary files");
        let open = place.path().join("open");
        let command = json!({"name": "pass", "description": "Waits", "parameters": []});
        let description = json!({"commands": [command]});
        let program = format!(
            "#!/bin/sh\nif [ \"$1\" = --describe ]; then echo '{description}'; exit; fi\n\
             while [ ! -e '{}' ]; do sleep 0.05; done\necho passed\n",
            open.display()
        );
        let folder = Folder::new();
        folder.add_executable("gate", &program);
        Self {
            folder,
            open,
            _place: place,
        }
    }

    /// The setup with this plugin.
    pub fn served_by(&self, setup: Setup) -> Setup {
        setup.plugins(self.folder.path())
    }

    /// Lets everybody pass.
    pub fn open(&self) {
        std::fs::write(&self.open, "").expect("a directory of our own");
    }
}

/// The call that waits at the gate.
pub fn pass() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params":
        {"name": "gate__pass", "arguments": {}}})
}
