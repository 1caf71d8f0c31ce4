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

use super::inbound::{MAX_MESSAGE, Request};
use super::principal::Principal;
use super::request_state::Sealer;
use crate::jsonrpc::RpcError;

/// How many answers to one question may be none. After that it is not asked again: a client that answers by itself
/// would repeat its call for as long as it is allowed to.
const MAX_UNFIT: u32 = 3;

/// How much of a request is left for the answers of its round, in bytes, beside what is repeated in it.
const ROOM_FOR_ANSWERS: usize = 256 << 10;

/// The answers that a request brought, and the questions it leaves.
#[derive(Debug)]
pub struct RoundTrips {
    round: u64,
    answered: BTreeMap<String, Answered>,
    /// The questions that this request brought no answer to.
    unanswered: BTreeMap<String, Asked>,
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
    question: Asked,
    answer: Value,
}

/// A question that the client was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    question: Fingerprint,
    /// How many answers to it were none.
    unfit: u32,
}

/// A question that nobody has answered yet.
#[derive(Debug)]
struct Open {
    question: Asked,
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

type ReceivedState = State<BTreeMap<String, Answered>, BTreeMap<String, Asked>>;

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
            unanswered: open,
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
        (answered.question.question == question).then_some(&answered.answer)
    }

    /// Whether the question may be asked again after the answer that is there, which is none.
    pub fn may_ask_again(&self, key: &str, method: &str, params: &Value) -> bool {
        self.unfit(key, &Fingerprint::of(method, params)) + 1 < MAX_UNFIT
    }

    /// How many answers of earlier rounds to this very question were none.
    fn unfit(&self, key: &str, question: &Fingerprint) -> u32 {
        let answered = self.answered.get(key).map(|answered| &answered.question);
        let asked = answered.or_else(|| self.unanswered.get(key));
        asked
            .filter(|asked| asked.question == *question)
            .map_or(0, |asked| asked.unfit)
    }

    /// Notes a question that nobody has answered yet. An answer that is there is none.
    pub fn leave_open(&self, key: &str, method: &str, params: &Value) {
        let unfit = u32::from(self.answer(key, method, params).is_some());
        let question = Fingerprint::of(method, params);
        let unfit = self.unfit(key, &question) + unfit;
        let open = Open {
            question: Asked { question, unfit },
            request: json!({"method": method, "params": params}),
        };
        self.run().open.insert(key.to_owned(), open);
    }

    /// The `input_required` result, if questions are open.
    ///
    /// # Errors
    /// When the answers so far are so large that a request with them and with one more would not be taken in.
    pub fn input_required(
        &self,
        sealer: &Sealer,
        principal: &Principal,
        request: &Request,
    ) -> Result<Option<Value>, RpcError> {
        let Run { open, taken } = std::mem::take(&mut *self.run());
        if open.is_empty() {
            return Ok(None);
        }
        let taken = taken.into_iter().filter_map(|(key, question)| {
            let answer = self.in_advance.get(&key)?.clone();
            let question = Asked { question, unfit: 0 };
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
        let size = repeated(request) + state.len();
        if size > MAX_MESSAGE - ROOM_FOR_ANSWERS {
            return Err(RpcError::invalid_params(format!(
                "the answers so far are too large for a further question: repeated with the call, they make a \
                 request of {size} bytes, which leaves no room for another answer in the {MAX_MESSAGE} bytes that \
                 a request may have; answer with less"
            )));
        }
        let requests = open.into_iter().map(|(key, open)| (key, open.request));
        Ok(Some(json!({
            "resultType": "input_required",
            "inputRequests": requests.collect::<Map<_, _>>(),
            "requestState": state,
        })))
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

/// The size of what the next request has to repeat, in bytes.
fn repeated(request: &Request) -> usize {
    let member = |name: &str| {
        request
            .params
            .get(name)
            .map_or(0, |value| value.get().len())
    };
    let replaced = member("requestState") + member("inputResponses");
    request.size.saturating_sub(replaced)
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
mod tests;
