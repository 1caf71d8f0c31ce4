//! `resources/list`, `resources/templates/list`, `resources/read`, and subscriptions of a session.
//! <https://modelcontextprotocol.io/specification/2025-11-25/server/resources>

use serde::Deserialize;
use serde_json::{Map, json};

use super::outcome::{Outcome, Success};
use super::serving;
use crate::catalog::{MAX_URI_BYTES, Printed, Readable};
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
/// The revision's code for a resource that is not there; else what its command failed with.
pub async fn read(context: &Context, request: &Request) -> Outcome {
    let params: UriParams = request.read()?;
    let Readable {
        offering,
        arguments,
    } = find(context, &params.uri)?;
    let (printed, permit) = serving::run(context, request, &offering, arguments).await?;
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
/// The revision's code for a resource that is not there; [`INVALID_PARAMS`] for one too many.
pub fn subscribe(context: &Context, request: &Request) -> Outcome {
    let params: UriParams = request.read()?;
    find(context, &params.uri)?;
    if let Some(state) = &context.state {
        state.subscribe(params.uri)?;
    }
    Ok(Members::default().into())
}

/// `resources/unsubscribe`.
///
/// # Errors
/// The revision's code for a resource that is not there.
pub fn unsubscribe(context: &Context, request: &Request) -> Outcome {
    let params: UriParams = request.read()?;
    find(context, &params.uri)?;
    if let Some(state) = &context.state {
        state.unsubscribe(&params.uri);
    }
    Ok(Members::default().into())
}

fn find(context: &Context, uri: &str) -> Result<Readable, RpcError> {
    let known = (uri.len() <= MAX_URI_BYTES)
        .then(|| context.services.catalog.snapshot().resource(uri))
        .flatten();
    known.ok_or_else(|| {
        let code = if context.revision.has_handshake() {
            NOT_FOUND
        } else {
            INVALID_PARAMS
        };
        RpcError::new(
            code,
            format!("resource not found: {}", crate::text::quoted(uri)),
        )
        .with_data(json!({"uri": uri}))
    })
}
