//! `smcp health`: whether a server is well, as an exit status. For health checks of containers and for scripts.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use url::Url;

use super::diagnostics::warn;
use super::setup::{client_for, counted, in_one_line, say};
use crate::fetch::{Client, Failure, Reuse};
use crate::http::health::{NOT_READY, READY};
use crate::text::address_without_secrets;

/// How long the server may take to answer. Health checks of containers give up after 30 s.
const LIMIT: Duration = Duration::from_secs(5);
/// More than either answer has, in bytes.
const MAX_BODY: usize = 64 << 10;

/// Asks the server at `url` and prints how it is. Well is a server that is ready: its plugins have answered, and it is
/// not about to end.
///
/// # Errors
/// It is no URL, or nothing answers there.
pub(super) async fn run(url: &str, json: bool) -> anyhow::Result<ExitCode> {
    let asked = match Server::at(url) {
        Ok(server) => server.ask().await,
        Err(error) => Err(error),
    };
    // It is printed.
    let url = &address_without_secrets(url);
    if json {
        say(report(url, &asked));
    }
    match asked {
        Ok(health) if health.is_ready => {
            if !json {
                say(format_args!("healthy: {url}{}", health.in_words()));
            }
            Ok(ExitCode::SUCCESS)
        }
        Ok(health) => {
            if !json {
                warn([format_args!("{url} is not healthy: {}", health.why)]);
            }
            Ok(ExitCode::FAILURE)
        }
        Err(_) if json => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}

/// What a server says of itself.
struct Health {
    /// `/readyz` answered with 200.
    is_ready: bool,
    /// What it said then.
    why: String,
    /// What `/health` says, where it is let in.
    numbers: Option<Value>,
}

impl Health {
    fn in_words(&self) -> String {
        let Some(numbers) = &self.numbers else {
            return String::new();
        };
        let count = |member: &str, thing: &str| {
            let number = numbers[member].as_u64().unwrap_or_default();
            counted(usize::try_from(number).unwrap_or(usize::MAX), thing)
        };
        format!(
            ", {}, {}, {}, up {} s",
            count("plugins", "plugin"),
            count("tools", "tool"),
            count("sessions", "session"),
            numbers["uptime_seconds"].as_u64().unwrap_or_default()
        )
    }
}

/// The same for programs, in one line.
fn report(url: &str, asked: &anyhow::Result<Health>) -> Value {
    match asked {
        Ok(health) => json!({
            "url": url,
            "healthy": health.is_ready,
            "readiness": health.why,
            "server": health.numbers,
        }),
        Err(error) => json!({
            "url": url,
            "healthy": false,
            "error": in_one_line(error),
        }),
    }
}

/// Somebody else answers there: a page for everything, the error of a proxy. None of its words is repeated.
fn stranger(path: &str, status: u16) -> anyhow::Error {
    anyhow!(
        "{path} answers with status {status} and with other words than smcp; is the address right?"
    )
}

/// What `/health` says, if smcp says it.
fn numbers(text: &str) -> Option<Value> {
    let numbers: Value = serde_json::from_str(text).ok()?;
    let is_ours = numbers["version"].is_string() && numbers["tools"].is_u64();
    is_ours.then_some(numbers)
}

struct Server {
    client: Client,
    base: Url,
    /// The address as messages have it.
    shown: String,
}

impl Server {
    fn at(url: &str) -> anyhow::Result<Self> {
        let text = url.trim_end_matches('/');
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let shown = address_without_secrets(text);
        let base = Url::parse(&format!("{whole}/"));
        let base = base.with_context(|| {
            format!("'{shown}' is no address of a server; use one such as http://127.0.0.1:8000")
        })?;
        let client = client_for(&base, LIMIT, Reuse::Never)?;
        Ok(Self {
            client,
            base,
            shown,
        })
    }

    async fn ask(&self) -> anyhow::Result<Health> {
        let (status, why) = self.get("readyz").await?;
        let is_ready = match status {
            200 if why == READY => true,
            503 if NOT_READY.contains(&why.as_str()) => false,
            _ => return Err(stranger("/readyz", status)),
        };
        let numbers = match self.get("health").await {
            Ok((200, text)) => Some(numbers(&text).ok_or_else(|| stranger("/health", 200))?),
            // The server may not answer to this name without a key.
            _ => None,
        };
        let why = why.trim_end().to_owned();
        Ok(Health {
            is_ready,
            why,
            numbers,
        })
    }

    async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let url = self.base.join(path)?;
        let response = self.client.get(url.as_str()).await.with_context(|| {
            format!(
                "nothing answers at {}; is the server running, and is that its address? (smcp health URL)",
                self.shown
            )
        })?;
        let status = response.status().as_u16();
        let body = response.body(MAX_BODY).await.map_err(|fault| match fault {
            Failure::TooLarge => {
                anyhow!("{path} answers with more than smcp does; is the address right?")
            }
            fault => anyhow!("{path} was not answered whole: {fault}"),
        })?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
