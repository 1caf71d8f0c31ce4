//! Where a request ends on its connection: heads are measured, bodies are counted. Does no I/O.
//!
//! hyper reads as much as the socket holds and prefers one of two lengths without a word. Here every
//! request is given to it alone, and one that could be read in two ways is rejected.

use super::rejection::Rejection;

/// A request line may be this long: the longest target that is answered, with its method and version.
const MAX_REQUEST_LINE: usize = MAX_TARGET + 64;
/// A request target may be this long, in bytes.
pub const MAX_TARGET: usize = 8 << 10;
/// All headers of a request together may be this large, in bytes.
pub const MAX_HEADER_BYTES: usize = 64 << 10;
/// A head may be this large; the gate answers the ones between this and its own limit.
pub const MAX_HEAD: usize = MAX_REQUEST_LINE + MAX_HEADER_BYTES + 1024;
/// Headers that say a length are not longer than this, name and value together.
const MAX_LENGTH_LINE: usize = 64;
/// A line of a chunk's size, extensions included, or of a trailer.
const MAX_CHUNK_LINE: usize = 4096;
/// One empty line between two requests is customary: old clients end a body with it.
const CUSTOMARY_BLANKS: usize = 2;

/// How much of some bytes belongs to the present request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Empty lines before the request, to be thrown away.
    pub blank: usize,
    /// The request's own bytes, after those.
    pub own: usize,
}

/// Where in a request a connection is.
#[derive(Debug)]
pub struct Framing(Stage);

#[derive(Debug)]
enum Stage {
    /// Before the request line; so many bytes of empty lines were there.
    Between(usize),
    Head(Head),
    /// So many bytes of the body are missing.
    Length(u64),
    ChunkSize(Vec<u8>),
    /// So many bytes are missing, with the line break after the data.
    ChunkData(u64),
    Trailers {
        line: usize,
    },
    /// No request that can be read: hyper refuses it and closes.
    Unreadable,
    /// The whole request was there.
    Over,
}

#[derive(Debug, Default)]
struct Head {
    bytes: usize,
    lines: usize,
    /// The beginning of the present line, and how long the line is.
    line: Vec<u8>,
    line_bytes: usize,
    length: Option<u64>,
    chunked: bool,
}

impl Default for Framing {
    fn default() -> Self {
        Self(Stage::Between(0))
    }
}

impl Framing {
    /// Whether the present request is complete: what follows belongs to the next one.
    pub fn is_over(&self) -> bool {
        matches!(self.0, Stage::Over)
    }

    /// Begins the next request.
    pub fn next(&mut self) {
        self.0 = Stage::Between(0);
    }

    /// Whether a head has begun and is not complete.
    pub fn is_in_head(&self) -> bool {
        match &self.0 {
            Stage::Between(blanks) => *blanks > CUSTOMARY_BLANKS,
            Stage::Head(_) => true,
            _ => false,
        }
    }

    /// Whether the present request's head, or more of it, is there.
    pub fn has_begun(&self) -> bool {
        !matches!(self.0, Stage::Between(_))
    }

    /// How large the unfinished head is, in bytes.
    pub fn head_bytes(&self) -> usize {
        match &self.0 {
            Stage::Head(head) => head.bytes,
            _ => 0,
        }
    }

