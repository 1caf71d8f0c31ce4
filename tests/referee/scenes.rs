//! Courses of events that no single message describes. Each is a function; a case gives it its numbers.

mod caps;
mod keys;
mod leaving;
mod readers;
mod surroundings;

use std::sync::Arc;

use serde_json::Value;

use crate::case::Case;
use crate::sites::Site;
use crate::template::Words;

/// Plays a scene by its name.
#[track_caller]
pub fn play(name: &str, case: &Case, site: &Arc<Site>, words: &Words) {
    match name {
        "leaves again and again" => leaving::again_and_again(case, site, words),
        "leaves while asked" => leaving::while_asked(case, site, words),
        "ends while a log is under way" => leaving::end_while_logging(case, site, words),
        "many answers unread" => readers::many_unread(case, site, words),
        "slow and steady" => readers::slow_and_steady(case, site, words),
        "no stream" => readers::no_stream(case, site, words),
        "one key floods" => keys::one_floods(case, site),
        "two sessions" => keys::two_sessions(case, site, words),
        "idle connections" => surroundings::idle_connections(case, site),
        "signals" => surroundings::signals(case, site),
        "a program changes" => surroundings::program_changes(case, site, words),
        "temporary files are removed" => surroundings::temporary_files(case, site, words),
        "a call waits for a silent Letta" => surroundings::silent_letta(case, site, words),
        "sessions over the cap" => caps::sessions(case, site),
        "a second stream" => caps::streams(case, site),
        "an id in flight" => caps::equal_ids(case, site, words),
        "more calls than places" => caps::calls(case, site, words),
        "logged" => caps::logged(case, site, words),
        "audited" => surroundings::audited(case, site, words),
        other => panic!("no scene is called {other:?}"),
    }
}

/// Whether the scene ends its server itself.
pub fn ends_server(name: Option<&str>) -> bool {
    name == Some("ends while a log is under way")
}

/// A number of the case.
#[track_caller]
fn number(case: &Case, name: &str) -> u64 {
    let value = case.entry.with[name].as_u64();
    value.unwrap_or_else(|| panic!("the case gives no {name}"))
}

/// A text of the case.
#[track_caller]
fn text<'a>(case: &'a Case, name: &str) -> &'a str {
    let value = case.entry.with.get(name).and_then(Value::as_str);
    value.unwrap_or_else(|| panic!("the case gives no {name}"))
}
