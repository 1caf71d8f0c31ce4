//! The tables of docs/security.md, walked: every request, with every credential, from every caller.
//!
//! What is expected stands there alone. Here is only how a table is read, and that nothing in it is passed over.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::http::{Answer, Connection, PATIENCE, exchange, get};
use crate::support::server::{Server, Setup, run};
use crate::support::{rows, until};

const KEYS: [(&str, &str); 3] = [
    ("THIRD", "third-canary-8f14e45f"),
    ("SECOND", "second-canary-c9f0f895"),
    ("KEY", "first-canary-45c48cce"),
];
const UNKNOWN: &str = "0123456789abcdef0123456789abcdef";
/// Callers that are walked side by side.
const MOST: usize = 4;

/// The three tables.
#[derive(Debug)]
struct Matrix {
    requests: Vec<Request>,
    credentials: Vec<Credential>,
    callers: Vec<Caller>,
}

#[derive(Debug)]
struct Request {
    method: String,
    path: String,
    headers: Vec<String>,
    kind: Kind,
    answer: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Guarded,
    Health,
    Preflight,
    Probe,
}

#[derive(Debug)]
struct Credential {
    headers: Vec<String>,
    /// 0 is none, 1 a good one, 2 a bad one: the place in a cell.
    counts_as: usize,
}

#[derive(Debug)]
struct Caller {
    name: String,
    server: String,
    reached_at: String,
    http_1_0: bool,
    headers: Vec<String>,
    guarded: [Cell; 3],
    health: [Cell; 3],
    preflight: [Cell; 3],
}

/// What one cell of the matrix says for one credential.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// `None`: what the request is answered when it is let in.
    status: Option<u16>,
    readable_by_its_page: bool,
}

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

#[test]
fn a_preflight_allows_what_browser_clients_send_and_read() {
    let server = start("default");
    let at = server.address();
    let origin = format!("Origin: http://localhost:3000\r\nHost: {at}\r\nConnection: close\r\n");
    let preflight = format!(
        "OPTIONS /mcp HTTP/1.1\r\n{origin}Access-Control-Request-Method: DELETE\r\n\
         Access-Control-Request-Headers: authorization, mcp-session-id\r\n\r\n"
    );
    let allowed = exchange(at, preflight.as_bytes());
    let list = |answer: &Answer, name: &str| -> Vec<String> {
        let value = answer.header(name).unwrap_or_default();
        value
            .split(',')
            .map(|word| word.trim().to_lowercase())
            .collect()
    };
    let headers = list(&allowed, "access-control-allow-headers");
    for header in [
        "authorization",
        "x-api-key",
        "x-agent-id",
        "content-type",
        "last-event-id",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
    ] {
        assert!(
            headers.contains(&header.to_owned()),
            "{header} is not in {headers:?}"
        );
    }
    let methods = list(&allowed, "access-control-allow-methods");
    for method in ["get", "post", "delete"] {
        assert!(
            methods.contains(&method.to_owned()),
            "{method} is not in {methods:?}"
        );
    }
    // No cookie and no client certificate counts here, so pages may not send any.
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    let read = exchange(
        at,
        format!("GET /health HTTP/1.1\r\n{origin}\r\n").as_bytes(),
    );
    let exposed = list(&read, "access-control-expose-headers");
    for header in ["mcp-session-id", "www-authenticate"] {
        assert!(
            exposed.contains(&header.to_owned()),
            "{header} is not in {exposed:?}"
        );
    }
    // What is kept for one page must not be handed to another.
    assert!(
        list(&read, "vary").contains(&"origin".to_owned()),
        "{}",
        read.head
    );
}

#[test]
fn a_key_may_be_all_that_a_head_has_room_for() {
    let long = "k".repeat(60_000);
    let digest = hex(&Sha256::digest(&long));
    let server = Server::start(
        &Setup::new()
            .argument("--require-auth")
            .variable("MCP_API_KEY", format!("sha256:{digest}")),
    );
    for (key, expected) in [(long.clone(), 200), (format!("{long}k"), 401)] {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
        );
        let answer = exchange(server.address(), request.as_bytes());
        assert_eq!(answer.status, expected, "{}", answer.text());
    }
}

