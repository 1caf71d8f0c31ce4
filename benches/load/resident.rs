//! Sessions that only stay: what each of them takes, what is left when they have gone; and clients that go in
//! mid-call.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::closed_loop::{self, Plan};
use super::figures::{IdleFigures, IdleStep};
use super::session::{Session, Target};
use super::usage::Usage;

/// After the last session was opened or closed, until the memory is looked at.
const SETTLING: Duration = Duration::from_millis(1_500);
/// How long is looked for the memory that comes back.
const RETURN_LIMIT: Duration = Duration::from_secs(8);
/// Sessions that are opened between two looks at whether it still works.
const PORTION: usize = 500;

/// Opens sessions in steps; at each, memory is read, and one more client asks for as long as the plan says.
pub async fn idle(plan: Plan, steps: &[usize]) -> anyhow::Result<IdleFigures> {
    let before = Usage::of(plan.server);
    let mut figures = IdleFigures {
        steps: Vec::new(),
        before,
        after: before,
        errors: 0,
        errors_told: Vec::new(),
    };
    let mut sessions: Vec<Session> = Vec::new();
    for &wanted in steps {
        if let Err(error) = open_up_to(&plan.target, &mut sessions, wanted).await {
            figures.errors += 1;
            figures.errors_told.push(format!("{error:#}"));
            break;
        }
        sleep(SETTLING).await;
        let usage = Usage::of(plan.server);
        let grown = usage.server_kib.saturating_sub(before.server_kib);
        let beside = match plan.window {
            Duration::ZERO => 0.0,
            _ => closed_loop::requests(plan.clone()).await?.per_second,
        };
        figures.steps.push(IdleStep {
            sessions: wanted,
            usage,
            kib_each: grown as f64 / wanted as f64,
            beside_per_second: beside,
        });
    }
    let closing: Vec<_> = sessions
        .into_iter()
        .map(|session| tokio::spawn(session.close()))
        .collect();
    for closed in closing {
        closed.await??;
    }
    figures.after = returned(plan.server).await;
    Ok(figures)
}

async fn open_up_to(
    target: &Target,
    sessions: &mut Vec<Session>,
    wanted: usize,
) -> anyhow::Result<()> {
    while sessions.len() < wanted {
        let portion = PORTION.min(wanted - sessions.len());
        let mut opened = closed_loop::open_all(target, portion).await?;
        for session in &mut opened {
            session.listen().await?;
            session.rest();
        }
        sessions.append(&mut opened);
    }
    Ok(())
}

/// Waits until the memory has not become less for a while.
async fn returned(server: u32) -> Usage {
    let deadline = Instant::now() + RETURN_LIMIT;
    let mut least = Usage::of(server);
    while Instant::now() < deadline {
        sleep(SETTLING).await;
        let now = Usage::of(server);
        if now.server_kib >= least.server_kib {
            return now;
        }
        least = now;
    }
    least
}

/// Each client starts a call; after a while all of them go without a word.
pub async fn abandon(
    target: &Target,
    clients: usize,
    method: &str,
    params: &Value,
    after: Duration,
) -> anyhow::Result<()> {
    let mut sessions = closed_loop::open_all(target, clients).await?;
    match target.transport {
        super::session::Transport::Sse => {
            for session in &mut sessions {
                session.send(method, params).await?;
            }
            sleep(after).await;
        }
        // The head of the answer may come with the answer, so that each one waits for it by itself.
        super::session::Transport::Mcp => {
            let calls = sessions.into_iter().map(|mut session| {
                let (method, params) = (method.to_owned(), params.clone());
                tokio::spawn(async move { session.request(&method, &params).await.map(drop) })
            });
            let calls: Vec<_> = calls.collect();
            sleep(after).await;
            for call in calls {
                call.abort();
            }
        }
    }
    Ok(())
}
