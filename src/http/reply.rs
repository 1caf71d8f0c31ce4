//! Small answers with a content type, which say what to do next. Knows no route.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::json;

use crate::jsonrpc::{self, Fault};

/// The stable code of a refusal, for whoever counts and records it.
#[derive(Debug, Clone, Copy)]
pub struct Reason(pub &'static str);

/// Marks an answer whose request the MCP layer has recorded, whatever its status says.
#[derive(Debug, Clone, Copy)]
pub struct Recorded;

/// An answer with this content type.
pub fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Plain text.
pub fn text(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", body)
}

/// A JSON text.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    typed(status, "application/json", body.into())
}

/// A status without a body.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A refusal as JSON: `error` is a stable code for programs, `message` is for people.
pub fn refusal(status: StatusCode, code: &'static str, message: &str) -> Response<Body> {
    let body = json!({"error": code, "message": message}).to_string();
    because(code, json(status, body))
}

/// The same answer, marked as a refusal for this reason.
fn because(code: &'static str, mut response: Response<Body>) -> Response<Body> {
    response.extensions_mut().insert(Reason(code));
    response
}

/// 400 for what is not a valid message, 503 for what a session has no room for; the JSON-RPC error is
/// its body.
pub fn fault(fault: &Fault) -> Response<Body> {
    if fault.error.code == jsonrpc::INTERNAL_ERROR {
        let full = json(StatusCode::SERVICE_UNAVAILABLE, fault.to_bytes());
        return because("unavailable", later(full));
    }
    let code = match fault.error.code {
        jsonrpc::PARSE_ERROR => "parse_error",
        jsonrpc::HEADER_MISMATCH => "header_mismatch",
        _ => "invalid_request",
    };
    because(code, json(StatusCode::BAD_REQUEST, fault.to_bytes()))
}

/// 401. It does not say what was wrong with the credential.
pub fn unauthorized() -> Response<Body> {
    let body = r#"{"error":"unauthorized"}"#;
    let mut response = because("unauthorized", json(StatusCode::UNAUTHORIZED, body));
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// 204 for `OPTIONS`, with the methods that there are.
pub fn options(allowed: &'static str) -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// 405 with the methods that there are.
pub fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        &format!("use {allowed}"),
    );
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// 503 with `Retry-After`, for a server that takes no work.
pub fn unavailable(message: &str) -> Response<Body> {
    later(refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        message,
    ))
}

/// 503 with `Retry-After`, for a server that has as much work as it may.
pub fn overloaded(message: &str) -> Response<Body> {
    later(refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        message,
    ))
}

fn later(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
