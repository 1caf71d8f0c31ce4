//! Bad input and faults, row by row, against the real binary: what is sent, what must come back, and that a second,
//! well-behaved session still gets its answers after each.
//!
//! Row 48 has its test beside the code that catches a panic (`src/mcp/dispatch.rs`): from outside none can be caused.
//! The numbers are those of the project's list of faults; a case names its row, so that the lists can be compared.

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod clients;
mod connections;
mod discovery;
mod gate;
mod handshake;
mod http;
mod jsonrpc;
mod process;
mod sessions;
mod stdio;
mod tools;
mod witness;

use support::rows;

/// Claims about things that take their time. The test runner has as many threads as the machine has cores, and these
/// tests do nothing but wait, so they wait together.
#[test]
fn claims_that_take_their_time() {
    macro_rules! named {
        ($($claim:path),* $(,)?) => { [$((stringify!($claim), $claim as fn())),*] };
    }
    let claims = named![
        clients::a_slow_but_steady_reader_is_served_to_the_end,
        clients::a_session_without_a_stream_lives_on_with_something_unread,
        discovery::a_plugin_that_describes_itself_badly_is_skipped_with_the_reason,
        http::a_refused_body_ends_the_stream_of_its_session,
        http::slow_and_malformed_requests_are_refused_in_time,
        process::sigterm_ends_what_does_not_end_with_a_stalled_reader_too,
        process::sigterm_lets_running_calls_finish_and_takes_no_new_work,
        sessions::a_reader_that_stalls_is_closed_and_its_calls_are_gone,
        sessions::a_peer_that_vanished_is_noticed_and_its_calls_are_gone,
        tools::what_hangs_or_stays_behind_is_ended,
    ];
    if std::env::var_os(sessions::ALONE).is_some() {
        return sessions::a_peer_that_vanished_is_noticed_and_its_calls_are_gone();
    }
    rows::each(
        &claims,
        claims.len(),
        |(name, _)| (*name).to_owned(),
        |(_, claim)| claim(),
    );
}