#[test]
fn asking_for_a_key_that_nobody_set_ends_the_start() {
    for arguments in [
        &["--require-auth"][..],
        &["--host", "0.0.0.0"],
        &["--allow-external"],
    ] {
        let mut setup = Setup::new();
        for argument in arguments {
            setup = setup.argument(*argument);
        }
        let output = run(&setup);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("MCP_API_KEY"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_refusal_is_counted_and_put_on_record_without_its_query() {
    let server = Server::start(
        &Setup::new()
            .variable("MCP_API_KEY", KEYS[0].1)
            .argument("--require-auth"),
    );
    let at = server.address();
    let ask = |lines: &str| {
        let request = format!(
            "GET /sse?token=canary-in-a-query HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
        );
        exchange(at, request.as_bytes()).status
    };
    assert_eq!(ask("Host: localhost\r\n"), 401);
    assert_eq!(ask("Host: evil.test\r\n"), 403);
    assert_eq!(ask("Host: localhost\r\nOrigin: http://evil.test\r\n"), 403);
    let line = format!("X-API-Key: {}\r\n", KEYS[0].1);
    let metrics = exchange(at, &get(at, "/metrics", &line)).text();
    for reason in ["unauthorized", "host_not_allowed", "origin_not_allowed"] {
        let counted = format!("smcp_refused_total{{reason=\"{reason}\"}} 1");
        assert!(
            metrics.lines().any(|line| line == counted),
            "no {counted} in\n{metrics}"
        );
        until("the refusal is logged", PATIENCE, || {
            let log = server.log();
            let line = log
                .lines()
                .find(|line| line.contains(&format!("outcome={reason}")))?;
            assert!(
                line.contains("peer=127.0.0.1") && line.contains("\"GET /sse\""),
                "{line}"
            );
            Some(())
        });
    }
    assert!(
        !server.log().contains("canary-in-a-query"),
        "{}",
        server.log()
    );
}

impl Matrix {
    fn read() -> Self {
        let page = include_str!("../../docs/security.md");
        let matrix = Self {
            requests: table(page, "### Requests").map(Request::read).collect(),
            credentials: table(page, "### Credentials")
                .map(Credential::read)
                .collect(),
            callers: table(page, "### Callers").map(Caller::read).collect(),
        };
        let sizes = (
            matrix.requests.len(),
            matrix.credentials.len(),
            matrix.callers.len(),
        );
        assert!(
            sizes.0 >= 20 && sizes.1 >= 20 && sizes.2 >= 50,
            "the tables have shrunk: {sizes:?}"
        );
        matrix
    }

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
    fn read(cells: Vec<&str>) -> Self {
        let [request, kind, answer] = cells[..] else {
            panic!("not three cells: {cells:?}")
        };
        let mut said = codes(request);
        let (method, path) = said
            .remove(0)
            .split_once(' ')
            .map(|(m, p)| (m.to_owned(), p.to_owned()))
            .expect("a method and a path");
        let kind = match kind {
            "guarded" => Kind::Guarded,
            "health" => Kind::Health,
            "preflight" => Kind::Preflight,
            "probe" => Kind::Probe,
            other => panic!("no such kind of request: {other}"),
        };
        Self {
            method,
            path,
            headers: said,
            kind,
            answer: answer.parse().expect("a status"),
        }
    }

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

impl Credential {
    fn read(cells: Vec<&str>) -> Self {
        let [credential, counts_as] = cells[..] else {
            panic!("not two cells: {cells:?}")
        };
        let headers = codes(credential);
        assert!(
            !headers.is_empty() || credential == "nothing",
            "no header in {credential}"
        );
        let counts_as = ["none", "good", "bad"]
            .iter()
            .position(|name| *name == counts_as)
            .expect("none, good or bad");
        Self { headers, counts_as }
    }
}

impl Caller {
    fn read(cells: Vec<&str>) -> Self {
        let [server, reached_at, says, guarded, health, preflight] = cells[..] else {
            panic!("not six cells: {cells:?}")
        };
        let mut headers = codes(says);
        let http_1_0 = headers.first().is_some_and(|first| first == "HTTP/1.0");
        if http_1_0 {
            headers.remove(0);
        }
        if says == "no `Host`" {
            headers.clear();
        }
        Self {
            name: format!("{server} at {reached_at}: {says}"),
            server: server.to_owned(),
            reached_at: reached_at.trim_matches('`').to_owned(),
            http_1_0,
            headers,
            guarded: cells_of(guarded),
            health: cells_of(health),
            preflight: cells_of(preflight),
        }
    }

    fn judge(
        &self,
        request: &Request,
        credential: &Credential,
        answer: &Answer,
    ) -> Result<(), String> {
        let cell = match request.kind {
            Kind::Guarded => self.guarded[credential.counts_as],
            Kind::Health => self.health[credential.counts_as],
            Kind::Preflight => self.preflight[credential.counts_as],
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

/// The body rows of the table below a heading, cell by cell.
fn table<'a>(page: &'a str, heading: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let (_, rest) = page.split_once(heading).expect("the heading is there");
    rest.lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

/// What stands between backquotes.
fn codes(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn cells_of(cell: &str) -> [Cell; 3] {
    let answers: Vec<Cell> = cell
        .split('/')
        .map(|answer| {
            let answer = answer.trim();
            let (status, readable_by_its_page) = match answer.strip_suffix('+') {
                Some(status) => (status, true),
                None => (answer, false),
            };
            let status = (status != "in").then(|| status.parse().expect("a status or `in`"));
            Cell {
                status,
                readable_by_its_page,
            }
        })
        .collect();
    answers.try_into().expect("three answers in a cell")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
