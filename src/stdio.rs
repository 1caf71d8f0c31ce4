//! The stdio transport: the same session over lines. Knows no HTTP.

use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

use crate::jsonrpc::{self, RpcError};
use crate::mcp::principal::Principal;
use crate::mcp::session::Session;

/// The longest line that is read, in bytes.
const MAX_LINE: usize = 4 << 20;

/// Serves one client until its output is closed, or its input has ended and `answered` is done.
/// What was asked before the input ended is still told.
pub async fn serve(
    session: Arc<Session>,
    input: impl AsyncBufRead + Unpin,
    output: impl AsyncWrite + Unpin,
    answered: impl Future<Output = ()>,
) {
    let writing = write(&session, output);
    tokio::pin!(writing);
    let asked = async {
        read(&session, input).await;
        answered.await;
    };
    tokio::select! {
        () = asked => {}
        () = &mut writing => return,
    }
    session.outbox().finish();
    writing.await;
}

async fn read(session: &Arc<Session>, mut input: impl AsyncBufRead + Unpin) {
    let principal = Principal::default();
    let mut line = Vec::new();
    loop {
        match next_line(&mut input, &mut line).await {
            Line::End => return,
            Line::TooLong => {
                let why =
                    format!("a line is over {MAX_LINE} bytes; send less, or pass a path to a file");
                refuse(session, &RpcError::new(jsonrpc::INVALID_REQUEST, why)).await;
            }
            Line::Whole if line.trim_ascii().is_empty() => {}
            Line::Whole => {
                if let Err(fault) = session.receive(&line, &principal).await {
                    let _ = session.outbox().send(fault.to_bytes()).await;
                }
            }
        }
    }
}

async fn refuse(session: &Session, error: &RpcError) {
    // The reader of a closed output learns that there; here is nobody left to tell.
    let _ = session
        .outbox()
        .send(jsonrpc::encode_error(None, error))
        .await;
}

enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads one line; one that is too long is read to its end and forgotten.
async fn next_line(input: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> Line {
    line.clear();
    let mut too_long = false;
    loop {
        let Ok(chunk) = input.fill_buf().await else {
            return Line::End;
        };
        if chunk.is_empty() {
            // A last line without its end was cut off in the middle.
            return if line.is_empty() {
                Line::End
            } else {
                Line::Whole
            };
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(chunk.len(), |end| end + 1);
        too_long |= line.len() + taken > MAX_LINE;
        if too_long {
            line.clear();
        } else {
            line.extend_from_slice(&chunk[..taken]);
        }
        input.consume(taken);
        if end.is_some() {
            return if too_long { Line::TooLong } else { Line::Whole };
        }
    }
}

async fn write(session: &Session, mut output: impl AsyncWrite + Unpin) {
    while let Some(message) = session.outbox().next().await {
        let written = async {
            output.write_all(&message).await?;
            output.write_all(b"\n").await?;
            output.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
}
