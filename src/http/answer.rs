//! Whether a request's answer is one JSON response or a stream. Knows no era and no session.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::body::Accepted;
use super::events::SILENCE;
use crate::mcp::outbox::Outbox;

/// How a request ended.
#[derive(Debug, Default)]
pub struct Answer {
    /// The response; `None` when it was cancelled and there is none.
    pub response: Option<Bytes>,
    /// Its JSON-RPC error code, where a status depends on it.
    pub code: Option<i64>,
}

/// Runs `work` in a task of its own and waits for the first thing that it says.
///
/// Its answer, when that comes first and the client takes JSON: then a refusal can still be a
/// status. Else `None`: what the request says, its answer last, is told by `outbox`, which ends
/// with it. An answer that is long in coming begins as a stream too, so that no proxy gives up.
pub async fn first(
    tasks: &TaskTracker,
    accepted: Accepted,
    outbox: &Arc<Outbox>,
    work: impl Future<Output = Answer> + Send + 'static,
) -> Option<Answer> {
    let (sender, answered) = oneshot::channel();
    let told = accepted.events.then(|| Arc::clone(outbox));
    tasks.spawn(async move {
        let answer = work.await;
        let Some(told) = told else {
            // The client may have gone; then nobody misses it.
            let _ = sender.send(answer);
            return;
        };
        // With something said before it, the answer belongs to the stream, and so it does when
        // the stream was begun already.
        let late = if told.is_empty() {
            sender.send(answer).err()
        } else {
            Some(answer)
        };
        if let Some(response) = late.and_then(|answer| answer.response) {
            let _ = told.send(response).await;
        }
        told.finish();
    });
    match (accepted.json, accepted.events) {
        (true, true) => tokio::select! {
            biased;
            () = outbox.waiting() => None,
            answer = answered => Some(answer.unwrap_or_default()),
            () = tokio::time::sleep(SILENCE) => None,
        },
        (true, false) => Some(answered.await.unwrap_or_default()),
        (false, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const BOTH: Accepted = Accepted {
        json: true,
        events: true,
    };

    fn answer() -> Answer {
        Answer {
            response: Some(Bytes::from_static(b"answer")),
            code: None,
        }
    }

    #[tokio::test]
    async fn an_answer_without_anything_before_it_is_no_stream() {
        for _ in 0..200 {
            let outbox = Arc::default();
            let first = first(&TaskTracker::new(), BOTH, &outbox, async { answer() }).await;
            assert_eq!(
                first.expect("nothing was said before it").response.unwrap(),
                "answer"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_answer_after_something_else_is_the_last_of_a_stream() {
        for _ in 0..200 {
            let outbox = Arc::<Outbox>::default();
            let saying = Arc::clone(&outbox);
            let work = async move {
                saying.offer_log(Bytes::from_static(b"log"));
                answer()
            };
            assert!(
                first(&TaskTracker::new(), BOTH, &outbox, work)
                    .await
                    .is_none()
            );
            assert_eq!(outbox.next().await.unwrap(), "log");
            assert_eq!(outbox.next().await.unwrap(), "answer");
            assert_eq!(outbox.next().await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_long_in_coming_is_told_by_a_stream() {
        let outbox = Arc::<Outbox>::default();
        let work = async {
            tokio::time::sleep(SILENCE + Duration::from_secs(1)).await;
            answer()
        };
        assert!(
            first(&TaskTracker::new(), BOTH, &outbox, work)
                .await
                .is_none()
        );
        assert_eq!(outbox.next().await.unwrap(), "answer");
    }

    #[tokio::test]
    async fn a_client_that_is_to_come_back_gets_a_stream_to_leave() {
        let outbox = Arc::<Outbox>::default();
        let sending = Arc::clone(&outbox);
        let work = async move {
            sending.send_away(Duration::from_millis(500));
            answer()
        };
        assert!(
            first(&TaskTracker::new(), BOTH, &outbox, work)
                .await
                .is_none()
        );
        assert_eq!(outbox.next().await.unwrap(), "answer");
    }

    #[tokio::test]
    async fn a_client_that_takes_one_kind_gets_that_kind() {
        let outbox = Arc::<Outbox>::default();
        let json = Accepted {
            json: true,
            events: false,
        };
        assert!(
            first(&TaskTracker::new(), json, &outbox, async { answer() })
                .await
                .is_some()
        );
        let events = Accepted {
            json: false,
            events: true,
        };
        assert!(
            first(&TaskTracker::new(), events, &outbox, async { answer() })
                .await
                .is_none()
        );
        assert_eq!(outbox.next().await.unwrap(), "answer");
    }
}
