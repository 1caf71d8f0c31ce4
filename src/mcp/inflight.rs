//! Requests in flight: each with its cancellation token from its admission to its end, alone or in a
//! batch. Knows no session and no transport.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::budget::{Account, Counted, NoRoom};
use super::context::{Context, Ending};
use super::inbound::Request;
use super::serve::{self, Reply};
use super::usage::InUse;
use crate::jsonrpc::{self, Fault, IdKey, RequestId, RpcError};

/// Requests of one client that may be in flight at once: more than a catalogue lets wait.
const MAX_IN_FLIGHT: usize = 1024;

/// The requests of one client that are in flight.
#[derive(Debug, Default)]
pub struct InFlight {
    running: Mutex<HashMap<IdKey, Running>>,
    ended: Notify,
}

/// How one of them is ended, and what that means.
#[derive(Debug)]
struct Running {
    cancel: CancellationToken,
    ending: Ending,
}

/// The place of one request, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    in_flight: Arc<InFlight>,
    key: IdKey,
    cancel: CancellationToken,
    ending: Ending,
}

impl InFlight {
    /// Takes a request's place. Its token falls with `parent`.
    ///
    /// # Errors
    /// [`INVALID_REQUEST`](jsonrpc::INVALID_REQUEST) for an id that is in flight, whose request goes
    /// on; [`INTERNAL_ERROR`](jsonrpc::INTERNAL_ERROR) when too many are.
    pub fn enter(
        self: &Arc<Self>,
        id: &RequestId,
        parent: &CancellationToken,
    ) -> Result<Slot, RpcError> {
        let key = id.key();
        let mut running = self.running();
        if running.len() >= MAX_IN_FLIGHT {
            let why =
                format!("{MAX_IN_FLIGHT} requests of this session are in flight; wait for answers");
            return Err(RpcError::new(jsonrpc::INTERNAL_ERROR, why));
        }
        if running.contains_key(&key) {
            let id = crate::text::quoted(id.raw().get());
            let why = format!("id {id} is in flight already; use another");
            return Err(RpcError::new(jsonrpc::INVALID_REQUEST, why));
        }
        let cancel = parent.child_token();
        let ending = Ending::Leaves(Arc::default());
        let request = Running {
            cancel: cancel.clone(),
            ending: ending.clone(),
        };
        running.insert(key.clone(), request);
        drop(running);
        Ok(Slot {
            in_flight: Arc::clone(self),
            key,
            cancel,
            ending,
        })
    }

    /// Waits until one more may be in flight: the bound of a client that writes faster than it is answered, where its
    /// transport has no other. Each request has its own end. For one waiter.
    pub async fn room(&self) {
        while self.running().len() >= MAX_IN_FLIGHT {
            self.ended.notified().await;
        }
    }

