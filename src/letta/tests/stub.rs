//! A server on loopback that plays Letta: slow, lying, or gone.

use std::io;
use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

pub(super) const CANARY: &str = "canary-5c1f";
pub(super) const TOKEN: &str = "token-canary-5c1f";

/// What the stub does with one request.
pub(super) enum Act {
    Json(Value),
    Text(&'static str),
    Status(&'static str),
    /// Says how much will come, and sends that much in small pieces.
    Declared(usize),
    /// Sends without end, and without saying how much.
    Endless,
    /// Sends a byte now and then.
    Trickle,
    Silence,
    HangUp,
}

/// A server that plays Letta, gone with the value.
pub(super) struct Stub {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    pub(super) sent: Arc<AtomicUsize>,
    pub(super) task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    /// `act` sees the request line's target; every request must bear the token and name no client.
    pub(super) async fn start(act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let sent: Arc<AtomicUsize> = Arc::default();
        let act = Arc::new(act);
        let (seen, count) = (Arc::clone(&asked), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (act, seen, count) = (Arc::clone(&act), Arc::clone(&seen), Arc::clone(&count));
                tokio::spawn(async move {
                    let Some(head) = head_of(&mut stream).await else {
                        return;
                    };
                    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    seen.lock().unwrap().push(target.clone());
                    let head = head.to_lowercase();
                    let fits = head.contains(&format!("authorization: bearer {TOKEN}"))
                        && !head.contains("user-agent:");
                    let act = if fits {
                        act(&target)
                    } else {
                        Act::Status("400 Bad Request")
                    };
                    let _ = play(&mut stream, act, &count).await;
                });
            }
        });
        Self {
            url,
            asked,
            sent,
            task,
        }
    }

    pub(super) fn settings(&self) -> Settings {
        settings_at(&self.url)
    }

    pub(super) fn letta(&self) -> Letta {
        Letta::from_settings(Some(self.settings()))
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(super) fn settings_at(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        token: Secret::new(TOKEN),
        agent: None,
        scope: Scope::Merged,
    }
}

/// For servers that never answer.
pub(super) fn impatient() -> Limits {
    Limits {
        request: Duration::from_millis(400),
        ..Limits::default()
    }
}

async fn head_of(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

async fn play(stream: &mut TcpStream, act: Act, sent: &AtomicUsize) -> io::Result<()> {
    const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n";
    match act {
        Act::Json(value) => text(stream, OK, &value.to_string()).await,
        Act::Text(body) => text(stream, OK, body).await,
        Act::Status(status) => {
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
            text(stream, &head, &format!("{{\"detail\":\"{CANARY}\"}}")).await
        }
        Act::Declared(length) => {
            let head = format!("{OK}content-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            flood(stream, sent, length).await
        }
        Act::Endless => {
            stream.write_all(format!("{OK}\r\n[\"").as_bytes()).await?;
            flood(stream, sent, usize::MAX).await
        }
        Act::Trickle => {
            stream.write_all(format!("{OK}\r\n[").as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Act::Silence => std::future::pending().await,
        Act::HangUp => Ok(()),
    }
}

async fn text(stream: &mut TcpStream, head: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let whole = format!("{head}content-length: {length}\r\n\r\n{body}");
    stream.write_all(whole.as_bytes()).await
}

async fn flood(stream: &mut TcpStream, sent: &AtomicUsize, length: usize) -> io::Result<()> {
    let chunk = [b'x'; 64 * 1024];
    while sent.load(Ordering::Relaxed) < length {
        stream.write_all(&chunk).await?;
        sent.fetch_add(chunk.len(), Ordering::Relaxed);
    }
    Ok(())
}

/// An agent as Letta's API gives it, shortened.
pub(super) fn agent(id: &str, secrets: &[(&str, &str)]) -> Value {
    let list: Vec<_> = secrets
        .iter()
        .map(
            |(key, value)| json!({"id": "agent-env-1", "key": key, "value": value, "agent_id": id}),
        )
        .collect();
    json!({"id": id, "name": "n", "tool_exec_environment_variables": list, "secrets": list})
}

/// A Letta with these agents, newest first, that pages as Letta does.
pub(super) fn paging(agents: Vec<Value>) -> impl Fn(&str) -> Act {
    move |target| {
        let url = reqwest::Url::parse("http://x")
            .unwrap()
            .join(target)
            .unwrap();
        let find = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        if find("include").as_deref() != Some("agent.secrets") {
            return Act::Status("500 No Include");
        }
        if let Some(id) = url
            .path()
            .strip_prefix("/v1/agents/")
            .filter(|id| !id.is_empty())
        {
            let found = agents.iter().find(|agent| agent["id"] == *id);
            return found.map_or(Act::Status("404 Not Found"), |agent| {
                Act::Json(agent.clone())
            });
        }
        if url.path() != "/v1/agents/" {
            return Act::Status("307 Temporary Redirect");
        }
        let start = match find("after") {
            None => 0,
            Some(id) => 1 + agents.iter().position(|agent| agent["id"] == *id).unwrap(),
        };
        let length: usize = find("limit").unwrap().parse().unwrap();
        let end = agents.len().min(start + length);
        Act::Json(json!(agents[start..end]))
    }
}
