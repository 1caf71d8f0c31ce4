//! A way to a server that runs: Streamable HTTP, as its clients speak it.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http>

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Builder;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Url;

use crate::commands::events::{Events, MAX_EVENT};
use crate::commands::setup::{client_for, misuse};
use crate::fetch::{Client, Reuse};
use crate::text::{address_without_secrets, excerpt, shown};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// How long the server may take to accept what wants no answer.
const ACCEPT_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to hear that the session is over. Nothing depends on it.
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);
/// Messages that have come and wait to be looked at.
const WAITING: usize = 64;
/// How often a stream that ended before its answer is taken up again without anything new.
const MAX_RETURNS: usize = 5;
/// How long to wait before that, where the server does not say, and at most.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// How much of a refusal is read, in bytes.
const MAX_REFUSAL: usize = 64 << 10;

/// A server that is reached over HTTP.
pub(super) struct HttpLink {
    server: Arc<Server>,
    incoming: mpsc::Receiver<anyhow::Result<Value>>,
    sender: mpsc::Sender<anyhow::Result<Value>>,
    /// Each reads the answer to one request. They end with this link.
    reading: JoinSet<()>,
}

struct Server {
    client: Client,
    url: Url,
    /// The address as messages have it.
    shown: String,
    /// The session's id, from the answer to `initialize` on.
    session: OnceLock<HeaderValue>,
    /// The revision that was agreed on.
    version: OnceLock<HeaderValue>,
}

impl HttpLink {
    /// A link to the server at `url`, which may lack the scheme and the path. `key` is shown to it.
    ///
    /// # Errors
    /// It is no address of a server, or the key is none that a header can carry.
    pub(super) fn new(url: &str, key: Option<&str>) -> anyhow::Result<Self> {
        let mut url = address(url).map_err(misuse)?;
        let shown = address_without_secrets(url.as_str());
        // The server is shown its key, and nothing else.
        let _ = url.set_username("").and(url.set_password(None));
        let mut client = client_for(&url, ACCEPT_LIMIT, Reuse::Idle)?;
        if let Some(key) = key {
            let keyed = client.with_token(key);
            client = keyed.map_err(|_| {
                misuse(anyhow!(
                    "the key in MCP_API_KEY has characters that no HTTP header can carry"
                ))
            })?;
        }
        let (sender, incoming) = mpsc::channel(WAITING);
        Ok(Self {
            server: Arc::new(Server {
                client,
                url,
                shown,
                session: OnceLock::new(),
                version: OnceLock::new(),
            }),
            incoming,
            sender,
            reading: JoinSet::new(),
        })
    }

    /// From here on every request names this revision.
    pub(super) fn agreed_on(&self, version: &str) {
        if let Ok(version) = HeaderValue::from_str(version) {
            let _ = self.server.version.set(version);
        }
    }

    /// Sends one message. What answers a request is [received](Self::next) later.
    ///
    /// # Errors
    /// What wants no answer was not accepted.
    pub(super) async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        while self.reading.try_join_next().is_some() {}
        let server = Arc::clone(&self.server);
        let body = Bytes::from(message.to_string());
        let is_request = message.get("id").is_some() && message.get("method").is_some();
        if !is_request {
            let accepted = timeout(ACCEPT_LIMIT, server.post(body)).await;
            return match accepted {
                Ok(response) => response.map(drop),
                Err(_) => bail!("{} does not accept what it is sent", server.shown),
            };
        }
        let (id, sender) = (message["id"].clone(), self.sender.clone());
        self.reading.spawn(async move {
            if let Err(fault) = server.converse(body, &id, &sender).await {
                // Nobody listens any more when the link is gone.
                let _ = sender.send(Err(fault)).await;
            }
        });
        Ok(())
    }

    /// The next message of the server.
    ///
    /// # Errors
    /// A request was not answered.
    pub(super) async fn next(&mut self) -> anyhow::Result<Value> {
        let next = self.incoming.recv().await;
        next.expect("the link holds a sender itself")
    }

    /// Ends the session, which ends what it runs.
    pub(super) async fn close(mut self) {
        self.reading.shutdown().await;
        if self.server.session.get().is_some() {
            let request = self
                .server
                .with_headers(Request::delete(self.server.url.as_str()));
            let ending = self.server.client.open(request, Bytes::new());
            let _ = timeout(GOODBYE_LIMIT, ending).await;
        }
    }
}

/// `127.0.0.1:8000` is `http://127.0.0.1:8000/mcp`.
fn address(url: &str) -> anyhow::Result<Url> {
    let whole = match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    };
    let parsed = Url::parse(&whole).ok();
    let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let mut parsed = parsed.with_context(|| {
        format!(
            "--url: '{}' is no address of a server; use one such as http://127.0.0.1:8000",
            shown(&address_without_secrets(url), 100)
        )
    })?;
    if parsed.path() == "/" {
        parsed.set_path("/mcp");
    }
    Ok(parsed)
}

