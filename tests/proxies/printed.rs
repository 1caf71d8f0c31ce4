//! The configurations that `docs/reverse-proxy.md` recommends, as they are printed, with TLS.

use std::fmt;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::behind::{KEY, keyed};
use super::pages::root;
use super::proxy::{Over, Proxy, installed};
use super::site::Site;
use super::support::s;
use super::support::server::Server;

/// Shorter than the 15 s after which a keep-alive line could push out what a proxy holds back.
const UNBUFFERED: Duration = s(10);

/// Who tells the server below which path it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// The proxy, by a header; configurations without a path are tried as well.
    FromTheProxy,
    /// `MCP_ROOT_PATH`; the header is taken out of the configurations.
    OfTheServer,
}

/// A server behind a proxy that clients reach by TLS.
struct Front {
    site: Site,
    proxy: Proxy,
    client: Client,
    _server: Server,
}

impl fmt::Debug for Front {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} for '{}/'", self.proxy, self.site.prefix)
    }
}

impl Front {
    fn start(mut site: Site, prefix: Prefix) -> Option<Self> {
        installed(site.program)?;
        let setup = keyed().plugins(root().join("plugins"));
        // What the bundled plugins need is no matter of proxies.
        let mut setup = setup.variable("MCP_PLUGIN_ENVS", "off");
        if prefix == Prefix::OfTheServer {
            setup = setup.variable("MCP_ROOT_PATH", site.prefix);
            site = site.without("X-Forwarded-Prefix");
        }
        let server = Server::start(&setup);
        server.ready();
        let proxy = Proxy::start(&site, server.address(), Over::Tls)?;
        // The second front of a process finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .danger_accept_invalid_certs(true)
            .resolve(site.host, proxy.address())
            .build()
            .expect("a client");
        Some(Self {
            site,
            proxy,
            client,
            _server: server,
        })
    }

    /// A request for this path and query of the proxy.
    fn at(&self, method: Method, target: &str) -> RequestBuilder {
        let (host, port) = (self.site.host, self.proxy.address().port());
        self.client
            .request(method, format!("https://{host}:{port}{target}"))
    }

    /// A GET request for a route of the server.
    fn get(&self, path: &str) -> RequestBuilder {
        self.at(Method::GET, &format!("{}{path}", self.site.prefix))
    }

    /// A POST request of JSON for a route of the server.
    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.at(Method::POST, &format!("{}{path}", self.site.prefix))
            .json(body)
    }
}

/// Each configuration whose proxy is installed, running.
fn fronts(prefix: Prefix) -> Vec<Front> {
    let sites = Site::printed().into_iter();
    let wanted = sites.filter(|site| prefix == Prefix::FromTheProxy || !site.prefix.is_empty());
    wanted
        .filter_map(|site| Front::start(site, prefix))
        .collect()
}

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
        let below = format!("{}/messages/?session_id=", front.site.prefix);
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

/// Asks for each path without a key, and holds the answer's status against this one.
async fn each_gives(front: &Front, paths: [&str; 2], status: u16) {
    for path in paths {
        let answer = front.get(path).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{front:?}: {path}");
    }
}

#[tokio::test]
async fn without_a_key_each_proxy_gives_401() {
    for front in fronts(Prefix::FromTheProxy) {
        each_gives(&front, ["/sse", "/metrics"], 401).await;
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
        each_gives(&front, ["/healthz", "/readyz"], 200).await;
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
        let below = format!("{}/messages/?session_id=", front.site.prefix);
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
