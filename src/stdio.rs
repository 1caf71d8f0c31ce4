//! The stdio transport: the same session over lines. Knows no HTTP.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio>

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, FramedRead};
use tokio_util::sync::CancellationToken;

use crate::jsonrpc::{self, RpcError};
use crate::mcp::outbox::Reader;
use crate::mcp::principal::Principal;
use crate::mcp::session::Session;

/// The longest line that is read, in bytes.
const MAX_LINE: usize = crate::mcp::inbound::MAX_MESSAGE;
/// How long the client may take to read what was answered last, once a signal asked for the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Serves one client until its output is closed, or until its input has ended or `draining` fell and
/// `answered` is done. What was asked by then is still answered.
pub async fn serve(
    session: Arc<Session>,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
    draining: CancellationToken,
    answered: impl Future<Output = ()>,
) {
    let writing = write(session.outbox().attach(), output);
    tokio::pin!(writing);
    let asked = async {
        tokio::select! {
            () = read(&session, input) => {}
            () = draining.cancelled() => {}
        }
        // Who asks for nothing more waits for an end, and who says nothing more answers no question.
        session.finish_input();
        answered.await;
    };
    tokio::select! {
        () = asked => {}
        () = &mut writing => return,
    }
    session.outbox().finish();
    tokio::select! {
        () = writing => {}
        // Whoever stops the server does not wait for a reader that has stalled.
        () = async {
            draining.cancelled().await;
            tokio::time::sleep(LAST_ANSWERS).await;
        } => {}
    }
}

async fn read(session: &Arc<Session>, input: impl AsyncRead + Unpin) {
    let principal = Principal::default();
    let codec = AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), Vec::new(), MAX_LINE);
    let mut lines = FramedRead::new(input, codec);
    loop {
        // A client that writes all its calls at once is made to wait; refusing is for those that can be told.
        session.room().await;
        match lines.next().await {
            Some(Ok(line)) if line.trim_ascii().is_empty() => {}
            Some(Ok(line)) => {
                if let Err(fault) = session.receive(line, &principal).await {
                    if fault.id.is_none() {
                        session.refused("invalid_message");
                    }
                    send(session, fault.to_bytes()).await;
                }
            }
            Some(Err(AnyDelimiterCodecError::MaxChunkLengthExceeded)) => {
                let why =
                    format!("a line is over {MAX_LINE} bytes; send less, or pass a path to a file");
                session.refused("line_too_large");
                let error = RpcError::new(jsonrpc::INVALID_REQUEST, why);
                send(session, jsonrpc::encode_error(None, &error)).await;
                // After an error the codec says once that there is nothing, and then goes on.
                let _ = lines.next().await;
            }
            Some(Err(AnyDelimiterCodecError::Io(_))) | None => return,
        }
    }
}

async fn send(session: &Session, line: Bytes) {
    let line = session.account().count(line).into_bytes();
    // The reader of a closed output learns that there; here is nobody left to tell.
    let _ = session.outbox().send(line).await;
}

async fn write(mut lines: Reader, mut output: impl AsyncWrite + Unpin) {
    while let Some(line) = std::future::poll_fn(|cx| lines.poll_line(cx)).await {
        lines.begin(line);
        while let Some(piece) = lines.piece() {
            if output.write_all(&piece).await.is_err() {
                return;
            }
        }
        let ended = async {
            output.write_all(b"\n").await?;
            output.flush().await
        };
        if lines.left() > 0 || ended.await.is_err() {
            return;
        }
    }
}
