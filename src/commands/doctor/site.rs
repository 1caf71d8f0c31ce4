//! Requests to the server that is looked at, each bounded in time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::header::HeaderValue;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use url::{Host, Url};

use super::address::Address;
use super::answer::{Answer, Head, one};
use super::ask::{Ask, KeyHeader};
use super::sessions::Sessions;
use crate::commands::setup::client_for;
use crate::fetch::{Client, Failure, Reuse};
use crate::text::shown;

/// How often a request is sent again that was refused for how many there are, and after which pause.
const REPEATS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// What the HTTP library says where something comes before the request is sent: an answer of a server that has waited too
/// long for it, or lets nobody in, and the greeting of other protocols.
const UNASKED: &str = "unexpected message from connection";
/// How an answer begins, and how many bytes of it tell its status.
const HTTP: &[u8] = b"HTTP/1.";
const STATUS_LINE: usize = "HTTP/1.1 200".len();

/// The server that is looked at.
pub(super) struct Site {
    pub(super) address: Address,
    client: Arc<Client>,
    /// What the server holds for this examination.
    pub(super) sessions: Sessions,
    refused_for_number: AtomicU64,
    put_off: AtomicU64,
    pub(super) key: Option<String>,
    pub(super) key_header: KeyHeader,
    /// How long any answer may take.
    pub(super) wait: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nothing came in time.
    Silent,
    /// No connection, or one that broke: what the system said.
    Broken(String),
    /// What came was there before the request was sent, and has this status; none where nothing comes to who asks nothing.
    Early(Option<u16>),
}

impl Site {
    /// # Errors
    /// The system has no certificates, or no header can carry the key.
    pub(super) fn new(
        address: &Address,
        key: Option<String>,
        wait: Duration,
    ) -> anyhow::Result<Self> {
        let client = client_for(&address.base, wait, Reuse::Never)?;
        if let Some(key) = &key {
            HeaderValue::from_str(key).map_err(|_| {
                anyhow::anyhow!(
                    "the key in MCP_API_KEY has characters that no HTTP header can carry"
                )
            })?;
        }
        Ok(Self {
            address: address.clone(),
            client: Arc::new(client),
            sessions: Sessions::default(),
            refused_for_number: AtomicU64::new(0),
            put_off: AtomicU64::new(0),
            key,
            key_header: KeyHeader::Authorization,
            wait,
        })
    }

    /// Sends a request, and gives the head of its answer.
    pub(super) async fn open(&self, ask: &Ask) -> Result<Head, NoAnswer> {
        self.repeated(async || self.asked(ask)?.await).await
    }

    /// What is refused for how many requests there are is sent again later: an examination has more of them than a client.
    async fn repeated(
        &self,
        send: impl AsyncFn() -> Result<Head, NoAnswer>,
    ) -> Result<Head, NoAnswer> {
        let send = async || self.once_more(&send).await;
        for _ in 0..REPEATS {
            let head = send().await?;
            if !head.may_be_limit() {
                return Ok(head);
            }
            self.refused_for_number.fetch_add(1, Ordering::Relaxed);
            sleep(PAUSE).await;
        }
        send().await
    }

    /// Whoever has too much to do is asked once more, a moment later: what it says then is what it is.
    async fn once_more(
        &self,
        send: &impl AsyncFn() -> Result<Head, NoAnswer>,
    ) -> Result<Head, NoAnswer> {
        let first = send().await;
        let pause = match &first {
            Ok(head) if !head.may_be_limit() => head.busy_for(),
            Err(NoAnswer::Broken(why)) if why.contains(UNASKED) => Some(PAUSE),
            _ => None,
        };
        let Some(pause) = pause else { return first };
        drop(first);
        sleep(pause).await;
        match send().await {
            Err(NoAnswer::Broken(why)) if why.contains(UNASKED) => Err(self
                .unasked()
                .await
                .map_or(NoAnswer::Broken(why), NoAnswer::Early)),
            Ok(head) if head.busy_for().is_none() => {
                self.put_off.fetch_add(1, Ordering::Relaxed);
                Ok(head)
            }
            second => second,
        }
    }

    /// What comes on a new connection before anything is asked: the status of an answer, or that nothing comes. `None`
    /// where it is no HTTP, or not known.
    async fn unasked(&self) -> Option<Option<u16>> {
        let base = &self.address.base;
        if base.scheme() != "http" {
            return None;
        }
        let port = base.port_or_known_default()?;
        let reading = async {
            let mut stream = match base.host()? {
                Host::Domain(name) => TcpStream::connect((name, port)).await,
                Host::Ipv4(ip) => TcpStream::connect((ip, port)).await,
                Host::Ipv6(ip) => TcpStream::connect((ip, port)).await,
            }
            .ok()?;
            let mut begin = Vec::new();
            // Another protocol's greeting may be shorter, and nothing may follow it.
            while begin.len() < STATUS_LINE && begin.iter().zip(HTTP).all(|(is, of)| is == of) {
                let left = (STATUS_LINE - begin.len()) as u64;
                let read = (&mut stream).take(left).read_buf(&mut begin).await;
                if read.ok()? == 0 {
                    return None;
                }
            }
            let status = std::str::from_utf8(&begin).ok()?.strip_prefix("HTTP/1.")?;
            let (_, status) = status.split_once(' ')?;
            status.parse().ok()
        };
        match timeout(PAUSE, reading).await {
            Ok(status) => status.map(Some),
            Err(_) => Some(None),
        }
    }

