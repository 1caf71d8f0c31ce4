//! The matrix of docs/security.md, walked: every request, with every credential, from every caller.
//!
//! What is expected stands there alone; that nothing in it is passed over is seen to here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::http::{Answer, Connection, PATIENCE, exchange};
use crate::support::server::{Server, Setup};
use crate::support::{rows, until};
use crate::table::{Caller, Cell, Credential, Kind, Matrix, Request, codes};

const KEYS: [(&str, &str); 3] = [
    ("THIRD", "third-canary-8f14e45f"),
    ("SECOND", "second-canary-c9f0f895"),
    ("KEY", "first-canary-45c48cce"),
];
const UNKNOWN: &str = "0123456789abcdef0123456789abcdef";
/// Callers that are walked side by side.
const MOST: usize = 4;

#[test]
fn every_cell_of_the_matrix_is_answered_as_the_table_says() {
    let matrix = Matrix::read();
    let mut servers: BTreeMap<&str, Server> = BTreeMap::new();
    for caller in &matrix.callers {
        servers
            .entry(&caller.server)
            .or_insert_with(|| start(&caller.server));
    }
    let foreign = foreign_address();
    let reachable: Vec<&Caller> = matrix
        .callers
        .iter()
        .filter(|caller| foreign.is_some() || caller.reached_at != "ADDRESS")
        .collect();
    if reachable.len() < matrix.callers.len() {
        eprintln!(
            "SKIPPED: this machine has no address but loopback, so {} callers of the matrix were not walked",
            matrix.callers.len() - reachable.len()
        );
    }
    rows::each(
        &reachable,
        MOST,
        |caller| caller.name.clone(),
        |caller| {
            let server = &servers[caller.server.as_str()];
            matrix.walk(caller, server, foreign);
        },
    );
    for (settings, server) in &servers {
        for (name, key) in KEYS {
            assert!(
                !server.log().contains(key) && !server.stdout().contains(key),
                "the server with {settings} printed {name}"
            );
        }
    }
}

#[test]
fn a_credential_of_a_megabyte_is_refused_by_every_route() {
    let matrix = Matrix::read();
    let server = start("default");
    let place = Place {
        address: server.address(),
        foreign: None,
    };
    for header in ["X-API-Key", "Authorization"] {
        let credential = Credential {
            headers: vec![format!("{header}: Bearer {}", "k".repeat(1 << 20))],
            counts_as: 2,
        };
        for request in &matrix.requests {
            let caller = &matrix.callers[0];
            let bytes = place.fill(&request.bytes(&request.path, caller, &credential));
            let mut connection = Connection::open(server.address());
            // The server need not read what it has refused.
            let _ = connection.send(&bytes);
            let (status, _) = connection.head(PATIENCE).unwrap_or_else(|silence| {
                panic!("{silence:?}: {} {}", request.method, request.path)
            });
            assert_eq!(status, 431, "{} {}", request.method, request.path);
        }
    }
}

impl Matrix {
    fn walk(&self, caller: &Caller, server: &Server, foreign: Option<IpAddr>) {
        let reached_at = match caller.reached_at.as_str() {
            "ADDRESS" => foreign.expect("callers without an address were left out"),
            text => text
                .trim_matches(['[', ']'])
                .parse()
                .expect("an address in the table"),
        };
        let mut place = Place {
            address: SocketAddr::new(reached_at, server.address().port()),
            foreign,
        };
        let prefixes = caller
            .server
            .split_once("MCP_ROOT_PATH=")
            .map(|(_, path)| path.trim_matches('`'));
        let mut faults = String::new();
        for credential in &self.credentials {
            let mut kept = None;
            for request in &self.requests {
                for prefix in [Some(""), prefixes].into_iter().flatten() {
                    let path = format!("{prefix}{}", request.path);
                    let bytes = place.fill(&request.bytes(&path, caller, credential));
                    let answer = place.ask(&mut kept, request, &bytes);
                    if let Err(fault) = caller.judge(request, credential, &answer) {
                        let _ = writeln!(
                            faults,
                            "  {} {path} {:?}: {fault}",
                            request.method, credential.headers
                        );
                    }
                }
            }
        }
        assert!(faults.is_empty(), "\n{faults}");
    }
}

/// Where the requests of one caller go, and what the words in capitals stand for there.
#[derive(Debug)]
struct Place {
    address: SocketAddr,
    foreign: Option<IpAddr>,
}

impl Place {
    fn fill(&self, text: &str) -> Vec<u8> {
        let foreign = self
            .foreign
            .map_or_else(String::new, |address| address.to_string());
        let mut text = text
            .replace("PORT", &self.address.port().to_string())
            .replace("ADDRESS", &foreign)
            .replace("UNKNOWN", UNKNOWN)
            .replace("DIGEST", &hex(&Sha256::digest(KEYS[0].1)));
        for (name, key) in KEYS {
            text = text.replace(name, key);
        }
        text.into_bytes()
    }

