//! Why a connection is ended before a request reaches a route, and what its client is told. Does no I/O.

/// Why a request's head is not passed on; the connection ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The head did not arrive in time.
    TooSlow,
    /// The request line is too long.
    TargetTooLong,
    /// The head as a whole is too large.
    HeadTooLarge,
    /// A length and a transfer coding, which request smuggling uses.
    TwoLengths,
    /// A length that is no number, or two that differ.
    BadLength,
    /// A transfer coding that is not `chunked`, once.
    BadCoding,
    /// The unfinished heads of all connections together hold too much memory.
    Overloaded,
    /// As many connections are open as may be.
    TooManyConnections,
}

impl Rejection {
    /// The code of the answer, of the counter and of the audit line.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooSlow => "head_too_slow",
            Self::TargetTooLong => "uri_too_long",
            Self::HeadTooLarge => "headers_too_large",
            Self::TwoLengths | Self::BadLength | Self::BadCoding => "bad_request",
            Self::Overloaded => "overloaded",
            Self::TooManyConnections => "connection_limit",
        }
    }

    /// The whole HTTP response, as bytes: hyper has read no request that it could answer.
    pub fn response(self) -> String {
        let (status, message) = match self {
            Self::TooSlow => (
                "408 Request Timeout",
                "the request's head did not arrive in time",
            ),
            Self::TargetTooLong => ("414 URI Too Long", "the request target is too long"),
            Self::HeadTooLarge => (
                "431 Request Header Fields Too Large",
                "the headers are too large; the limit is 65536 bytes",
            ),
            Self::TwoLengths => (
                "400 Bad Request",
                "a request has a content-length or a transfer-encoding, not both",
            ),
            Self::BadLength => (
                "400 Bad Request",
                "a request has one content-length, and it is a number",
            ),
            Self::BadCoding => (
                "400 Bad Request",
                "the only transfer-encoding that is understood is chunked",
            ),
            Self::Overloaded => (
                "503 Service Unavailable",
                "too many requests arrive at once; try again in a moment",
            ),
            Self::TooManyConnections => (
                "503 Service Unavailable",
                "too many connections; try again in a moment",
            ),
        };
        let body = format!(r#"{{"error":"{}","message":"{message}"}}"#, self.code());
        let advice = match self {
            Self::Overloaded | Self::TooManyConnections => "retry-after: 5\r\n",
            _ => "",
        };
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{advice}connection: close\r\n\r\n{body}",
            body.len()
        )
    }
}
