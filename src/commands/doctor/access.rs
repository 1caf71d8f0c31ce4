//! Who may call: whether the key opens the server, whether it is open without, and what of a request arrives there.

use serde_json::{Value, json};

use super::answer::Answer;
use super::ask::{Ask, KeyHeader};
use super::fault::Fault;
use super::finding::{Checked, Finding};
use super::refusal;
use super::site::{NoAnswer, Site};
use crate::text::shown;

/// What the server says of a request that it got; see [`crate::http::health`].
#[derive(Debug, Clone, Default)]
pub(super) struct Arrived {
    /// A stream says something after so many seconds.
    pub(super) keep_alive: Option<f64>,
    /// It came with what proxies leave.
    pub(super) is_forwarded: bool,
}

/// Headers that clients send, each with a value that no route minds. A proxy must pass on all of them.
const SENT: [(&str, &str, &str); 8] = [
    ("accept", "Accept", "application/json"),
    ("content-type", "Content-Type", "application/json"),
    ("last-event-id", "Last-Event-ID", "doctor"),
    ("mcp-method", "Mcp-Method", "ping"),
    ("mcp-name", "Mcp-Name", "doctor"),
    ("mcp-protocol-version", "MCP-Protocol-Version", "2025-11-25"),
    ("mcp-session-id", "Mcp-Session-Id", "doctor"),
    ("x-agent-id", "X-Agent-Id", "smcp-doctor"),
];

/// Paths that are asked whether they let somebody in, the one that tells most first. Version 3 had the last alone.
const DOORS: [&str; 3] = ["mcp", "messages/", "sse"];

/// A request that is let in and does nothing: without a session `/mcp` answers it with an error.
fn knock(door: &str) -> Ask {
    match door {
        "sse" => Ask::get(door).with("accept", "text/event-stream"),
        _ => Ask::post(door, &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})),
    }
}

/// Whether a server behind the gate has answered; if not, the answer.
async fn is_let_in(site: &Site, door: &str, ask: &Ask) -> Result<Option<Answer>, NoAnswer> {
    let head = site.open(ask).await?;
    if door == "sse" && head.status == 200 && head.is_stream() {
        return Ok(None);
    }
    let answer = head.whole().await;
    let is_in = matches!(answer.status, 200 | 400) && answer.is_json_rpc();
    Ok((!is_in).then_some(answer))
}

/// Finds a path that lets somebody in, and how the key is shown there. `None` where none does: what is wrong is said
/// then.
pub(super) async fn enter(site: &mut Site, checked: &mut Checked) -> Option<&'static str> {
    let mut refusals: Vec<Finding> = Vec::new();
    for door in DOORS {
        let ask = knock(door);
        let answer = match is_let_in(site, door, &ask).await {
            Ok(None) => return Some(door),
            Ok(Some(answer)) => answer,
            Err(why) => {
                // The other doors would take as long.
                let is_over = matches!(why, NoAnswer::Silent);
                refusals.push(refusal::no_answer(site, &ask, &why));
                if is_over {
                    break;
                }
                continue;
            }
        };
        if answer.status == 401 && site.key.is_some() && other_header(site, door, checked).await {
            return Some(door);
        }
        refusals.push(refusal::of(site, &ask, &answer));
        if refusal::is_put_off(&answer) {
            break;
        }
    }
    // That one path is not passed on says less than why the other is refused.
    let first = refusals
        .iter()
        .position(|found| found.fault != Fault::NotServed || found.is_of_another_path());
    checked
        .findings
        .extend(refusals.into_iter().nth(first.unwrap_or(0)));
    None
}

/// Whether the key opens the server in `X-API-Key` too, which the page and some clients use. That it does not open it in
/// `Authorization` has been said where it does not.
async fn second_header(site: &Site, door: &str) -> Option<Finding> {
    if site.key.is_none() || site.key_header != KeyHeader::Authorization {
        return None;
    }
    let ask = knock(door).with_key_in(KeyHeader::ApiKey);
    let answer = is_let_in(site, door, &ask).await.ok()??;
    let seen = "the key is refused in X-API-Key, and accepted in Authorization: Bearer: the first header does not arrive as it was sent";
    // Another server need not know this header; its refusal has other words.
    let is_ours = answer.status == 401 && answer.code().as_deref() == Some("unauthorized");
    is_ours.then(|| Finding::new(Fault::LostHeader, "X-API-Key", seen))
}

/// Whether the key opens the server in its other header: then the first does not arrive.
async fn other_header(site: &mut Site, door: &str, checked: &mut Checked) -> bool {
    site.key_header = KeyHeader::ApiKey;
    if matches!(is_let_in(site, door, &knock(door)).await, Ok(None)) {
        let seen = "the key is refused in Authorization: Bearer, and accepted in X-API-Key: the first header does not arrive as it was sent";
        checked.add(Finding::new(Fault::LostHeader, "Authorization", seen));
        return true;
    }
    site.key_header = KeyHeader::Authorization;
    false
}

