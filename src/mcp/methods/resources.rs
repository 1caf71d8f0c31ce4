//! `resources/list`, `resources/templates/list`, `resources/read`, and what may be subscribed to.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::outcome::Outcome;
use super::serving;
use super::tools::refuse_cursor;
use crate::mcp::context::Context;
use crate::mcp::jsonrpc::{self, INVALID_PARAMS, RpcError};
use crate::mcp::messages::{self, RequestMeta};
use crate::mcp::template;
use crate::plugins::catalog::Family;
use crate::plugins::catalog::Served;

/// The code of the session revisions for a resource that is not there.
const NOT_FOUND: i64 = -32002;
/// A longer URI is none of ours, in bytes.
const MAX_URI: usize = 4096;
const FAMILIES: [Family; 2] = [Family::Resource, Family::Template];

#[derive(Deserialize)]
struct UriParams<'a> {
    uri: String,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<RequestMeta<'a>>,
}

/// `resources/list`.
pub fn list(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, &FAMILIES, "resources/list")?;
    refuse_cursor("resources/list", params)?;
    Ok(
        jsonrpc::to_raw(&json!({"resources": serving::definitions(context, Family::Resource)}))
            .into(),
    )
}

/// `resources/templates/list`.
pub fn list_templates(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, &FAMILIES, "resources/templates/list")?;
    refuse_cursor("resources/templates/list", params)?;
    Ok(jsonrpc::to_raw(
        &json!({"resourceTemplates": serving::definitions(context, Family::Template)}),
    )
    .into())
}

/// `resources/read`.
pub async fn read(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, &FAMILIES, "resources/read")?;
    let params: UriParams = messages::read("resources/read", params)?;
    let (served, mut arguments) =
        find(context, &params.uri).ok_or_else(|| not_found(context, &params.uri))?;
    if served.takes("uri") {
        arguments.insert("uri".to_owned(), params.uri.clone().into());
    }
    let token = params.meta.as_ref().and_then(|meta| meta.progress_token);
    let printed = serving::run(context, &served, arguments, token).await?;
    let result = serving::protocol_object(&printed, "contents").unwrap_or_else(|| {
        let mut contents = Map::from_iter([
            ("uri".to_owned(), params.uri.into()),
            ("text".to_owned(), printed.into()),
        ]);
        contents.extend(
            served
                .definition
                .get("mimeType")
                .map(|kind| ("mimeType".to_owned(), kind.clone())),
        );
        jsonrpc::to_raw(&json!({"contents": [contents]}))
    });
    Ok(result.into())
}

/// Reads which resource a client wants to hear of, or no more.
pub fn read_subscription(context: &Context, params: Option<&RawValue>) -> Result<String, RpcError> {
    serving::require(context, &FAMILIES, "resources/subscribe")?;
    let params: UriParams = messages::read("resources/subscribe", params)?;
    match find(context, &params.uri) {
        Some(_) => Ok(params.uri),
        None => Err(not_found(context, &params.uri)),
    }
}

/// What serves a URI, and the values that it gives to a template's variables.
fn find(context: &Context, uri: &str) -> Option<(Arc<Served>, Map<String, Value>)> {
    if uri.len() > MAX_URI {
        return None;
    }
    if let Some(resource) = serving::all(context, Family::Resource)
        .into_iter()
        .find(|resource| resource.key == uri)
    {
        return Some((resource, Map::new()));
    }
    serving::all(context, Family::Template)
        .into_iter()
        .find_map(|served| {
            let values = template::values(&served.key, uri)?;
            let values = values
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            Some((served, values))
        })
}

fn not_found(context: &Context, uri: &str) -> RpcError {
    let code = if context.revision.has_handshake() {
        NOT_FOUND
    } else {
        INVALID_PARAMS
    };
    RpcError::new(code, format!("resource not found: {}", jsonrpc::shown(uri)))
        .with_data(json!({"uri": uri}))
}
