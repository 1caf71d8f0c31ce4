//! Relays what a running program says to the client that called it.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::mcp::context::Context;
use crate::mcp::jsonrpc;
use crate::mcp::messages::LogLevel;
use crate::plugins::call::Event;

/// Events that may wait for the client; a program that says more waits itself.
const WAITING_EVENTS: usize = 64;

/// Where a run's events go, for the time of one request.
#[derive(Debug)]
pub struct Relay<'a> {
    context: &'a Context,
    progress_token: Option<&'a RawValue>,
    logger: &'a str,
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
        Self {
            context,
            progress_token,
            logger,
        }
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
        match event {
            Event::Progress {
                progress,
                total,
                message,
            } => self.progress(&progress, total.as_deref(), message),
            Event::Log { level, data } => self.log(&level, &data),
            Event::Changed(_) => self.context.services.catalog.reload(),
            Event::Updated(_) => {}
            Event::Ask { questions, answers } => self.ask(&questions, answers).await,
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
        outbox.offer_latest(
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

    async fn ask(&self, questions: &RawValue, answers: oneshot::Sender<Box<RawValue>>) {
        let answer = match self.answers_to(questions).await {
            Ok(answers) => jsonrpc::to_raw(&answers),
            Err(error) => jsonrpc::to_raw(&json!({ "error": error })),
        };
        // The program may have ended without waiting.
        let _ = answers.send(answer);
    }

    async fn answers_to(&self, questions: &RawValue) -> Result<Map<String, Value>, Value> {
        let refused =
            |message: String| json!({"code": jsonrpc::INVALID_REQUEST, "message": message});
        let questions: Map<String, Value> = serde_json::from_str(questions.get())
            .map_err(|_| refused("ask must be an object of questions by key".to_owned()))?;
        let (Some(outbox), Some(asking)) = (&self.context.outbox, &self.context.questions) else {
            return Err(refused(
                "this client cannot be asked: it has no stream to ask it on".to_owned(),
            ));
        };
        let mut answers = Map::new();
        for (key, question) in questions {
            let (method, params) = self.request_for(&key, &question).map_err(refused)?;
            let answer = asking
                .ask(outbox, method, params)
                .await
                .map_err(|closed| refused(closed.to_string()))?;
            match answer {
                Ok(result) => answers.insert(key, json!(result)),
                Err(error) => return Err(json!(error)),
            };
        }
        Ok(answers)
    }

    fn request_for<'q>(
        &self,
        key: &str,
        question: &'q Value,
    ) -> Result<(&'static str, &'q Value), String> {
        let declared = self.context.client.declared();
        let kinds = [
            (
                "elicit",
                "elicitation/create",
                declared.elicitation,
                "elicitation",
            ),
            (
                "sample",
                "sampling/createMessage",
                declared.sampling,
                "sampling",
            ),
            ("roots", "roots/list", declared.roots, "roots"),
        ];
        for (kind, method, able, capability) in kinds {
            if let Some(params) = question.get(kind) {
                return if able {
                    Ok((method, params))
                } else {
                    Err(format!(
                        "the client did not declare the capability {capability}"
                    ))
                };
            }
        }
        Err(format!(
            "question '{}' must have one of elicit, sample and roots",
            jsonrpc::shown(key)
        ))
    }
}
