//! One client of a server: the handshake, its requests one after the other, and what the server says meanwhile.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle>

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::http_link::HttpLink;
use super::local_link::LocalLink;
use super::screen::Screen;
use crate::mcp::revision::Revision;
use crate::text::{cleaned, shown};

/// How long any answer but that of a call may take. A server waits for slow plugins before it lists.
const LIMIT: Duration = Duration::from_secs(60);
/// How long the server may take to hear that a call is not wanted any more.
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);
/// Pages of a list that are read.
const MAX_PAGES: usize = 1_000;
/// The code of JSON-RPC for a method that is not known.
const UNKNOWN_METHOD: i64 = crate::jsonrpc::METHOD_NOT_FOUND;

/// The way to a server.
pub(super) enum Link {
    /// Inside this process.
    Local(Box<LocalLink>),
    /// Over HTTP.
    Http(Box<HttpLink>),
}

/// A client.
pub(super) struct Dialogue {
    link: Link,
    screen: Screen,
    /// It has shaken hands.
    is_open: bool,
    /// The id of the last request.
    last_id: u64,
    /// What has come of the line that has begun.
    line: Vec<u8>,
}

impl Dialogue {
    /// A client that has said nothing yet.
    pub(super) fn new(link: Link, screen: Screen) -> Self {
        Self {
            link,
            screen,
            is_open: false,
            last_id: 0,
            line: Vec::new(),
        }
    }

    /// Shakes hands. What has come of it when this fails or is given up ends with [`close`](Self::close).
    ///
    /// # Errors
    /// The server cannot be reached, or speaks no revision that this client does.
    pub(super) async fn open(&mut self) -> anyhow::Result<()> {
        let offered = Revision::NEWEST_WITH_HANDSHAKE.name();
        let hello = json!({
            "protocolVersion": offered,
            "capabilities": self.screen.capabilities(),
            "clientInfo": {"name": "smcp call", "version": env!("CARGO_PKG_VERSION")},
        });
        let server = self.request("initialize", hello).await?;
        let agreed = server["protocolVersion"].as_str().unwrap_or_default();
        if !Revision::parse(agreed).is_some_and(Revision::has_handshake) {
            bail!(
                "the server speaks the revision '{}' of the protocol, which smcp call does not",
                shown(agreed, 50)
            );
        }
        if let Link::Http(link) = &self.link {
            link.agreed_on(agreed);
        }
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.send(&initialized).await?;
        self.is_open = true;
        if server["capabilities"]["logging"].is_object() {
            let level = json!({"level": "info"});
            self.request("logging/setLevel", level).await?;
        }
        Ok(())
    }

    /// The definitions of all tools.
    ///
    /// # Errors
    /// The server does not list them.
    pub(super) async fn tools(&mut self) -> anyhow::Result<Vec<Value>> {
        let mut tools = Vec::new();
        let mut params = json!({});
        for _ in 0..MAX_PAGES {
            let mut page = self.request("tools/list", params).await?;
            if let Value::Array(more) = page["tools"].take() {
                tools.extend(more);
            }
            match page["nextCursor"].take() {
                Value::Null => return Ok(tools),
                cursor => params = json!({"cursor": cursor}),
            }
        }
        bail!("the server's list of tools does not end")
    }

    /// Calls a tool, however long that takes, and gives its result.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn call(
        &mut self,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> anyhow::Result<Value> {
        let token = self.last_id + 1;
        let params =
            json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": token}});
        let id = self.ask("tools/call", params).await?;
        let result = self.answer_to(id).await;
        self.screen.clear();
        result
    }

    /// Gives up what was asked last, and ends the session.
    pub(super) async fn close(mut self, is_interrupted: bool) {
        self.screen.clear();
        // A handshake may not be cancelled.
        if is_interrupted && self.is_open {
            let params = json!({"requestId": self.last_id, "reason": "interrupted"});
            let cancelled =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
            let _ = timeout(GOODBYE_LIMIT, self.send(&cancelled)).await;
        }
        if let Link::Http(link) = self.link {
            link.close().await;
        }
    }

    async fn request(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        let answered = async {
            let id = self.ask(method, params).await?;
            self.answer_to(id).await
        };
        let answer = timeout(LIMIT, answered).await;
        answer.with_context(|| format!("{method} had no answer within {} s", LIMIT.as_secs()))?
    }

    async fn ask(&mut self, method: &str, params: Value) -> anyhow::Result<u64> {
        self.last_id += 1;
        let id = self.last_id;
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&message).await?;
        Ok(id)
    }

    async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        match &mut self.link {
            Link::Local(link) => link.send(message).await,
            Link::Http(link) => link.send(message).await,
        }
    }

    async fn answer_to(&mut self, id: u64) -> anyhow::Result<Value> {
        loop {
            let next = async {
                match &mut self.link {
                    Link::Local(link) => link.next(&mut self.line).await,
                    Link::Http(link) => link.next().await,
                }
            };
            tokio::select! {
                message = next => {
                    let message = message?;
                    if message.get("method").is_some() {
                        self.listen(&message).await?;
                    } else {
                        return result_of(message, id);
                    }
                }
                (question, answer) = self.screen.answer() => {
                    let answer = json!({"jsonrpc": "2.0", "id": question, "result": answer});
                    self.send(&answer).await?;
                }
            }
        }
    }

    /// What the server says or asks by itself.
    async fn listen(&mut self, message: &Value) -> anyhow::Result<()> {
        let params = &message["params"];
        let method = message["method"].as_str().unwrap_or_default();
        let Some(id) = message.get("id") else {
            match method {
                "notifications/progress" => self.screen.progress(params),
                "notifications/message" => self.screen.log(params),
                "notifications/cancelled" => self.screen.withdraw(&params["requestId"]),
                _ => {}
            }
            return Ok(());
        };
        let refusal = match method {
            "elicitation/create" => match self.screen.ask(id.clone(), params) {
                Ok(()) => return Ok(()),
                Err(why) => json!({"code": crate::jsonrpc::INVALID_PARAMS, "message": why}),
            },
            "ping" => {
                let pong = json!({"jsonrpc": "2.0", "id": id, "result": {}});
                return self.send(&pong).await;
            }
            _ => json!({"code": UNKNOWN_METHOD, "message": "smcp call cannot be asked this"}),
        };
        self.send(&json!({"jsonrpc": "2.0", "id": id, "error": refusal}))
            .await
    }
}

/// The result in the answer to the request `id`, which is the only one that waits.
///
/// # Errors
/// It is an error, or the answer to something else: no other would come.
fn result_of(mut answer: Value, id: u64) -> anyhow::Result<Value> {
    let is_meant = answer["id"] == id;
    // Who cannot read a request does not know its id.
    if (is_meant || answer["id"].is_null())
        && let Some(error) = answer.get("error")
    {
        let why = error["message"].as_str();
        bail!("{}", cleaned(why.unwrap_or("an error without a message")));
    }
    ensure!(
        is_meant,
        "the server answers the request with the id {id} by an answer with the id {}, so that nobody can tell what it answers; \
         this has to be mended in the server",
        shown(&answer["id"].to_string(), 50)
    );
    Ok(answer["result"].take())
}
