//! Several clients at once: what one does must not cost the other.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{number, text};
use crate::case::Case;
use crate::client::{Client, Message};
use crate::play::word;
use crate::sites::Site;
use crate::template::Words;

fn call(id: u64, tool: &str, arguments: &Value, case: &Case) -> Message {
    let mut params = json!({"name": tool, "arguments": arguments});
    if case.transport == crate::case::Transport::Stateless {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}});
    }
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    Message {
        bytes: message.to_string().into_bytes(),
        method: "tools/call".to_owned(),
        name: Some(tool.to_owned()),
        id: id.to_string(),
    }
}

/// One key has many calls waiting when the other begins one: that one waits for a turn or two, not for all of them.
pub fn one_floods(case: &Case, site: &Arc<Site>) {
    let short = json!({"mark": "a-short-one", "seconds": number(case, "call_ms") as f64 / 1000.0});
    let mut flood: Vec<Client> = (0..number(case, "calls"))
        .map(|id| {
            let mut client = Client::open(case.transport, site.address, text(case, "one"));
            client.begin(&call(id + 1, "probe__sleep", &short, case));
            client
        })
        .collect();
    // The flood must be in the queue before the other call is.
    std::thread::sleep(Duration::from_millis(number(case, "call_ms") * 2));
    let mut unanswered = || {
        flood.retain_mut(|client| {
            let outcome = client.outcome(Duration::from_millis(1), false);
            outcome.answers.is_empty()
        });
        flood.len()
    };
    let before = unanswered();
    let mut other = Client::open(case.transport, site.address, text(case, "other"));
    other.begin(&call(1, "probe__sleep", &short, case));
    let outcome = other.outcome(case.limit(), false);
    assert!(outcome.all.contains("done"), "no answer: {}", outcome.all);
    // A turn or two, and those that end until this test has seen the answer.
    let turns = before - unanswered();
    assert!(turns < before / 2, "{turns} of {before} calls came first");
}

/// Sessions use the same ids at the same time, and each gets what it asked for.
pub fn two_sessions(case: &Case, site: &Arc<Site>, words: &Words) {
    let mark = word(words, "mark");
    let mut clients: Vec<(String, Client)> = (0..number(case, "sessions"))
        .map(|number| {
            let client = Client::open(case.transport, site.address, &site.headers);
            (format!("{mark}{number}-of-them"), client)
        })
        .collect();
    for (own, client) in &mut clients {
        client.begin(&call(7, "probe__show", &json!({"text": own}), case));
    }
    for (own, client) in clients.iter_mut().rev() {
        let outcome = client.outcome(case.limit(), false);
        assert!(
            outcome.all.contains(&*own),
            "another's answer: {}",
            outcome.all
        );
    }
}
