//! One request of revision 2026-07-28 that may need answers: those it came with, and the questions
//! that are still open when its run ends. Knows no method.

use std::sync::Mutex;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::inbound::Request;
use super::principal::Principal;
use super::request_state::Sealer;
use crate::jsonrpc::RpcError;

/// The answers that a request brought, and the questions it leaves.
#[derive(Debug)]
pub struct RoundTrips {
    answers: Map<String, Value>,
    round: u64,
    open: Mutex<Map<String, Value>>,
}

impl RoundTrips {
    /// Reads what the client sent back: answers of this round, and the state with those of earlier ones.
    ///
    /// # Errors
    /// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for answers or a state that are not what they must be.
    pub fn read(
        sealer: &Sealer,
        principal: &Principal,
        request: &Request,
    ) -> Result<Self, RpcError> {
        let given = |name: &str| {
            let value = request.params.get(name);
            value.filter(|value| value.get() != "null")
        };
        let (mut answers, round) = match given("requestState") {
            Some(state) => {
                let state: String = serde_json::from_str(state.get())
                    .map_err(|_| RpcError::invalid_params("requestState must be a string"))?;
                sealer
                    .open(&state, &binding(principal, request))
                    .map_err(|unsealed| RpcError::invalid_params(unsealed.to_string()))?
            }
            None => (Map::new(), 0),
        };
        answers.extend(responses(given("inputResponses"))?);
        Ok(Self {
            answers,
            round,
            open: Mutex::default(),
        })
    }

    /// The answer to a question, where the client has given one.
    pub fn answer(&self, key: &str) -> Option<&Value> {
        self.answers.get(key)
    }

    /// Notes a question that nobody has answered yet.
    pub fn leave_open(&self, key: &str, method: &str, params: &Value) {
        let question = json!({"method": method, "params": params});
        self.open
            .lock()
            .expect("no code that holds this lock can panic")
            .insert(key.to_owned(), question);
    }

    /// The `input_required` result, if questions are open.
    pub fn input_required(
        &self,
        sealer: &Sealer,
        principal: &Principal,
        request: &Request,
    ) -> Option<Value> {
        let open = std::mem::take(
            &mut *self
                .open
                .lock()
                .expect("no code that holds this lock can panic"),
        );
        (!open.is_empty()).then(|| {
            json!({
                "resultType": "input_required",
                "inputRequests": open,
                "requestState": sealer.seal(&self.answers, self.round + 1, &binding(principal, request)),
            })
        })
    }
}

fn responses(given: Option<&RawValue>) -> Result<Map<String, Value>, RpcError> {
    let Some(given) = given else {
        return Ok(Map::new());
    };
    let given: Map<String, Value> = serde_json::from_str(given.get()).map_err(|_| {
        RpcError::invalid_params("inputResponses must be an object of responses by key")
    })?;
    match given.iter().find(|(_, response)| !response.is_object()) {
        Some((key, _)) => Err(RpcError::invalid_params(format!(
            "inputResponses.{} must be an object",
            crate::text::quoted(key)
        ))),
        None => Ok(given),
    }
}

/// Who asked for what, with which arguments: a state is good for nothing else.
fn binding(principal: &Principal, request: &Request) -> Vec<u8> {
    let member = |name: &str| -> Value {
        let member = request.params.get(name);
        member
            .and_then(|member| serde_json::from_str(member.get()).ok())
            .unwrap_or_default()
    };
    let arguments = match member("arguments") {
        Value::Null => json!({}),
        arguments => arguments,
    };
    let parts = json!([
        principal.key.map(|key| key.digest().to_vec()),
        principal.agent,
        request.method.name(),
        member("name"),
        member("uri"),
        sorted(&arguments),
    ]);
    Sha256::digest(parts.to_string()).to_vec()
}

/// The same value with its members in one order, for clients may send them in another.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<_> = members.keys().collect();
            names.sort();
            names
                .into_iter()
                .map(|name| (name.clone(), sorted(&members[name])))
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(params: &Value) -> Request {
        crate::mcp::inbound::request("tools/call", params)
    }

    fn round_trips(sealer: &Sealer, params: &Value) -> Result<RoundTrips, RpcError> {
        RoundTrips::read(sealer, &Principal::default(), &call(params))
    }

    fn required(round_trips: &RoundTrips, sealer: &Sealer, params: &Value) -> Value {
        let required = round_trips.input_required(sealer, &Principal::default(), &call(params));
        required.unwrap()
    }

    #[test]
    fn answers_of_earlier_rounds_travel_in_the_state() {
        let sealer = Sealer::new().unwrap();
        let params = json!({"name": "t", "inputResponses": {"one": {"a": 1}}});
        let first = round_trips(&sealer, &params).unwrap();
        first.leave_open("two", "elicitation/create", &json!({}));
        let required = required(&first, &sealer, &params);
        assert_eq!(
            required["inputRequests"]["two"]["method"],
            "elicitation/create"
        );
        let second = round_trips(
            &sealer,
            &json!({"name": "t", "arguments": {}, "requestState": required["requestState"], "inputResponses": {"two": {"b": 2}}}),
        )
        .unwrap();
        assert_eq!(second.answer("one"), Some(&json!({"a": 1})));
        assert_eq!(second.answer("two"), Some(&json!({"b": 2})));
    }

    #[test]
    fn a_state_of_another_tool_or_other_arguments_is_refused() {
        let sealer = Sealer::new().unwrap();
        let params = json!({"name": "t", "arguments": {"x": 1, "y": 2}});
        let first = round_trips(&sealer, &params).unwrap();
        first.leave_open("k", "roots/list", &json!({}));
        let state = required(&first, &sealer, &params)["requestState"].clone();
        assert!(
            round_trips(
                &sealer,
                &json!({"name": "t", "arguments": {"y": 2, "x": 1}, "requestState": state})
            )
            .is_ok()
        );
        assert!(
            round_trips(
                &sealer,
                &json!({"name": "u", "arguments": {"x": 1, "y": 2}, "requestState": state})
            )
            .is_err()
        );
        assert!(
            round_trips(
                &sealer,
                &json!({"name": "t", "arguments": {"x": 2, "y": 2}, "requestState": state})
            )
            .is_err()
        );
    }

    #[test]
    fn responses_must_be_objects() {
        let sealer = Sealer::new().unwrap();
        for bad in [json!([]), json!(3), json!({"k": 12345}), json!({"k": null})] {
            assert!(round_trips(&sealer, &json!({"name": "t", "inputResponses": bad})).is_err());
        }
        assert!(round_trips(&sealer, &json!({"name": "t", "inputResponses": null})).is_ok());
    }
}
