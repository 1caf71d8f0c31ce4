//! What the end of a stream means, or its silence.

use std::time::Duration;

use super::fault::Fault;
use super::finding::Finding;
use super::stream::Ended;

/// What it means that something expected does not come on a stream.
pub(super) fn ended(why: &Ended, stream: &str, expected: &str, after: Duration) -> Finding {
    let seconds = after.as_secs_f64();
    match why {
        Ended::Silent => Finding::new(
            Fault::Buffered,
            "",
            format!(
                "{stream} is open, and {expected} has not come within {seconds:.1} s: it is held back on the way"
            ),
        ),
        Ended::TooMuch => Finding::new(
            Fault::NotMcp,
            "",
            format!("{stream} brings more than any server sends, and {expected} is not among it"),
        ),
        other => Finding::new(
            Fault::IdleCut,
            &keep_alive_for(after),
            format!(
                "{stream} {} after {seconds:.1} s, before {expected}",
                other.in_words()
            ),
        ),
    }
}

/// What the end of a stream means that was held while nothing happened: after how long, how long after the last of so
/// many signs of the server.
pub(super) fn cut(ended: &Ended, held: Duration, silence: Duration, signs: u64) -> Finding {
    let held = held.as_secs_f64();
    match signs {
        _ if *ended == Ended::TooMuch => {
            let seen = "a stream without events brings more than any server sends";
            Finding::new(Fault::NotMcp, "", seen)
        }
        0 => {
            let seen = format!(
                "a stream without events {} after {held:.1} s",
                ended.in_words()
            );
            Finding::new(Fault::IdleCut, &keep_alive_for(silence), seen)
        }
        signs => {
            let seen = format!(
                "a stream {} after {held:.1} s, {:.1} s after the last of {signs} keep-alive lines: not the silence ends it, but its age",
                ended.in_words(),
                silence.as_secs_f64()
            );
            Finding::new(Fault::StreamCut, "", seen)
        }
    }
}

/// A value of `MCP_KEEP_ALIVE` that is half of a silence that was too long, in the bounds of that setting.
fn keep_alive_for(silence: Duration) -> String {
    let half = (silence / 2).as_millis().clamp(100, 240_000);
    match half {
        1000.. => format!("{}s", half / 1000),
        _ => format!("{half}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keep_alive_that_is_advised_is_half_of_the_silence_and_one_that_the_setting_takes() {
        for (silence, advised) in [
            (Duration::ZERO, "100ms"),
            (Duration::from_millis(1007), "503ms"),
            (Duration::from_secs(60), "30s"),
            (Duration::from_secs(3600), "240s"),
        ] {
            assert_eq!(keep_alive_for(silence), advised);
        }
    }

    #[test]
    fn a_stream_that_ends_in_silence_and_one_that_ends_by_its_age_are_two_faults() {
        let seconds = Duration::from_secs;
        let silent = cut(&Ended::Closed, seconds(10), seconds(10), 0);
        assert_eq!(
            (silent.fault, silent.subject.as_deref()),
            (Fault::IdleCut, Some("5s"))
        );
        let old = cut(&Ended::Closed, seconds(60), seconds(2), 4);
        assert_eq!(old.fault, Fault::StreamCut);
    }
}
