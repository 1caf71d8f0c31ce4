//! Runs one case: prepares what it needs, does what it says, and looks at everything that must be as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::case::{Case, Then, Transport};
use crate::client::{Client, Message, Outcome};
use crate::envelope::message;
use crate::judge::judge;
use crate::lines::Lines;
use crate::memory::Memory;
use crate::raw;
use crate::scenes;
use crate::sites::{Site, Sites, Surroundings, is_shared, setup};
use crate::support::http::{exchange, get};
use crate::support::witness::Witness;
use crate::support::{processes, s, server, until};
use crate::template::Words;
use crate::watch::Late;

/// As long as an end of the server may take.
const END_LIMIT: Duration = s(20);
/// What is no longer wanted is gone after five seconds; what is there after this long stays.
const GONE: Duration = s(15);

/// What is noted of a case.
#[derive(Debug, Clone, Default)]
pub struct Note {
    /// A health check that took too long meanwhile.
    pub late: Option<Late>,
}

/// Runs a case; a panic says what is wrong with it.
#[track_caller]
pub fn play(case: &Case, sites: &Sites, note: &mut Note) {
    if case.entry.run.is_some() {
        return ends_by_itself(case);
    }
    if case.transport == Transport::Stdio && case.entry.scene.is_none() {
        return over_lines(case, sites);
    }
    let site = sites.site(case);
    let began = Instant::now();
    let witness = Witness::of(site.address, &site.headers);
    let pid = site.server.lock().expect("one case at a time has it").pid();
    let memory = case.expect().grows_mib.map(|most| (most, Memory::of(pid)));
    let logged = case.expect().log_lines.map(|most| (most, lines_of(&site)));
    let words = words(case, &site.surroundings.words(), Some(&site));
    if let Some(scene) = &case.entry.scene {
        scenes::play(scene, case, &site, &words);
    } else if case.transport == Transport::Raw {
        raw::play(case, &site, &words);
    } else {
        over_http(case, &site, &words);
    }
    let over = case.ends_server() || scenes::ends_server(case.entry.scene.as_deref());
    if !over {
        witness.must_be_served();
        let watch = site.watch.lock().expect("nobody panics here");
        note.late = watch.health.late_since(began, &sites.idle);
        assert_eq!(watch.complaint(), None);
    }
    if let Some((most, memory)) = memory {
        let grown = memory.grown_mib();
        assert!(grown <= most, "the server grew by {grown} MiB");
    }
    if let Some((most, before)) = logged {
        let written = lines_of(&site) - before;
        assert!(written <= most, "{written} lines of log");
    }
    if !is_shared(case) && !over {
        terminate(&site);
    }
}

fn lines_of(site: &Site) -> usize {
    let server = site.server.lock().expect("one case at a time has it");
    server.log().lines().count()
}

/// The words that a case may use; its mark is on the command line of its processes alone.
pub fn words(case: &Case, around: &Words, site: Option<&Arc<Site>>) -> Words {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut words = around.clone();
    let mark = format!(
        "referee-{}-row-{}-{number}-",
        std::process::id(),
        case.entry.row
    );
    words.push(("mark", mark));
    if let Some(site) = site {
        words.push(("address", site.address.to_string()));
        words.push(("port", site.address.port().to_string()));
    }
    words
}

/// The value of a word.
pub fn word<'a>(words: &'a Words, name: &str) -> &'a str {
    let found = words.iter().find(|(word, _)| *word == name);
    found
        .map(|(_, value)| value.as_str())
        .expect("every case has it")
}

/// Sends the case's message over its transport, does what is to be done then, and judges.
#[track_caller]
pub fn over_http(case: &Case, site: &Arc<Site>, words: &Words) {
    let message = message(case, words);
    let mut client = Client::open(case.transport, site.address, &site.headers);
    client.begin(&message);
    let expect = case.expect();
    let Some(then) = case.entry.then else {
        let outcome = client.outcome(case.limit(), expect.silence);
        judge(expect, &outcome, &message, words);
        return gone(case, words);
    };
    found_soon(word(words, "mark"));
    match then {
        Then::Cancel => {
            client.cancel();
            // Where the end of the connection cancels there is nobody left to be answered.
            if !matches!(case.transport, Transport::Direct | Transport::Stateless) {
                let outcome = client.outcome(case.limit(), expect.silence);
                judge(expect, &outcome, &message, words);
            }
        }
        Then::Leave => drop(client),
        Then::Stray => {
            client.stray(b"\r\n");
            drop(client);
        }
        Then::Reset => client.reset(),
        Then::Sigterm => {
            site.unwatched();
            let asked = Instant::now();
            signal(site);
            drains(site);
            client.last = true;
            let outcome = client.outcome(case.limit(), expect.silence);
            judge(expect, &outcome, &message, words);
            drop(client);
            ends(site, asked + END_LIMIT);
        }
        Then::Sigkill => {
            site.unwatched();
            let mut server = site.server.lock().expect("it has it alone");
            server.signal(Signal::KILL);
            server.ends_within(s(5));
            server.leaves_nothing_within(s(5));
        }
    }
    gone(case, words);
}

