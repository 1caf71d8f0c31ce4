//! A web page that calls the server: the browser's question beforehand, and what it lets the page see.
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>

use hyper::header::HeaderMap;
use serde_json::json;

use super::answer::{Answer, one};
use super::ask::Ask;
use super::fault::Fault;
use super::finding::{Checked, Finding, Severity};
use super::refusal;
use super::site::Site;
use crate::text::shown;

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const ALLOW_HEADERS: &str = "Access-Control-Allow-Headers";
const ALLOW_METHODS: &str = "Access-Control-Allow-Methods";
const EXPOSE: &str = "Access-Control-Expose-Headers";
/// The origin of a page that no server allows: a name that cannot be there.
const NOBODY: &str = "https://doctor.invalid";
/// What a page that speaks Streamable HTTP sends.
const SENT: &str = "authorization,content-type,mcp-protocol-version,mcp-session-id";

/// Plays a page of `origin`, or of the server's own address.
pub(super) async fn look(site: &Site, origin: Option<&str>) -> Checked {
    let mut checked = Checked::default();
    let own = site.address.base.origin().ascii_serialization();
    let page = origin.unwrap_or(&own);
    match found(site, page).await {
        None => checked
            .passed
            .push(format!("a web page of {} may call", shown(page, 100))),
        Some(finding) => {
            // Nobody may ever open a page of this origin; who asked for one wants it to work.
            let is_idle = finding.fault == Fault::OriginRefused && origin.is_none();
            checked.add(if is_idle { finding.warning() } else { finding });
        }
    }
    checked
}

/// What keeps the page from calling.
async fn found(site: &Site, page: &str) -> Option<Finding> {
    let question = Ask::options("mcp")
        .without_key()
        .with("origin", page)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", SENT);
    let no_answer = |ask: &Ask, why| Some(refusal::no_answer(site, ask, &why));
    let answered = match site.ask(&question).await {
        Ok(answer) => answer,
        Err(why) => return no_answer(&question, why),
    };
    let call = call_of(page);
    let called = match site.ask(&call).await {
        Ok(answer) => answer,
        Err(why) => return no_answer(&call, why),
    };
    // Where the call does not get to the server either, that is what is wrong; and where it is put off, nothing is known.
    let is_unheard = !called.is_json_rpc() && called.code().is_none();
    if is_unheard || refusal::is_put_off(&called) {
        return Some(refusal::of(site, &call, &called));
    }
    let of_question = of_question(site, &question, &answered, page);
    let of_call = of_call(site, &call, &called, page);
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    let finding = match (of_question, of_call) {
        (Some(first), _) if is_error(&first) => first,
        (first, second) => second.or(first)?,
    };
    if finding.fault != Fault::Cors || finding.subject.as_deref() != Some(ALLOW_ORIGIN) {
        return Some(finding);
    }
    Some(lost_origin(site).await.unwrap_or(finding))
}

fn call_of(page: &str) -> Ask {
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    Ask::post("mcp", &ping).with("origin", page)
}

/// Whether the server takes a call of a page of nobody, which it refuses where it sees the page's origin.
async fn lost_origin(site: &Site) -> Option<Finding> {
    let ask = call_of(NOBODY);
    let answer = site.ask(&ask).await.ok()?;
    let seen = format!(
        "{} with Origin: {NOBODY}, which the server refuses where it sees it, is answered: Origin does not arrive as it was sent, so that browsers do not give the answer to a page, and pages of every origin may call",
        ask.line()
    );
    let is_taken = answer.is_json_rpc() && !refusal::is_put_off(&answer);
    is_taken.then(|| Finding::new(Fault::LostHeader, "Origin", seen))
}

fn of_question(site: &Site, ask: &Ask, answer: &Answer, page: &str) -> Option<Finding> {
    let refused = || {
        // The browser asks without a key, whatever the page has.
        let seen = format!(
            "OPTIONS /mcp, which browsers send before a page's request, is answered with {}",
            answer.described()
        );
        Some(Finding::new(Fault::MethodRefused, "OPTIONS", seen))
    };
    if !(200..300).contains(&answer.status) {
        return match (answer.status, answer.code()) {
            (_, Some(_)) | (301..=399 | 404 | 502..=504, _) => Some(refusal::of(site, ask, answer)),
            _ if refusal::is_put_off(answer) => Some(refusal::of(site, ask, answer)),
            _ => refused(),
        };
    }
    let answers = [ALLOW_ORIGIN, ALLOW_HEADERS, ALLOW_METHODS];
    if !answers
        .iter()
        .any(|name| answer.headers.contains_key(*name))
    {
        return refused();
    }
    origin_of(&answer.headers, page, &ask.line())
        .or_else(|| lacking(&answer.headers, ALLOW_METHODS, "post,delete"))
        .or_else(|| lacking(&answer.headers, ALLOW_HEADERS, SENT))
}

/// What the answer to the question does not allow of what is wanted.
fn lacking(headers: &HeaderMap, name: &str, wanted: &str) -> Option<Finding> {
    let said = list(headers, name);
    let has = |word: &str| said.iter().any(|known| known == word);
    let is_allowed = |word: &&str| has(word) || (has("*") && *word != "authorization");
    let lacks = wanted.split(',').find(|word| !is_allowed(word))?;
    let seen = format!("the answer to OPTIONS /mcp does not have {lacks} in {name}");
    if !has("*") {
        return Some(Finding::new(Fault::Cors, name, seen));
    }
    // Some browsers take it all the same.
    let seen = format!("{seen}, and * does not stand for it");
    Some(Finding::new(Fault::Cors, name, seen).warning())
}

fn of_call(site: &Site, ask: &Ask, answer: &Answer, page: &str) -> Option<Finding> {
    if !answer.is_json_rpc() {
        return Some(refusal::of(site, ask, answer));
    }
    let found = origin_of(&answer.headers, page, &ask.line());
    if found.is_some() {
        return found;
    }
    let exposed = list(&answer.headers, EXPOSE);
    let is_exposed = |name: &String| name == "mcp-session-id" || name == "*";
    if exposed.iter().any(is_exposed) {
        return None;
    }
    let seen = format!(
        "{} does not let a page read Mcp-Session-Id: it is not in {EXPOSE}",
        ask.line()
    );
    Some(Finding::new(Fault::Cors, EXPOSE, seen))
}

/// Browsers take exactly one value.
fn origin_of(headers: &HeaderMap, page: &str, line: &str) -> Option<Finding> {
    let values: Vec<String> = headers
        .get_all(ALLOW_ORIGIN)
        .iter()
        .map(|value| shown(&String::from_utf8_lossy(value.as_bytes()), 100))
        .collect();
    let is_well = matches!(values.as_slice(), [only] if only == page || only == "*");
    if is_well {
        return None;
    }
    let seen = match values.len() {
        0 => format!(
            "the answer to {line} has no {ALLOW_ORIGIN}, so a browser does not give it to the page"
        ),
        _ => format!(
            "the answer to {line} has {ALLOW_ORIGIN}: {}; a browser wants one value, {}",
            values.join(" and "),
            shown(page, 100)
        ),
    };
    Some(Finding::new(Fault::Cors, ALLOW_ORIGIN, seen))
}

fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    let value = one(headers, name).unwrap_or_default();
    let names = value
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase());
    names.collect()
}
