//! Every message of the server, held against two judges that nobody here wrote: the types of the official Rust
//! SDK, which must give back what they took, and the official JSON schema of the revision.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use rmcp::model;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The newest revision with a handshake. Direct mode follows it, too.
pub const NEWEST: &str = "2025-11-25";

/// Parses a message from the server; panics when the SDK or the schema does not know it as it is.
/// `answered` is the method of the request that a response belongs to.
#[track_caller]
pub fn message(text: &str, answered: Option<&str>, revision: &str) -> Value {
    let value: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"));
    if let Err(fault) = judge(&value, answered, revision) {
        panic!("{fault}\nin the message {text}");
    }
    value
}

/// What is wrong with a message from the server, if anything.
pub fn judge(message: &Value, answered: Option<&str>, revision: &str) -> Result<(), String> {
    let message = &without_empty_params(with_plain_id(message.clone()));
    let for_sdk = &without_older_tasks(message.clone());
    let shape = if message.get("error").is_some() {
        round_trip::<model::JsonRpcError>(message)?;
        "JSONRPCErrorResponse"
    } else if let Some(result) = message.get("result") {
        let method = answered.ok_or("a response that answers nothing")?;
        // By their members these are tasks of the newest revision to the SDK.
        if !matches!(method, "tasks/get" | "tasks/cancel") {
            round_trip::<model::ServerJsonRpcMessage>(for_sdk)?;
        }
        fits(revision, judge_result(method, &for_sdk["result"])?, result)?;
        "JSONRPCResultResponse"
    } else {
        round_trip::<model::ServerJsonRpcMessage>(message)?;
        let method = message
            .get("method")
            .and_then(Value::as_str)
            .ok_or("neither a method nor a result nor an error")?;
        fits(revision, judge_call(method, message)?, message)?;
        if message.get("id").is_some() {
            "JSONRPCRequest"
        } else {
            "JSONRPCNotification"
        }
    };
    fits(revision, shape, message)
}

/// By its method a result has one type; as one of many it could hide a misspelt member in the SDK's catch-all.
fn judge_result(method: &str, result: &Value) -> Result<&'static str, String> {
    match method {
        "initialize" => round_trip::<model::InitializeResult>(result).map(|()| "InitializeResult"),
        "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
            round_trip::<model::EmptyResult>(result).map(|()| "EmptyResult")
        }
        "tools/list" => round_trip::<model::ListToolsResult>(result).map(|()| "ListToolsResult"),
        // The SDK knows tasks of the newest revision alone; for those of 2025-11-25 the schema judges.
        "tools/call" if result.get("task").is_some() => Ok("CreateTaskResult"),
        "tasks/get" => Ok("GetTaskResult"),
        "tasks/cancel" => Ok("CancelTaskResult"),
        "tasks/list" => Ok("ListTasksResult"),
        "tasks/result" => {
            round_trip::<model::CallToolResult>(result).map(|()| "GetTaskPayloadResult")
        }
        "tools/call" => round_trip::<model::CallToolResult>(result).map(|()| "CallToolResult"),
        "prompts/list" => {
            round_trip::<model::ListPromptsResult>(result).map(|()| "ListPromptsResult")
        }
        "prompts/get" => round_trip::<model::GetPromptResult>(result).map(|()| "GetPromptResult"),
        "resources/list" => {
            round_trip::<model::ListResourcesResult>(result).map(|()| "ListResourcesResult")
        }
        "resources/templates/list" => round_trip::<model::ListResourceTemplatesResult>(result)
            .map(|()| "ListResourceTemplatesResult"),
        "resources/read" => {
            round_trip::<model::ReadResourceResult>(result).map(|()| "ReadResourceResult")
        }
        "completion/complete" => {
            round_trip::<model::CompleteResult>(result).map(|()| "CompleteResult")
        }
        _ => Err(format!("a result for {method}, which no revision knows")),
    }
}

#[allow(
    deprecated,
    reason = "the SDK deprecates logging, which the session revisions have"
)]
fn judge_call(method: &str, message: &Value) -> Result<&'static str, String> {
    // The SDK keeps what all messages have apart from what one of them says.
    let mut said = message.clone();
    if let Some(members) = said.as_object_mut() {
        members.remove("jsonrpc");
    }
    match method {
        "notifications/progress" => {
            round_trip::<model::ProgressNotification>(&said).map(|()| "ProgressNotification")
        }
        "notifications/message" => round_trip::<model::LoggingMessageNotification>(&said)
            .map(|()| "LoggingMessageNotification"),
        "notifications/tools/list_changed" => Ok("ToolListChangedNotification"),
        "notifications/prompts/list_changed" => Ok("PromptListChangedNotification"),
        "notifications/resources/list_changed" => Ok("ResourceListChangedNotification"),
        "notifications/resources/updated" => Ok("ResourceUpdatedNotification"),
        "notifications/tasks/status" => Ok("TaskStatusNotification"),
        "elicitation/create" => Ok("ElicitRequest"),
        "sampling/createMessage" => Ok("CreateMessageRequest"),
        "roots/list" => Ok("ListRootsRequest"),
        "notifications/cancelled" => Ok("CancelledNotification"),
        "ping" => Ok("PingRequest"),
        _ => Err(format!("the server says {method}, which no revision knows")),
    }
}

