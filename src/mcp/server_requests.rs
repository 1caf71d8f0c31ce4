//! Requests of this server to one client, and the answers that come back. Knows no method.
//! <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation>

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::outbox::Outbox;
use crate::jsonrpc::{self, IdKey, RequestId, Response};

/// How long a client may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10 * 60);
/// How long a question waits while nobody reads the stream that it is on, and nobody told its reader to go. Together with the time
/// after which a peer that vanished is noticed this is under a minute.
const ABSENCE_LIMIT: Duration = Duration::from_secs(10);

/// A client's result, or its error object.
pub type ClientAnswer = Result<Box<RawValue>, Box<RawValue>>;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The client has gone, or its session has ended.
    #[error("the client has gone")]
    Gone,
    /// The client is there and says nothing.
    #[error("the client has not answered for {} minutes", ANSWER_LIMIT.as_secs() / 60)]
    TooLate,
}

/// The requests that one client was sent and has not answered.
#[derive(Debug, Default)]
pub struct ServerRequests {
    next: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_id: HashMap<IdKey, oneshot::Sender<ClientAnswer>>,
    /// No answer can come any more.
    abandoned: bool,
}

impl ServerRequests {
    /// Sends a request through `outbox` and waits for its answer. Dropping the future forgets the
    /// request and tells the client so.
    ///
    /// # Errors
    /// [`Unanswered`] when the client has gone, or takes too long.
    pub async fn ask(
        &self,
        outbox: &Outbox,
        method: &str,
        params: &impl Serialize,
    ) -> Result<ClientAnswer, Unanswered> {
        let id = RequestId::number(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.lock();
            if waiting.abandoned {
                return Err(Unanswered::Gone);
            }
            waiting.by_id.insert(id.key(), sender);
        }
        let mut pending = Pending {
            server_requests: self,
            outbox,
            id,
            answered: false,
        };
        let question = jsonrpc::encode_request(&pending.id, method, params);
        let asked = async {
            outbox.send(question).await.map_err(|_| Unanswered::Gone)?;
            receiver.await.map_err(|_| Unanswered::Gone)
        };
        let answer = tokio::select! {
            answer = asked => answer?,
            () = outbox.abandoned_unannounced(ABSENCE_LIMIT) => return Err(Unanswered::Gone),
            () = tokio::time::sleep(ANSWER_LIMIT) => return Err(Unanswered::TooLate),
        };
        pending.answered = true;
        Ok(answer)
    }

    /// Hands a response to who waits for it; one that nobody waits for is passed over.
    pub fn answer(&self, response: Response) {
        let waiting = self.lock().by_id.remove(&response.id.key());
        if let Some(waiting) = waiting {
            // Who asked may have gone in this very moment.
            let _ = waiting.send(response.outcome);
        }
    }

    /// Ends every question without an answer, those to come too: the client has gone, or says nothing any more.
    pub fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.abandoned = true;
        waiting.by_id.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

struct Pending<'a> {
    server_requests: &'a ServerRequests,
    outbox: &'a Outbox,
    id: RequestId,
    answered: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let waiting = || self.server_requests.lock().by_id.remove(&self.id.key());
        if !self.answered && waiting().is_some() {
            self.outbox.offer(withdrawn(&self.id));
        }
    }
}

fn withdrawn(id: &RequestId) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Withdrawn<'a> {
        request_id: &'a RawValue,
        reason: &'static str,
    }
    let params = Withdrawn {
        request_id: id.raw(),
        reason: "the call that asked has ended",
    };
    jsonrpc::encode_notification("notifications/cancelled", &params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(id: &str) -> Response {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        Response {
            id: RequestId::parse(&raw(id)).unwrap(),
            outcome: Ok(raw(r#"{"action":"accept"}"#)),
        }
    }

    #[tokio::test]
    async fn an_answer_reaches_the_question_with_its_id() {
        let (server_requests, outbox) = (ServerRequests::default(), Outbox::default());
        let empty = serde_json::json!({});
        let (first, second, ()) = tokio::join!(
            server_requests.ask(&outbox, "roots/list", &empty),
            server_requests.ask(&outbox, "elicitation/create", &empty),
            async {
                server_requests.answer(response("1"));
                server_requests.answer(response("99"));
                server_requests.answer(response("0"));
            }
        );
        assert!(first.unwrap().is_ok() && second.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_question_nobody_waits_for_any_more_is_withdrawn() {
        let (server_requests, outbox) = (ServerRequests::default(), Outbox::default());
        let empty = serde_json::json!({});
        {
            let asking = server_requests.ask(&outbox, "roots/list", &empty);
            tokio::pin!(asking);
            assert!(futures_util::poll!(asking.as_mut()).is_pending());
        }
        assert!(String::from_utf8_lossy(&outbox.next().await.unwrap()).contains("roots/list"));
        assert!(
            String::from_utf8_lossy(&outbox.next().await.unwrap())
                .contains("notifications/cancelled")
        );
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_any_more_is_not_asked() {
        let (server_requests, outbox) = (ServerRequests::default(), Outbox::default());
        let (open, ()) = tokio::join!(server_requests.ask(&outbox, "roots/list", &()), async {
            server_requests.abandon();
        });
        assert_eq!(open.unwrap_err(), Unanswered::Gone);
        assert!(outbox.next().await.is_some(), "it was asked");
        let later = server_requests.ask(&outbox, "roots/list", &()).await;
        assert_eq!(later.unwrap_err(), Unanswered::Gone);
        assert!(outbox.is_empty(), "nothing was sent");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_gone_is_not_waited_for_and_one_that_reads_is() {
        let server_requests = ServerRequests::default();
        let outbox = std::sync::Arc::new(Outbox::default());
        let began = tokio::time::Instant::now();
        let gone = server_requests.ask(&outbox, "roots/list", &()).await;
        assert_eq!(gone.unwrap_err(), Unanswered::Gone);
        assert!(began.elapsed() < Duration::from_secs(30));
        let reader = outbox.attach();
        let late = server_requests.ask(&outbox, "roots/list", &()).await;
        assert_eq!(late.unwrap_err(), Unanswered::TooLate);
        drop(reader);
    }
}