    /// How many requests were answered when they were sent again, and not before: there was too much to do.
    pub(super) fn put_off(&self) -> u64 {
        self.put_off.load(Ordering::Relaxed)
    }

    /// How many requests were refused for how many there were.
    pub(super) fn refused_for_number(&self) -> u64 {
        self.refused_for_number.load(Ordering::Relaxed)
    }

    /// Sends a request, and gives its answer.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer, NoAnswer> {
        Ok(self.open(ask).await?.whole().await)
    }

    /// The same of a request that opens a session, which is known from then on.
    pub(super) async fn ask_for_session(&self, ask: &Ask) -> Result<Answer, NoAnswer> {
        let session = |head: &Result<Head, NoAnswer>| {
            let id = one(&head.as_ref().ok()?.headers, "mcp-session-id")?;
            Some(id.to_owned())
        };
        let send = async || {
            let opened = self.sessions.opened(self.asked(ask)?, session).await;
            opened.unwrap_or_else(|| Err(NoAnswer::Broken("the request was given up".into())))
        };
        Ok(self.repeated(send).await?.whole().await)
    }

    /// A request on its way, as long as an answer may take.
    fn asked(
        &self,
        ask: &Ask,
    ) -> Result<impl Future<Output = Result<Head, NoAnswer>> + Send + use<>, NoAnswer> {
        let url = below(&self.address.base, &ask.path).map_err(|error| broken(&error))?;
        let agent = concat!("smcp-doctor/", env!("CARGO_PKG_VERSION"));
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(url.as_str())
            .header("user-agent", agent);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(key) = self.key.as_ref().filter(|_| ask.is_keyed) {
            request = match ask.key_header.unwrap_or(self.key_header) {
                KeyHeader::Authorization => {
                    request.header("authorization", format!("Bearer {key}"))
                }
                KeyHeader::ApiKey => request.header("x-api-key", key),
            };
        }
        let (client, body, wait) = (Arc::clone(&self.client), ask.body.clone(), self.wait);
        Ok(async move {
            let begun = Instant::now();
            let deadline = begun + wait;
            match timeout_at(deadline, client.open(request, body)).await {
                Ok(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    Ok(Head {
                        status: head.status.as_u16(),
                        headers: head.headers,
                        took: begun.elapsed(),
                        body,
                        deadline,
                    })
                }
                Ok(Err(Failure::Broken(why))) => Err(broken(&why)),
                Ok(Err(_)) | Err(_) => Err(NoAnswer::Silent),
            }
        })
    }
}

fn broken(why: &dyn fmt::Display) -> NoAnswer {
    NoAnswer::Broken(shown(&why.to_string(), 200))
}

/// The URL of a path and query. A server may have named them: they are never read as an address of their own, as `//name`
/// would be, so that what is sent, with its key, stays at the origin that was given.
fn below(base: &Url, path: &str) -> anyhow::Result<Url> {
    let mut url = base.clone();
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    match path.starts_with('/') {
        true => url.set_path(path),
        false => url.set_path(&format!("{}{path}", base.path())),
    }
    url.set_query(query);
    anyhow::ensure!(
        url.origin() == base.origin(),
        "{path} leads to another origin"
    );
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_to_another_origin() {
        for base in ["https://a.example/", "http://a.example:81/tools/"] {
            let base = Url::parse(base).unwrap();
            for path in [
                "mcp",
                "/mcp",
                "//b.example/x",
                "///b.example/x",
                "/\\b.example/x",
                "\\\\b.example\\x",
                "http://b.example/x",
                "http:b.example",
                "@b.example/x",
                ":82/x",
                "",
            ] {
                let url = below(&base, path).unwrap();
                assert_eq!(url.origin(), base.origin(), "{path}: {url}");
            }
        }
    }

    #[test]
    fn a_path_stands_below_the_address_and_one_from_the_root_at_the_root() {
        let base = Url::parse("http://a.example/tools/").unwrap();
        for (path, whole) in [
            ("mcp", "http://a.example/tools/mcp"),
            ("health?request", "http://a.example/tools/health?request"),
            ("/messages/?s=1", "http://a.example/messages/?s=1"),
            ("//b.example/x?s=/y?", "http://a.example//b.example/x?s=/y?"),
            ("/a%20b", "http://a.example/a%20b"),
        ] {
            assert_eq!(below(&base, path).unwrap().as_str(), whole);
        }
    }
}
