//! Relays what a running program says to the client that called it.

use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use tokio_util::sync::CancellationToken;

use crate::call::types::{ClientCapabilities, Event};
use crate::jsonrpc;
use crate::mcp::changes::Change;
use crate::mcp::context::Context;
use crate::mcp::messages::LogLevel;
use crate::mcp::outbox::Outbox;
use crate::mcp::principal::Transport;
use crate::mcp::round_trips::RoundTrips;
use crate::mcp::server_requests::ServerRequests;

/// Events that may wait for the client; a program that says more waits itself.
const WAITING_EVENTS: usize = 64;

/// Where a run's events go, for the time of one request.
#[derive(Debug)]
pub struct Relay<'a> {
    context: &'a Context,
    progress_token: Option<&'a RawValue>,
    logger: &'a str,
    run: CancellationToken,
}

impl<'a> Relay<'a> {
    /// A relay for one request; `logger` names the tool in log messages.
    pub fn new(
        context: &'a Context,
        progress_token: Option<&'a RawValue>,
        logger: &'a str,
    ) -> Self {
        // A token that is neither a string nor a number could not be echoed in a valid message.
        let progress_token =
            progress_token.filter(|token| !token.get().starts_with(['{', '[', 't', 'f', 'n']));
        let run = context.cancel.child_token();
        Self {
            context,
            progress_token,
            logger,
            run,
        }
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
            Event::Log { level, data } => self.log(&level, &data),
            Event::Changed(list) => {
                services.catalog.reload();
                services.changes.notify(Change::List(list));
            }
            // Only a stream that can be taken up again has a use for it.
            Event::Updated(uri) => services.changes.notify(Change::Resource(uri)),
            Event::Reconnect(pause) => self.send_away(pause),
            Event::Ask { questions, answers } => self.ask(&questions, answers).await,
        }
    }

    /// A client that could not come back is not sent away.
    fn send_away(&self, pause: Duration) {
        let comes_back = self.context.transport == Transport::Streamable
            && self.context.revision.has_resumable_streams();
        if let Some(outbox) = self.context.outbox.as_ref().filter(|_| comes_back) {
            outbox.send_away(pause);
        }
    }

    fn progress(&self, progress: &RawValue, total: Option<&RawValue>, message: Option<String>) {
        let (Some(token), Some(outbox)) = (self.progress_token, &self.context.outbox) else {
            return;
        };
        let mut params = json!({"progressToken": token, "progress": progress});
        if let Some(total) = total {
            params["total"] = json!(total);
        }
        if let Some(message) = message {
            params["message"] = message.into();
        }
        outbox.offer_step(
            token.get(),
            jsonrpc::encode_notification("notifications/progress", &params),
        );
    }

    fn log(&self, level: &str, data: &RawValue) {
        let Some(outbox) = &self.context.outbox else {
            return;
        };
        let (Some(level), Some(least)) = (LogLevel::parse(level), self.context.log_level) else {
            return;
        };
        if level >= least {
            let params = json!({"level": level, "logger": self.logger, "data": data});
            outbox.offer_log(jsonrpc::encode_notification(
                "notifications/message",
                &params,
            ));
        }
    }

    async fn ask(&self, questions: &RawValue, mut answers: oneshot::Sender<Box<RawValue>>) {
        let answered = tokio::select! {
            answered = self.answers_to(questions) => answered,
            // The program has ended without waiting: its result must not wait for the client.
            () = answers.closed() => return,
        };
        let answer = match answered {
            Ok(Some(answers)) => jsonrpc::to_raw(&answers),
            // Nobody will answer in this round: the run ends, and begins anew with the next.
            Ok(None) => return self.run.cancel(),
            Err(error) => jsonrpc::to_raw(&json!({ "error": error })),
        };
        // The program may have ended in this very moment.
        let _ = answers.send(answer);
    }

    /// The answers by key; `None` when some are still missing and the client is to be sent for them.
    async fn answers_to(&self, questions: &RawValue) -> Result<Option<Map<String, Value>>, Value> {
        let questions: Map<String, Value> = serde_json::from_str(questions.get())
            .map_err(|_| refused("ask must be an object of questions by key"))?;
        let mut requests = Vec::new();
        for (key, question) in &questions {
            let kind = Kind::of(key, question)?;
            if !kind.is_offered(&self.context.client.declared()) {
                return Err(refused(&format!(
                    "the client did not declare the capability {}",
                    kind.capability()
                )));
            }
            requests.push((key, kind, &question[kind.member()]));
        }
        match (
            &self.context.round_trips,
            &self.context.server_requests,
            &self.context.outbox,
        ) {
            (Some(round_trips), _, _) => Ok(from_rounds(round_trips, &requests)),
            (None, Some(asking), Some(outbox)) => {
                from_client(asking, outbox, &requests).await.map(Some)
            }
            _ => Err(refused(
                "this client cannot be asked: it has no stream to ask it on",
            )),
        }
    }
}

type Question<'q> = (&'q String, Kind, &'q Value);

fn from_rounds(round_trips: &RoundTrips, questions: &[Question<'_>]) -> Option<Map<String, Value>> {
    let mut answers = Map::new();
    for (key, kind, params) in questions {
        match round_trips.answer(key).filter(|answer| kind.fits(answer)) {
            Some(answer) => {
                answers.insert((*key).clone(), answer.clone());
            }
            None => round_trips.leave_open(key, kind.method(), params),
        }
    }
    (answers.len() == questions.len()).then_some(answers)
}

async fn from_client(
    asking: &ServerRequests,
    outbox: &Outbox,
    questions: &[Question<'_>],
) -> Result<Map<String, Value>, Value> {
    let mut answers = Map::new();
    for (key, kind, params) in questions {
        let answer = asking
            .ask(outbox, kind.method(), params)
            .await
            .map_err(|closed| refused(&closed.to_string()))?;
        match answer {
            Ok(result) => answers.insert((*key).clone(), json!(result)),
            Err(error) => return Err(json!(error)),
        };
    }
    Ok(answers)
}

fn refused(message: &str) -> Value {
    json!({"code": jsonrpc::INVALID_REQUEST, "message": message})
}

/// The kinds of question that a program may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Elicit,
    Sample,
    Roots,
}

impl Kind {
    fn of(key: &str, question: &Value) -> Result<Self, Value> {
        [Self::Elicit, Self::Sample, Self::Roots]
            .into_iter()
            .find(|kind| question.get(kind.member()).is_some_and(Value::is_object))
            .ok_or_else(|| {
                refused(&format!(
                    "question '{}' must have one object: elicit, sample or roots",
                    crate::text::quoted(key)
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

    const fn is_offered(self, declared: &ClientCapabilities) -> bool {
        match self {
            Self::Elicit => declared.elicitation,
            Self::Sample => declared.sampling,
            Self::Roots => declared.roots,
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
