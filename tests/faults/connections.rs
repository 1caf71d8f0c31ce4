//! Row 12: more connections than there are places for.

use crate::support::http::{Connection, PATIENCE, Silence, get};
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::until;

#[test]
fn connections_over_the_cap_are_turned_away_and_the_rest_is_served_again() {
    let server = Server::start(&Setup::new().variable("MCP_MAX_CONNECTIONS", "8"));
    let at = server.address();
    // A session's stream holds a place, and each of its messages comes on a connection of its own.
    let mut open: Vec<Session> = (0..4).map(|_| Session::ready(at)).collect();
    // The places of connections that just ended may come free a moment later: one that is turned away is replaced by
    // another, and one that is served is kept.
    let kept = get(at, "/healthz", "");
    let kept = String::from_utf8(kept).expect("text");
    let kept = kept.replace("Connection: close\r\n", "");
    let mut held = Vec::new();
    until("the last place is taken", PATIENCE, || {
        let mut one_more = Connection::open(at);
        let _ = one_more.send(kept.as_bytes());
        match one_more.answer(PATIENCE) {
            Ok(answer) if answer.status == 200 => {
                held.push(one_more);
                assert!(held.len() <= 4, "row 12: more than the cap");
                return None;
            }
            Ok(answer) => assert_eq!(answer.status, 503, "row 12: {}", answer.text()),
            Err(silence) => assert_eq!(silence, Silence::Closed, "row 12"),
        }
        (held.len() == 4).then_some(())
    });
    drop(held);
    until("there is a place again", PATIENCE, || {
        let mut one_more = Connection::open(at);
        let _ = one_more.send(&get(at, "/healthz", ""));
        one_more
            .answer(PATIENCE)
            .ok()
            .filter(|answer| answer.status == 200)
    });
    let heard = open[0].heard_until_now();
    assert!(heard.is_empty(), "row 12: {heard:?}");
}
