//! How long a server takes until a client sees all its tools.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::session::{Session, Target};

/// Between two attempts: often enough to be exact, seldom enough to leave the processor to the server.
const PAUSE: Duration = Duration::from_millis(2);

/// Tries until a client sees at least so many tools, and says how long that took, in milliseconds.
///
/// # Errors
/// It took longer than `limit`; with what happened last.
pub async fn until_ready(target: &Target, tools: usize, limit: Duration) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut last = anyhow::anyhow!("nothing was answered");
    while begun.elapsed() < limit {
        match timeout_at(begun + limit, visible_tools(target)).await {
            Ok(Ok(seen)) if seen >= tools => return Ok(begun.elapsed().as_secs_f64() * 1e3),
            Ok(Ok(seen)) => last = anyhow::anyhow!("{seen} tools of {tools}"),
            Ok(Err(error)) => last = error,
            Err(_) => break,
        }
        sleep(PAUSE).await;
    }
    Err(last).with_context(|| format!("not ready within {limit:?}"))
}

async fn visible_tools(target: &Target) -> anyhow::Result<usize> {
    let mut session = Session::open(target).await?;
    let (mut seen, mut params) = (0, json!({}));
    loop {
        let answer = session.request("tools/list", &params).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let result = &answer["result"];
        seen += result["tools"].as_array().map_or(0, Vec::len);
        match &result["nextCursor"] {
            Value::String(cursor) => params = json!({"cursor": cursor}),
            _ => break,
        }
    }
    session.close().await?;
    Ok(seen)
}
