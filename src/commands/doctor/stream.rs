//! A stream of events from a server that is not trusted, read within bounds.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::commands::events::Events;
use crate::text::shown;

/// How much of one stream is read, in bytes: more than any list of tools that a client could use.
const MAX_STREAM: usize = 32 << 20;

/// A stream that is open. Dropping it closes it.
pub(super) struct Stream {
    body: Incoming,
    events: Events,
    ready: VecDeque<Vec<u8>>,
    read: usize,
}

/// Why nothing more comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Not in time; the stream is still open.
    Silent,
    /// The stream has ended as streams end.
    Closed,
    /// It broke: what the system said.
    Broken(String),
    /// More came than is read.
    TooMuch,
}

impl Ended {
    /// As the end of a sentence about the stream.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Silent => "says nothing".to_owned(),
            Self::Closed => "ends".to_owned(),
            Self::Broken(why) => format!("breaks off ({why})"),
            Self::TooMuch => "does not end".to_owned(),
        }
    }
}

impl Stream {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            body,
            events: Events::default(),
            ready: VecDeque::new(),
            read: 0,
        }
    }

    /// The next bytes, whatever they are.
    pub(super) async fn bytes(&mut self, deadline: Instant) -> Result<Bytes, Ended> {
        loop {
            let frame = match timeout_at(deadline, self.body.frame()).await {
                Err(_) => return Err(Ended::Silent),
                Ok(None) => return Err(Ended::Closed),
                Ok(Some(Err(error))) => {
                    return Err(Ended::Broken(shown(&error.to_string(), 100)));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            if let Ok(data) = frame.into_data() {
                self.read += data.len();
                if self.read > MAX_STREAM {
                    return Err(Ended::TooMuch);
                }
                return Ok(data);
            }
        }
    }

    /// The data of the next event.
    pub(super) async fn next(&mut self, limit: Duration) -> Result<Vec<u8>, Ended> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let data = self.bytes(deadline).await?;
            let whole = self.events.take(&data).map_err(|_| Ended::TooMuch)?;
            self.ready.extend(whole);
        }
    }
}
