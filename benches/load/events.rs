//! A stream of server-sent events over a connection. Knows no MCP.

use bytes::{Buf, Bytes, BytesMut};

use super::http::{Connection, Framing};

/// One event, as far as clients of MCP look at it.
#[derive(Debug)]
pub struct Event {
    /// Its type; `message` where the stream names none.
    pub kind: String,
    /// Its data; lines are put together with a line end.
    pub data: Bytes,
}

/// The part of a stream that was read but not used yet.
#[derive(Debug)]
pub struct Events {
    framing: Framing,
    text: BytesMut,
    /// Up to here there is no empty line in `text`.
    searched: usize,
}

impl Events {
    /// A stream whose head was read.
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            text: BytesMut::new(),
            searched: 0,
        }
    }

    /// The next event that has data; `None` at the end of the stream.
    pub async fn next(&mut self, connection: &mut Connection) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(event) = self.take() {
                if !event.data.is_empty() {
                    return Ok(Some(event));
                }
            } else if !connection
                .read_body(&mut self.framing, &mut self.text)
                .await?
            {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> Option<Event> {
        let (end, size) = empty_line(&self.text, self.searched).or_else(|| {
            // A line end may be cut in two.
            self.searched = self.text.len().saturating_sub(3);
            None
        })?;
        let event = parse(&self.text[..end]);
        self.text.advance(end + size);
        self.searched = 0;
        Some(event)
    }
}

/// Where the first empty line from `from` on begins, and how long the line ends before and after it are.
fn empty_line(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let line_ends = (from..text.len()).filter(|&at| text[at] == b'\n');
    for at in line_ends {
        if text[at + 1..].starts_with(b"\n") {
            return Some((at, 2));
        }
        if text[at + 1..].starts_with(b"\r\n") {
            return Some((at, 3));
        }
    }
    None
}

fn parse(text: &[u8]) -> Event {
    let mut kind = None;
    let mut data = BytesMut::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(value) = field(line, b"data:") {
            if !data.is_empty() {
                data.extend_from_slice(b"\n");
            }
            data.extend_from_slice(value);
        } else if let Some(value) = field(line, b"event:") {
            kind = Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    Event {
        kind: kind.unwrap_or_else(|| "message".to_owned()),
        data: data.freeze(),
    }
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}