    /// Asks on the connection that is kept, where there is one and the server keeps it, too.
    fn ask(&mut self, kept: &mut Option<Connection>, request: &Request, bytes: &[u8]) -> Answer {
        let mut connection = kept
            .take()
            .unwrap_or_else(|| Connection::open(self.address));
        connection
            .send(bytes)
            .expect("the server takes a small request");
        // A stream has no end, and an answer to OPTIONS may be one without a body or a length.
        let open_ended = request.path == "/sse" || request.kind == Kind::Preflight;
        let answer = if open_ended {
            let head = connection.head(PATIENCE);
            head.map(|(status, head)| Answer {
                status,
                head,
                body: Vec::new(),
            })
        } else {
            connection.answer(PATIENCE)
        };
        let answer = answer.unwrap_or_else(|silence| {
            panic!(
                "{silence:?} instead of an answer to {} {}",
                request.method, request.path
            )
        });
        let closes =
            answer.head.starts_with("HTTP/1.0") || answer.header("connection") == Some("close");
        if !open_ended && !closes {
            *kept = Some(connection);
        }
        answer
    }
}

impl Request {
    fn bytes(&self, path: &str, caller: &Caller, credential: &Credential) -> String {
        let version = if caller.http_1_0 { "1.0" } else { "1.1" };
        let mut text = format!("{} {path} HTTP/{version}\r\n", self.method);
        for header in caller
            .headers
            .iter()
            .chain(&credential.headers)
            .chain(&self.headers)
        {
            let _ = write!(text, "{header}\r\n");
        }
        let body = match (self.method.as_str(), self.path.as_str()) {
            ("POST", "/mcp") => json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "matrix", "version": "1"}}}).to_string(),
            ("POST", _) => json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string(),
            _ => String::new(),
        };
        if self.method == "POST" {
            let _ = write!(
                text,
                "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            );
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
        text
    }
}

impl Caller {
    fn judge(
        &self,
        request: &Request,
        credential: &Credential,
        answer: &Answer,
    ) -> Result<(), String> {
        let place = match credential.counts_as {
            3 if self.guarded[0].status == Some(401) => 2,
            3 => 0,
            place => place,
        };
        let cell = match request.kind {
            Kind::Guarded => self.guarded[place],
            Kind::Health => self.health[place],
            Kind::Preflight => self.preflight[place],
            Kind::Probe => Cell {
                status: None,
                readable_by_its_page: false,
            },
        };
        let expected = cell.status.unwrap_or(request.answer);
        if answer.status != expected {
            return Err(format!("{} instead of {expected}", answer.status));
        }
        let told = answer.header("access-control-allow-origin");
        let asked = self
            .headers
            .iter()
            .find_map(|header| header.strip_prefix("Origin: "));
        if cell.readable_by_its_page != told.is_some() {
            return Err(format!(
                "{expected} with access-control-allow-origin {told:?}"
            ));
        }
        if told.is_some_and(|told| {
            asked.is_none_or(|asked| {
                !asked.contains("PORT") && !asked.contains("ADDRESS") && asked != told
            })
        }) {
            return Err(format!("CORS headers for {told:?} instead of {asked:?}"));
        }
        if expected == 401 && answer.header("www-authenticate") != Some("Bearer") {
            return Err("401 without WWW-Authenticate".to_owned());
        }
        if expected == 401
            && !answer.body.is_empty()
            && answer.json() != json!({"error": "unauthorized"})
        {
            return Err(format!("401 with the body {}", answer.text()));
        }
        match KEYS
            .iter()
            .find(|(_, key)| answer.head.contains(key) || answer.text().contains(key))
        {
            Some((name, _)) => Err(format!("the answer holds {name}")),
            None => Ok(()),
        }
    }
}

fn start(settings: &str) -> Server {
    let mut setup = Setup::new();
    if !settings.ends_with("no key") {
        let digest = hex(&Sha256::digest(KEYS[0].1));
        setup = setup
            .variable("MCP_API_KEY", KEYS[2].1)
            .variable("MCP_API_KEYS", format!("{},sha256:{digest}", KEYS[1].1));
    }
    for setting in codes(settings) {
        setup = match setting.split_once('=') {
            Some((name, value)) => setup.variable(name, value),
            None => setting.split(' ').fold(setup, Setup::argument),
        };
    }
    let server = Server::start(&setup);
    // Every server waits for its plugins, of which there are none, before the first cell is looked at.
    let address = loopback(&server);
    until("/readyz turns 200", PATIENCE, || {
        let answer = exchange(
            address,
            b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        );
        (answer.status == 200).then_some(())
    });
    server
}

/// Where a server of any bind address can be reached from this machine.
fn loopback(server: &Server) -> SocketAddr {
    let bound = server.address();
    let ip = match bound.ip() {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none() => {
            IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)
        }
        _ => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    };
    SocketAddr::new(ip, bound.port())
}

/// An IPv4 address of this machine that is not loopback. A connected UDP socket has one, and sends nothing.
fn foreign_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