/// Whether the server takes a request without a key. `is_public`: others than this machine reach it, or a proxy stands
/// before it.
pub(super) async fn without_key(site: &Site, door: &str, is_public: bool) -> Checked {
    let mut checked = Checked::default();
    let ask = knock(door).without_key();
    let mut passed = |words: &str| checked.passed.push(words.to_owned());
    match is_let_in(site, door, &ask).await {
        Ok(None) if is_public => {
            let seen = format!(
                "{} without a key is answered: whoever reaches this address may call every tool",
                ask.line()
            );
            checked.add(Finding::new(Fault::Open, "", seen));
        }
        Ok(None) => {
            passed("needs no key from clients of this machine");
            if site.key.is_some() {
                let why = "whether the key is right: clients of this machine need none";
                checked.skipped.push(why.to_owned());
            }
        }
        Ok(Some(answer)) if answer.status == 401 && site.key.is_some() => {
            passed("the key opens it, and without the key it is closed");
        }
        // Who does not answer for another reason may be open.
        Ok(Some(answer)) if refusal::is_put_off(&answer) || answer.status >= 500 => {
            checked.add(refusal::of(site, &ask, &answer));
        }
        // A name or an origin is refused to whoever has no key.
        Ok(Some(_)) => passed("closed without a key"),
        Err(why) => checked.add(refusal::no_answer(site, &ask, &why)),
    }
    checked
}

/// Asks the server which headers of a request have arrived, and how; of the headers of the key at `door`.
pub(super) async fn arrived(site: &Site, door: &str) -> (Checked, Arrived) {
    let mut checked = Checked::default();
    checked.findings.extend(second_header(site, door).await);
    let mut ask = Ask::get("health?request");
    for (name, _, value) in SENT {
        ask = ask.with(name, value);
    }
    let answer = match site.ask(&ask).await {
        Ok(answer) if refusal::is_put_off(&answer) => {
            checked.add(refusal::of(site, &ask, &answer));
            return (checked, Arrived::default());
        }
        Ok(answer) => answer,
        Err(why) => {
            checked.add(refusal::no_answer(site, &ask, &why));
            return (checked, Arrived::default());
        }
    };
    let said = &answer.json()["request"];
    let Some(names) = said["headers"].as_array() else {
        checked.skipped.push(
            "whether X-Agent-Id arrives, under which Host, and by which version of HTTP: /health of this server does not say it"
                .to_owned(),
        );
        return (checked, Arrived::default());
    };
    for (name, written, _) in SENT {
        if !names.iter().any(|known| known == name) {
            let seen = format!(
                "{written} was sent with {}, and did not arrive at the server",
                ask.line()
            );
            checked.add(Finding::new(Fault::LostHeader, written, seen));
        }
    }
    let is_whole = site.key_header == KeyHeader::Authorization && checked.findings.is_empty();
    if is_whole {
        checked
            .passed
            .push("all headers of clients arrive".to_owned());
    }
    if said["http_version"] == "1.0" {
        let seen =
            "the proxy asks the server by HTTP/1.0, and closes the connection after each answer";
        checked.add(Finding::new(Fault::HttpVersion, "", seen).warning());
    }
    checked.findings.extend(other_host(site, said));
    let left = |name: &str| {
        name.starts_with("x-forwarded-") || ["forwarded", "via", "x-real-ip"].contains(&name)
    };
    let arrived = Arrived {
        keep_alive: said["keep_alive_seconds"].as_f64(),
        is_forwarded: names.iter().filter_map(Value::as_str).any(left),
    };
    (checked, arrived)
}

/// A proxy that asks by another name takes the meaning from the server's checks of `Host` and `Origin`. One that leaves
/// out the port, as `$host` of nginx does, takes nothing from them.
fn other_host(site: &Site, said: &Value) -> Option<Finding> {
    let base = &site.address.base;
    let own = base.host_str()?;
    let told = said["host"].as_str()?;
    let (name, port) = match told.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        _ => (told, None),
    };
    let own_port = base.port_or_known_default().map(|port| port.to_string());
    let is_own_port = port.is_none() || port == own_port.as_deref();
    if name.eq_ignore_ascii_case(own) && is_own_port {
        return None;
    }
    let asked = match base.port() {
        Some(port) => format!("{own}:{port}"),
        None => own.to_owned(),
    };
    let seen = format!(
        "the server is told Host: {}, and the client asked for {asked}",
        shown(told, 100)
    );
    Some(Finding::new(Fault::HostChanged, "", seen).warning())
}
