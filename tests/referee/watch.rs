//! Onlookers of a server, there for as long as it is: one asks `/healthz` again and again and notes how long each
//! answer took, one is a well-behaved session that pings.
//!
//! What the machine takes does not count: time in which the asking thread or one of the server was ready to run and
//! got no processor is taken off, and a server that has nothing to do is asked as well.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde_json::json;

use crate::processor::{waited_here, waited_in};
use crate::support::http::PATIENCE;
use crate::support::session::Session;
use crate::support::wire;

/// Between two looks.
const PACE: Duration = Duration::from_millis(80);
/// How much longer a health check may take than one of an idle server.
const HEALTH_LIMIT: Duration = Duration::from_millis(100);
/// An answer that takes longer than this is looked at more closely.
const AT_ONCE: Duration = Duration::from_millis(20);
/// The idle server counts from so long before to so long after: what holds up a machine comes in bursts.
const NEARBY: Duration = Duration::from_millis(250);
/// Between two pings of the session.
const PING_PACE: Duration = Duration::from_millis(500);

/// A question and how it was answered.
#[derive(Debug, Clone, Copy)]
struct Sample {
    asked: Instant,
    /// How long the answer took; `None` is no answer.
    took: Option<Duration>,
    /// How much of it was a wait for a processor.
    waited: Duration,
}

/// A thread that asks a server for its health.
pub struct Health {
    samples: Arc<Mutex<Vec<Sample>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A health check that took too long.
#[derive(Debug, Clone, Copy)]
pub struct Late {
    /// How long it took.
    pub took: Duration,
    /// How much of that was a wait for a processor.
    pub waited: Duration,
    /// The longest that an idle server took at the same time.
    pub idle: Duration,
}

/// The onlookers of one server.
pub struct Watch {
    pub health: Health,
    over: Arc<AtomicBool>,
    session: Arc<Mutex<Option<String>>>,
    pinging: Option<JoinHandle<()>>,
}

impl Health {
    /// Begins to ask a server.
    pub fn of(address: SocketAddr, pid: Pid) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let thread = spawn({
            let (samples, over) = (Arc::clone(&samples), Arc::clone(&over));
            move || look(address, pid, &samples, &over)
        });
        Self {
            samples,
            over,
            thread: Some(thread),
        }
    }

    /// Of the answers that came since then, the one that took longest beyond what an idle server took, if it took
    /// too long.
    ///
    /// # Panics
    ///
    /// One never came.
    #[track_caller]
    pub fn late_since(&self, began: Instant, idle: &Self) -> Option<Late> {
        let samples = self.samples.lock().expect("nobody panics here").clone();
        let late = samples.into_iter().filter_map(|sample| {
            let Sample { asked, waited, .. } = sample;
            if asked < began && sample.took.is_none_or(|took| asked + took < began) {
                return None;
            }
            let took = sample.took.expect("/healthz was answered every time");
            let own = took.saturating_sub(waited);
            if own <= HEALTH_LIMIT {
                return None;
            }
            let idle = idle.slowest(asked - NEARBY, asked + took + NEARBY);
            // Whoever is kept from the processor finds its caches cold, and is slower in the rest as well.
            let allowed = idle + HEALTH_LIMIT + waited / 2;
            (own > allowed).then_some(Late { took, waited, idle })
        });
        late.max_by_key(|late| late.took - late.waited)
    }

    /// The slowest answer that was under way at some time between these.
    fn slowest(&self, from: Instant, to: Instant) -> Duration {
        let samples = self.samples.lock().expect("nobody panics here");
        let within = samples.iter().filter_map(|sample| {
            let took = sample.took?;
            (sample.asked <= to && sample.asked + took >= from).then_some(took)
        });
        within.max().unwrap_or_default()
    }

    fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Watch {
    /// Begins to look; the header lines show a key where one is needed.
    pub fn of(address: SocketAddr, pid: Pid, headers: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let session = Arc::new(Mutex::new(None));
        let pinging = spawn({
            let (session, over) = (Arc::clone(&session), Arc::clone(&over));
            let headers = headers.to_owned();
            move || ping(address, &headers, &session, &over)
        });
        Self {
            health: Health::of(address, pid),
            over,
            session,
            pinging: Some(pinging),
        }
    }

    /// What went wrong with the session that pings, if anything.
    pub fn complaint(&self) -> Option<String> {
        self.session.lock().expect("nobody panics here").clone()
    }

    /// Stops looking: the server is about to end.
    pub fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.health.stop();
        if let Some(thread) = self.pinging.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new()
        .name("an onlooker".to_owned())
        .spawn(run)
        .expect("the system has a thread left")
}

fn look(address: SocketAddr, pid: Pid, samples: &Mutex<Vec<Sample>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let (asked, waited_before) = (Instant::now(), waited_here());
        let answered = healthz(address, pid);
        let took = answered.as_ref().ok().map(|_| asked.elapsed());
        let waited = answered.unwrap_or_default() + waited_here().saturating_sub(waited_before);
        // An answer that the end of the server has cut off is none that failed.
        if !over.load(Ordering::Relaxed) {
            let sample = Sample {
                asked,
                took,
                waited,
            };
            samples.lock().expect("nobody panics here").push(sample);
        }
        std::thread::sleep(PACE);
    }
}

/// Asks once. Returns how long the server waited for a processor meanwhile, as far as it took long.
fn healthz(address: SocketAddr, pid: Pid) -> std::io::Result<Duration> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.set_read_timeout(Some(AT_ONCE))?;
    let mut before = None;
    if let Err(error) = stream.peek(&mut [0; 12]) {
        if error.kind() != ErrorKind::WouldBlock {
            return Err(error);
        }
        before = Some(waited_in(pid));
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    if &answer != b"HTTP/1.1 200" {
        return Err(std::io::Error::other(String::from_utf8_lossy(&answer)));
    }
    Ok(before.map_or(Duration::ZERO, |before| {
        waited_in(pid).saturating_sub(before)
    }))
}

fn ping(address: SocketAddr, headers: &str, complaint: &Mutex<Option<String>>, over: &AtomicBool) {
    let watched = std::panic::catch_unwind(|| {
        let mut session = Session::open_with(address, "/sse", headers);
        session.initialize(wire::NEWEST);
        while !over.load(Ordering::Relaxed) {
            let pong = session.ask("ping", json!({}));
            assert_eq!(pong["result"], json!({}), "{pong}");
            std::thread::sleep(PING_PACE);
        }
    });
    if watched.is_err() && !over.load(Ordering::Relaxed) {
        let text = "the session that pinged meanwhile was not served";
        *complaint.lock().expect("nobody panics here") = Some(text.to_owned());
    }
}
