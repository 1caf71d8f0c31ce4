//! What can be wrong between a client and a server.

use serde::Serialize;

/// A fault, by the word that programs know it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fault {
    /// No connection, or one that ends without an answer.
    Unreachable,
    /// A connection, and no answer in time.
    Silent,
    /// What answers speaks no HTTP/1.1.
    NotHttp,
    /// The certificate is not accepted, or the other side speaks no TLS.
    Tls,
    /// The answer is another address.
    Redirect,
    /// A proxy answers that it does not reach the server.
    BadGateway,
    /// Something answers that is no MCP server.
    NotMcp,
    /// The proxy passes on some paths, and this one not; or, about none, the server gets another path than was asked for.
    NotServed,
    /// The server asks for a key, and none was given.
    KeyMissing,
    /// The server does not accept the key.
    KeyWrong,
    /// The proxy asks for a password of its own.
    ProxyAuth,
    /// The key can be read on the way.
    Unencrypted,
    /// Nobody needs a key.
    Open,
    /// The server does not answer to this name.
    HostRefused,
    /// The server is told another name than the client asked for.
    HostChanged,
    /// The proxy refuses a request.
    Refused,
    /// The proxy refuses what comes too quickly, or too much at a time.
    Limited,
    /// The server, or the proxy, has too much to do at the moment.
    Busy,
    /// The endpoint event names a path that the proxy does not have.
    Prefix,
    /// Two requests of one session reach different servers.
    Scattered,
    /// Events are held back.
    Buffered,
    /// Event streams are compressed.
    Compressed,
    /// A header of requests does not arrive.
    LostHeader,
    /// A header of answers does not arrive.
    LostAnswerHeader,
    /// A header of requests arrives with another value.
    ChangedHeader,
    /// The proxy does not pass on a method.
    MethodRefused,
    /// The proxy takes smaller messages than the server.
    BodyLimit,
    /// A stream is cut while nothing is said.
    IdleCut,
    /// A stream is cut though it is not silent.
    StreamCut,
    /// The proxy asks the server by HTTP/1.0.
    HttpVersion,
    /// Web pages of the origin are refused.
    OriginRefused,
    /// A header that browsers need stands twice or lacks what they need.
    Cors,
    /// The clocks differ.
    Clock,
    /// The server is not ready yet, or about to end.
    NotReady,
    /// The server answers otherwise than a server of this revision.
    Handshake,
    /// What was looked at took too long.
    Unfinished,
}
