//! Small, typed answers that say what to do next. Knows no route.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::json;

use crate::jsonrpc::Fault;

/// An answer of one of the web's types.
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

/// A status that says it all.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A refusal: a code for programs, a message for people.
pub fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    json(
        status,
        json!({"error": code, "message": message}).to_string(),
    )
}

/// 400 for what was no valid message, with the JSON-RPC error as its body.
pub fn fault(fault: &Fault) -> Response<Body> {
    json(StatusCode::BAD_REQUEST, fault.to_bytes())
}

/// 401: no word of what was wrong with the credential.
pub fn unauthorized() -> Response<Body> {
    let mut response = json(StatusCode::UNAUTHORIZED, r#"{"error":"unauthorized"}"#);
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
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

/// 503 with the advice to come again.
pub fn unavailable(message: &str) -> Response<Body> {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
