//! How large a message may be: the server takes 4 MiB, proxies often less.

use serde_json::{Value, json};

use super::answer::Answer;
use super::ask::Ask;
use super::fault::Fault;
use super::finding::{Checked, Finding};
use super::refusal;
use super::site::{NoAnswer, Site};

/// Sizes of messages that are tried, in bytes, the largest first. nginx's own limit lies between the first two.
const SIZES: [usize; 4] = [4_000_000, 1_000_000, 100_000, SMALLEST];
/// No limit of sizes refuses this one: where it does not pass either, the path is not passed on.
const SMALLEST: usize = 100;

/// Sends messages that do nothing, until one is taken.
pub(super) async fn look(site: &Site) -> Checked {
    let mut checked = Checked::default();
    let mut refused: Option<(usize, String)> = None;
    for size in SIZES {
        let ask = Ask::post("messages/", &ping(size));
        let why = match site.ask(&ask).await {
            Ok(answer) if answer.status == 200 && answer.is_json_rpc() => {
                match refused {
                    None => checked
                        .passed
                        .push(format!("messages of {size} bytes pass")),
                    Some((larger, why)) => checked.add(limit(larger, &why, size)),
                }
                return checked;
            }
            // The server's own limit, which another version may have elsewhere.
            Ok(answer) if answer.status == 413 && answer.code().is_some() => {
                checked
                    .passed
                    .push("the limit of messages is the server's own".to_owned());
                return checked;
            }
            Ok(answer) if size == SMALLEST || answer.code().is_some() || answer.is_json_rpc() => {
                other(site, &ask, &answer, &mut checked);
                return checked;
            }
            Ok(answer) if refusal::is_put_off(&answer) => {
                other(site, &ask, &answer, &mut checked);
                return checked;
            }
            // Of whatever kind it is: a smaller message tells whether it is for the size.
            Ok(answer) => answer.described(),
            // The way there may be slow.
            Err(NoAnswer::Silent) if size != SMALLEST => {
                let seconds = site.wait.as_secs();
                let why = format!("messages of {size} bytes: one had no answer within {seconds} s");
                checked.skipped.push(why);
                continue;
            }
            // A proxy that refuses early may close before the answer is read; a smaller message tells.
            Err(NoAnswer::Broken(why)) if size != SMALLEST => format!("no answer: {why}"),
            Err(why) => {
                checked.add(refusal::no_answer(site, &ask, &why));
                return checked;
            }
        };
        refused = refused.or(Some((size, why)));
    }
    checked
}

/// A message of so many bytes.
fn ping(size: usize) -> Value {
    let with = |filling: usize| json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "x".repeat(filling)}});
    with(size.saturating_sub(with(0).to_string().len()))
}

/// What an answer means that has nothing to do with the size.
fn other(site: &Site, ask: &Ask, answer: &Answer, checked: &mut Checked) {
    if answer.status >= 500 || refusal::is_put_off(answer) {
        return checked.add(refusal::of(site, ask, answer));
    }
    // Whether messages arrive at all is another part's concern.
    checked.skipped.push(format!(
        "large messages: {} without a session is answered with {}",
        ask.line(),
        answer.described()
    ));
}

fn limit(size: usize, why: &str, taken: usize) -> Finding {
    let seen = format!(
        "a message of {size} bytes is refused before the server, which takes it: {why}; one of {taken} bytes passes. A client of /sse whose message is refused waits for ever"
    );
    Finding::new(Fault::BodyLimit, "", seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_that_is_said() {
        for size in SIZES {
            assert_eq!(ping(size).to_string().len(), size);
        }
    }
}
