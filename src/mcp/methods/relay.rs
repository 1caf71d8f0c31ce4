//! Relays what a running program says to the client that called it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::call::types::Event;
use crate::jsonrpc;
use crate::mcp::changes::Change;
use crate::mcp::context::{Asking, Context};
use crate::mcp::inbound::Request;
use crate::mcp::messages::{ClientDetails, LogLevel};
use crate::mcp::outbox::Outbox;
use crate::mcp::round_trips::RoundTrips;
use crate::mcp::server_requests::{ServerRequests, Unanswered};

/// Events that may wait for the client; a program that says more waits itself.
const WAITING_EVENTS: usize = 64;

/// Where a run's events go, for the time of one request.
#[derive(Debug)]
pub struct Relay<'a> {
    context: &'a Context,
    progress_token: Option<&'a RawValue>,
    logger: &'a str,
    run: CancellationToken,
    client_has_gone: AtomicBool,
}

impl<'a> Relay<'a> {
    /// A relay for one request; `logger` names the tool in log messages.
    pub fn new(context: &'a Context, request: &'a Request, logger: &'a str) -> Self {
        Self {
            context,
            progress_token: request.progress_token(),
            logger,
            run: context.cancel.child_token(),
            client_has_gone: AtomicBool::new(false),
        }
    }

    /// Whether the run was ended because the client went while it was asked.
    pub fn client_has_gone(&self) -> bool {
        self.client_has_gone.load(Ordering::Relaxed)
    }

    /// Cancelled with the request, and when a question ends the run.
    pub fn run(&self) -> CancellationToken {
        self.run.clone()
    }

    /// Runs `work` with a channel for its events and relays them until it ends. All of them are on
    /// their way before the result is.
    pub async fn during<T>(&self, work: impl AsyncFnOnce(mpsc::Sender<Event>) -> T) -> T {
        let (sender, mut receiver) = mpsc::channel(WAITING_EVENTS);
        let relaying = async {
            while let Some(event) = receiver.recv().await {
                self.relay(event).await;
            }
        };
        // The sender is dropped with the work, so the relaying ends with the last event.
        let (result, ()) = tokio::join!(work(sender), relaying);
        result
    }

    async fn relay(&self, event: Event) {
        let services = &self.context.services;
        match event {
            Event::Progress {
                progress,
                total,
                message,
            } => self.progress(&progress, total.as_deref(), message),
            Event::Log { level, data } => self.log(level, &data),
            // Which lists are others now is seen when the plugin has answered, and clients are notified then.
            Event::Changed(_) => services.catalog.reload(),
            Event::Updated(uri) => services.changes.notify(Change::Resource(uri)),
            Event::Reconnect(pause) => self.send_away(pause),
            Event::Ask { questions, answers } => self.ask(&questions, answers).await,
        }
    }

    /// A client that could not come back is not sent away.
    fn send_away(&self, pause: Duration) {
        let outbox = self.context.outbox.as_ref();
        if let Some(outbox) = outbox.filter(|_| self.context.can_come_back) {
            outbox.send_away(pause);
        }
    }

