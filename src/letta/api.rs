//! Letta's HTTP API, as far as agents' variables are in it. Decides nothing about who gets them.

use std::collections::HashSet;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;
use url::Url;

use super::settings::Settings;
use super::variables::Secret;
use crate::fetch::{Client, Failure, Response, Reuse};

/// Agents to a page, at first.
const PAGE: usize = 100;
/// What Letta writes for a value that it did not decrypt.
const ENCRYPTED: &str = "<encrypted>";
/// The longest agent id that is asked for; Letta's own have 42 characters.
const MAX_ID: usize = 128;

/// How much of Letta's time and words is taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one request, from connecting to the last byte.
    pub request: Duration,
    /// For all pages together.
    pub pages: Duration,
    /// Bytes of one answer.
    pub body: usize,
    /// Agents that are loaded at the start.
    pub agents: usize,
    /// Bytes of all agents' variables.
    pub variables: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(15),
            pages: Duration::from_secs(60),
            body: 4 * 1024 * 1024,
            agents: 10_000,
            variables: 16 * 1024 * 1024,
        }
    }
}

/// Why Letta gave nothing. Says nothing of what Letta sent: secrets may be in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be asked.
    #[error("LETTA_SERVER_URL {0}; it must be http://HOST:PORT or https://HOST")]
    Url(String),
    /// No client could be made, for want of certificates for instance.
    #[error("no HTTP client: {0}")]
    Client(String),
    /// Not there, or gone in the middle.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// Too slow.
    #[error("{url} did not answer within {} s", limit.as_secs_f64())]
    TimedOut {
        /// What was asked.
        url: String,
        /// How long was waited.
        limit: Duration,
    },
    /// Another status than 200.
    #[error("{url} answered {status}{}", advice(*status))]
    Status {
        /// What was asked.
        url: String,
        /// What it answered.
        status: StatusCode,
    },
    /// Too much.
    #[error("{url} answered more than {limit} bytes")]
    TooLarge {
        /// What was asked.
        url: String,
        /// What would have been taken.
        limit: usize,
    },
    /// Something else than Letta's API answers there.
    #[error("{url} answered {what}; is LETTA_SERVER_URL Letta's?")]
    Shape {
        /// What was asked.
        url: String,
        /// What came instead.
        what: String,
    },
    /// There are more agents than are loaded.
    #[error(
        "only {agents} agents were loaded, which is the limit; the others are asked for when they call"
    )]
    TooMany {
        /// How many were loaded.
        agents: usize,
    },
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "; check LETTA_SERVER_PASSWORD or LETTA_API_KEY",
        300..=399 => ", which is not followed; set LETTA_SERVER_URL to where it leads",
        _ => "",
    }
}

/// One agent and its variables as Letta gave them, later ones over earlier ones.
#[derive(Debug)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// Names and values; a value that Letta kept encrypted is `None`.
    pub variables: Vec<(String, Option<Secret>)>,
}

impl Agent {
    fn bytes(&self) -> usize {
        let sizes = self.variables.iter();
        sizes
            .map(|(name, value)| name.len() + value.as_ref().map_or(0, |v| v.expose().len()))
            .sum()
    }
}

/// Letta, ready to be asked.
#[derive(Debug)]
pub struct Api {
    client: Client,
    base: Url,
    limits: Limits,
}

impl Api {
    /// Makes the client; asks nothing yet.
    ///
    /// # Errors
    /// The URL is none of an HTTP server or has a password in it, or no client can be made.
    pub fn new(settings: &Settings, limits: Limits) -> Result<Self, Error> {
        let base = base(&settings.url)?;
        let client = match base.scheme() {
            // A small container has no certificate of any authority, and needs none.
            "http" => Ok(Client::without_certificates(limits.request, Reuse::Idle)),
            _ => Client::new(limits.request, Reuse::Idle),
        };
        let client = client.and_then(|client| client.with_token(settings.token.expose()));
        Ok(Self {
            client: client.map_err(Error::Client)?,
            base,
            limits,
        })
    }

    /// One agent; `None` where Letta knows none of this id.
    ///
    /// # Errors
    /// No answer in time, or another one than this agent.
    pub async fn agent(&self, id: &str) -> Result<Option<Agent>, Error> {
        if !is_plausible(id) {
            return Ok(None);
        }
        let mut url = self.at(&format!("/v1/agents/{id}"));
        url.query_pairs_mut()
            .append_pair("include", "agent.secrets");
        let response = self.get(&url).await?;
        // 422 is Letta's word for an id of another form than its own.
        if [StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY].contains(&response.status()) {
            return Ok(None);
        }
        let body = self.body(&url, response).await?;
        match agent_of(&body) {
            Some(agent) if agent.id == id => Ok(Some(agent)),
            _ => Err(shape(&url, "no agent of the id that was asked for")),
        }
    }

    /// All agents, in Letta's order, and why they are not all where they are not.
    pub async fn agents(&self) -> (Vec<Agent>, Option<Error>) {
        let mut agents = Vec::new();
        let all = self.all_pages(&mut agents);
        let failure = match tokio::time::timeout(self.limits.pages, all).await {
            Ok(outcome) => outcome.err(),
            Err(_) => Some(Error::TimedOut {
                url: shown(&self.at("/v1/agents")),
                limit: self.limits.pages,
            }),
        };
        (agents, failure)
    }