    /// Cancels a request for its client, if it is in flight. One whose client has gone before stays what it is.
    pub fn cancel(&self, id: &RequestId) {
        let running = self.running();
        let request = running.get(&id.key());
        if let Some(request) = request.filter(|request| !request.cancel.is_cancelled()) {
            // First: whoever hears of the end looks what it means.
            request.ending.cancelled_by_client();
            request.cancel.cancel();
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<IdKey, Running>> {
        self.running
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

impl Slot {
    /// Cancelled when the request is.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// What that means.
    pub fn ending(&self) -> &Ending {
        &self.ending
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.in_flight.running().remove(&self.key);
        self.in_flight.ended.notify_one();
    }
}

/// A request that is in flight for as long as this value lives.
#[derive(Debug)]
pub struct Admitted {
    request: Request,
    context: Context,
    _slot: Slot,
    _in_use: InUse,
}

impl Admitted {
    /// A request with its surroundings and its place, which holds its session open.
    pub fn new(request: Request, context: Context, slot: Slot, in_use: InUse) -> Self {
        Self {
            request,
            context,
            _slot: slot,
            _in_use: in_use,
        }
    }

    /// The request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether it may take long, so that others must not wait behind it.
    pub fn is_long(&self) -> bool {
        let method = self.request.method;
        // A list waits for plugins that are still being asked.
        let waits =
            || method.list().is_some() && !self.context.services.catalog.snapshot().complete;
        method.runs_a_program() || method.is_about_tasks() || method.is_open_ended() || waits()
    }

    /// Runs it to its end.
    pub async fn run(self) -> Reply {
        serve::serve(&self.context, &self.request).await
    }
}

/// A batch in flight.
#[derive(Debug, Default)]
pub struct Batch {
    admitted: Vec<Admitted>,
    refused: Vec<Counted>,
}

impl Batch {
    /// Adds a request that will be run.
    pub fn add(&mut self, mut admitted: Admitted) {
        admitted.context.in_batch = true;
        self.admitted.push(admitted);
    }

    /// Adds an answer that is known already.
    ///
    /// # Errors
    /// [`NoRoom`] when so many of them are too much for the client: each is short, and all may not be.
    pub fn refuse(&mut self, account: &Arc<Account>, fault: &Fault) -> Result<(), NoRoom> {
        self.refused.push(account.try_count(fault.to_bytes())?);
        Ok(())
    }

    /// Whether nothing in it wants an answer.
    pub fn is_silent(&self) -> bool {
        self.admitted.is_empty() && self.refused.is_empty()
    }

    /// Runs its requests side by side and gives their answers as one array; none when there is none.
    pub async fn run(self) -> Reply {
        let replies = join_all(self.admitted.into_iter().map(Admitted::run)).await;
        let answers = replies.into_iter().filter_map(|reply| reply.answer);
        let answers = self.refused.into_iter().chain(answers).collect();
        Reply {
            answer: Counted::array(answers),
            code: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::budget::Budget;
    use futures_util::FutureExt;
    use serde_json::value::RawValue;

    fn id(text: &str) -> RequestId {
        RequestId::parse(&RawValue::from_string(text.to_owned()).unwrap()).unwrap()
    }

    #[test]
    fn an_id_is_taken_until_its_request_has_ended() {
        let in_flight = Arc::new(InFlight::default());
        let parent = CancellationToken::new();
        let slot = in_flight.enter(&id("\"a\""), &parent).unwrap();
        let again = in_flight.enter(&id("\"\\u0061\""), &parent).unwrap_err();
        assert_eq!(again.code, jsonrpc::INVALID_REQUEST);
        assert!(!slot.cancel().is_cancelled(), "the first goes on");
        drop(slot);
        assert!(in_flight.running().is_empty());
        assert!(in_flight.enter(&id("\"a\""), &parent).is_ok());
    }

    #[test]
    fn cancelling_ends_the_one_that_is_meant_and_the_parent_all() {
        let in_flight = Arc::new(InFlight::default());
        let parent = CancellationToken::new();
        let one = in_flight.enter(&id("1"), &parent).unwrap();
        let two = in_flight
            .enter(&id("18446744073709551617"), &parent)
            .unwrap();
        in_flight.cancel(&id("3"));
        in_flight.cancel(&id("18446744073709551617"));
        assert!(!one.cancel().is_cancelled() && two.cancel().is_cancelled());
        parent.cancel();
        assert!(one.cancel().is_cancelled());
    }

    /// However soon its client leaves after that, and however late anybody looks.
    #[test]
    fn what_its_client_has_cancelled_stays_so_when_the_client_goes_and_not_the_other_way_round() {
        let in_flight = Arc::new(InFlight::default());
        let parent = CancellationToken::new();
        let enter = |number: &str| in_flight.enter(&id(number), &parent).unwrap();
        let [cancelled, left, both] = ["1", "2", "3"].map(enter);
        in_flight.cancel(&id("1"));
        parent.cancel();
        in_flight.cancel(&id("3"));
        for slot in [&cancelled, &left, &both] {
            assert!(slot.cancel().is_cancelled());
        }
        assert!(cancelled.ending().cancels());
        assert!(!left.ending().cancels() && !both.ending().cancels());
    }

    #[test]
    fn the_errors_of_a_batch_need_room_for_all_of_them() {
        let account = Arc::new(Budget::new(1000)).open(None);
        let fault = Fault {
            id: None,
            error: RpcError::invalid_params("x".repeat(50)),
        };
        let mut batch = Batch::default();
        let refused = (0..10).map_while(|_| batch.refuse(&account, &fault).ok());
        assert_eq!(refused.count(), 250 / fault.to_bytes().len());
    }

    #[tokio::test]
    async fn no_more_than_a_number_is_in_flight() {
        let in_flight = Arc::new(InFlight::default());
        let parent = CancellationToken::new();
        let mut slots: Vec<_> = (0..MAX_IN_FLIGHT)
            .map(|number| in_flight.enter(&id(&number.to_string()), &parent).unwrap())
            .collect();
        let refused = in_flight.enter(&id("-1"), &parent).unwrap_err();
        assert_eq!(refused.code, jsonrpc::INTERNAL_ERROR);
        let room = in_flight.room();
        tokio::pin!(room);
        assert_eq!(room.as_mut().now_or_never(), None);
        slots.pop();
        room.await;
        assert!(in_flight.enter(&id("-1"), &parent).is_ok());
    }
}