    /// <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/progress>
    fn progress(&self, progress: &RawValue, total: Option<&RawValue>, message: Option<String>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Progress<'a> {
            progress_token: &'a RawValue,
            progress: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            total: Option<&'a RawValue>,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<String>,
        }
        let (Some(progress_token), Some(outbox)) = (self.progress_token, &self.context.outbox)
        else {
            return;
        };
        let params = Progress {
            progress_token,
            progress,
            total,
            message,
        };
        outbox.offer_step(
            progress_token.get(),
            jsonrpc::encode_notification("notifications/progress", &params),
        );
    }

    /// <https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/logging>
    fn log(&self, level: LogLevel, data: &RawValue) {
        #[derive(Serialize)]
        struct Log<'a> {
            level: LogLevel,
            logger: &'a str,
            data: &'a RawValue,
        }
        let Some(outbox) = &self.context.outbox else {
            return;
        };
        let Some(least) = self.context.log_level() else {
            return;
        };
        if level >= least {
            let logger = self.logger;
            let params = Log {
                level,
                logger,
                data,
            };
            let line = jsonrpc::encode_notification("notifications/message", &params);
            // A reader that does not keep up loses log messages, and nothing else.
            if !outbox.offer(line) {
                self.context.services.counters.client_log_lost();
            }
        }
    }

    async fn ask(&self, questions: &RawValue, mut answers: oneshot::Sender<Box<RawValue>>) {
        let answered = tokio::select! {
            answered = self.answers_to(questions) => answered,
            // The program has ended without waiting: its result must not wait for the client.
            () = answers.closed() => return,
        };
        let answer = match answered {
            Ok(Some(answers)) => answers,
            // Nobody will answer in this round: the run ends, and begins anew with the next.
            Ok(None) => return self.run.cancel(),
            Err(Refusal::Gone) => {
                self.client_has_gone.store(true, Ordering::Relaxed);
                return self.run.cancel();
            }
            Err(Refusal::Error(error)) => jsonrpc::to_raw(&BTreeMap::from([("error", error)])),
        };
        // The program may have ended in this very moment.
        let _ = answers.send(answer);
    }

    /// The object of answers by key; `None` when some are still missing and the client is to be sent
    /// for them.
    async fn answers_to(&self, questions: &RawValue) -> Result<Option<Box<RawValue>>, Refusal> {
        let questions: Map<String, Value> = serde_json::from_str(questions.get())
            .map_err(|_| refused("ask must be an object of questions by key"))?;
        let mut requests = Vec::new();
        for (key, question) in &questions {
            let kind = QuestionKind::of(key, question)?;
            let params = &question[kind.member()];
            if let Some(missing) = kind.missing(params, &self.context.client) {
                return Err(refused(&format!(
                    "the client did not declare the capability {missing}"
                )));
            }
            requests.push((key, kind, params));
        }
        match (&self.context.asking, &self.context.outbox) {
            (Asking::RoundTrips(round_trips), _) => Ok(from_rounds(round_trips, &requests)),
            (Asking::Session(asking), Some(outbox)) => {
                from_client(asking, outbox, &requests).await.map(Some)
            }
            _ => Err(refused(
                "this client cannot be asked: it has no stream to ask it on",
            )),
        }
    }
}

type Question<'q> = (&'q String, QuestionKind, &'q Value);

/// Why a program gets no answers.
enum Refusal {
    /// The client has gone: there is nobody to go on for.
    Gone,
    /// The error that the program reads.
    Error(Box<RawValue>),
}