    /// Follows `bytes` up to the end of the present request.
    ///
    /// # Errors
    ///
    /// The head is too large, or its body's length can be read in two ways or not at all.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Taken, Rejection> {
        let blank = self.skip_blanks(bytes);
        let mut at = blank;
        while at < bytes.len() && !self.is_over() {
            at += self.step(&bytes[at..])?;
        }
        Ok(Taken {
            blank,
            own: at - blank,
        })
    }

    fn skip_blanks(&mut self, bytes: &[u8]) -> usize {
        let Stage::Between(blanks) = &mut self.0 else {
            return 0;
        };
        let count = bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        *blanks += count;
        if count < bytes.len() {
            self.0 = Stage::Head(Head::default());
        }
        count
    }

    /// Follows at least one byte; says how many.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Rejection> {
        match &mut self.0 {
            Stage::Between(_) | Stage::Over => Ok(0),
            Stage::Unreadable => Ok(bytes.len()),
            Stage::Head(head) => {
                let (count, body) = head.read_line(bytes)?;
                if let Some(body) = body {
                    self.0 = body;
                }
                Ok(count)
            }
            Stage::Length(left) => {
                let count = take(left, bytes);
                if *left == 0 {
                    self.0 = Stage::Over;
                }
                Ok(count)
            }
            Stage::ChunkData(left) => {
                let count = take(left, bytes);
                if *left == 0 {
                    self.0 = Stage::ChunkSize(Vec::new());
                }
                Ok(count)
            }
            Stage::ChunkSize(line) => {
                let (count, ended) = to_line_end(bytes);
                line.extend_from_slice(&bytes[..count]);
                if line.len() > MAX_CHUNK_LINE {
                    self.0 = Stage::Unreadable;
                } else if ended {
                    self.0 = after_chunk_size(line);
                }
                Ok(count)
            }
            Stage::Trailers { line } => {
                let (count, ended) = to_line_end(bytes);
                *line += count;
                if ended && *line <= 2 {
                    self.0 = Stage::Over;
                } else if ended {
                    *line = 0;
                }
                Ok(count)
            }
        }
    }
}

fn take(left: &mut u64, bytes: &[u8]) -> usize {
    let count = bytes
        .len()
        .min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= count as u64;
    count
}

/// How many bytes there are to the end of the line, and whether that end is there.
fn to_line_end(bytes: &[u8]) -> (usize, bool) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (end + 1, true),
        None => (bytes.len(), false),
    }
}

fn after_chunk_size(line: &[u8]) -> Stage {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let size = std::str::from_utf8(&line[..digits])
        .ok()
        .and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match size {
        Some(0) => Stage::Trailers { line: 0 },
        Some(size) => size
            .checked_add(2)
            .map_or(Stage::Unreadable, Stage::ChunkData),
        None => Stage::Unreadable,
    }
}