    async fn all_pages(&self, agents: &mut Vec<Agent>) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut bytes = 0;
        let mut length = PAGE;
        let mut after: Option<String> = None;
        loop {
            let page = match self.page(length, after.as_deref()).await {
                // Agents with long prompts: fewer of them may fit.
                Err(Error::TooLarge { .. }) if length > 1 => {
                    length /= 4;
                    continue;
                }
                page => page?,
            };
            let before = agents.len();
            for agent in page {
                if !seen.insert(agent.id.clone()) {
                    continue;
                }
                bytes += agent.bytes();
                if agents.len() >= self.limits.agents || bytes > self.limits.variables {
                    let agents = agents.len();
                    return Err(Error::TooMany { agents });
                }
                after = Some(agent.id.clone());
                agents.push(agent);
            }
            // Not the first short page, for a server may have a smaller limit of its own; and a
            // server that does not know `after` gives its first page for ever.
            if agents.len() == before {
                return Ok(());
            }
        }
    }

    async fn page(&self, length: usize, after: Option<&str>) -> Result<Vec<Agent>, Error> {
        // Letta itself answers below the slash and redirects what lacks it; others have it without.
        let mut url = self.page_at("/v1/agents/", length, after);
        let mut response = self.get(&url).await?;
        if response.status() == StatusCode::NOT_FOUND {
            url = self.page_at("/v1/agents", length, after);
            response = self.get(&url).await?;
        }
        let Value::Array(entries) = self.body(&url, response).await? else {
            return Err(shape(&url, "no array of agents"));
        };
        let agents: Vec<Agent> = entries.iter().filter_map(agent_of).collect();
        if agents.is_empty() && !entries.is_empty() {
            return Err(shape(&url, "an array of something else than agents"));
        }
        Ok(agents)
    }

    fn page_at(&self, path: &str, length: usize, after: Option<&str>) -> Url {
        let mut url = self.at(path);
        url.query_pairs_mut()
            .append_pair("limit", &length.to_string())
            .append_pair("include", "agent.secrets")
            .extend_pairs(after.map(|after| ("after", after)));
        url
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    async fn get(&self, url: &Url) -> Result<Response, Error> {
        let response = self.client.get(url.as_str()).await;
        response.map_err(|failure| self.failed(url, failure))
    }

    /// The body of a 200, as JSON, bounded while it is read.
    async fn body(&self, url: &Url, response: Response) -> Result<Value, Error> {
        if response.status() != StatusCode::OK {
            return Err(Error::Status {
                url: shown(url),
                status: response.status(),
            });
        }
        let body = response.body(self.limits.body).await;
        let body = body.map_err(|failure| self.failed(url, failure))?;
        // The parser's own words may quote what it read.
        serde_json::from_slice(&body).map_err(|_| shape(url, "what is no JSON"))
    }

    fn failed(&self, url: &Url, failure: Failure) -> Error {
        let url = shown(url);
        match failure {
            Failure::TimedOut => Error::TimedOut {
                url,
                limit: self.limits.request,
            },
            Failure::TooLarge => Error::TooLarge {
                url,
                limit: self.limits.body,
            },
            Failure::Broken(reason) => Error::Unreachable { url, reason },
        }
    }
}

/// An id that is one segment of a path and nothing else; no other is worth a request.
pub fn is_plausible(id: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !id.is_empty() && id.len() <= MAX_ID && id.chars().all(fits)
}

fn base(url: &str) -> Result<Url, Error> {
    let parsed = Url::parse(url).map_err(|error| Error::Url(format!("is not a URL: {error}")))?;
    if !["http", "https"].contains(&parsed.scheme()) {
        return Err(Error::Url(format!("begins with {}:", parsed.scheme())));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Error::Url(
            "has a user name or password in it, which belongs into LETTA_SERVER_PASSWORD"
                .to_owned(),
        ));
    }
    let mut parsed = parsed;
    parsed.set_query(None);
    parsed.set_fragment(None);
    Ok(parsed)
}

/// A URL without its query: the path says enough.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

fn shape(url: &Url, what: &str) -> Error {
    Error::Shape {
        url: shown(url),
        what: what.to_owned(),
    }
}

/// Reads one agent as far as it is one; whatever else is in it is passed over.
fn agent_of(value: &Value) -> Option<Agent> {
    let id = value.get("id")?.as_str()?.to_owned();
    // Both lists say the same in Letta; `secrets` is the newer name, so it has the last word.
    let lists = ["tool_exec_environment_variables", "secrets"];
    let items = lists
        .iter()
        .filter_map(|list| value.get(list)?.as_array())
        .flatten();
    let variables = items.filter_map(|item| {
        let name = item.get("key")?.as_str()?.trim().to_owned();
        let value = match item.get("value") {
            Some(Value::String(value)) if value == ENCRYPTED => None,
            Some(Value::String(value)) => Some(Secret::new(value.as_str())),
            None | Some(Value::Null) => Some(Secret::new("")),
            Some(_) => return None,
        };
        (!name.is_empty()).then_some((name, value))
    });
    Some(Agent {
        id,
        variables: variables.collect(),
    })
}
