//! Annotations `x-mcp-header`: the arguments that clients repeat in a header of the request.

use serde_json::Value;

use super::sentences::QUOTED;
use crate::contract::faults::Fault;
use crate::contract::keywords::subschemas;
use crate::text::{excerpt, shown};

/// Checks that clients can follow the `x-mcp-header` annotations of a schema: else they drop the tool.
///
/// # Errors
/// The first annotation that they cannot follow.
pub(super) fn check(schema: &Value) -> Result<(), Fault> {
    let mut names = Vec::new();
    headers(schema, true, &mut names)?;
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let name = shown(&pair[0], QUOTED);
            let what = format!("has two properties with the x-mcp-header '{name}'");
            Err(Fault::new(what))
        }
        None => Ok(()),
    }
}

fn headers(schema: &Value, reachable: bool, names: &mut Vec<String>) -> Result<(), Fault> {
    let Some(members) = schema.as_object() else {
        return Ok(());
    };
    if let Some(header) = members.get("x-mcp-header") {
        names.push(header_name(header, schema, reachable)?);
    }
    for (keyword, _, inner) in subschemas(members) {
        // Only what a client can name by properties alone can be repeated in a header.
        headers(inner, reachable && keyword == "properties", names)?;
    }
    Ok(())
}

fn header_name(header: &Value, schema: &Value, reachable: bool) -> Result<String, Fault> {
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let Some(name) = header.as_str().filter(|text| is_token(text)) else {
        let header = excerpt(header, QUOTED);
        let what = format!("has an x-mcp-header that no header can be named by: {header}");
        return Err(Fault::new(what));
    };
    let carried = ["string", "integer", "boolean"]
        .iter()
        .any(|kind| schema["type"] == *kind);
    if !carried || !reachable {
        let name = shown(name, QUOTED);
        let what = format!(
            "has the x-mcp-header '{name}' where clients cannot follow it: only on properties of type string, integer or boolean"
        );
        return Err(Fault::new(what));
    }
    Ok(name.to_ascii_lowercase())
}
