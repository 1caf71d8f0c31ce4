//! Row 12: more connections than there are places for.

use crate::support::http::{Connection, PATIENCE, Silence, get};
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::until;

#[test]
fn connections_over_the_cap_are_turned_away_and_the_rest_is_served_again() {
    let server = Server::start(&Setup::new().variable("MCP_MAX_CONNECTIONS", "8"));
    let at = server.address();
    let mut open: Vec<Session> = (0..7).map(|_| Session::ready(at)).collect();
    let held = Connection::open(at);
    until("the last place is taken", PATIENCE, || {
        let mut one_more = Connection::open(at);
        let _ = one_more.send(&get(at, "/healthz", ""));
        match one_more.answer(PATIENCE) {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => {
                assert_eq!(answer.status, 503, "row 12: {}", answer.text());
                Some(())
            }
            Err(silence) => {
                assert_eq!(silence, Silence::Closed, "row 12");
                Some(())
            }
        }
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