fn from_rounds(round_trips: &RoundTrips, questions: &[Question<'_>]) -> Option<Box<RawValue>> {
    let mut answers = BTreeMap::new();
    for (key, kind, params) in questions {
        match round_trips.answer(key).filter(|answer| kind.fits(answer)) {
            Some(answer) => {
                answers.insert(*key, answer);
            }
            None => round_trips.leave_open(key, kind.method(), params),
        }
    }
    (answers.len() == questions.len()).then(|| jsonrpc::to_raw(&answers))
}

async fn from_client(
    asking: &ServerRequests,
    outbox: &Outbox,
    questions: &[Question<'_>],
) -> Result<Box<RawValue>, Refusal> {
    let mut answers = BTreeMap::new();
    for (key, kind, params) in questions {
        let answer = asking.ask(outbox, kind.method(), params).await;
        let answer = answer.map_err(|unanswered| match unanswered {
            Unanswered::Gone => Refusal::Gone,
            Unanswered::TooLate => refused(&unanswered.to_string()),
        })?;
        answers.insert(*key, answer.map_err(Refusal::Error)?);
    }
    Ok(jsonrpc::to_raw(&answers))
}

fn refused(message: &str) -> Refusal {
    let error = json!({"code": jsonrpc::INVALID_REQUEST, "message": message});
    Refusal::Error(jsonrpc::to_raw(&error))
}

/// The kinds of question that a program may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QuestionKind {
    Elicit,
    Sample,
    Roots,
}

impl QuestionKind {
    fn of(key: &str, question: &Value) -> Result<Self, Refusal> {
        [Self::Elicit, Self::Sample, Self::Roots]
            .into_iter()
            .find(|kind| question.get(kind.member()).is_some_and(Value::is_object))
            .ok_or_else(|| {
                refused(&format!(
                    "question {} must have one object: elicit, sample or roots",
                    crate::text::in_quotes(key)
                ))
            })
    }

    const fn member(self) -> &'static str {
        match self {
            Self::Elicit => "elicit",
            Self::Sample => "sample",
            Self::Roots => "roots",
        }
    }

    const fn method(self) -> &'static str {
        match self {
            Self::Elicit => "elicitation/create",
            Self::Sample => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }

    const fn capability(self) -> &'static str {
        match self {
            Self::Elicit => "elicitation",
            Self::Sample => "sampling",
            Self::Roots => "roots",
        }
    }

    /// The capability that the question needs and the client did not declare.
    /// <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#capabilities>
    /// <https://modelcontextprotocol.io/specification/2025-11-25/client/sampling#capabilities>
    fn missing(self, params: &Value, client: &ClientDetails) -> Option<&'static str> {
        let declared = client.declared();
        let has = |part| client.declares(self.capability(), part);
        match self {
            Self::Elicit if !declared.elicitation => Some("elicitation"),
            Self::Elicit if params["mode"] == "url" => (!has("url")).then_some("elicitation.url"),
            // A client that names no mode knows forms.
            Self::Elicit => (has("url") && !has("form")).then_some("elicitation.form"),
            Self::Sample if !declared.sampling => Some("sampling"),
            Self::Sample => {
                let with_tools = ["tools", "toolChoice"]
                    .iter()
                    .any(|member| params.get(member).is_some());
                (with_tools && !has("tools")).then_some("sampling.tools")
            }
            Self::Roots => (!declared.roots).then_some("roots"),
        }
    }

    /// Whether `answer` can be one to this kind of question.
    fn fits(self, answer: &Value) -> bool {
        match self {
            Self::Elicit => matches!(
                answer["action"].as_str(),
                Some("accept" | "decline" | "cancel")
            ),
            Self::Sample => answer["role"].is_string() && answer.get("content").is_some(),
            Self::Roots => answer["roots"].is_array(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(capabilities: Value) -> ClientDetails {
        let Value::Object(capabilities) = capabilities else {
            panic!("capabilities are an object")
        };
        ClientDetails {
            capabilities,
            ..ClientDetails::default()
        }
    }

    #[test]
    fn a_question_is_asked_only_of_a_client_that_declared_what_it_needs() {
        use QuestionKind::{Elicit, Roots, Sample};
        let form = json!({"message": "?"});
        let url = json!({"message": "?", "mode": "url", "url": "https://example.org"});
        let tools = json!({"messages": [], "tools": []});
        let cases = [
            (Elicit, &form, json!({}), Some("elicitation")),
            (Elicit, &form, json!({"elicitation": {}}), None),
            (
                Elicit,
                &form,
                json!({"elicitation": {"url": {}}}),
                Some("elicitation.form"),
            ),
            (
                Elicit,
                &url,
                json!({"elicitation": {}}),
                Some("elicitation.url"),
            ),
            (
                Elicit,
                &url,
                json!({"elicitation": {"form": {}}}),
                Some("elicitation.url"),
            ),
            (Elicit, &url, json!({"elicitation": {"url": {}}}), None),
            (Sample, &form, json!({"sampling": {}}), None),
            (
                Sample,
                &tools,
                json!({"sampling": {}}),
                Some("sampling.tools"),
            ),
            (Sample, &tools, json!({"sampling": {"tools": {}}}), None),
            (Roots, &form, json!({}), Some("roots")),
        ];
        for (kind, params, capabilities, missing) in cases {
            let found = kind.missing(params, &client(capabilities.clone()));
            assert_eq!(found, missing, "{kind:?} {params} {capabilities}");
        }
    }
}
