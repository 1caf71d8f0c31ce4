//! Whether a request's answer is one JSON response or a stream. Knows no revision and no session.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::Accepted;
use crate::mcp::outbox::Outbox;
use crate::mcp::serve::Reply;

/// While the server stops, an answer waits this long for a client that has left its stream.
const RETURN_LIMIT: Duration = Duration::from_millis(500);

/// Runs `work` in a task of its own and waits for the first thing that it says.
///
/// Its answer, when that comes first and the client takes JSON: then a refusal can still be a
/// status. Else `None`: what the request says, its answer last, goes out through `outbox`, which
/// ends with it. An answer that does not come within `silence` begins as a stream too, so that no proxy gives up.
pub async fn first(
    tasks: &TaskTracker,
    draining: &CancellationToken,
    accepted: Accepted,
    silence: Duration,
    outbox: &Arc<Outbox>,
    work: impl Future<Output = Reply> + Send + 'static,
) -> Option<Reply> {
    let (sender, answered) = oneshot::channel();
    let stream = accepted.events.then(|| Finished(Arc::clone(outbox)));
    let draining = draining.clone();
    tasks.spawn(async move {
        let reply = work.await;
        let Some(stream) = stream else {
            // The client may have gone; then nobody misses it.
            let _ = sender.send(reply);
            return;
        };
        // With something said before it, the answer belongs to the stream, and so it does when
        // the stream was begun already.
        let late = if accepted.json && stream.0.is_empty() {
            sender.send(reply).err()
        } else {
            Some(reply)
        };
        if let Some(answer) = late.and_then(|reply| reply.answer) {
            let nobody_returns = async {
                draining.cancelled().await;
                stream.0.abandoned(RETURN_LIMIT).await;
            };
            tokio::select! {
                _ = stream.0.send(answer.into_bytes()) => {}
                () = nobody_returns => {}
            }
        }
    });
    if !accepted.events {
        return Some(answered.await.unwrap_or_default());
    }
    let stream_begins = async {
        tokio::select! {
            () = outbox.waiting() => {}
            () = tokio::time::sleep(silence) => {}
        }
    };
    if accepted.json {
        answer_before(answered, stream_begins).await
    } else {
        stream_begins.await;
        None
    }
}

/// The answer, if it comes before `stream_begins`. It is either given here or refused to its sender,
/// which then sends it on the stream.
async fn answer_before(
    mut answered: oneshot::Receiver<Reply>,
    stream_begins: impl Future<Output = ()>,
) -> Option<Reply> {
    tokio::select! {
        biased;
        answer = &mut answered => return answer.ok(),
        () = stream_begins => {}
    }
    // Another thread may have handed the answer over since the first look. Dropped with the channel
    // it would reach nobody, and its client would wait for ever.
    answered.close();
    answered.try_recv().ok()
}

/// Ends the stream of a request with the task that serves it, however that ends.
struct Finished(Arc<Outbox>);

impl Drop for Finished {
    fn drop(&mut self) {
        self.0.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::events::SILENCE;
    use crate::mcp::budget::Budget;
    use bytes::Bytes;

    const BOTH: Accepted = Accepted {
        json: true,
        events: true,
    };

    fn answer() -> Reply {
        let account = Arc::new(Budget::default()).open(None);
        Reply {
            answer: Some(account.count(Bytes::from_static(b"answer"))),
            code: None,
        }
    }

    async fn first_of(
        accepted: Accepted,
        outbox: &Arc<Outbox>,
        work: impl Future<Output = Reply> + Send + 'static,
    ) -> Option<Bytes> {
        let draining = CancellationToken::new();
        let tasks = TaskTracker::new();
        let reply = first(&tasks, &draining, accepted, SILENCE, outbox, work).await;
        reply.map(|reply| reply.answer.expect("it was not cancelled").into_bytes())
    }

    #[tokio::test]
    async fn an_answer_without_anything_before_it_is_no_stream() {
        for _ in 0..200 {
            let first = first_of(BOTH, &Arc::default(), async { answer() }).await;
            assert_eq!(first.expect("nothing was said before it"), "answer");
        }
    }

    #[tokio::test]
    async fn an_answer_that_comes_while_the_stream_is_looked_at_is_not_lost() {
        let (sender, answered) = oneshot::channel();
        // The task hands its answer over and ends its outbox between the two looks.
        let stream_begins = async move { sender.send(answer()).expect("somebody waits for it") };
        let first = answer_before(answered, stream_begins).await;
        let answer = first.and_then(|reply| reply.answer).expect("it was sent");
        assert_eq!(answer.into_bytes(), "answer");
    }

    #[tokio::test]
    async fn a_request_that_panics_ends_its_stream() {
        let outbox = Arc::<Outbox>::default();
        let work = async { panic!("a fault of the server") };
        assert!(first_of(BOTH, &outbox, work).await.is_none());
        assert_eq!(outbox.next().await, None);
    }

    #[tokio::test]
    async fn a_stream_that_has_begun_gets_the_answer() {
        let (sender, answered) = oneshot::channel();
        assert!(answer_before(answered, async {}).await.is_none());
        assert!(sender.send(answer()).is_err(), "it goes out on the stream");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_answer_after_something_else_is_the_last_of_a_stream() {
        for _ in 0..200 {
            let outbox = Arc::<Outbox>::default();
            let saying = Arc::clone(&outbox);
            let work = async move {
                saying.offer(Bytes::from_static(b"log"));
                answer()
            };
            assert!(first_of(BOTH, &outbox, work).await.is_none());
            assert_eq!(outbox.next().await.unwrap(), "log");
            assert_eq!(outbox.next().await.unwrap(), "answer");
            assert_eq!(outbox.next().await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_long_in_coming_goes_out_on_a_stream() {
        let outbox = Arc::<Outbox>::default();
        let work = async {
            tokio::time::sleep(SILENCE + Duration::from_secs(1)).await;
            answer()
        };
        assert!(first_of(BOTH, &outbox, work).await.is_none());
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
        assert!(first_of(BOTH, &outbox, work).await.is_none());
        assert_eq!(outbox.next().await.unwrap(), "answer");
    }

    #[tokio::test]
    async fn a_client_that_takes_one_kind_gets_that_kind() {
        let outbox = Arc::<Outbox>::default();
        let json = Accepted {
            json: true,
            events: false,
        };
        assert!(first_of(json, &outbox, async { answer() }).await.is_some());
        let events = Accepted {
            json: false,
            events: true,
        };
        assert!(
            first_of(events, &outbox, async { answer() })
                .await
                .is_none()
        );
        assert_eq!(outbox.next().await.unwrap(), "answer");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_will_read_does_not_hold_up_the_end() {
        let (tasks, draining) = (TaskTracker::new(), CancellationToken::new());
        let outbox = Arc::<Outbox>::default();
        while outbox.offer(Bytes::from_static(b"log")) {}
        let work = async { answer() };
        assert!(
            first(&tasks, &draining, BOTH, SILENCE, &outbox, work)
                .await
                .is_none()
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(tasks.len(), 1, "a client may come back for it");
        draining.cancel();
        tasks.close();
        let ended = tokio::time::timeout(Duration::from_secs(1), tasks.wait()).await;
        assert!(ended.is_ok(), "nobody comes back to a server that stops");
    }
}
