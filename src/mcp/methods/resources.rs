//! `resources/list`, `resources/templates/list`, `resources/read`, and what may be subscribed to.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, json};

use super::outcome::Outcome;
use super::serving;
use super::tools::refuse_cursor;
use crate::catalog::{Printed, Readable};
use crate::jsonrpc::{self, INVALID_PARAMS, RpcError};
use crate::mcp::context::Context;
use crate::mcp::messages::{self, RequestMeta};

/// The code of the session revisions for a resource that is not there.
const NOT_FOUND: i64 = -32002;
/// A longer URI is none of ours, in bytes.
const MAX_URI: usize = 4096;

#[derive(Deserialize)]
struct UriParams<'a> {
    uri: String,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<RequestMeta<'a>>,
}

/// `resources/list`.
pub fn list(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, "resources", "resources/list")?;
    refuse_cursor("resources/list", params)?;
    let snapshot = context.services.catalog.snapshot();
    Ok(jsonrpc::to_raw(&json!({"resources": serving::entries(&snapshot.resources)})).into())
}

/// `resources/templates/list`.
pub fn list_templates(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, "resources", "resources/templates/list")?;
    refuse_cursor("resources/templates/list", params)?;
    let snapshot = context.services.catalog.snapshot();
    Ok(
        jsonrpc::to_raw(&json!({"resourceTemplates": serving::entries(&snapshot.templates)}))
            .into(),
    )
}

/// `resources/read`.
pub async fn read(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, "resources", "resources/read")?;
    let params: UriParams = messages::read("resources/read", params)?;
    let Readable {
        offering,
        arguments,
    } = find(context, &params.uri)?;
    let token = params.meta.as_ref().and_then(|meta| meta.progress_token);
    Ok(
        match serving::run(context, &offering, arguments, token).await? {
            Printed::Result(result) => result,
            Printed::Text(text) => {
                let mut contents = Map::from_iter([
                    ("uri".to_owned(), params.uri.into()),
                    ("text".to_owned(), text.into()),
                ]);
                contents.extend(
                    offering
                        .mime_type
                        .clone()
                        .map(|kind| ("mimeType".to_owned(), kind.into())),
                );
                jsonrpc::to_raw(&json!({"contents": [contents]}))
            }
        }
        .into(),
    )
}

/// Reads which resource a client wants to hear of, or no more.
pub fn read_subscription(context: &Context, params: Option<&RawValue>) -> Result<String, RpcError> {
    serving::require(context, "resources", "resources/subscribe")?;
    let params: UriParams = messages::read("resources/subscribe", params)?;
    find(context, &params.uri).map(|_| params.uri)
}

fn find(context: &Context, uri: &str) -> Result<Readable, RpcError> {
    let known = (uri.len() <= MAX_URI)
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
