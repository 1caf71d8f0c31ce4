//! The configurations of reverse proxies that `docs/reverse-proxy.md` prints, each run by its proxy in front of a
//! server. Only ports, addresses and the paths of certificates are put in; the rest stays as it is printed.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::pages::{Mark, named, root};
use super::support::server::{Server, Setup};
use super::support::{s, until};

const PAGE: &str = "docs/reverse-proxy.md";
const KEY: &str = "a-key-for-the-tests-of-the-proxies";
/// Shorter than the 15 s after which a keep-alive line could push out what a proxy holds back.
const UNBUFFERED: Duration = s(10);

#[tokio::test]
async fn each_proxy_passes_events_on_at_once() {
    for front in fronts(Prefix::FromTheProxy) {
        let mut events = front
            .get("/sse")
            .bearer_auth(KEY)
            .send()
            .await
            .expect("an answer");
        assert_eq!(events.status(), 200, "{front:?}");
        let endpoint = data(&next_event(&mut events, &front).await);
        let below = format!("{}/messages/?session_id=", front.prefix);
        assert!(endpoint.starts_with(&below), "{front:?}: {endpoint}");
        let sent = front
            .at(Method::POST, &endpoint)
            .bearer_auth(KEY)
            .json(&initialize())
            .send()
            .await
            .expect("an answer");
        assert_eq!(sent.status(), 202, "{front:?}");
        let answer = data(&next_event(&mut events, &front).await);
        assert!(answer.contains("\"serverInfo\""), "{front:?}: {answer}");
    }
}

#[tokio::test]
async fn each_proxy_passes_on_what_the_server_takes() {
    for front in fronts(Prefix::FromTheProxy) {
        let session = front.post("/mcp", &initialize()).bearer_auth(KEY);
        let session = session
            .header("Accept", "application/json, text/event-stream")
            .send()
            .await
            .expect("an answer");
        assert_eq!(session.status(), 200, "{front:?}");
        let large = "x".repeat(3 << 20);
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
            {"name": "demo_text__word_count", "arguments": {"text": "two words", "unknown": large}}});
        let called = front
            .post("/messages/", &call)
            .bearer_auth(KEY)
            .send()
            .await;
        let called = called.expect("an answer");
        assert_eq!(called.status(), 200, "{front:?}");
        let answer: Value = called.json().await.expect("JSON");
        assert_eq!(
            answer["result"]["structuredContent"]["error"]["code"], "invalid_arguments",
            "{front:?}"
        );
    }
}

#[tokio::test]
async fn without_a_key_each_proxy_gives_401() {
    for front in fronts(Prefix::FromTheProxy) {
        for path in ["/sse", "/metrics"] {
            let answer = front.get(path).send().await.expect("an answer");
            assert_eq!(answer.status(), 401, "{front:?}: {path}");
        }
        for path in ["/messages/", "/mcp"] {
            let answer = front.post(path, &initialize()).send().await;
            assert_eq!(
                answer.expect("an answer").status(),
                401,
                "{front:?}: {path}"
            );
        }
    }
}

#[tokio::test]
async fn probes_need_no_key_behind_a_proxy() {
    for front in fronts(Prefix::FromTheProxy) {
        for path in ["/healthz", "/readyz"] {
            let answer = front.get(path).send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{front:?}: {path}");
        }
    }
}

#[tokio::test]
async fn a_fixed_prefix_needs_no_header() {
    for front in fronts(Prefix::OfTheServer) {
        let mut events = front
            .get("/sse")
            .bearer_auth(KEY)
            .send()
            .await
            .expect("an answer");
        let endpoint = data(&next_event(&mut events, &front).await);
        let below = format!("{}/messages/?session_id=", front.prefix);
        assert!(endpoint.starts_with(&below), "{front:?}: {endpoint}");
    }
}

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}})
}

/// The text of the next event that is no comment.
async fn next_event(events: &mut Response, front: &Front) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains("\n\n") && !text.contains("\r\n\r\n") {
            let chunk = events.chunk().await.expect("the stream goes on");
            let chunk = chunk.expect("the stream does not end here");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    let arrived = tokio::time::timeout(UNBUFFERED, reading).await;
    assert!(arrived.is_ok(), "{front:?} holds events back: {text:?}");
    text
}

fn data(event: &str) -> String {
    let line = event.lines().find_map(|line| line.strip_prefix("data:"));
    line.unwrap_or_else(|| panic!("no data: {event:?}"))
        .trim()
        .to_owned()
}

/// Who tells the server below which path it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// The proxy, by a header; configurations without a path are tried as well.
    FromTheProxy,
    /// `MCP_ROOT_PATH`; the header is taken out of the configurations.
    OfTheServer,
}

/// A proxy in front of a server. Dropping it ends both.
struct Front {
    program: String,
    prefix: String,
    host: String,
    address: SocketAddr,
    client: Client,
    proxy: Child,
    _server: Server,
    _directory: tempfile::TempDir,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} at '{}/'", self.program, self.prefix)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

impl Front {
    fn at(&self, method: Method, target: &str) -> RequestBuilder {
        let (host, port) = (&self.host, self.address.port());
        self.client
            .request(method, format!("https://{host}:{port}{target}"))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.at(Method::GET, &format!("{}{path}", self.prefix))
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.at(Method::POST, &format!("{}{path}", self.prefix))
            .json(body)
    }
}

