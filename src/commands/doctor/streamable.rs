//! Streamable HTTP, as Letta's second client and today's SDKs speak it, with the sessions of the revisions that have them.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http>

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::answer::{Answer, one};
use super::ask::Ask;
use super::endings::ended;
use super::fault::Fault;
use super::finding::{Checked, Finding};
use super::handshake::{self, Server};
use super::refusal;
use super::site::Site;
use crate::mcp::revision::Revision;

const PATH: &str = "mcp";

/// A session, as a client knows it.
struct Session {
    id: String,
    revision: Revision,
    server: Server,
}

impl Session {
    fn headed(&self, ask: Ask) -> Ask {
        let ask = ask.with("mcp-session-id", self.id.as_str());
        match self.revision >= Revision::V2025_06_18 {
            true => ask.with("mcp-protocol-version", self.revision.name()),
            false => ask,
        }
    }
}

/// Plays a client of each revision with a handshake; the newest one tries everything that a client may do.
pub(super) async fn look(site: &Site) -> (Checked, Option<Server>) {
    let mut checked = Checked::default();
    let newest = Revision::NEWEST_WITH_HANDSHAKE;
    let session = match open(site, newest).await {
        Ok(session) => session,
        Err(finding) => {
            checked.add(finding);
            return (checked, None);
        }
    };
    let server = session.server.clone();
    let steps = converse(site, &session, &mut checked).await;
    let ended = end(site, &session).await;
    checked.findings.extend(steps.err().or(ended.err()));
    let older = Revision::ALL.into_iter().filter(|known| *known < newest);
    for revision in older {
        if !checked.findings.is_empty() {
            break;
        }
        if let Err(finding) = brief(site, revision).await {
            checked.add(finding);
        }
    }
    if checked.findings.is_empty() {
        checked.passed.push(format!(
            "/mcp: clients of {} to {newest} shake hands, listen and end their sessions",
            Revision::V2024_11_05
        ));
    }
    (checked, Some(server))
}

/// A handshake and its end.
async fn brief(site: &Site, revision: Revision) -> Result<(), Finding> {
    let session = open(site, revision).await?;
    let ask = session.headed(Ask::post(PATH, &handshake::initialized()));
    let accepted = expect(site, &ask, &[202]).await;
    let ended = end(site, &session).await;
    accepted.and(ended)
}

async fn open(site: &Site, revision: Revision) -> Result<Session, Finding> {
    let ask = Ask::post(PATH, &handshake::initialize(revision));
    let answer = site.ask_for_session(&ask).await;
    let answer = answer.map_err(|why| refusal::no_answer(site, &ask, &why))?;
    if answer.status != 200 || !answer.is_json_rpc() {
        return Err(refusal::of(site, &ask, &answer));
    }
    let server = handshake::server(&answer.message(), revision, "/mcp")?;
    match one(&answer.headers, "mcp-session-id") {
        Some(id) => Ok(Session {
            id: id.to_owned(),
            revision,
            server,
        }),
        None => {
            let seen = "the answer to initialize at /mcp has no Mcp-Session-Id, without which a client cannot go on";
            Err(Finding::new(
                Fault::LostAnswerHeader,
                "Mcp-Session-Id",
                seen,
            ))
        }
    }
}

async fn end(site: &Site, session: &Session) -> Result<(), Finding> {
    let ask = session.headed(Ask::delete(PATH));
    let answer = site.ask(&ask).await;
    if answer.is_ok() {
        site.sessions.ended(&session.id);
    }
    match answer {
        Ok(answer) if answer.status == 204 => Ok(()),
        Ok(answer) if matches!(answer.status, 200 | 202) => match lives_on(site, session).await {
            false => Ok(()),
            true => {
                let seen = format!(
                    "DELETE /mcp, which ends a session, is answered with {}, and the session lives on",
                    answer.described()
                );
                Err(Finding::new(Fault::MethodRefused, "DELETE", seen))
            }
        },
        // The proxy refuses it, whatever status it has for that.
        Ok(answer) if answer.code().is_none() && matches!(answer.status, 400 | 403 | 405 | 501) => {
            let seen = format!(
                "DELETE /mcp, which ends a session, is answered with {}",
                answer.described()
            );
            Err(Finding::new(Fault::MethodRefused, "DELETE", seen))
        }
        Ok(answer) => Err(refusal::of(site, &ask, &answer)),
        Err(why) => Err(refusal::no_answer(site, &ask, &why)),
    }
}

/// How long the end of what an examination has left may take.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// Ends the sessions of parts that were not played to their end.
pub(super) async fn end_what_is_left(site: &Site) {
    let ending = async {
        for id in site.sessions.left().await {
            let ask = Ask::delete(PATH).with("mcp-session-id", id);
            // A session that nobody can end ends by the server's own limit.
            let _ = site.ask(&ask).await;
        }
    };
    let _ = timeout(ENDING_LIMIT, ending).await;
}

