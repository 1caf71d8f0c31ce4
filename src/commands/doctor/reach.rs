//! Whether anything answers at the address, who it is, and what its clock says.

use std::time::{Duration, SystemTime};

use super::answer::{Answer, one};
use super::ask::Ask;
use super::fault::Fault;
use super::finding::{Checked, Finding};
use super::line::{Line, Program};
use super::refusal;
use super::site::Site;
use crate::http::health::{NOT_READY, READY};
use crate::text::shown;

/// Clocks that differ by less are well: the answer takes some time itself.
const SKEW_LIMIT: Duration = Duration::from_secs(60);
/// From here on certificates and tokens are judged wrongly.
const SKEW_ERROR: Duration = Duration::from_secs(300);

/// What MCP servers in Python call themselves, version 3 of this one among them: no proxy.
const OWN_SERVERS: [&str; 2] = ["uvicorn", "hypercorn"];

/// What stands between: as far as its answers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proxy {
    Nginx,
    Caddy,
    /// Some other, both, or none that says so.
    Unknown,
}

impl Proxy {
    /// Lines of another proxy than the one that is there help nobody.
    pub(super) fn concerns(self, line: &Line) -> bool {
        let is_other = matches!(
            (line.program, self),
            (Program::Nginx, Self::Caddy) | (Program::Caddy, Self::Nginx)
        );
        !is_other
    }
}

/// What the first answer told.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) checked: Checked,
    /// What stands between.
    pub(super) proxy: Proxy,
    /// What it calls itself.
    pub(super) proxy_name: Option<String>,
    /// Somebody answers, so that the rest can be looked at.
    pub(super) is_there: bool,
    /// What is wrong with the answer, if the rest finds nothing that works.
    pub(super) suspicion: Option<Finding>,
}

/// Asks `/readyz`, which needs no key and no name.
pub(super) async fn look(site: &Site) -> Reached {
    let ask = Ask::get("readyz").without_key();
    let mut reached = Reached {
        checked: Checked::default(),
        proxy: Proxy::Unknown,
        proxy_name: None,
        is_there: false,
        suspicion: None,
    };
    let answer = match site.ask(&ask).await {
        Ok(answer) => answer,
        Err(why) => {
            reached.checked.add(refusal::no_answer(site, &ask, &why));
            return reached;
        }
    };
    reached.is_there = true;
    (reached.proxy, reached.proxy_name) = named(&answer);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status == 503 && NOT_READY.contains(&text.as_str()) {
        let seen = format!("GET /readyz says: {}", text.trim_end());
        reached
            .checked
            .add(Finding::new(Fault::NotReady, "", seen).warning());
    } else if answer.status == 200 && text == READY {
        let took = answer.took.as_millis();
        reached
            .checked
            .passed
            .push(format!("reached in {took} ms, and ready"));
    } else {
        reached.suspicion = Some(refusal::of(site, &ask, &answer));
    }
    if let Some(finding) = clock(&answer, SystemTime::now()) {
        reached.checked.add(finding);
    }
    reached
}

/// nginx and Caddy name themselves; smcp does not. Caddy leaves the name of the one behind it, so both may be there.
fn named(answer: &Answer) -> (Proxy, Option<String>) {
    let every = |name: &str| {
        let values = answer.headers.get_all(name).iter();
        let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        texts.join(", ")
    };
    let (server, via) = (every("server"), every("via"));
    let words = format!("{server} {via}").to_ascii_lowercase();
    let is_nginx = words.contains("nginx") || words.contains("openresty");
    let is_caddy = words.contains("caddy");
    let proxy = match (is_nginx, is_caddy) {
        (true, false) => Proxy::Nginx,
        (false, true) => Proxy::Caddy,
        _ => Proxy::Unknown,
    };
    let is_own = OWN_SERVERS.iter().any(|name| server.starts_with(name));
    let name = if server.is_empty() || is_own {
        via
    } else if is_nginx && is_caddy && !via.is_empty() {
        format!("{server}, {via}")
    } else {
        server
    };
    (proxy, (!name.is_empty()).then(|| shown(&name, 60)))
}

/// The `Date` of an answer against the clock of this machine.
fn clock(answer: &Answer, now: SystemTime) -> Option<Finding> {
    let said = one(&answer.headers, "date")?;
    let date = chrono::DateTime::parse_from_rfc2822(said).ok()?;
    let there = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(
        u64::try_from(date.timestamp()).unwrap_or_default(),
    ))?;
    let (skew, word) = match now.duration_since(there) {
        Ok(behind) => (behind, "behind"),
        Err(ahead) => (ahead.duration(), "ahead of"),
    };
    let skew = skew.saturating_sub(answer.took);
    if skew < SKEW_LIMIT {
        return None;
    }
    let seen = format!(
        "the clock there is {} s {word} the one here: Date: {}",
        skew.as_secs(),
        shown(said, 60)
    );
    let finding = Finding::new(Fault::Clock, "", seen);
    Some(match skew < SKEW_ERROR {
        true => finding.warning(),
        false => finding,
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderMap;

    use super::*;
    use crate::commands::doctor::finding::Severity;

    #[test]
    fn a_proxy_is_known_where_one_alone_names_itself_and_each_that_does_is_said() {
        for (headers, proxy, name) in [
            (&[][..], Proxy::Unknown, None),
            (
                &[("server", "nginx/1.22.1")],
                Proxy::Nginx,
                Some("nginx/1.22.1"),
            ),
            (
                &[("server", "Caddy"), ("via", "1.1 Caddy")],
                Proxy::Caddy,
                Some("Caddy"),
            ),
            (&[("server", "uvicorn")], Proxy::Unknown, None),
            (
                &[("server", "uvicorn"), ("via", "1.1 Caddy")],
                Proxy::Caddy,
                Some("1.1 Caddy"),
            ),
            (
                &[("server", "Caddy"), ("server", "nginx")],
                Proxy::Unknown,
                Some("Caddy, nginx"),
            ),
            (
                &[("server", "nginx"), ("via", "1.1 Caddy")],
                Proxy::Unknown,
                Some("nginx, 1.1 Caddy"),
            ),
        ] {
            let mut answer = Answer {
                status: 200,
                headers: HeaderMap::new(),
                took: Duration::ZERO,
                body: Vec::new(),
            };
            for (name, value) in headers {
                answer.headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(named(&answer), (proxy, name.map(str::to_owned)));
        }
    }

    #[test]
    fn a_clock_is_off_from_a_minute_on_and_grave_from_five() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let there = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut headers = HeaderMap::new();
        let date = "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap();
        headers.insert("date", date);
        let answer = Answer {
            status: 200,
            headers,
            took: Duration::from_secs(1),
            body: Vec::new(),
        };
        let found = |now| clock(&answer, now).map(|finding| (finding.severity, finding.seen));
        assert_eq!(found(there + Duration::from_secs(60)), None);
        let (severity, seen) = found(there + Duration::from_secs(62)).unwrap();
        assert_eq!(severity, Severity::Warning);
        assert!(seen.contains("61 s behind"), "{seen}");
        let (severity, seen) = found(there - Duration::from_secs(400)).unwrap();
        assert_eq!(severity, Severity::Error);
        assert!(seen.contains("399 s ahead of"), "{seen}");
    }
}
