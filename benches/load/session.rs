//! One MCP client: handshake, requests one after the other, the end. Over HTTP+SSE its answers come on the session's
//! stream, over Streamable HTTP with each request.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::events::Events;
use super::http::{Connection, Head};

/// How a client reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// HTTP+SSE, revision 2024-11-05.
    Sse,
    /// Streamable HTTP.
    Mcp,
}

/// Where a server is.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address.
    pub address: SocketAddr,
    /// The path of the event stream or of the MCP endpoint.
    pub path: String,
    /// The transport there.
    pub transport: Transport,
}

/// A session after its handshake.
#[derive(Debug)]
pub struct Session {
    target: Target,
    /// Requests go out here.
    requests: Option<Connection>,
    /// The session's stream: of answers over HTTP+SSE, of notifications over Streamable HTTP.
    stream: Option<(Connection, Events)>,
    /// Where messages are posted.
    path: String,
    session_id: Option<String>,
    next_id: u64,
}

/// As much of an answer as must be read to know whether it is one.
#[derive(Deserialize)]
struct Answer<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    error: Option<&'a serde_json::value::RawValue>,
    result: Option<AnswerResult>,
}

#[derive(Deserialize)]
struct AnswerResult {
    #[serde(rename = "isError")]
    is_error: Option<bool>,
    #[serde(rename = "content")]
    _content: Option<IgnoredAny>,
}

impl Session {
    /// Connects, shakes hands, and says so.
    pub async fn open(target: &Target) -> anyhow::Result<Self> {
        let mut session = Self {
            target: target.clone(),
            requests: None,
            stream: None,
            path: target.path.clone(),
            session_id: None,
            next_id: 0,
        };
        if target.transport == Transport::Sse {
            session.open_sse().await?;
        }
        let revision = match target.transport {
            Transport::Sse => "2024-11-05",
            Transport::Mcp => "2025-06-18",
        };
        let params = json!({
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": {"name": "load", "version": "1"},
        });
        session.request("initialize", &params).await?;
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let head = session.post(&note.to_string()).await?;
        session.finish_post(&head).await?;
        Ok(session)
    }

