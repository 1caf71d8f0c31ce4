//! Requests to the server that is looked at, each bounded in time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::header::HeaderValue;
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

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

/// The server that is looked at.
pub(super) struct Site {
    pub(super) address: Address,
    client: Arc<Client>,
    /// What the server holds for this examination.
    pub(super) sessions: Sessions,
    refused_for_number: AtomicU64,
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
