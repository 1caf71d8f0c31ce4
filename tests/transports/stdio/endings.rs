//! How a client's calls and subscriptions end when its input does, or when a signal comes.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::client::{Client, END};
use crate::support::http::PATIENCE;
use crate::support::session::text_of;

fn answer(messages: &[Value], id: u64) -> &Value {
    let answer = messages.iter().find(|message| message["id"] == id);
    answer.unwrap_or_else(|| panic!("no answer to {id} in {messages:?}"))
}

#[test]
fn a_subscription_ends_with_the_input_and_has_a_result() {
    let mut client = Client::start();
    client.request(
        1,
        "subscriptions/listen",
        json!({
            "notifications": {"toolsListChanged": true},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        }),
    );
    // The published schemas that judge messages know no revision without a handshake.
    let line = client.output.recv_timeout(PATIENCE).expect("a line");
    assert!(
        line.contains("notifications/subscriptions/acknowledged"),
        "{line}"
    );
    client.finish();
    // The grace for calls is ten seconds: an open subscription must not use it up.
    assert!(client.ends_within(Duration::from_secs(9)).success());
    let messages = client.rest();
    let closed = answer(&messages, 1);
    let id = &closed["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(id, &json!(1), "{closed}");
}

#[test]
fn a_running_call_is_answered_when_a_signal_asks_for_the_end() {
    let mut client = Client::ready();
    client.call(1, "tool__wait", json!({"seconds": 1.5}));
    client.runs("wait");
    client.signal(Signal::TERM);
    let messages = client.rest();
    assert_eq!(text_of(&answer(&messages, 1)["result"]), "waited");
    assert!(client.ends_within(END).success());
    client.leaves_nothing();
}
