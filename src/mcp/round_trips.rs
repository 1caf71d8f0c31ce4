//! One request of revision 2026-07-28 that may need answers: those it came with, and the questions
//! that are still open when its run ends. Knows no method.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
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
    round: u64,
    answered: BTreeMap<String, Answered>,
    /// Answers that came without a state: the client gave them before it was asked.
    in_advance: Map<String, Value>,
    run: Mutex<Run>,
}

/// What the run has asked.
#[derive(Debug, Default)]
struct Run {
    open: BTreeMap<String, Open>,
    /// The questions that were answered in advance.
    taken: BTreeMap<String, Fingerprint>,
}

/// An answer, with the question that it was given to.
#[derive(Debug, Serialize, Deserialize)]
struct Answered {
    question: Fingerprint,
    answer: Value,
}

/// A question that nobody has answered yet.
#[derive(Debug)]
struct Open {
    question: Fingerprint,
    request: Value,
}

/// What two questions have in common only when they ask the same: a digest of the method and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fingerprint(String);

/// What travels through the client between two rounds.
#[derive(Debug, Serialize, Deserialize)]
struct State<A, O> {
    /// Makes the state of every round another one, also when nothing was answered in it.
    round: u64,
    /// The answers so far, by key.
    answered: A,
    /// What was asked at last, by key: answers are taken to these questions alone.
    open: O,
}

type ReceivedState = State<BTreeMap<String, Answered>, BTreeMap<String, Fingerprint>>;