impl Server {
    fn with_headers(&self, mut request: Builder) -> Builder {
        request = request.header(ACCEPT, "application/json, text/event-stream");
        for (name, value) in [(SESSION, &self.session), (VERSION, &self.version)] {
            if let Some(value) = value.get() {
                request = request.header(name, value);
            }
        }
        request
    }

    async fn post(&self, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let request = Request::post(self.url.as_str()).header(CONTENT_TYPE, "application/json");
        self.exchange(request, body).await
    }

    async fn exchange(&self, request: Builder, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let sent = self.client.open(self.with_headers(request), body).await;
        let response = sent.map_err(|fault| {
            anyhow!(
                "{} cannot be asked: {fault}; is the server running, and is that its address?",
                self.shown
            )
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    /// Why the server takes no message.
    async fn refusal(&self, response: Response<Incoming>) -> anyhow::Error {
        let (status, url) = (response.status(), &self.shown);
        let reading = Limited::new(response.into_body(), MAX_REFUSAL).collect();
        let body = match timeout(ACCEPT_LIMIT, reading).await {
            Ok(Ok(body)) => body.to_bytes(),
            _ => Bytes::new(),
        };
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let said = [&said["error"]["message"], &said["message"], &said["detail"]];
        let said = said.into_iter().find_map(Value::as_str).unwrap_or_default();
        let said = match said {
            "" => String::new(),
            said => format!(": {}", shown(said, 300)),
        };
        match status {
            StatusCode::UNAUTHORIZED => anyhow!(
                "{url} wants a key, or another one{said}; set MCP_API_KEY to it, or MCP_API_KEY_FILE to a file that has it"
            ),
            StatusCode::NOT_FOUND if said.is_empty() => {
                anyhow!("there is no MCP server at {url}; is the address right?")
            }
            _ => anyhow!("{url} answers with status {status}{said}"),
        }
    }

    /// Sends a request, and hands on every message that comes in answer, until that with its id has.
    async fn converse(
        &self,
        body: Bytes,
        id: &Value,
        sender: &mpsc::Sender<anyhow::Result<Value>>,
    ) -> anyhow::Result<()> {
        let mut response = self.post(body).await?;
        if let Some(session) = response.headers().get(SESSION) {
            let _ = self.session.set(session.clone());
        }
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let body = Limited::new(response.into_body(), MAX_EVENT)
                .collect()
                .await;
            let body = body.map_err(|fault| anyhow!("{} broke off: {fault}", self.shown))?;
            let message = self.read(&body.to_bytes())?;
            if message.get("method").is_some() {
                bail!(
                    "{} gives no answer to a request, but this alone: {}",
                    self.shown,
                    excerpt(&message, 100)
                );
            }
            let _ = sender.send(Ok(message)).await;
            return Ok(());
        }
        let mut events = Events::default();
        let mut returns = 0;
        loop {
            let before = events.last_id.clone();
            match self.listen(response, &mut events, id, sender).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(fault) if events.last_id.is_none() => return Err(fault),
                Err(_) => {}
            }
            returns = if events.last_id == before {
                returns + 1
            } else {
                1
            };
            let last = events.last_id.clone().filter(|_| returns <= MAX_RETURNS);
            let last = last.with_context(|| {
                format!("{} ended the stream before the answer had come", self.shown)
            })?;
            tokio::time::sleep(events.retry.unwrap_or(PAUSE).min(MAX_PAUSE)).await;
            let request = Request::get(self.url.as_str()).header(LAST_EVENT, last);
            response = self.exchange(request, Bytes::new()).await?;
        }
    }

    /// Hands on what a stream brings. True when the answer was among it.
    async fn listen(
        &self,
        response: Response<Incoming>,
        events: &mut Events,
        id: &Value,
        sender: &mpsc::Sender<anyhow::Result<Value>>,
    ) -> anyhow::Result<bool> {
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.with_context(|| format!("{} broke off", self.shown))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            for event in events.take(&data)? {
                if event.trim_ascii().is_empty() {
                    continue;
                }
                let message = self.read(&event)?;
                let is_answer = message.get("method").is_none() && message["id"] == *id;
                let _ = sender.send(Ok(message)).await;
                if is_answer {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn read(&self, text: &[u8]) -> anyhow::Result<Value> {
        serde_json::from_slice(text).with_context(|| {
            let text = String::from_utf8_lossy(text);
            format!(
                "{} answers with what is no message: {}; is that an MCP server?",
                self.shown,
                shown(&text, 100)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_neither_scheme_nor_path() {
        for (given, meant) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000/mcp"),
            ("localhost:8000/", "http://localhost:8000/mcp"),
            ("https://h.example", "https://h.example/mcp"),
            ("https://h.example/tools/mcp", "https://h.example/tools/mcp"),
            ("[::1]:80", "http://[::1]/mcp"),
        ] {
            assert_eq!(address(given).unwrap().as_str(), meant);
        }
        for given in ["", "ftp://h.example", "http://", "a b"] {
            let refused = address(given).unwrap_err().to_string();
            assert!(refused.contains("--url"), "{refused}");
        }
    }
}