/// While calls get their grace the server says that it takes no new ones, or takes no connection at all.
fn drains(site: &Site) {
    let address = site.address;
    until("/readyz is 503 while the server drains", s(5), || {
        let Ok(probe) = std::net::TcpStream::connect(address) else {
            return Some(());
        };
        drop(probe);
        let answer = std::panic::catch_unwind(|| exchange(address, &get(address, "/readyz", "")));
        answer.map_or(Some(()), |answer| (answer.status == 503).then_some(()))
    });
}

/// Asks the server to end, which must be over in time, with success, and leave nothing.
#[track_caller]
pub fn terminate(site: &Site) {
    site.unwatched();
    let asked = Instant::now();
    signal(site);
    ends(site, asked + END_LIMIT);
}

fn signal(site: &Site) {
    let server = site.server.lock().expect("it has it alone");
    server.signal(Signal::TERM);
}

#[track_caller]
fn ends(site: &Site, deadline: Instant) {
    let mut server = site.server.lock().expect("it has it alone");
    let status = server.ends_within(deadline.saturating_duration_since(Instant::now()));
    assert!(status.success(), "the server ended with {status}");
    server.leaves_nothing_within(s(5));
}

#[track_caller]
pub fn found_soon(mark: &str) {
    until("the call has begun", s(60), || {
        (!processes::with_argument(mark).is_empty()).then_some(())
    });
}

#[track_caller]
fn gone(case: &Case, words: &Words) {
    if case.expect().gone {
        let mark = word(words, "mark");
        until("the processes of the call are gone", GONE, || {
            processes::with_argument(mark).is_empty().then_some(())
        });
    }
}

/// A command line that must end by itself.
fn ends_by_itself(case: &Case) {
    let run = case.entry.run.as_ref().expect("it was looked at before");
    let surroundings = Surroundings::of(Some(case));
    let words = words(case, &surroundings.words(), None);
    let mut wanted = server::Setup::new();
    for argument in &run.arguments {
        wanted = wanted.argument(crate::template::fill(argument, &words));
    }
    for (name, value) in &run.variables {
        wanted = wanted.variable(name, crate::template::fill(value, &words));
    }
    let output = server::run(&wanted);
    let outcome = Outcome {
        all: format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        ..Outcome::default()
    };
    let expect = case.expect();
    if let Some(code) = expect.exit {
        assert_eq!(output.status.code(), Some(code), "{}", outcome.all);
    }
    judge(expect, &outcome, &Message::default(), &words);
}

fn over_lines(case: &Case, sites: &Sites) {
    let surroundings = Surroundings::of(Some(case));
    let words = words(case, &surroundings.words(), None);
    let setup = setup(sites.settings(case), &surroundings.words())
        .argument("stdio")
        .argument("--plugins-dir")
        .argument(surroundings.plugins());
    let mut lines = Lines::start(&setup);
    let memory = case
        .expect()
        .grows_mib
        .map(|most| (most, Memory::of(lines.pid())));
    let mut client = Client::over(lines);
    let message = message(case, &words);
    client.begin(&message);
    let expect = case.expect();
    if case.entry.then.is_some() {
        found_soon(word(&words, "mark"));
    }
    let mut asked = Instant::now();
    let ends = match case.entry.then {
        None => false,
        Some(Then::Cancel) => {
            client.cancel();
            false
        }
        Some(Then::Leave | Then::Stray | Then::Reset) => {
            client.lines().expect("it has lines").finish();
            true
        }
        Some(Then::Sigterm) => {
            client.lines().expect("it has lines").signal(Signal::TERM);
            asked = Instant::now();
            true
        }
        Some(Then::Sigkill) => {
            client.lines().expect("it has lines").signal(Signal::KILL);
            true
        }
    };
    client.last = ends;
    let outcome = client.outcome(case.limit(), expect.silence);
    judge(expect, &outcome, &message, &words);
    let lines = client.lines().expect("it has lines");
    if let Some((most, memory)) = memory {
        let grown = memory.grown_mib();
        assert!(grown <= most, "the server grew by {grown} MiB");
    }
    if !ends {
        assert!(!outcome.closed, "the server has closed its output");
        lines.signal(Signal::TERM);
        asked = Instant::now();
    }
    let left = (asked + END_LIMIT).saturating_duration_since(Instant::now());
    let status = lines.ends_within(left);
    if case.entry.then != Some(Then::Sigkill) {
        assert!(status.success(), "the server ended with {status}");
    }
    drop(client);
    gone(case, &words);
}
