//! Any head of a request, judged by `auth` and `gate`: never a panic, nothing but the statuses of a refusal, and what
//! reaches a route has shown what it needs. What that is, is asked of the request's text, not of the code under test.
//!
//! The first byte chooses the settings; the rest is a head: a request line and header lines.

#![no_main]

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, Version, header};
use axum::middleware::from_fn_with_state;
use libfuzzer_sys::fuzz_target;
use smcp::http::accept::Peer;
use smcp::http::auth;
use smcp::http::authority::Allowed;
use smcp::http::gate::{self, Gate};
use smcp::mcp::principal::KeyId;
use tower::ServiceExt;

const KEY: &[u8] = b"a key, of two";
const ORIGIN: &str = "https://page.example.org";

fuzz_target!(|data: &[u8]| {
    let Some((choice, head)) = data.split_first() else {
        return;
    };
    let world = World::chosen_by(*choice);
    let Some(request) = world.request(head) else {
        return;
    };
    let text = Text::of(&request);
    let answer = world.answer(request);
    world.judge(&text, &answer);
});

/// How the server is set up, and from where it is asked.
struct World {
    keyed: bool,
    exempt: bool,
    disabled: bool,
    on_loopback: bool,
    below_a_path: bool,
    allows_names: bool,
    from_here: bool,
}

/// What a request says, in lower case.
struct Text {
    path: String,
    is_preflight: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
    shows_key: bool,
    is_forwarded: bool,
    is_old: bool,
}

impl Text {
    fn of(request: &Request<Body>) -> Self {
        let all = |name: &str| -> Vec<String> {
            let values = request.headers().get_all(name).iter();
            values
                .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
                .collect()
        };
        let shows = |name: &str| {
            let mut values = request.headers().get_all(name).iter();
            values.any(|value| value.as_bytes().windows(KEY.len()).any(|part| part == KEY))
        };
        Self {
            path: request.uri().path().to_owned(),
            is_preflight: request.method() == "OPTIONS"
                && request
                    .headers()
                    .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
            hosts: all("host"),
            origins: all("origin"),
            shows_key: shows("authorization") || shows("x-api-key"),
            is_forwarded: request.headers().keys().any(|name| {
                let name = name.as_str();
                name.starts_with("x-forwarded-") || ["forwarded", "via", "x-real-ip"].contains(&name)
            }),
            is_old: request.version() < Version::HTTP_11,
        }
    }

    fn host(&self) -> &str {
        self.hosts.first().map_or("", String::as_str)
    }
}

/// Whether a text can stand for this machine.
fn names_loopback(text: &str) -> bool {
    text.contains("localhost") || text.contains("127.") || text.contains('[')
}

/// Whether a text can be an address: a name has letters above f, or no dot and no colon.
fn can_be_an_address(text: &str) -> bool {
    let text = text.trim_start_matches('[');
    text.bytes()
        .all(|byte| byte.is_ascii_hexdigit() || b".:[]".contains(&byte))
}

impl World {
    fn chosen_by(choice: u8) -> Self {
        let bit = |number: u8| choice & 1 << number != 0;
        Self {
            keyed: bit(0),
            exempt: bit(1),
            disabled: bit(2),
            on_loopback: bit(3),
            below_a_path: bit(4),
            allows_names: bit(5),
            from_here: bit(6),
        }
    }

    fn request(&self, head: &[u8]) -> Option<Request<Body>> {
        let mut lines = head.split(|byte| *byte == b'\n');
        let mut first = lines.next()?.split(|byte| *byte == b' ');
        let (method, target) = (first.next()?, first.next()?);
        let version = match first.next() {
            Some(b"HTTP/1.0") => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .version(version);
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
        }
        let peer = if self.from_here {
            "127.0.0.1:4"
        } else {
            "192.0.2.7:4"
        };
        let peer: SocketAddr = peer.parse().expect("it is an address");
        request.extension(Peer(peer)).body(Body::empty()).ok()
    }

