//! Relays what a running program says to the client that called it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::questions::{Asker, RunEnds};
use crate::call::types::Event;
use crate::jsonrpc;
use crate::mcp::activity::Watched;
use crate::mcp::changes::Change;
use crate::mcp::context::Context;
use crate::mcp::messages::{LogLevel, RELATED_TASK};
use crate::mcp::method::Method;
use crate::tasks::Live;

/// Events that may wait for the client; a program that says more waits itself.
const WAITING_EVENTS: usize = 64;

/// Lines of questions that may wait for the client: more than a program can have open, so that events pass them.
const WAITING_QUESTIONS: usize = 32;

/// Where a run's events go, for the time of one request.
#[derive(Debug)]
pub struct Relay<'a> {
    context: &'a Context,
    progress_token: Option<&'a RawValue>,
    logger: &'a str,
    /// What is kept once the program says so, where that is not the task of its context.
    detachable: Option<&'a Arc<Live>>,
    run: CancellationToken,
    client_has_gone: AtomicBool,
    /// It may not be kept: a program that says so again is not heard again.
    is_refused: AtomicBool,
    watched: Watched,
}

/// A line of questions, and where its answers go.
#[derive(Debug)]
struct Asked {
    questions: Box<RawValue>,
    answers: oneshot::Sender<Box<RawValue>>,
}

impl<'a> Relay<'a> {
    /// A relay for one request of this method, which is served by what is called `served`; `logger` names the tool in
    /// log messages.
    pub fn new(
        context: &'a Context,
        method: Method,
        progress_token: Option<&'a RawValue>,
        logger: &'a str,
        served: &str,
    ) -> Self {
        let run = context.cancel.child_token();
        Self {
            context,
            progress_token,
            logger,
            detachable: None,
            watched: context.watched(method, served, run.clone()),
            run,
            client_has_gone: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
        }
    }

    /// The same for a call that is kept once its program says so.
    pub fn detaching(mut self, live: Option<&'a Arc<Live>>) -> Self {
        self.detachable = live;
        self
    }

    /// The run as those see it who watch the server.
    pub fn watched(&self) -> &Watched {
        &self.watched
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
    /// their way before the result is. Events pass the questions that are open; of questions, one line is asked
    /// after the other.
    pub async fn during<T>(&self, work: impl AsyncFnOnce(mpsc::Sender<Event>) -> T) -> T {
        let (sender, mut receiver) = mpsc::channel(WAITING_EVENTS);
        let (asked, mut questions) = mpsc::channel(WAITING_QUESTIONS);
        // The sender is dropped with the work, so the relaying ends with the last event, and then the asking.
        let relaying = async move {
            while let Some(event) = receiver.recv().await {
                match event {
                    Event::Ask { questions, answers } => {
                        let _ = asked.send(Asked { questions, answers }).await;
                    }
                    // Before the questions that follow it, which its task has to ask.
                    Event::Detach => self.detach().await,
                    other => self.relay(other),
                }
            }
        };
        let asking = async {
            let mut asker = Asker::new(self.context, self.logger);
            while let Some(asked) = questions.recv().await {
                self.ask(&mut asker, asked).await;
            }
        };
        let (result, (), ()) = tokio::join!(work(sender), relaying, asking);
        result
    }

    fn relay(&self, event: Event) {
        let services = &self.context.services;
        let is_cancelled = self.context.cancel.is_cancelled();
        match event {
            // Nothing more is sent for a request that was cancelled. What has changed is no part of it.
            Event::Progress { .. } | Event::Log { .. } | Event::Reconnect(_) if is_cancelled => {}
            Event::Progress {
                progress,
                total,
                message,
            } => {
                self.watched
                    .progress(&progress, total.as_deref(), message.as_deref());
                self.progress(&progress, total.as_deref(), message);
            }
            Event::Log { level, data } => self.log(level, &data),
            // Which lists are others now is seen when the plugin has answered, and clients are notified then.
            Event::Changed(_) => services.catalog.ask_again(),
            Event::Updated(uri) => services.changes.notify(Change::Resource(uri)),
            Event::Reconnect(pause) => self.send_away(pause),
            // By themselves; see `during`.
            Event::Ask { .. } | Event::Detach => {}
        }
    }

    /// The program says that from now on its call may outlive the client.
    async fn detach(&self) {
        let kept = &self.context.services.kept;
        let live = self.detachable.or(self.context.task());
        let is_refused = self.is_refused.load(Ordering::Relaxed);
        if let Some(live) = live.filter(|live| !live.is_kept() && !is_refused)
            && let Err(refused) = kept.keep(live).await
        {
            self.is_refused.store(true, Ordering::Relaxed);
            tracing::warn!(tool = self.logger, "a call is not kept: {refused}");
        }
    }

    /// What messages say of the task that they belong to.
    fn related(&self) -> Option<Value> {
        let live = self.context.task()?;
        let is_told = self.context.revision.has_handshake();
        is_told.then(|| json!({RELATED_TASK: {"taskId": live.id()}}))
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
            #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
            meta: Option<Value>,
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
            meta: self.related(),
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
            #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
            meta: Option<Value>,
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
                meta: self.related(),
            };
            let line = jsonrpc::encode_notification("notifications/message", &params);
            // A reader that does not keep up loses log messages, and nothing else.
            if !outbox.offer(line) {
                self.context.services.counters.client_log_lost();
            }
        }
    }

    /// Asks the client, and lets the program read what it answers. A run that ends for its question is ended before
    /// its channel says anything.
    async fn ask(&self, asker: &mut Asker<'_>, asked: Asked) {
        let Asked {
            questions,
            mut answers,
        } = asked;
        self.watched.asks(true);
        let line = tokio::select! {
            biased;
            // The program has ended without waiting: its result must not wait for the client.
            () = answers.closed() => None,
            () = self.run.cancelled() => None,
            line = asker.ask(&questions) => Some(line),
        };
        self.watched.asks(false);
        let Some(line) = line else { return };
        match line {
            // The program may have ended in this very moment.
            Ok(line) => drop(answers.send(line)),
            Err(ends) => {
                let gone = ends == RunEnds::ClientGone;
                self.client_has_gone.fetch_or(gone, Ordering::Relaxed);
                self.run.cancel();
            }
        }
    }
}
