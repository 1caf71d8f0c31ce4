//! Reads a stream of server-sent events, piece by piece.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>

use std::time::Duration;

use anyhow::ensure;

/// The longest event that is read, in bytes: as much as a server may let a program print, in JSON.
pub(in crate::commands) const MAX_EVENT: usize = 256 << 20;

/// What has been read of a stream so far.
#[derive(Debug, Default)]
pub(in crate::commands) struct Events {
    /// The line that has begun.
    line: Vec<u8>,
    /// The lines of data of the event that has begun.
    data: Vec<u8>,
    has_data: bool,
    /// The last line ended with a carriage return, which a line feed may follow.
    after_return: bool,
    /// By which the stream can be taken up again.
    pub(in crate::commands) last_id: Option<String>,
    /// How long to wait before that.
    pub(in crate::commands) retry: Option<Duration>,
}

impl Events {
    /// Takes the next bytes of the stream, and gives the data of the events that are whole now.
    ///
    /// # Errors
    /// An event is longer than [`MAX_EVENT`].
    pub(in crate::commands) fn take(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut whole = Vec::new();
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            if self.after_return && first == b'\n' {
                rest = after;
            }
            self.after_return = false;
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.line.extend_from_slice(rest);
                break;
            };
            self.line.extend_from_slice(&rest[..end]);
            self.after_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.line);
            whole.extend(self.read(&line));
        }
        ensure!(
            self.line.len() + self.data.len() <= MAX_EVENT,
            "the server's answer is longer than {MAX_EVENT} bytes"
        );
        Ok(whole)
    }

    /// Takes one line, and gives the event's data where it was the empty line after it.
    fn read(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data).then_some(data);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || std::str::from_utf8(value).ok();
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"id" => self.last_id = text().map(str::to_owned).or(self.last_id.take()),
            b"retry" => {
                let milliseconds = text().and_then(|text| text.parse().ok());
                self.retry = milliseconds.map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_the_stream_is_cut_and_its_lines_end() {
        let text = ": a comment\nid: 7\nretry: 1500\ndata: one\ndata:two\n\nevent: message\ndata: {}\n\ndata: never ended";
        for text in [
            text.to_owned(),
            text.replace('\n', "\r\n"),
            text.replace('\n', "\r"),
        ] {
            for size in [1, 2, 3, 7, text.len()] {
                let mut events = Events::default();
                let read: Vec<Vec<u8>> = text
                    .as_bytes()
                    .chunks(size)
                    .flat_map(|piece| events.take(piece).unwrap())
                    .collect();
                assert_eq!(
                    read,
                    [b"one\ntwo".to_vec(), b"{}".to_vec()],
                    "{text:?} by {size}"
                );
                assert_eq!(events.last_id.as_deref(), Some("7"));
                assert_eq!(events.retry, Some(Duration::from_millis(1500)));
            }
        }
    }

    #[test]
    fn an_event_without_data_is_none_and_one_with_empty_data_is() {
        let mut events = Events::default();
        assert_eq!(events.take(b"id: 1\n\n").unwrap(), [b""; 0]);
        assert_eq!(events.take(b"id: 2\ndata:\n\n").unwrap(), [b""]);
    }
}
