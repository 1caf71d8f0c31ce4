//! One HTTP/1.1 connection to a server on this machine: requests out, answers and event streams in.
//!
//! Lean on purpose: the generator runs on the same cores as the server that it measures. Knows no MCP.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More headers than any server here sends.
const MAX_HEADERS: usize = 64;
/// A line that begins a chunk is shorter.
const MAX_CHUNK_LINE: usize = 64;
/// Room for a read, in bytes: small at first, since there may be ten thousand connections.
const FIRST_ROOM: usize = 2 << 10;
/// The most that one read takes.
const MAX_ROOM: usize = 256 << 10;

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Whether the body is a stream of events.
    pub is_event_stream: bool,
    /// The value of `Mcp-Session-Id`.
    pub session_id: Option<String>,
    /// How its body is delimited.
    pub framing: Framing,
}

/// What of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks; so many bytes are left of the current one.
    Chunked { left: u64, first: bool },
    /// Everything until the connection ends.
    UntilClose,
    /// Nothing.
    Ended,
}

/// A connection and what was read of it but not used yet.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    input: BytesMut,
    /// Bytes that the next read has room for; doubled by each read that fills it.
    room: usize,
}

impl Connection {
    /// Connects, without waiting for small packets to be put together.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            input: BytesMut::new(),
            room: FIRST_ROOM,
        })
    }

    /// Sends one request as it stands, and reads the head of the answer.
    pub async fn request(&mut self, request: &[u8]) -> anyhow::Result<Head> {
        self.stream.write_all(request).await?;
        loop {
            if let Some((head, size)) = parse_head(&self.input)? {
                self.input.advance(size);
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    /// Appends the next piece of a body to `body`; false at its end.
    pub async fn read_body(
        &mut self,
        framing: &mut Framing,
        body: &mut BytesMut,
    ) -> anyhow::Result<bool> {
        loop {
            match framing {
                Framing::Ended | Framing::Length(0) => {
                    *framing = Framing::Ended;
                    return Ok(false);
                }
                Framing::Chunked { left: 0, first } => {
                    let Some((size, line)) = parse_chunk_line(&self.input, *first)? else {
                        self.fill().await?;
                        continue;
                    };
                    if size > 0 {
                        self.input.advance(line);
                        *framing = Framing::Chunked {
                            left: size,
                            first: false,
                        };
                        continue;
                    }
                    // The last chunk is followed by an empty line; no server here sends trailers.
                    if self.input.len() < line + 2 {
                        self.fill().await?;
                        continue;
                    }
                    self.input.advance(line + 2);
                    *framing = Framing::Ended;
                }
                Framing::Length(left) | Framing::Chunked { left, .. } => {
                    if self.input.is_empty() {
                        self.fill().await?;
                    }
                    let size = self
                        .input
                        .len()
                        .min(usize::try_from(*left).unwrap_or(usize::MAX));
                    body.extend_from_slice(&self.input[..size]);
                    self.input.advance(size);
                    *left -= size as u64;
                    return Ok(true);
                }
                Framing::UntilClose => {
                    if self.input.is_empty() && self.read().await? == 0 {
                        *framing = Framing::Ended;
                        return Ok(false);
                    }
                    body.extend_from_slice(&self.input.split());
                    return Ok(true);
                }
            }
        }
    }

    /// Reads a whole body.
    pub async fn whole_body(&mut self, head: &Head) -> anyhow::Result<BytesMut> {
        let (mut framing, mut body) = (head.framing, BytesMut::new());
        while self.read_body(&mut framing, &mut body).await? {}
        Ok(body)
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        if self.read().await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }

    async fn read(&mut self) -> anyhow::Result<usize> {
        self.input.reserve(self.room);
        let size = self.stream.read_buf(&mut self.input).await?;
        if size >= self.room {
            self.room = MAX_ROOM.min(self.room * 2);
        }
        Ok(size)
    }
}

/// The head at the start of `input` and its size; `None` while it is incomplete.
fn parse_head(input: &[u8]) -> anyhow::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(size) = response.parse(input)? else {
        return Ok(None);
    };
    let status = response.code.expect("a complete head has a status");
    let mut head = Head {
        status,
        is_event_stream: false,
        session_id: None,
        framing: if matches!(status, 204 | 304) {
            Framing::Ended
        } else {
            Framing::UntilClose
        },
    };
    for header in response.headers.iter() {
        let value = std::str::from_utf8(header.value)?.trim();
        if header.name.eq_ignore_ascii_case("content-length") {
            head.framing = Framing::Length(value.parse()?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.framing = Framing::Chunked {
                left: 0,
                first: true,
            };
        } else if header.name.eq_ignore_ascii_case("content-type") {
            head.is_event_stream = value.starts_with("text/event-stream");
        } else if header.name.eq_ignore_ascii_case("mcp-session-id") {
            head.session_id = Some(value.to_owned());
        }
    }
    Ok(Some((head, size)))
}

/// The size of the chunk that begins here, and how long the line is that says so. The line end of the chunk before
/// belongs to it.
fn parse_chunk_line(input: &[u8], first: bool) -> anyhow::Result<Option<(u64, usize)>> {
    let before = if first { 0 } else { 2 };
    let Some(line) = input.get(before..) else {
        return Ok(None);
    };
    match httparse::parse_chunk_size(line) {
        Ok(httparse::Status::Complete((line, size))) => Ok(Some((size, before + line))),
        Ok(httparse::Status::Partial) if line.len() <= MAX_CHUNK_LINE => Ok(None),
        _ => bail!("the answer has a chunk without a size"),
    }
}