impl RoundTrips {
    /// Reads what the client sent back: answers of this round, and the state with those of earlier ones. With a
    /// state, an answer to what was not asked is passed over. Without one nothing was asked yet, and the
    /// official suite holds that answers may be given in advance: they count for the first question of their key.
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
        let State {
            round,
            mut answered,
            mut open,
        } = match given("requestState") {
            Some(state) => {
                let state: String = serde_json::from_str(state.get())
                    .map_err(|_| RpcError::invalid_params("requestState must be a string"))?;
                sealer
                    .open::<ReceivedState>(&state, &binding(principal, request))
                    .map_err(|unsealed| RpcError::invalid_params(unsealed.to_string()))?
            }
            None => State {
                round: 0,
                answered: BTreeMap::new(),
                open: BTreeMap::new(),
            },
        };
        let mut in_advance = Map::new();
        for (key, answer) in responses(given("inputResponses"))? {
            if round == 0 {
                in_advance.insert(key, answer);
            } else if let Some(question) = open.remove(&key) {
                answered.insert(key, Answered { question, answer });
            }
        }
        Ok(Self {
            round,
            answered,
            in_advance,
            run: Mutex::default(),
        })
    }

    /// The answer to this very question, where the client has given one.
    pub fn answer(&self, key: &str, method: &str, params: &Value) -> Option<&Value> {
        let question = Fingerprint::of(method, params);
        if let Some(answer) = self.in_advance.get(key) {
            let mut run = self.run();
            let taken = run.taken.entry(key.to_owned());
            return (*taken.or_insert_with(|| question.clone()) == question).then_some(answer);
        }
        let answered = self.answered.get(key)?;
        (answered.question == question).then_some(&answered.answer)
    }

    /// Notes a question that nobody has answered yet.
    pub fn leave_open(&self, key: &str, method: &str, params: &Value) {
        let open = Open {
            question: Fingerprint::of(method, params),
            request: json!({"method": method, "params": params}),
        };
        self.run().open.insert(key.to_owned(), open);
    }

    /// The `input_required` result, if questions are open.
    pub fn input_required(
        &self,
        sealer: &Sealer,
        principal: &Principal,
        request: &Request,
    ) -> Option<Value> {
        let Run { open, taken } = std::mem::take(&mut *self.run());
        if open.is_empty() {
            return None;
        }
        let taken = taken.into_iter().filter_map(|(key, question)| {
            let answer = self.in_advance.get(&key)?.clone();
            Some((key, Answered { question, answer }))
        });
        let taken: BTreeMap<_, _> = taken.collect();
        // What is asked again is not answered any more.
        let answered = self.answered.iter().chain(&taken);
        let answered: BTreeMap<_, _> = answered
            .filter(|(key, _)| !open.contains_key(*key))
            .collect();
        let questions = open.iter().map(|(key, open)| (key, &open.question));
        let state = State {
            round: self.round + 1,
            answered,
            open: questions.collect::<BTreeMap<_, _>>(),
        };
        let state = sealer.seal(&state, &binding(principal, request));
        let requests = open.into_iter().map(|(key, open)| (key, open.request));
        Some(json!({
            "resultType": "input_required",
            "inputRequests": requests.collect::<Map<_, _>>(),
            "requestState": state,
        }))
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

impl Fingerprint {
    fn of(method: &str, params: &Value) -> Self {
        let question = json!([method, sorted(params)]).to_string();
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(question)))
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

    /// The params of the call that follows on `required`, with these answers.
    fn repeated(params: &Value, required: &Value, answers: &Value) -> Value {
        let mut params = params.clone();
        params["requestState"] = required["requestState"].clone();
        params["inputResponses"] = answers.clone();
        params
    }

    const ELICIT: &str = "elicitation/create";

    #[test]
    fn answers_of_earlier_rounds_travel_in_the_state() {
        let sealer = Sealer::new().unwrap();
        let params = json!({"name": "t"});
        let first = round_trips(&sealer, &params).unwrap();
        first.leave_open(
            "one",
            ELICIT,
            &json!({"message": "1", "more": {"a": 1, "b": 2}}),
        );
        let asked = required(&first, &sealer, &params);
        assert_eq!(asked["inputRequests"]["one"]["method"], ELICIT);
        let params = repeated(
            &json!({"name": "t", "arguments": {}}),
            &asked,
            &json!({"one": {"a": 1}}),
        );
        let second = round_trips(&sealer, &params).unwrap();
        second.leave_open("two", ELICIT, &json!({"message": "2"}));
        let asked = required(&second, &sealer, &params);
        let params = repeated(&params, &asked, &json!({"two": {"b": 2}}));
        let third = round_trips(&sealer, &params).unwrap();
        // A program may write the members of its question in another order.
        let one = json!({"more": {"b": 2, "a": 1}, "message": "1"});
        assert_eq!(third.answer("one", ELICIT, &one), Some(&json!({"a": 1})));
        let two = json!({"message": "2"});
        assert_eq!(third.answer("two", ELICIT, &two), Some(&json!({"b": 2})));
        assert!(
            third
                .input_required(&sealer, &Principal::default(), &call(&params))
                .is_none()
        );
    }

    #[test]
    fn an_answer_belongs_to_the_question_as_it_was_asked() {
        let sealer = Sealer::new().unwrap();
        let params = json!({"name": "t"});
        let delete = |what: &str| json!({"message": format!("Delete {what}?")});
        let first = round_trips(&sealer, &params).unwrap();
        first.leave_open("delete", ELICIT, &delete("A"));
        let asked = required(&first, &sealer, &params);
        let params = repeated(&params, &asked, &json!({"delete": {"yes": 1}}));
        let second = round_trips(&sealer, &params).unwrap();
        assert!(second.answer("delete", ELICIT, &delete("A")).is_some());
        assert_eq!(second.answer("delete", ELICIT, &delete("B")), None);
        assert_eq!(second.answer("delete", "roots/list", &delete("A")), None);
        second.leave_open("delete", ELICIT, &delete("B"));
        let asked = required(&second, &sealer, &params);
        // The old answer is no answer to the new question, and it is not kept for the old one.
        for answers in [json!({}), json!({"other": {"yes": 1}})] {
            let third = round_trips(&sealer, &repeated(&params, &asked, &answers)).unwrap();
            assert_eq!(third.answer("delete", ELICIT, &delete("A")), None);
            assert_eq!(third.answer("delete", ELICIT, &delete("B")), None);
        }
        let params = repeated(&params, &asked, &json!({"delete": {"no": 1}}));
        let third = round_trips(&sealer, &params).unwrap();
        assert_eq!(
            third.answer("delete", ELICIT, &delete("B")),
            Some(&json!({"no": 1}))
        );
    }

    #[test]
    fn an_answer_given_in_advance_counts_for_the_first_question_of_its_key() {
        let sealer = Sealer::new().unwrap();
        let roots = json!({"roots": []});
        let params = json!({"name": "t", "inputResponses": {"k": roots, "more": {}}});
        let first = round_trips(&sealer, &params).unwrap();
        assert_eq!(first.answer("k", "roots/list", &json!({})), Some(&roots));
        assert_eq!(first.answer("k", ELICIT, &json!({})), None);
        first.leave_open("other", ELICIT, &json!({}));
        let asked = required(&first, &sealer, &params);
        let params = repeated(&params, &asked, &json!({"k": {"roots": [1]}, "more": {}}));
        let second = round_trips(&sealer, &params).unwrap();
        assert_eq!(second.answer("k", "roots/list", &json!({})), Some(&roots));
        assert_eq!(second.answer("k", ELICIT, &json!({})), None);
        assert_eq!(
            second.answer("more", ELICIT, &json!({})),
            None,
            "it was not asked"
        );
    }

    #[test]
    fn two_rounds_have_two_states() {
        let sealer = Sealer::new().unwrap();
        let params = json!({"name": "t"});
        let first = round_trips(&sealer, &params).unwrap();
        first.leave_open("k", "roots/list", &json!({}));
        let asked = required(&first, &sealer, &params);
        let params = repeated(&params, &asked, &json!({}));
        let second = round_trips(&sealer, &params).unwrap();
        second.leave_open("k", "roots/list", &json!({}));
        let again = required(&second, &sealer, &params);
        assert_ne!(asked["requestState"], again["requestState"]);
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