/// Whether the server still knows a session that it was asked to end. Others than smcp may end it later.
async fn lives_on(site: &Site, session: &Session) -> bool {
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    let ask = session.headed(Ask::post(PATH, &ping));
    let answer = site.ask(&ask).await;
    session.server.is_current() && answer.is_ok_and(|answer| answer.status == 200)
}

/// All that the newest revision with a handshake has.
async fn converse(site: &Site, session: &Session, checked: &mut Checked) -> Result<(), Finding> {
    let ask = session.headed(Ask::post(PATH, &handshake::initialized()));
    let answer = site.ask(&ask).await;
    let answer = answer.map_err(|why| refusal::no_answer(site, &ask, &why))?;
    if answer.status == 400 && says(&answer, "send initialize first") {
        let seen = "Mcp-Session-Id was sent with POST /mcp, and the server answers as if it were not there: send initialize first";
        return Err(Finding::new(Fault::LostHeader, "Mcp-Session-Id", seen));
    }
    if answer.status != 202 {
        return Err(refusal::of(site, &ask, &answer));
    }
    let ask = session.headed(Ask::post(PATH, &handshake::list_tools()));
    let answer = site.ask(&ask).await;
    let answer = answer.map_err(|why| refusal::no_answer(site, &ask, &why))?;
    if answer.status != 200 {
        return Err(refusal::of(site, &ask, &answer));
    }
    // A list that is longer than what is read of an answer is one all the same.
    if answer.is_json_rpc() {
        handshake::tools(&answer.message(), "/mcp")?;
    }
    listen(site, session).await?;
    if session.server.is_current() {
        wrong_values(site, session, checked).await;
    }
    Ok(())
}

/// The session's own stream must begin at once: with an event under this revision.
async fn listen(site: &Site, session: &Session) -> Result<(), Finding> {
    let ask = session.headed(Ask::get(PATH).with("accept", "text/event-stream"));
    let head = match site.open(&ask).await {
        Ok(head) => head,
        Err(super::site::NoAnswer::Silent) => {
            let seen = format!(
                "GET /mcp has no answer within {} s, where other requests have: the proxy waits for the end of the stream",
                site.wait.as_secs()
            );
            return Err(Finding::new(Fault::Buffered, "", seen));
        }
        Err(why) => return Err(refusal::no_answer(site, &ask, &why)),
    };
    // A server may have no such stream, and says so itself.
    if head.status == 405 && !session.server.is_current() {
        return Ok(());
    }
    if head.status != 200 || !head.is_stream() {
        return Err(refusal::of(site, &ask, &head.whole().await));
    }
    let took = head.took;
    let mut stream = head.stream();
    if !session.server.is_current() {
        return Ok(());
    }
    let first = stream.next(site.wait).await;
    let why = first.err();
    why.map_or(Ok(()), |why| {
        Err(ended(&why, "GET /mcp", "its first event", took + site.wait))
    })
}

/// A server refuses these values. One that takes them has not seen them.
async fn wrong_values(site: &Site, session: &Session, checked: &mut Checked) {
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    let post = || session.headed(Ask::post(PATH, &ping));
    let get = || session.headed(Ask::get(PATH).with("accept", "text/event-stream"));
    let tried = [
        (
            "MCP-Protocol-Version",
            "1999-01-01",
            post().with("mcp-protocol-version", "1999-01-01"),
        ),
        ("Accept", "text/html", post().with("accept", "text/html")),
        (
            "Last-Event-ID",
            "doctor",
            get().with("last-event-id", "doctor"),
        ),
    ];
    for (name, value, ask) in tried {
        let taken = site.open(&ask).await.is_ok_and(|head| head.status == 200);
        if taken {
            let seen = format!(
                "{} with {name}: {value}, which the server refuses where it sees it, is answered with status 200",
                ask.line()
            );
            checked.add(Finding::new(Fault::LostHeader, name, seen));
        }
    }
}

fn says(answer: &Answer, words: &str) -> bool {
    let message = answer.message();
    let said = message["error"]["message"].as_str();
    said.is_some_and(|said| said.contains(words))
}

async fn expect(site: &Site, ask: &Ask, statuses: &[u16]) -> Result<(), Finding> {
    match site.ask(ask).await {
        Ok(answer) if statuses.contains(&answer.status) => Ok(()),
        Ok(answer) => Err(refusal::of(site, ask, &answer)),
        Err(why) => Err(refusal::no_answer(site, ask, &why)),
    }
}
