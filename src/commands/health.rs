//! `smcp health`: whether a server is well, as an exit status. For health checks of containers and for scripts.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::{Value, json};

use super::setup::{counted, in_one_line, say};

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
                eprintln!("smcp: {url} is not healthy: {}", health.why);
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

struct Server {
    client: Client,
    base: Url,
}

impl Server {
    fn at(url: &str) -> anyhow::Result<Self> {
        let text = url.trim_end_matches('/');
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let base = Url::parse(&format!("{whole}/"));
        let base = base.with_context(|| {
            format!("'{url}' is no address of a server; use one such as http://127.0.0.1:8000")
        })?;
        // No proxy: the environment is not read here. No redirect: what answers there would not be the server.
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(LIMIT);
        if base.scheme() == "http" {
            // A small container has no certificate of any authority, and needs none.
            client = client.tls_certs_only([]);
        }
        let client = client.build().with_context(|| {
            format!("cannot ask {base}; over https that needs the certificates of authorities, which Debian has in the package ca-certificates")
        })?;
        Ok(Self { client, base })
    }

    async fn ask(&self) -> anyhow::Result<Health> {
        let (status, why) = self.get("readyz").await?;
        let numbers = match self.get("health").await {
            Ok((200, text)) => serde_json::from_str(&text).ok(),
            _ => None,
        };
        let why = why.lines().next().unwrap_or_default().to_owned();
        Ok(Health {
            is_ready: status == 200,
            why: if status == 200 || status == 503 {
                why
            } else {
                format!(
                    "/readyz answers with status {status}, which is no answer of smcp; is the address right?"
                )
            },
            numbers,
        })
    }

    async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let url = self.base.join(path)?;
        let asked = self.client.get(url).send().await;
        let mut response = asked.map_err(reqwest::Error::without_url).with_context(|| {
            format!(
                "nothing answers at {}; is the server running, and is that its address? (smcp health URL)",
                self.base
            )
        })?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_BODY {
                bail!("{path} answers with more than smcp does; is the address right?");
            }
        }
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