fn round_trip<T: Serialize + DeserializeOwned>(sent: &Value) -> Result<(), String> {
    let name = std::any::type_name::<T>();
    let typed: T = serde_json::from_value(sent.clone())
        .map_err(|error| format!("no {name} for the SDK: {error}"))?;
    let back = serde_json::to_value(typed).map_err(|error| error.to_string())?;
    if same(sent, &back) {
        Ok(())
    } else {
        Err(format!("as a {name} the SDK takes it for {back}"))
    }
}

/// Equality of JSON, in which 3 and 3.0 are one number: the SDK keeps the numbers of progress as `f64`, and
/// JSON makes no difference.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

/// The SDK keeps ids in 64 bits and JSON does not: a larger one, which the server must echo all the same, is
/// judged by the test that sent it, and here a small one stands for it.
fn with_plain_id(mut message: Value) -> Value {
    let large = |id: &Value| id.is_number() && id.as_i64().is_none();
    if message.get("id").is_some_and(large) {
        message["id"] = json!(0);
    }
    message
}

/// In the SDK the changes of lists have no params at all, and in the specification they may be left out: empty
/// ones say the same as none.
fn without_empty_params(mut message: Value) -> Value {
    let of_a_list = message["method"]
        .as_str()
        .is_some_and(|method| method.ends_with("/list_changed"));
    if of_a_list && message["params"] == json!({}) {
        message
            .as_object_mut()
            .expect("it has members")
            .remove("params");
    }
    message
}

/// What the SDK does not know: it has the tasks of the newest revision alone. The schema judges them all the same.
fn without_older_tasks(mut message: Value) -> Value {
    if let Some(capabilities) = message
        .pointer_mut("/result/capabilities")
        .and_then(Value::as_object_mut)
    {
        capabilities.remove("tasks");
    }
    let tools = message.pointer_mut("/result/tools");
    for tool in tools.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(tool) = tool.as_object_mut() {
            tool.remove("execution");
        }
    }
    message
}

/// Checks against one definition of the schema of a revision.
pub fn fits(revision: &str, definition: &str, value: &Value) -> Result<(), String> {
    let Some(schema) = schema(revision) else {
        return Ok(());
    };
    let name = definition_in(schema, definition);
    static VALIDATORS: OnceLock<Mutex<BTreeMap<(String, String), &'static jsonschema::Validator>>> =
        OnceLock::new();
    let validator = *VALIDATORS
        .get_or_init(Mutex::default)
        .lock()
        .expect("nobody panics here")
        .entry((revision.to_owned(), name.clone()))
        .or_insert_with(|| Box::leak(Box::new(validator(schema, &name))));
    let faults: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{} at {:?}", error, error.instance_path().to_string()))
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(format!("no {name} of {revision}: {}", faults.join("; ")))
    }
}

/// The older revisions name the two kinds of responses otherwise.
fn definition_in(schema: &Value, definition: &str) -> String {
    let older = match definition {
        "JSONRPCErrorResponse" => "JSONRPCError",
        "JSONRPCResultResponse" => "JSONRPCResponse",
        other => other,
    };
    let name = if schema[place(schema)].get(definition).is_some() {
        definition
    } else {
        older
    };
    name.to_owned()
}

fn validator(schema: &Value, definition: &str) -> jsonschema::Validator {
    let place = place(schema);
    assert!(
        schema[place].get(definition).is_some(),
        "the schema has no {definition}"
    );
    let mut rooted = schema.clone();
    rooted["$ref"] = json!(format!("#/{place}/{definition}"));
    jsonschema::validator_for(&rooted).expect("the official schema is a schema")
}

/// Where a schema keeps its definitions: the draft it is written in decides.
fn place(schema: &Value) -> &'static str {
    if schema.get("$defs").is_some() {
        "$defs"
    } else {
        "definitions"
    }
}

/// The official schema, of the revisions that have one as JSON.
fn schema(revision: &str) -> Option<&'static Value> {
    static SCHEMAS: OnceLock<BTreeMap<&'static str, Value>> = OnceLock::new();
    let schemas = SCHEMAS.get_or_init(|| {
        let parse = |text| serde_json::from_str(text).expect("the vendored schemas are JSON");
        BTreeMap::from([
            (
                "2025-03-26",
                parse(include_str!("../schemas/2025-03-26.json")),
            ),
            (
                "2025-06-18",
                parse(include_str!("../schemas/2025-06-18.json")),
            ),
            (
                "2025-11-25",
                parse(include_str!("../schemas/2025-11-25.json")),
            ),
        ])
    });
    schemas.get(revision)
}
