//! HTTP+SSE, as Letta's first client and the older SDKs speak it: `GET /sse`, then `POST` to the path of its first event.
//! <https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse>

use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::answer::one;
use super::ask::Ask;
use super::endings::ended;
use super::fault::Fault;
use super::finding::{Checked, Finding};
use super::handshake::{self, Server};
use super::refusal;
use super::site::Site;
use super::stream::{Ended, Stream};
use crate::mcp::revision::Revision;
use crate::text::shown;

/// A session that is open. Dropping it ends it.
pub(super) struct Session {
    stream: Stream,
    /// Where its messages go, below the root.
    endpoint: String,
    opened: Instant,
}

/// Plays a client of each revision with a handshake: the newest to the list of tools, the others to the answer to
/// `initialize`.
pub(super) async fn look(site: &Site) -> (Checked, Option<Server>) {
    let mut checked = Checked::default();
    let newest = Revision::NEWEST_WITH_HANDSHAKE;
    let server = match play(site, newest, true, &mut checked).await {
        Ok(server) => server,
        Err(finding) => {
            checked.add(finding);
            return (checked, None);
        }
    };
    let older = Revision::ALL.into_iter().filter(|known| *known < newest);
    for revision in older {
        if let Err(finding) = play(site, revision, false, &mut checked).await {
            checked.add(finding);
            return (checked, Some(server));
        }
    }
    if checked.findings.is_empty() {
        checked.passed.push(format!(
            "/sse: clients of {} to {newest} shake hands, and events arrive at once",
            Revision::V2024_11_05
        ));
    }
    (checked, Some(server))
}

async fn play(
    site: &Site,
    revision: Revision,
    is_whole: bool,
    checked: &mut Checked,
) -> Result<Server, Finding> {
    let mut session = open(site, checked).await?;
    session
        .send(site, &handshake::initialize(revision), checked)
        .await?;
    let answer = session.answer(site, &json!(0)).await?;
    let server = handshake::server(&answer, revision, "/sse")?;
    if is_whole {
        session
            .send(site, &handshake::initialized(), checked)
            .await?;
        session
            .send(site, &handshake::list_tools(), checked)
            .await?;
        let answer = session.answer(site, &json!(1)).await?;
        handshake::tools(&answer, "/sse")?;
    }
    Ok(server)
}

/// Opens a stream, and waits for the event that names the endpoint.
pub(super) async fn open(site: &Site, checked: &mut Checked) -> Result<Session, Finding> {
    // Letta's client asks so, and reads what comes compressed.
    let ask = Ask::get("sse")
        .with("accept", "text/event-stream")
        .with("cache-control", "no-store")
        .with("accept-encoding", "gzip, deflate");
    let mut head = site
        .open(&ask)
        .await
        .map_err(|why| held_back(site, &ask, why))?;
    if let Some(coding) =
        one(&head.headers, "content-encoding").filter(|coding| *coding != "identity")
    {
        let seen = format!(
            "the stream of GET /sse is compressed: Content-Encoding: {}; events wait in the compressor until it is full",
            shown(coding, 40)
        );
        checked.add(Finding::new(Fault::Compressed, "", seen));
        let plain = ask.clone().with("accept-encoding", "identity");
        head = site
            .open(&plain)
            .await
            .map_err(|why| held_back(site, &plain, why))?;
    }
    if head.status != 200 || !head.is_stream() {
        return Err(refusal::of(site, &ask, &head.whole().await));
    }
    let opened = Instant::now();
    let mut stream = head.stream();
    let first = stream.next(site.wait).await;
    let first =
        first.map_err(|why| ended(&why, "GET /sse", "the endpoint event", opened.elapsed()))?;
    let said = String::from_utf8_lossy(&first).into_owned();
    let endpoint = endpoint(site, &said)?;
    Ok(Session {
        stream,
        endpoint,
        opened,
    })
}

/// No head of a stream that should begin at once: a proxy waits for more of it.
fn held_back(site: &Site, ask: &Ask, why: super::site::NoAnswer) -> Finding {
    match why {
        super::site::NoAnswer::Silent => {
            let seen = format!(
                "{} has no answer within {} s, where other requests have: the proxy waits for the end of the stream",
                ask.line(),
                site.wait.as_secs()
            );
            Finding::new(Fault::Buffered, "", seen)
        }
        why => refusal::no_answer(site, ask, &why),
    }
}

/// The endpoint as a path: clients send nothing to another origin, and neither is the key sent there here.
fn endpoint(site: &Site, said: &str) -> Result<String, Finding> {
    let base = &site.address.base;
    let stream = base.join("sse").expect("a path follows an address");
    let joined = stream.join(said.trim()).ok();
    let same = |url: &Url| url.origin() == base.origin();
    match joined.filter(same) {
        Some(url) => {
            let query = url.query().map(|query| format!("?{query}"));
            Ok(format!("{}{}", url.path(), query.unwrap_or_default()))
        }
        None => Err(Finding::new(
            Fault::NotMcp,
            "",
            format!(
                "the first event of GET /sse names '{}', which is no path of {}; clients refuse it",
                shown(said, 100),
                base.origin().ascii_serialization()
            ),
        )),
    }
}

impl Session {
    /// Posts a message to the endpoint; where that is not there, to where it should be.
    async fn send(
        &mut self,
        site: &Site,
        message: &Value,
        checked: &mut Checked,
    ) -> Result<(), Finding> {
        let ask = Ask::post(&self.endpoint, message);
        let answer = site.ask(&ask).await;
        let answer = answer.map_err(|why| refusal::no_answer(site, &ask, &why))?;
        if answer.status == 202 {
            return Ok(());
        }
        let query = self.endpoint.split_once('?').map_or("", |(_, query)| query);
        let expected = format!("{}/messages/?{query}", site.address.prefix());
        if expected != self.endpoint && !refusal::is_put_off(&answer) {
            let right = Ask::post(&expected, message);
            if site
                .ask(&right)
                .await
                .is_ok_and(|answer| answer.status == 202)
            {
                let named = self.endpoint.split('?').next().unwrap_or_default();
                let seen = format!(
                    "the endpoint event says {}, where POST has {}; the server's messages are at {}/messages/",
                    shown(named, 100),
                    answer.described(),
                    site.address.prefix()
                );
                checked.add(Finding::new(Fault::Prefix, site.address.prefix(), seen));
                self.endpoint = expected;
                return Ok(());
            }
        }
        Err(refusal::of(site, &ask, &answer))
    }

    /// The answer to the request with this id.
    async fn answer(&mut self, site: &Site, id: &Value) -> Result<Value, Finding> {
        let asked = Instant::now();
        let expected = "the answer to an accepted request";
        loop {
            let left = site.wait.saturating_sub(asked.elapsed());
            let event = self.stream.next(left).await;
            let event = event.map_err(|why| match why {
                Ended::Silent => ended(&why, "GET /sse", expected, asked.elapsed()),
                why => ended(&why, "GET /sse", expected, self.opened.elapsed()),
            })?;
            let message: Value = serde_json::from_slice(&event).unwrap_or_default();
            if message["id"] == *id && message.get("method").is_none() {
                return Ok(message);
            }
        }
    }

    /// The stream alone.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }
}