    fn answer(&self, request: Request<Body>) -> Response<Body> {
        let auth = auth::Settings {
            keys: if self.keyed {
                vec![KeyId::of(KEY)]
            } else {
                Vec::new()
            }
            .into(),
            loopback_exempt: self.exempt,
            disabled: self.disabled,
        };
        let settings = gate::Settings {
            bound_host: if self.on_loopback {
                "localhost".to_owned()
            } else {
                "smcp.example.org".to_owned()
            },
            bound_to_loopback: self.on_loopback,
            allowed_hosts: if self.allows_names {
                Vec::from_iter(Allowed::parse("*.allowed.example.org"))
            } else {
                Vec::new()
            },
            allowed_origins: vec![ORIGIN.to_owned()],
        };
        let root = if self.below_a_path { "/smcp" } else { "" };
        let gate = Arc::new(Gate::new(settings, root, &auth));
        let router = Router::new()
            .fallback(async || StatusCode::IM_A_TEAPOT)
            .layer(from_fn_with_state(gate, gate::judge))
            .layer(from_fn_with_state(Arc::new(auth), auth::resolve));
        let mut answering = std::pin::pin!(router.oneshot(request));
        match answering
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Ok(answer)) => answer,
            Poll::Ready(Err(never)) => match never {},
            Poll::Pending => panic!("a judgement waits for something"),
        }
    }

    fn judge(&self, text: &Text, answer: &Response<Body>) {
        let has_reached = answer.status() == StatusCode::IM_A_TEAPOT;
        let is_let_in = has_reached || answer.status() == StatusCode::NO_CONTENT;
        if !is_let_in {
            let refusals = [400, 401, 403, 414, 431];
            assert!(
                refusals.contains(&answer.status().as_u16()),
                "{}",
                answer.status()
            );
        }
        let path = if self.below_a_path {
            text.path.strip_prefix("/smcp").unwrap_or(&text.path)
        } else {
            &text.path
        };
        if ["/healthz", "/readyz"].contains(&path) {
            return assert!(has_reached, "a probe is refused: {}", answer.status());
        }
        let may_be_read = answer
            .headers()
            .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert!(
            !may_be_read || self.is_known_origin(text),
            "a page may read it"
        );
        if !is_let_in {
            return;
        }
        assert_eq!(answer.status() == StatusCode::NO_CONTENT, text.is_preflight);
        assert!(
            text.hosts.len() == 1 || (text.is_old && text.hosts.is_empty()),
            "hosts"
        );
        assert!(self.is_known_origin(text), "a foreign origin");
        let needs_key = self.keyed && !self.disabled && path != "/health" && !text.is_preflight;
        let is_direct = self.from_here
            && !text.is_forwarded
            && !text.is_old
            && names_loopback(text.host());
        assert!(
            !needs_key || text.shows_key || (self.exempt && is_direct),
            "no key was shown"
        );
        let any_host = (self.disabled && !self.on_loopback) || (self.keyed && text.shows_key);
        assert!(
            any_host || text.hosts.is_empty() || self.is_known_host(text.host()),
            "a foreign host"
        );
    }

    fn is_known_host(&self, host: &str) -> bool {
        names_loopback(host)
            || can_be_an_address(host)
            || (!self.on_loopback && host.starts_with("smcp.example.org"))
            || (self.allows_names && host.contains(".allowed.example.org"))
    }

    fn is_known_origin(&self, text: &Text) -> bool {
        let origin = match text.origins.as_slice() {
            [] => return true,
            [origin] => origin,
            _ => return false,
        };
        let name = text.host().trim_end_matches('.');
        let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
        origin == ORIGIN
            || (self.on_loopback && names_loopback(origin))
            || (!name.is_empty() && origin.contains(name.trim_end_matches('.')))
            // One address has many spellings, and both can be the same.
            || (can_be_an_address(text.host()) && origin.contains("://"))
    }
}
