//! Who is calling: by key, or as a direct loopback client. Judges nothing; see `gate`.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use constant_time_eq::constant_time_eq_32;

use super::accept::Peer;
use super::authority::Authority;
use crate::mcp::principal::{KeyId, Principal, Validity};
use crate::telemetry::trace::TraceContext;

/// Names the agent on whose behalf a request is sent.
pub const AGENT_HEADER: HeaderName = HeaderName::from_static("x-agent-id");
const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// An agent's id longer than this is cut off, in characters.
const MAX_AGENT_ID: usize = 128;

/// Which credentials count.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The accepted keys; none means that no request needs one.
    pub keys: Keys,
    /// Whether a direct loopback client may go without a key.
    pub loopback_exempt: bool,
    /// `MCP_AUTH_DISABLED`: credentials are not looked at.
    pub disabled: bool,
}

/// The accepted keys, which a reload may replace. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Keys(Arc<ArcSwap<Vec<Accepted>>>);

#[derive(Debug, Clone)]
struct Accepted {
    key: KeyId,
    validity: Validity,
}

impl From<Vec<KeyId>> for Keys {
    fn from(keys: Vec<KeyId>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(listed(keys, &[]))))
    }
}

/// Each key once, however often and wherever it is named; one that was accepted `before` as it was.
fn listed(keys: Vec<KeyId>, before: &[Accepted]) -> Vec<Accepted> {
    let mut listed: Vec<Accepted> = Vec::with_capacity(keys.len());
    for key in keys {
        if listed.iter().any(|known| known.key == key) {
            continue;
        }
        let known = before.iter().find(|known| known.key == key);
        listed.push(known.cloned().unwrap_or_else(|| Accepted {
            key,
            validity: Validity::default(),
        }));
    }
    listed
}

impl Keys {
    /// Whether there is none, so that no request needs one.
    pub fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.load().len()
    }

    /// Whether this is one of them.
    pub fn accept(&self, shown: &KeyId) -> bool {
        self.validity(shown).is_some()
    }

    /// For how long this key counts, if it does. It is compared with every key, so that the time tells nothing.
    fn validity(&self, shown: &KeyId) -> Option<Validity> {
        let keys = self.0.load();
        let mut found = None;
        for (index, accepted) in keys.iter().enumerate() {
            if constant_time_eq_32(accepted.key.digest(), shown.digest()) {
                found = Some(index);
            }
        }
        found.map(|index| keys[index].validity.clone())
    }

    /// Puts other keys in their place; what was begun with one that is not among them ends. No keys would open the
    /// server, so they are not taken. For one caller at a time.
    pub fn replace(&self, keys: Vec<KeyId>) {
        if keys.is_empty() {
            return;
        }
        let before = self.0.load_full();
        self.0.store(Arc::new(listed(keys, &before)));
        // A request that was let in by the keys from before has the validity that ends now.
        for gone in before.iter().filter(|known| !self.accept(&known.key)) {
            gone.validity.end();
        }
    }
}

/// What a request showed of its sender.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Key and agent.
    pub principal: Principal,
    /// Result of the credential check.
    pub status: AuthStatus,
    /// The peer's address is a loopback address.
    pub loopback: bool,
}

/// Result of the credential check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthStatus {
    /// It showed an accepted key.
    Keyed,
    /// It needs no key.
    Exempt,
    /// It needs a key and showed none.
    Missing,
    /// It showed a credential that is not accepted.
    Bad,
}

/// Resolves the sender and passes it on as an [`Identity`].
pub async fn resolve(
    State(settings): State<Arc<Settings>>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let identity = settings.identity(&request);
    request.extensions_mut().insert(identity);
    next.run(request).await
}

impl Settings {
    fn identity(&self, request: &Request<Body>) -> Identity {
        let headers = request.headers();
        let peer = request
            .extensions()
            .get::<Peer>()
            .map(|Peer(address)| address.ip().to_canonical());
        let loopback = peer.is_some_and(|ip| ip.is_loopback());
        let (status, accepted) = self.check(request, peer);
        let (key, validity) = accepted.unzip();
        Identity {
            principal: Principal {
                key,
                validity: validity.unwrap_or_default(),
                agent: agent(headers),
                address: peer,
                trace: trace(headers),
            },
            status,
            loopback,
        }
    }

    fn check(
        &self,
        request: &Request<Body>,
        peer: Option<IpAddr>,
    ) -> (AuthStatus, Option<(KeyId, Validity)>) {
        if self.disabled || self.keys.is_empty() {
            return (AuthStatus::Exempt, None);
        }
        let exempt = self.loopback_exempt && is_direct(request, peer);
        match presented(request.headers()) {
            Presented::Key { key, from } => match (self.accepted(&key), from) {
                (Some(key), _) => (AuthStatus::Keyed, Some(key)),
                // A client that is configured with an old token need not show any.
                (None, Header::Authorization) if exempt => (AuthStatus::Exempt, None),
                (None, _) => (AuthStatus::Bad, None),
            },
            Presented::Invalid => (AuthStatus::Bad, None),
            Presented::Nothing if exempt => (AuthStatus::Exempt, None),
            Presented::Nothing => (AuthStatus::Missing, None),
        }
    }