impl Head {
    /// Reads to the end of the present line; the second value is what follows a complete head.
    fn read_line(&mut self, bytes: &[u8]) -> Result<(usize, Option<Stage>), Rejection> {
        let (count, ended) = to_line_end(bytes);
        let room = (MAX_LENGTH_LINE + 2).saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..count.min(room)]);
        self.line_bytes += count;
        self.bytes += count;
        if self.lines == 0 && self.line_bytes > MAX_REQUEST_LINE {
            return Err(Rejection::TargetTooLong);
        }
        if self.bytes > MAX_HEAD {
            return Err(Rejection::HeadTooLarge);
        }
        if !ended {
            return Ok((count, None));
        }
        // hyper accepts bare line feeds as well.
        let is_empty = self.line_bytes <= 2 && matches!(self.line.as_slice(), b"\r\n" | b"\n");
        if is_empty {
            return Ok((count, Some(self.body()?)));
        }
        if self.lines > 0 {
            self.note_length()?;
        }
        self.lines += 1;
        self.line.clear();
        self.line_bytes = 0;
        Ok((count, None))
    }

    /// Takes note of a header that says how long the body is.
    fn note_length(&mut self) -> Result<(), Rejection> {
        let Some(colon) = self.line.iter().position(|byte| *byte == b':') else {
            return Ok(());
        };
        let name = self.line[..colon].trim_ascii();
        let value = self.line[colon + 1..].trim_ascii();
        let whole = self.line_bytes == self.line.len();
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = whole && !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let length = digits
                .then(|| std::str::from_utf8(value).ok()?.parse::<u64>().ok())
                .flatten()
                .ok_or(Rejection::BadLength)?;
            if self.length.is_some_and(|other| other != length) {
                return Err(Rejection::BadLength);
            }
            self.length = Some(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !whole || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Rejection::BadCoding);
            }
            self.chunked = true;
        }
        Ok(())
    }

    fn body(&self) -> Result<Stage, Rejection> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Rejection::TwoLengths),
            (true, None) => Ok(Stage::ChunkSize(Vec::new())),
            (false, Some(1..)) => Ok(Stage::Length(self.length.unwrap_or_default())),
            (false, _) => Ok(Stage::Over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// The bytes of each request, however the text is cut into reads.
    fn requests(text: &[u8], read: usize) -> Result<Vec<String>, Rejection> {
        let mut framing = Framing::default();
        let (mut all, mut present) = (Vec::new(), Vec::new());
        for block in text.chunks(read) {
            let mut rest = block;
            while !rest.is_empty() {
                let taken = framing.advance(rest)?;
                present.extend_from_slice(&rest[taken.blank..taken.blank + taken.own]);
                rest = &rest[taken.blank + taken.own..];
                if framing.is_over() {
                    all.push(String::from_utf8(std::mem::take(&mut present)).unwrap());
                    framing.next();
                }
            }
        }
        Ok(all)
    }

    #[test]
    fn requests_on_one_connection_are_told_apart_wherever_a_read_ends() {
        let sent = [
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /2 HTTP/1.1\r\nContent-Length: 5\r\n\r\nab\r\nc",
            "POST /3 HTTP/1.1\nTransfer-Encoding: Chunked\n\nA;x=\"y\"\r\n0123456789\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
            "POST /4 HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        ];
        let text = format!("{}\r\n{}{}\r\n\r\n{}", sent[0], sent[1], sent[2], sent[3]);
        for read in [1, 2, 3, 7, 1000] {
            assert_eq!(requests(text.as_bytes(), read).unwrap(), sent, "{read}");
        }
    }

    #[test]
    fn a_body_whose_length_can_be_read_in_two_ways_is_rejected_in_every_request() {
        for (headers, expected) in [
            (
                "Content-Length: 3\r\nTransfer-Encoding: chunked",
                Rejection::TwoLengths,
            ),
            (
                "transfer-encoding: chunked\r\nA: b\r\nCONTENT-LENGTH: 3",
                Rejection::TwoLengths,
            ),
            (
                "Content-Length: 3\r\nContent-Length: 4",
                Rejection::BadLength,
            ),
            ("Content-Length: 3, 3", Rejection::BadLength),
            ("Content-Length: +3", Rejection::BadLength),
            ("Content-Length:", Rejection::BadLength),
            (
                "Content-Length: 99999999999999999999999",
                Rejection::BadLength,
            ),
            ("Transfer-Encoding: gzip", Rejection::BadCoding),
            ("Transfer-Encoding: gzip, chunked", Rejection::BadCoding),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                Rejection::BadCoding,
            ),
            ("Transfer-Encoding: xchunked", Rejection::BadCoding),
        ] {
            let head = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
            assert_eq!(requests(head.as_bytes(), 9), Err(expected), "{headers}");
            let second = [GET, head.as_bytes()].concat();
            assert_eq!(requests(&second, 1000), Err(expected), "second: {headers}");
        }
    }

    #[test]
    fn a_head_that_grows_without_end_is_rejected_before_it_is_complete() {
        let line = [b"GET /".as_slice(), &[b'a'; MAX_REQUEST_LINE]].concat();
        assert_eq!(requests(&line, 100), Err(Rejection::TargetTooLong));
        let headers = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; MAX_HEAD]].concat();
        assert_eq!(requests(&headers, 100), Err(Rejection::HeadTooLarge));
    }

    #[test]
    fn one_empty_line_begins_no_head_and_more_do() {
        let mut framing = Framing::default();
        assert_eq!(
            framing.advance(b"\r\n").unwrap(),
            Taken { blank: 2, own: 0 }
        );
        assert!(!framing.is_in_head());
        assert_eq!(
            framing.advance(b"\r\n").unwrap(),
            Taken { blank: 2, own: 0 }
        );
        assert!(framing.is_in_head());
    }

    #[test]
    fn a_chunk_without_a_size_is_left_to_hyper() {
        let text =
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(requests(text, 1000).unwrap(), Vec::<String>::new());
    }
}
