//! Request bodies, bounded in size, in time, and in what all of them hold. Knows no route.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};

use super::audit::Handover;
use super::body_budget::{BODIES, BodyBudget, Charge, Exhausted};
use super::reply;

/// The largest body, in bytes.
pub const MAX_BODY: usize = crate::mcp::inbound::MAX_MESSAGE;
/// A body must have arrived after this long.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// Larger than [`MAX_BODY`].
    TooLarge,
    /// Slower than the limit.
    TooSlow,
    /// It ended early or is badly encoded.
    Broken,
    /// The bodies that are being read hold as much as they may.
    Overloaded,
}

impl From<Exhausted> for BodyFault {
    fn from(_: Exhausted) -> Self {
        Self::Overloaded
    }
}

impl BodyFault {
    /// 413, 408, 400 or 503.
    pub fn response(self) -> Response<Body> {
        match self {
            Self::TooLarge => {
                let why = format!(
                    "the body is over {MAX_BODY} bytes; send less, or pass a path to a file"
                );
                reply::refusal(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &why)
            }
            Self::TooSlow => {
                let why = format!("the body did not arrive within {} s", BODY_LIMIT.as_secs());
                reply::refusal(StatusCode::REQUEST_TIMEOUT, "body_too_slow", &why)
            }
            Self::Broken => reply::refusal(
                StatusCode::BAD_REQUEST,
                "bad_body",
                "the body ended early or is badly encoded",
            ),
            Self::Overloaded => reply::overloaded(
                "the requests that are being read hold too much memory already; send it again later",
            ),
        }
    }
}

/// Reads a whole body. What it has taken of the request's [`BodyBudget`] comes with it, to be kept until
/// the message is parsed.
///
/// # Errors
///
/// It is larger than [`MAX_BODY`] (by its declared length, before any of it is read), slower than 30 s,
/// broken, or more than the budget has room for.
pub async fn read(request: Request<Body>) -> Result<(Bytes, Charge), BodyFault> {
    let progress = request.extensions().get::<Handover>().cloned();
    let body = read_whole(request).await?;
    if let Some(progress) = progress {
        progress.handed_over();
    }
    Ok(body)
}

async fn read_whole(request: Request<Body>) -> Result<(Bytes, Charge), BodyFault> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(BodyFault::TooLarge);
    }
    let budget = request.extensions().get::<BodyBudget>().cloned();
    let expected = declared.map_or(MAX_BODY, |length| length as usize);
    let mut buffer = budget
        .unwrap_or_else(|| BodyBudget::new(BODIES))
        .buffer(expected);
    let mut body = Limited::new(request.into_body(), MAX_BODY);
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    BodyFault::TooLarge
                } else {
                    BodyFault::Broken
                }
            })?;
            if let Some(data) = frame.data_ref() {
                buffer.push(data)?;
            }
        }
        Ok(())
    };
    tokio::time::timeout(BODY_LIMIT, reading)
        .await
        .unwrap_or(Err(BodyFault::TooSlow))?;
    Ok(buffer.into_parts())
}

/// Whether a body is declared to be JSON, with or without parameters such as a charset.
pub fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = types
        .next()
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    types.next().is_none()
        && essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// 415.
pub fn not_json() -> Response<Body> {
    let why = "send the message with the header Content-Type: application/json";
    reply::refusal(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        why,
    )
}

/// Whether the `Accept` header allows the type `wanted` (`text/event-stream`). Without the header, every type is allowed.
pub fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .peekable();
    let whole_type = wanted.split('/').next().unwrap_or_default();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range.eq_ignore_ascii_case(wanted)
                || range == "*/*"
                || range.strip_suffix("/*") == Some(whole_type)
        })
}

/// Which answers to a POST the client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// `application/json`.
    pub json: bool,
    /// `text/event-stream`.
    pub events: bool,
}

impl Accepted {
    /// What the `Accept` header allows.
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            json: accepts(headers, "application/json"),
            events: accepts(headers, "text/event-stream"),
        }
    }
}
