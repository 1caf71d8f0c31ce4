//! `resources/list`, `resources/templates/list`, `resources/read`, and subscriptions of a session.
//! <https://modelcontextprotocol.io/specification/2025-11-25/server/resources>

use serde::Deserialize;
use serde_json::{Map, json};

use super::outcome::{Outcome, Success};
use super::serving;
use crate::catalog::{MAX_URI_BYTES, Printed, Readable, Unreadable};
use crate::jsonrpc::{INVALID_PARAMS, Members, RpcError};
use crate::mcp::context::Context;
use crate::mcp::inbound::Request;

/// The code of the session revisions for a resource that is not there.
const NOT_FOUND: i64 = -32002;

#[derive(Deserialize)]
struct UriParams {
    uri: String,
}

/// `resources/list`.
///
/// # Errors
/// [`INVALID_PARAMS`] for a cursor.
pub fn list(context: &Context, request: &Request) -> Outcome {
    serving::refuse_cursor(request)?;
    let snapshot = context.services.catalog.snapshot();
    Ok(serving::list("resources", &serving::entries(&snapshot.resources)).into())
}

/// `resources/templates/list`.
///
/// # Errors
/// [`INVALID_PARAMS`] for a cursor.
pub fn list_templates(context: &Context, request: &Request) -> Outcome {
    serving::refuse_cursor(request)?;
    let snapshot = context.services.catalog.snapshot();
    Ok(serving::list("resourceTemplates", &serving::entries(&snapshot.templates)).into())
}

/// `resources/read`.
///
/// # Errors
/// The revision's code for a resource that is not there; [`INVALID_PARAMS`] for an address that is refused; else
/// what its command failed with.
pub async fn read(context: &Context, request: &Request) -> Outcome {
    let params: UriParams = request.read()?;
    let Readable {
        offering,
        arguments,
    } = find(context, &params.uri)?;
    let gone = |words: String| not_found(context, &params.uri, Some(&words));
    let (printed, permit) = serving::run(context, request, &offering, arguments, gone).await?;
    let result = match printed {
        Printed::Result(result) => serving::printed_result(&result)?,
        Printed::Text(text) => {
            let mut contents = Map::from_iter([
                ("uri".to_owned(), params.uri.into()),
                ("text".to_owned(), text.into()),
            ]);
            let kind = offering.mime_type.clone();
            contents.extend(kind.map(|kind| ("mimeType".to_owned(), kind.into())));
            Members::from(json!({"contents": [contents]}))
        }
    };
    Ok(Success::holding(result, permit))
}

/// `resources/subscribe`.
///
/// # Errors
/// The revision's code for a resource that is not there; [`INVALID_PARAMS`] for one too many, and for an address
/// that is refused.
pub fn subscribe(context: &Context, request: &Request) -> Outcome {
    let params: UriParams = request.read()?;
    find(context, &params.uri)?;
    if let Some(state) = &context.state {
        state.subscribe(params.uri)?;
    }
    Ok(Members::default().into())
}

/// `resources/unsubscribe`. It need not be there any more: nothing of a resource that has gone must be left with its session.
///
/// # Errors
/// [`INVALID_PARAMS`] for params that do not fit.
pub fn unsubscribe(context: &Context, request: &Request) -> Outcome {
    let params: UriParams = request.read()?;
    if let Some(state) = &context.state {
        state.unsubscribe(&params.uri);
    }
    Ok(Members::default().into())
}

fn find(context: &Context, uri: &str) -> Result<Readable, RpcError> {
    if uri.len() > MAX_URI_BYTES {
        return Err(RpcError::invalid_params(format!(
            "'uri' is {} bytes long; the limit is {MAX_URI_BYTES}",
            uri.len()
        )));
    }
    let found = context.services.catalog.snapshot().resource(uri);
    found.map_err(|unreadable| match unreadable {
        Unreadable::Unknown => not_found(context, uri, None),
        Unreadable::Refused(why) => {
            let uri = crate::text::quoted(uri);
            RpcError::invalid_params(format!("cannot read {uri}: {why}"))
        }
    })
}

/// The error for a resource that is not there, with the program's words where it is a program that says so.
/// <https://modelcontextprotocol.io/specification/2025-11-25/server/resources#error-handling>
fn not_found(context: &Context, uri: &str, words: Option<&str>) -> RpcError {
    let code = if context.revision.has_handshake() {
        NOT_FOUND
    } else {
        INVALID_PARAMS
    };
    let mut message = format!("resource not found: {}", crate::text::quoted(uri));
    if let Some(words) = words {
        message = format!("{message}: {words}");
    }
    RpcError::new(code, message).with_data(json!({"uri": uri}))
}
