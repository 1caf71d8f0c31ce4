//! Bytes to a server and bytes from it: HTTP/1.1 without a library, so that a request may be malformed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long an ordinary answer may take on a busy machine: with twenty programs that compute for two cores, a server
/// needs ten seconds to start. Whoever tests how long something takes has a limit of its own.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One connection, and what was read from it and not yet used.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    /// What there is of an answer that was not whole when the time was over.
    begun: Option<Answer>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The status line and the header lines.
    pub head: String,
    /// The body, its transfer coding undone.
    pub body: Vec<u8>,
}

/// What came instead of what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// The server closed or reset the connection.
    Closed,
    /// The time was over.
    TimeOver,
}

impl Answer {
    /// The value of a header, the first if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.head, self.text()))
    }
}

/// The value of the first header of that name in a head.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Connection {
    /// Connects.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a duration above zero");
        Self {
            stream,
            unread: Vec::new(),
            begun: None,
        }
    }

    /// Sends. An error means that the server has closed its end: what it said can still be read.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends as much as the server takes within a second: it need not read everything.
    pub fn send_what_is_read(&mut self, bytes: &[u8]) {
        let limit = Some(Duration::from_secs(1));
        let _ = self.stream.set_write_timeout(limit);
        let _ = self.stream.write_all(bytes);
        let _ = self.stream.set_write_timeout(Some(PATIENCE));
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Resets the connection, as a client does that crashes.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        // What follows is a plain close where the system refuses.
        let _ = socket.set_linger(Some(Duration::ZERO));
    }

    /// Reads an answer's head: status and lines.
    pub fn head(&mut self, limit: Duration) -> Result<(u16, String), Silence> {
        let deadline = Instant::now() + limit;
        let end = loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                break end;
            }
            self.read_more(deadline)?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((
            status.unwrap_or_else(|| panic!("no status line: {head}")),
            head,
        ))
    }

    /// Reads a whole answer. Where the time is over before it is whole, the next call goes on with it.
    pub fn answer(&mut self, limit: Duration) -> Result<Answer, Silence> {
        let deadline = Instant::now() + limit;
        let mut answer = match self.begun.take() {
            Some(begun) => begun,
            None => {
                let (status, head) = self.head(limit)?;
                let body = Vec::new();
                Answer { status, head, body }
            }
        };
        match self.read_body(&mut answer, deadline) {
            Ok(()) => Ok(answer),
            Err(silence) => {
                self.begun = Some(answer);
                Err(silence)
            }
        }
    }

    fn read_body(&mut self, answer: &mut Answer, deadline: Instant) -> Result<(), Silence> {
        if answer.status == 204 {
            return Ok(());
        }
        if answer.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk(deadline)? {
                answer.body.extend(chunk);
            }
            return Ok(());
        }
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().expect("a server knows its lengths");
            while self.unread.len() < length {
                self.read_more(deadline)?;
            }
            answer.body = self.unread.drain(..length).collect();
            return Ok(());
        }
        while self.read_more(deadline) != Err(Silence::Closed) {
            if Instant::now() >= deadline {
                return Err(Silence::TimeOver);
            }
        }
        answer.body = std::mem::take(&mut self.unread);
        Ok(())
    }

    /// Reads one chunk of a chunked body; the last one is `None`.
    pub fn chunk(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, Silence> {
        let line = loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                break String::from_utf8_lossy(&self.unread[..end]).into_owned();
            }
            self.read_more(deadline)?;
        };
        let size = usize::from_str_radix(line.trim(), 16)
            .unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
        let begin = line.len() + 2;
        while self.unread.len() < begin + size + 2 {
            self.read_more(deadline)?;
        }
        let chunk = self.unread[begin..begin + size].to_vec();
        self.unread.drain(..begin + size + 2);
        Ok((size > 0).then_some(chunk))
    }

    /// Waits for the server to close the connection; what it still says is thrown away.
    pub fn closes_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            self.unread.clear();
            match self.read_more(deadline) {
                Ok(()) => {}
                Err(silence) => return silence == Silence::Closed,
            }
        }
    }

    fn read_more(&mut self, deadline: Instant) -> Result<(), Silence> {
        let mut block = [0; 64 << 10];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Silence::TimeOver);
            }
            self.stream
                .set_read_timeout(Some(left))
                .expect("a duration above zero");
            match self.stream.read(&mut block) {
                Ok(0) => return Err(Silence::Closed),
                Ok(count) => {
                    self.unread.extend_from_slice(&block[..count]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(Silence::Closed),
                },
            }
        }
    }
}

/// Sends one request as it stands and reads the answer.
#[track_caller]
pub fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut connection = Connection::open(address);
    let _ = connection.send(request);
    connection.answer(PATIENCE).unwrap_or_else(|silence| {
        panic!(
            "{silence:?} instead of an answer to {:?}",
            String::from_utf8_lossy(&request[..request.len().min(400)])
        )
    })
}

/// A GET request with further header lines, each ended by `\r\n`.
pub fn get(address: SocketAddr, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n")
        .into_bytes()
}

/// A POST request of JSON with further header lines, each ended by `\r\n`.
pub fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{headers}Connection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
