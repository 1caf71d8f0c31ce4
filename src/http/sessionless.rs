//! `/mcp` under revision 2026-07-28: one request, one answer, nothing kept. Knows no session.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Doors;
use super::auth::Visitor;
use super::events::{self, KeepAlive, SILENCE};
use super::streamable::{Accepted, refuse};
use super::{mirrors, reply};
use crate::mcp::jsonrpc::{self, Body as Messages, Fault, Message, Request, RpcError};
use crate::mcp::outbox::Outbox;
use crate::mcp::revision::Revision;
use crate::mcp::stateless::{
    self, HEADER_MISMATCH, MISSING_CAPABILITY, Meta, Stateless, UNSUPPORTED_REVISION, Wanted,
};

/// Names the subscription in everything that is told because of it.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Answers one POST.
pub async fn answer(
    doors: &Arc<Doors>,
    visitor: &Visitor,
    headers: &HeaderMap,
    accepted: Accepted,
    messages: Messages,
) -> Response {
    let request = match messages {
        Messages::Single(Ok(Message::Request(request))) => request,
        Messages::Single(Ok(Message::Notification(_))) => {
            return reply::empty(StatusCode::ACCEPTED);
        }
        Messages::Single(Ok(Message::Response(_))) => return refuse(&nobody_asked()),
        Messages::Single(Err(fault)) => return refuse(&fault),
        Messages::Batch(_) => return refuse(&no_batches()),
    };
    let checked = check(headers, &request);
    match checked {
        Err(error) => reply::json(
            StatusCode::BAD_REQUEST,
            jsonrpc::encode_error(Some(&request.id), &error),
        ),
        Ok(_) if request.method == "subscriptions/listen" => listen(doors, &request),
        Ok(meta) => match check_params(doors, headers, &request) {
            Err(error) => reply::json(
                StatusCode::BAD_REQUEST,
                jsonrpc::encode_error(Some(&request.id), &error),
            ),
            Ok(()) => run(doors, visitor, accepted, request, meta).await,
        },
    }
}

fn nobody_asked() -> Fault {
    let why = "this revision has no requests of the server, so there is nothing to respond to";
    Fault {
        id: None,
        error: RpcError::new(jsonrpc::INVALID_REQUEST, why),
    }
}

fn no_batches() -> Fault {
    Fault {
        id: None,
        error: RpcError::new(
            jsonrpc::INVALID_REQUEST,
            "batches exist in revision 2025-03-26 only; send one message",
        ),
    }
}

/// Headers against body, in the order in which a client can mend them.
fn check(headers: &HeaderMap, request: &Request) -> Result<Meta, RpcError> {
    let in_header = mirrors::version(headers);
    let params = request.params.as_deref();
    let Some(in_header) = in_header else {
        return Err(RpcError::new(
            HEADER_MISMATCH,
            "the header MCP-Protocol-Version must name the revision of the request",
        ));
    };
    if let Some(in_body) = stateless::named_version(params)
        && in_body != in_header
    {
        return Err(RpcError::new(
            HEADER_MISMATCH,
            "the header MCP-Protocol-Version and params._meta name different revisions",
        ));
    }
    if Revision::parse(in_header) != Some(Revision::V2026_07_28)
        && stateless::named_version(params).is_none_or(|version| version == in_header)
    {
        return Err(stateless::unsupported(in_header));
    }
    let meta = stateless::read_meta(params)?;
    mirrors::check_names(headers, request)?;
    Ok(meta)
}

fn check_params(doors: &Doors, headers: &HeaderMap, request: &Request) -> Result<(), RpcError> {
    if request.method != "tools/call" {
        return Ok(());
    }
    let params = request.params.as_deref();
    let name = params
        .and_then(|params| serde_json::from_str::<Value>(params.get()).ok())
        .and_then(|params| Some(params.get("name")?.as_str()?.to_owned()));
    let tool = name.and_then(|name| {
        doors
            .sessions
            .services()
            .catalog
            .snapshot()
            .resolve(&name)
            .ok()
    });
    tool.map_or(Ok(()), |tool| {
        mirrors::check_params(headers, &tool.input_schema, params)
    })
}

