//! Whether a stream lives on while nothing is said on it.

use std::time::Duration;

use tokio::time::Instant;

use super::access::Arrived;
use super::endings::cut;
use super::fault::Fault;
use super::finding::{Checked, Finding};
use super::interrupt::Interrupt;
use super::site::Site;
use super::sse;
use super::stream::Ended;

/// What a server says nothing for, where it does not say it otherwise.
const KEEP_ALIVE: f64 = 15.0;

/// Holds a stream for so long, or until somebody has had enough, and looks whether it ends.
pub(super) async fn look(
    site: &Site,
    idle: Duration,
    arrived: &Arrived,
    interrupt: &Interrupt,
) -> Checked {
    let mut checked = Checked::default();
    if idle.is_zero() {
        let why = "whether an idle stream is cut: --idle is 0";
        checked.skipped.push(why.to_owned());
        return checked;
    }
    let mut of_opening = Checked::default();
    let opened = sse::open(site, &mut of_opening);
    let mut stream = match interrupt.unless(opened).await {
        Some(Ok(session)) => session.into_stream(),
        // The other examination of this stream says why.
        Some(Err(_)) | None => {
            let why = "whether an idle stream is cut: there is none to hold";
            checked.skipped.push(why.to_owned());
            return checked;
        }
    };
    let begun = Instant::now();
    let deadline = begun + idle;
    let mut last = begun;
    let mut signs = 0_u64;
    let ended = loop {
        match interrupt.unless(stream.bytes(deadline)).await {
            Some(Ok(_)) => {
                signs += 1;
                last = Instant::now();
            }
            Some(Err(why)) => break why,
            None => break Ended::Silent,
        }
    };
    let held = begun.elapsed();
    let silence = last.elapsed();
    if ended != Ended::Silent {
        checked.add(cut(&ended, held, silence, signs));
        return checked;
    }
    let keep_alive = arrived.keep_alive.unwrap_or(KEEP_ALIVE);
    let overdue = Duration::try_from_secs_f64(keep_alive).unwrap_or(Duration::MAX);
    if signs == 0 && held > overdue.saturating_add(site.wait) {
        let seen = format!(
            "a stream was silent for {:.0} s, where the server says something every {keep_alive} s: it is held back on the way",
            held.as_secs_f64()
        );
        checked.add(Finding::new(Fault::Buffered, "", seen));
        return checked;
    }
    let lines = match signs {
        0 => String::new(),
        signs => format!(", with {signs} keep-alive lines"),
    };
    checked.passed.push(format!(
        "an idle stream lives for {:.0} s{lines}",
        held.as_secs_f64()
    ));
    if signs == 0 && held < overdue {
        checked.skipped.push(format!(
            "whether an idle stream lives until the server's next sign, after {keep_alive} s: --idle {:.0}",
            (keep_alive + 5.0).min(3600.0).ceil()
        ));
    }
    checked
}