    fn accepted(&self, key: &[u8]) -> Option<(KeyId, Validity)> {
        let shown = KeyId::of(key);
        Some((shown, self.keys.validity(&shown)?))
    }
}

/// What a request shows in the two headers for credentials.
enum Presented {
    Nothing,
    /// Something that cannot be a key, or two things where one belongs.
    Invalid,
    Key {
        key: Vec<u8>,
        from: Header,
    },
}

/// Where a key stands.
#[derive(Clone, Copy)]
enum Header {
    /// In `Authorization` alone.
    Authorization,
    /// In `X-API-Key`, or in both.
    ApiKey,
}

/// The one credential that a request shows, in either of two headers or the same in both.
fn presented(headers: &HeaderMap) -> Presented {
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    let mut keys = headers.get_all(KEY_HEADER).iter();
    let (authorization, repeated) = (authorizations.next(), authorizations.next().is_some());
    let (key, repeated_key) = (keys.next(), keys.next().is_some());
    if repeated || repeated_key {
        return Presented::Invalid;
    }
    let bearer = authorization.and_then(|value| bearer_token(value.as_bytes()));
    let key = key.map(|value| credential(value.as_bytes()));
    match (bearer, key) {
        (None, None) => Presented::Nothing,
        (Some(Some(token)), None) => Presented::Key {
            key: token.to_vec(),
            from: Header::Authorization,
        },
        (None, Some(Some(key))) => Presented::Key {
            key: key.to_vec(),
            from: Header::ApiKey,
        },
        (Some(Some(token)), Some(Some(key))) if token == key => Presented::Key {
            key: key.to_vec(),
            from: Header::ApiKey,
        },
        _ => Presented::Invalid,
    }
}

/// The token of `Bearer TOKEN`, which may be invalid. `None` for another scheme: that is for somebody
/// else, a proxy for instance, and says nothing about this server's keys.
fn bearer_token(value: &[u8]) -> Option<Option<&[u8]>> {
    let value = value.trim_ascii();
    let end = value.iter().position(|byte| *byte == b' ');
    let (scheme, token) = value.split_at(end.unwrap_or(value.len()));
    if scheme.eq_ignore_ascii_case(b"bearer") || scheme.is_empty() {
        return Some(credential(token));
    }
    None
}

fn credential(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let is_allowed = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    (!value.is_empty() && value.iter().all(is_allowed)).then_some(value)
}

/// Whether a request comes from this machine itself and not through a proxy on it. A proxy gives
/// itself away by a header, by the version it speaks, or by the name it was asked for.
fn is_direct(request: &Request<Body>, peer: Option<IpAddr>) -> bool {
    let headers = request.headers();
    let forwarded = headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip" | "via")
    });
    let host = headers
        .get(header::HOST)
        .and_then(|host| Authority::parse(host.as_bytes()));
    peer.is_some_and(|ip| ip.is_loopback())
        && !forwarded
        && request.version() >= Version::HTTP_11
        && host.is_some_and(|host| host.is_loopback())
}

/// The trace that the request says to be part of. Several states are one, in parts.
/// <https://www.w3.org/TR/trace-context/#trace-context-http-headers-format>
fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all("traceparent").iter();
    let (parent, repeated) = (parents.next()?, parents.next().is_some());
    let states: Vec<&str> = headers
        .get_all("tracestate")
        .iter()
        .filter_map(|state| state.to_str().ok())
        .collect();
    let parent = parent.to_str().ok().filter(|_| !repeated)?;
    TraceContext::parse(parent, Some(&states.join(",")))
}

fn agent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AGENT_HEADER)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.chars().take(MAX_AGENT_ID).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_taken_away_ends_for_whoever_was_let_in_with_it_and_no_other_does() {
        let [a, b, c] = ["a", "b", "c"].map(|key| KeyId::of(key.as_bytes()));
        let keys = Keys::from(vec![a, b, a]);
        assert_eq!(keys.len(), 2, "a key that is named twice is one");
        let [first, second] = [a, b].map(|key| keys.validity(&key).unwrap());
        let call = first.token();
        keys.replace(vec![b, c, b]);
        assert!(first.has_ended() && call.is_cancelled());
        assert!(!second.has_ended() && !keys.accept(&a) && keys.accept(&c));
        keys.replace(vec![a, b]);
        assert!(first.has_ended(), "what has ended does not begin again");
        assert!(!keys.validity(&a).unwrap().has_ended());
        assert!(!second.has_ended());
        keys.replace(vec![]);
        assert!(keys.accept(&b) && !second.has_ended());
    }
}