    async fn open_sse(&mut self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.target.address).await?;
        let head = connection
            .request(&self.get_request())
            .await
            .context("GET of the event stream")?;
        if head.status != 200 {
            bail!("the event stream was answered with {}", head.status);
        }
        let mut events = Events::new(head.framing);
        let first = events.next(&mut connection).await?;
        let first = first
            .filter(|event| event.kind == "endpoint")
            .context("the stream does not begin with an endpoint")?;
        let endpoint = std::str::from_utf8(&first.data)?.trim();
        // Some servers name the whole address, some the path alone.
        self.path = match endpoint.split_once("://") {
            Some((_, rest)) => rest[rest.find('/').unwrap_or(rest.len())..].to_owned(),
            None => endpoint.to_owned(),
        };
        self.stream = Some((connection, events));
        Ok(())
    }

    /// Over Streamable HTTP, opens the stream of notifications, as clients that stay do.
    pub async fn listen(&mut self) -> anyhow::Result<()> {
        if self.target.transport == Transport::Mcp {
            let mut connection = Connection::open(self.target.address).await?;
            let head = connection.request(&self.get_request()).await?;
            // A server may have no such stream.
            if head.status == 200 {
                self.stream = Some((connection, Events::new(head.framing)));
            }
        }
        Ok(())
    }

    /// Closes the connection for requests and keeps the stream: a session of which nobody wants anything now.
    pub fn rest(&mut self) {
        self.requests = None;
    }

    /// Sends one request and waits for its answer, which it gives whole.
    ///
    /// # Errors
    /// The connection broke, or the answer is an error or a result that says that it is one.
    pub async fn request(&mut self, method: &str, params: &Value) -> anyhow::Result<Bytes> {
        let (id, head) = self.send(method, params).await?;
        match self.target.transport {
            Transport::Sse => {
                self.finish_post(&head).await?;
                let (connection, events) = self.stream.as_mut().context("the session has ended")?;
                answer_in(connection, events, id).await
            }
            Transport::Mcp => {
                if let Some(session_id) = &head.session_id {
                    self.session_id = Some(session_id.clone());
                }
                let connection = self.requests.as_mut().expect("the request went out on it");
                if head.status != 200 {
                    let body = connection.whole_body(&head).await?;
                    bail!("{}: {}", head.status, excerpt(&body));
                }
                if !head.is_event_stream {
                    let body = connection.whole_body(&head).await?.freeze();
                    return match check(&body)? {
                        Some(found) if found == id => Ok(body),
                        _ => bail!("not the answer to request {id}: {}", excerpt(&body)),
                    };
                }
                let mut events = Events::new(head.framing);
                let answer = answer_in(connection, &mut events, id).await?;
                // What is left is the end of the stream.
                while events.next(connection).await?.is_some() {}
                Ok(answer)
            }
        }
    }

    /// Sends one request and does not wait for its answer.
    pub async fn send(&mut self, method: &str, params: &Value) -> anyhow::Result<(u64, Head)> {
        let id = self.next_id;
        self.next_id += 1;
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        Ok((id, self.post(&message.to_string()).await?))
    }

    /// Leaves: over Streamable HTTP the session is deleted, over HTTP+SSE the end of its stream says it.
    pub async fn close(mut self) -> anyhow::Result<()> {
        if let (Transport::Mcp, Some(id)) = (self.target.transport, &self.session_id) {
            let request = format!(
                "DELETE {} HTTP/1.1\r\nHost: {}\r\nMcp-Session-Id: {id}\r\n\r\n",
                self.path, self.target.address
            );
            let mut connection = match self.requests.take() {
                Some(connection) => connection,
                None => Connection::open(self.target.address).await?,
            };
            let head = connection.request(request.as_bytes()).await?;
            connection.whole_body(&head).await?;
        }
        Ok(())
    }

    async fn post(&mut self, message: &str) -> anyhow::Result<Head> {
        let session = self.session_header();
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{session}Content-Length: {}\r\n\r\n{message}",
            self.path,
            self.target.address,
            message.len()
        );
        if self.requests.is_none() {
            self.requests = Some(Connection::open(self.target.address).await?);
        }
        let connection = self.requests.as_mut().expect("it was just opened");
        let sent = connection.request(request.as_bytes()).await;
        if sent.is_err() {
            self.requests = None;
        }
        sent
    }

    /// Reads the body of an answer that has nothing to say.
    async fn finish_post(&mut self, head: &Head) -> anyhow::Result<()> {
        let connection = self.requests.as_mut().expect("the request went out on it");
        let body = connection.whole_body(head).await?;
        if !(200..300).contains(&head.status) {
            bail!("{}: {}", head.status, excerpt(&body));
        }
        Ok(())
    }

    fn get_request(&self) -> Vec<u8> {
        let session = self.session_header();
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{session}\r\n",
            self.target.path, self.target.address
        )
        .into_bytes()
    }

    fn session_header(&self) -> String {
        self.session_id.as_ref().map_or_else(String::new, |id| {
            format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-06-18\r\n")
        })
    }
}

/// The answer with this id; what else comes is for nobody here.
async fn answer_in(
    connection: &mut Connection,
    events: &mut Events,
    id: u64,
) -> anyhow::Result<Bytes> {
    loop {
        let event = events.next(connection).await?;
        let event = event.context("the stream ended before the answer")?;
        if event.kind == "message" && check(&event.data)? == Some(id) {
            return Ok(event.data);
        }
    }
}

/// The id of an answer; `None` where a message is none.
fn check(message: &[u8]) -> anyhow::Result<Option<u64>> {
    let answer: Answer = serde_json::from_slice(message)?;
    if let Some(error) = answer.error {
        bail!("an error: {}", excerpt(error.get().as_bytes()));
    }
    match (answer.id, answer.result) {
        (Some(_), Some(result)) if result.is_error == Some(true) => {
            bail!("a failed call: {}", excerpt(message))
        }
        (id, Some(_)) => Ok(id),
        (_, None) => Ok(None),
    }
}

fn excerpt(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned()
}