/// Each configuration of the page whose proxy is installed, running.
fn fronts(prefix: Prefix) -> Vec<Front> {
    let page = named(PAGE);
    let configurations: Vec<(&str, &str)> = page
        .blocks
        .iter()
        .filter_map(|block| match &block.mark {
            Some(Mark::Proxy(program)) => Some((program.as_str(), block.text.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        configurations.len(),
        4,
        "two proxies, each at the root and below a path"
    );
    let mut running = Vec::new();
    for (program, text) in configurations {
        let Some(path) = installed(program) else {
            eprintln!("skipped: {program} is not installed (apt-get install {program})");
            continue;
        };
        if prefix == Prefix::FromTheProxy || text.contains("/tools/") {
            running.push(start(&path, program, text, prefix));
        }
    }
    running
}

fn start(path: &Path, program: &str, text: &str, whose: Prefix) -> Front {
    let mut setup = Setup::new()
        .plugins(root().join("plugins"))
        .argument("--require-auth")
        .variable("MCP_API_KEY", KEY);
    let mut text = text.to_owned();
    if whose == Prefix::OfTheServer {
        setup = setup.variable("MCP_ROOT_PATH", "/tools");
        let kept = text
            .lines()
            .filter(|line| !line.contains("X-Forwarded-Prefix"));
        text = kept.collect::<Vec<_>>().join("\n");
    }
    let server = Server::start(&setup);
    server.ready();
    assert!(text.contains("127.0.0.1:8000"), "{text}");
    let text = text.replace("127.0.0.1:8000", &server.address().to_string());
    let below = text.contains("/tools/");
    let host = if below {
        "example.org"
    } else {
        "tools.example.org"
    };
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let [address, other] = free_addresses();
    let proxy = match program {
        "nginx" => nginx(path, &text, host, address, directory.path()),
        "caddy" => caddy(path, &text, address, other, directory.path()),
        _ => panic!("{program} is no proxy that is known here"),
    };
    let client = Client::builder()
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .resolve(host, address)
        .build()
        .expect("a client");
    let front = Front {
        program: program.to_owned(),
        prefix: if below { "/tools" } else { "" }.to_owned(),
        host: host.to_owned(),
        address,
        client,
        proxy,
        _server: server,
        _directory: directory,
    };
    until(&format!("{front:?} listens"), s(20), || {
        std::net::TcpStream::connect(address).ok()
    });
    front
}

fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("it is bound"))
}

/// Debian puts servers where ordinary users do not look.
fn installed(program: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&search).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The page's `server` or, below a path, the `location` of one.
fn nginx(path: &Path, text: &str, host: &str, address: SocketAddr, directory: &Path) -> Child {
    let at = directory.display();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", &format!("/CN={host}")])
        .args([
            "-keyout",
            &format!("{at}/key.pem"),
            "-out",
            &format!("{at}/certificate.pem"),
        ])
        .output()
        .expect("openssl is installed");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let site = if text.trim_start().starts_with("location") {
        format!(
            "server {{\nlisten 443 ssl;\nserver_name {host};\nssl_certificate /etc/ssl/{host}.pem;\n\
             ssl_certificate_key /etc/ssl/{host}.key;\nclient_max_body_size 4m;\n{text}\n}}"
        )
    } else {
        text.to_owned()
    };
    let site = site
        .replace("listen 443 ssl", &format!("listen {address} ssl"))
        .replace(
            &format!("/etc/ssl/{host}.pem"),
            &format!("{at}/certificate.pem"),
        )
        .replace(&format!("/etc/ssl/{host}.key"), &format!("{at}/key.pem"));
    assert!(!site.contains("/etc/ssl/"), "a path was not put in: {site}");
    let whole = format!(
        "daemon off;\npid {at}/pid;\nerror_log {at}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\nfastcgi_temp_path {at}/fastcgi;\n\
         uwsgi_temp_path {at}/uwsgi;\nscgi_temp_path {at}/scgi;\n{site}\n}}\n"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, whole).expect("a new file");
    // Without a master process nothing is left when this one is ended.
    spawned(
        Command::new(path)
            .args(["-e", &format!("{at}/error.log"), "-p", &at.to_string()])
            .args(["-g", "master_process off;", "-c"])
            .arg(&file),
    )
}

/// The page's site as it is: the proxy's own settings say where it listens and who signs its certificate.
fn caddy(
    path: &Path,
    text: &str,
    address: SocketAddr,
    other: SocketAddr,
    directory: &Path,
) -> Child {
    let settings = format!(
        "{{\nadmin off\nlocal_certs\nskip_install_trust\ndefault_bind 127.0.0.1\nhttps_port {}\nhttp_port {}\n}}\n",
        address.port(),
        other.port()
    );
    let file = directory.join("Caddyfile");
    fs::write(&file, format!("{settings}{text}")).expect("a new file");
    spawned(
        Command::new(path)
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&file)
            .env("HOME", directory)
            .env("XDG_DATA_HOME", directory)
            .env("XDG_CONFIG_HOME", directory),
    )
}

fn spawned(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the proxy can be started")
}
