//! Commands that only read, called once each: whether they give what they declare.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::finding::{Finding, Rule, Severity};
use crate::call::types::{CallError, CallRequest, Caller};
use crate::catalog::{Catalog, Tool};
use crate::commands::setup::Workbench;
use crate::text::shown;

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The arguments of a call that can be made without knowing the tool; `None` where it cannot.
pub(super) fn arguments(tool: &Tool) -> Option<Map<String, Value>> {
    let definition: Value = serde_json::from_str(tool.definition.get()).ok()?;
    (definition["annotations"]["readOnlyHint"] == true).then_some(())?;
    let schema = &definition["inputSchema"];
    let required = schema["required"].as_array().into_iter().flatten();
    let names = required.filter_map(Value::as_str);
    let known = |name: &str| -> Option<(String, Value)> {
        let property = &schema["properties"][name];
        let places = [
            &property["examples"][0],
            &property["default"],
            &property["const"],
            &property["enum"][0],
        ];
        let value = places.into_iter().find(|value| !value.is_null())?;
        Some((name.to_owned(), value.clone()))
    };
    names.map(known).collect()
}

/// Calls the tool, and says what is wrong with what it gives.
///
/// # Errors
/// A signal asked for the end.
pub(super) async fn attempt(
    bench: &Workbench,
    catalog: &Catalog,
    tool: &Arc<Tool>,
    arguments: Map<String, Value>,
    variables: &[(String, String)],
) -> anyhow::Result<Option<Finding>> {
    let cancel = bench.shutdown.draining().child_token();
    let request = CallRequest {
        arguments: Some(to_raw_value(&arguments)?),
        caller: Caller {
            call_id: uuid::Uuid::new_v4().simple().to_string(),
            environment: variables.to_vec(),
            ..Caller::default()
        },
        cancel: cancel.clone(),
        events: None,
    };
    let mut calling = std::pin::pin!(catalog.call(tool, request));
    let outcome = match tokio::time::timeout(LIMIT, &mut calling).await {
        Ok(outcome) => outcome,
        Err(_) => {
            cancel.cancel();
            // Its processes are gone when it answers.
            let _ = calling.await;
            Err(CallError::TimedOut {
                tool: tool.name.clone(),
                after: LIMIT,
                printed: String::new(),
            })
        }
    };
    anyhow::ensure!(!bench.shutdown.draining().is_cancelled(), "interrupted");
    let fault = match outcome {
        Ok(result) if !result.is_error => return Ok(None),
        Ok(_) => "its result says that it has failed".to_owned(),
        Err(CallError::MissingCapability { .. } | CallError::Cancelled) => return Ok(None),
        Err(fault) => fault.to_string(),
    };
    let given = shown(&Value::Object(arguments).to_string(), 200);
    // The server's own words name the tool; a program's reason may lie outside of it.
    let is_of_server = fault.starts_with(&tool.name);
    Ok(Some(Finding {
        plugin: Some(tool.plugin.clone()),
        severity: if is_of_server {
            Severity::Error
        } else {
            Severity::Warning
        },
        rule: Rule::Output,
        place: Some(tool.address().to_owned()),
        message: format!("was called with {given}: {}", shown(&fault, 400)),
        mend: format!("try it: smcp call {} --json '{given}'", tool.name),
        said: None,
    }))
}
