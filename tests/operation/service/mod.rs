//! The server below a service manager, whose part the tests play: a socket for notices, sockets that listen already.

mod drain;
mod notices;
mod reload;
mod sockets;
mod unit;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;
use crate::support::server::Setup;
use crate::support::until;

/// A plugin with one command, `go`, which does `work`; before it describes itself it does `before`.
fn plugin(folder: &Folder, name: &str, before: &str, work: &str) {
    folder.add_executable(
        name,
        &format!(
            "#!/bin/sh\nif [ \"$1\" = --describe ]; then\n{before}\n\
             echo '{{\"commands\":[{{\"name\":\"go\",\"description\":\"Goes\",\"parameters\":[]}}]}}'\n\
             exit 0\nfi\n{work}\n"
        ),
    );
}

/// The service manager's end of `NOTIFY_SOCKET`: every message that came, whole.
struct Notices {
    directory: tempfile::TempDir,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Notices {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let socket = UnixDatagram::bind(directory.path().join("notify")).expect("a new name");
        let messages: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&messages);
        // Ends with the test program: nobody else can end a read.
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(size) = socket.recv(&mut room) {
                let message = String::from_utf8_lossy(&room[..size]).into_owned();
                kept.lock().expect("nobody panics here").push(message);
            }
        });
        Self {
            directory,
            messages,
        }
    }

    /// A server that sends its notices here.
    fn setup(&self, plugins: &Path) -> Setup {
        Setup::new()
            .plugins(plugins)
            .variable("NOTIFY_SOCKET", self.directory.path().join("notify"))
    }

    fn all(&self) -> Vec<String> {
        self.messages.lock().expect("nobody panics here").clone()
    }

    /// Waits for a message after the first `known` with all these words, and gives its number and itself.
    #[track_caller]
    fn message(&self, known: usize, words: &[&str]) -> (usize, String) {
        until(&format!("a notice with {words:?}"), PATIENCE, || {
            let all = self.all().into_iter().enumerate().skip(known);
            let has_all = |text: &str| words.iter().all(|word| text.contains(word));
            all.into_iter().find(|(_, text)| has_all(text))
        })
    }
}

/// A socket that listens on a free port of this address, and where.
fn listening(address: &str) -> (Arc<OwnedFd>, SocketAddr) {
    let listener = TcpListener::bind((address, 0)).expect("an address of this machine");
    let at = listener.local_addr().expect("it is bound");
    (Arc::new(listener.into()), at)
}