/// Runs the request. Its end is the connection's: when the client goes, so does what it asked for.
async fn run(
    doors: &Doors,
    visitor: &Visitor,
    accepted: Accepted,
    request: Request,
    meta: Meta,
) -> Response {
    let services = doors.sessions.services();
    let cancel = CancellationToken::new();
    let gone = cancel.clone().drop_guard();
    let outbox = Arc::new(Outbox::default());
    let stateless = Stateless::new(
        services,
        visitor.origin.clone(),
        request,
        meta,
        Arc::clone(&outbox),
        cancel,
    );
    let (sender, mut answered) = oneshot::channel();
    services.tasks.spawn(async move {
        let _ = sender.send(stateless.run().await);
    });
    let first = tokio::select! {
        biased;
        answer = &mut answered => return whole(answer.unwrap_or_default(), accepted),
        line = outbox.next(), if accepted.events => line,
        () = tokio::time::sleep(SILENCE), if accepted.events => None,
    };
    let stream = AnswerStream {
        first,
        outbox,
        answered: Some(answered),
        keep_alive: KeepAlive::default(),
        _gone: gone,
    };
    events::event_stream(Body::new(stream))
}

/// An answer that came before anything else was said.
fn whole((response, code): (Option<Bytes>, Option<i64>), accepted: Accepted) -> Response {
    let status = match code {
        Some(jsonrpc::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_REVISION) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::OK,
    };
    match response {
        None => reply::empty(StatusCode::ACCEPTED),
        Some(response) if accepted.json => reply::json(status, response),
        Some(response) => {
            let mut events = events::event_stream(Body::from(events::event("message", &response)));
            *events.status_mut() = status;
            events
        }
    }
}

/// Notifications and then the one response.
struct AnswerStream {
    first: Option<Bytes>,
    outbox: Arc<Outbox>,
    answered: Option<oneshot::Receiver<(Option<Bytes>, Option<i64>)>>,
    keep_alive: KeepAlive,
    _gone: DropGuard,
}

impl AnswerStream {
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        // Everything that was said before the response goes before it.
        if let Poll::Ready(Some(line)) = self.outbox.poll_next(cx) {
            return Poll::Ready(Some(line));
        }
        let Some(answered) = &mut self.answered else {
            return Poll::Ready(None);
        };
        match Pin::new(answered).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(answer) => {
                if let Poll::Ready(Some(line)) = self.outbox.poll_next(cx) {
                    // It was said in between; the response waits for the next look.
                    self.answered = Some(ready(answer.unwrap_or_default()));
                    return Poll::Ready(Some(line));
                }
                self.answered = None;
                Poll::Ready(answer.unwrap_or_default().0)
            }
        }
    }
}

fn ready<T>(value: T) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    // The receiver is in hand, so the value finds it.
    let _ = sender.send(value);
    receiver
}

impl http_body::Body for AnswerStream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(line) = self.poll_line(cx) {
            self.keep_alive.reset();
            return Poll::Ready(line.map(|line| Ok(Frame::data(events::event("message", &line)))));
        }
        self.keep_alive
            .poll(cx)
            .map(|comment| Some(Ok(Frame::data(comment))))
    }
}

/// `subscriptions/listen`: a stream of the changes that were asked for, until the client goes.
fn listen(doors: &Doors, request: &Request) -> Response {
    let services = Arc::clone(doors.sessions.services());
    let wanted = match Wanted::read(request.params.as_deref()) {
        Ok(wanted) => wanted.honoured(&services),
        Err(error) => {
            return reply::json(
                StatusCode::BAD_REQUEST,
                jsonrpc::encode_error(Some(&request.id), &error),
            );
        }
    };
    let id: Value = serde_json::from_str(request.id.raw().get()).unwrap_or_default();
    let meta = json!({ SUBSCRIPTION: id });
    // Listens before it says so: what changes from then on is told.
    let mut changes = services.changes.listen();
    let outbox = Arc::new(Outbox::default());
    let acknowledged = json!({"_meta": meta, "notifications": wanted.to_value()});
    outbox.offer_latest(
        "acknowledged",
        jsonrpc::encode_notification("notifications/subscriptions/acknowledged", &acknowledged),
    );
    let (sender, answered) = oneshot::channel();
    let gone = CancellationToken::new();
    let guard = gone.clone().drop_guard();
    let told = Arc::clone(&outbox);
    let last = jsonrpc::encode_result(
        &request.id,
        &jsonrpc::to_raw(&json!({"resultType": "complete", "_meta": meta})),
    );
    tokio::spawn(async move {
        loop {
            let change = tokio::select! {
                () = gone.cancelled() => return,
                () = services.draining.cancelled() => break,
                change = changes.next() => change,
            };
            let Some(change) = change else { break };
            if wanted.includes(&change) {
                let mut params: Map<String, Value> = change.params();
                params.insert("_meta".to_owned(), meta.clone());
                let key = format!("{change:?}");
                told.offer_latest(&key, jsonrpc::encode_notification(change.method(), &params));
            }
        }
        let _ = sender.send((Some(last), None));
    });
    let stream = AnswerStream {
        first: None,
        outbox,
        answered: Some(answered),
        keep_alive: KeepAlive::default(),
        _gone: guard,
    };
    events::event_stream(Body::new(stream))
}
