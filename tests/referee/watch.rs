//! Two onlookers of a server, there for as long as it is: one asks `/healthz` again and again and notes how long each
//! answer took, one is a well-behaved session that pings.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http::PATIENCE;
use crate::support::session::Session;
use crate::support::wire;

/// Between two looks.
const PACE: Duration = Duration::from_millis(40);
/// Between two pings of the session.
const PING_PACE: Duration = Duration::from_millis(250);

/// When a question began, and how long its answer took; `None` is no answer.
type Sample = (Instant, Option<Duration>);

/// The onlookers of one server.
pub struct Watch {
    samples: Arc<Mutex<Vec<Sample>>>,
    over: Arc<AtomicBool>,
    session: Arc<Mutex<Option<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Begins to look; the header lines show a key where one is needed.
    pub fn of(address: SocketAddr, headers: &str) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let session = Arc::new(Mutex::new(None));
        let threads = vec![
            spawn({
                let (samples, over) = (Arc::clone(&samples), Arc::clone(&over));
                move || look(address, &samples, &over)
            }),
            spawn({
                let (session, over) = (Arc::clone(&session), Arc::clone(&over));
                let headers = headers.to_owned();
                move || ping(address, &headers, &session, &over)
            }),
        ];
        Self {
            samples,
            over,
            session,
            threads,
        }
    }

    /// The slowest answer among those that were asked for since then; `None` when one never came.
    pub fn slowest_since(&self, began: Instant) -> Option<Duration> {
        let samples = self.samples.lock().expect("nobody panics here");
        let since = samples.iter().filter(|(asked, _)| *asked >= began);
        since
            .map(|(_, took)| *took)
            .try_fold(Duration::ZERO, |most, took| Some(most.max(took?)))
    }

    /// What went wrong with the session that pings, if anything.
    pub fn complaint(&self) -> Option<String> {
        self.session.lock().expect("nobody panics here").clone()
    }

    /// Stops looking: the server is about to end.
    pub fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
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

fn look(address: SocketAddr, samples: &Mutex<Vec<Sample>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let took = healthz(address).ok().map(|()| asked.elapsed());
        // An answer that the end of the server has cut off is none that failed.
        if !over.load(Ordering::Relaxed) {
            samples
                .lock()
                .expect("nobody panics here")
                .push((asked, took));
        }
        std::thread::sleep(PACE);
    }
}

fn healthz(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    if &answer == b"HTTP/1.1 200" {
        Ok(())
    } else {
        Err(std::io::Error::other(String::from_utf8_lossy(&answer)))
    }
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
