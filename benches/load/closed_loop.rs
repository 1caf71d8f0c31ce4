//! Clients that each ask, wait for the answer and ask again, for a bounded time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::figures::{Found, LoopFigures};
use super::session::{Session, Target};
use super::usage::Usage;

/// How long a session may take to begin, or to end.
const SESSION_LIMIT: Duration = Duration::from_secs(20);
/// How many clients connect at the same time.
const CONNECTING: usize = 64;
/// How long after the window a request is still waited for; its client goes then, and it counts as nothing.
const DRAIN: Duration = Duration::from_millis(1_500);
/// How long a client waits after an error: at once, it would only make more of them.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// What is asked, by how many, for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whom.
    pub target: Target,
    /// Clients.
    pub clients: usize,
    /// The method.
    pub method: String,
    /// Its parameters.
    pub params: Value,
    /// What an answer must contain.
    pub expect: Option<String>,
    /// Not measured.
    pub warmup: Duration,
    /// Measured.
    pub window: Duration,
    /// One request.
    pub limit: Duration,
    /// The server's process; 0 where it is not looked at.
    pub server: u32,
}

/// When is measured.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Instant,
    to: Instant,
}

/// Requests on sessions that stay.
pub async fn requests(plan: Plan) -> anyhow::Result<LoopFigures> {
    let sessions = open_all(&plan.target, plan.clients).await?;
    let plan = Arc::new(plan);
    measure(&plan, |window| {
        let mut tasks = JoinSet::new();
        for session in sessions {
            tasks.spawn(one_client(Arc::clone(&plan), session, window));
        }
        tasks
    })
    .await
}

/// Sessions that are opened and left.
pub async fn churn(plan: Plan) -> anyhow::Result<LoopFigures> {
    let plan = Arc::new(plan);
    measure(&plan, |window| {
        let mut tasks = JoinSet::new();
        for _ in 0..plan.clients {
            tasks.spawn(one_restless_client(Arc::clone(&plan), window));
        }
        tasks
    })
    .await
}

/// Sessions after their handshakes.
pub async fn open_all(target: &Target, count: usize) -> anyhow::Result<Vec<Session>> {
    let mut sessions = Vec::with_capacity(count);
    let mut opening = JoinSet::new();
    for _ in 0..count {
        if opening.len() == CONNECTING {
            sessions.push(next(&mut opening).await?);
        }
        let target = target.clone();
        opening.spawn(async move { opened(&target).await });
    }
    while !opening.is_empty() {
        sessions.push(next(&mut opening).await?);
    }
    Ok(sessions)
}

async fn next(opening: &mut JoinSet<anyhow::Result<Session>>) -> anyhow::Result<Session> {
    let opened = opening.join_next().await;
    opened.expect("it was not empty").context("a client")?
}

async fn opened(target: &Target) -> anyhow::Result<Session> {
    timeout(SESSION_LIMIT, Session::open(target))
        .await
        .map_err(|_| anyhow!("no session within {SESSION_LIMIT:?}"))?
}

/// Lets clients work, and looks at the server at both ends of the window.
async fn measure(
    plan: &Plan,
    start: impl FnOnce(Window) -> JoinSet<Found>,
) -> anyhow::Result<LoopFigures> {
    let from = Instant::now() + plan.warmup;
    let window = Window {
        from,
        to: from + plan.window,
    };
    let own = std::process::id();
    let mut tasks = start(window);
    tokio::time::sleep_until(window.from).await;
    let before = (Usage::of(plan.server), Usage::of(own));
    tokio::time::sleep_until(window.to).await;
    let after = (Usage::of(plan.server), Usage::of(own));
    let mut found = Found::default();
    while let Some(one) = tasks.join_next().await {
        found.add(one.context("a client")?);
    }
    Ok(LoopFigures::new(
        plan.clients,
        plan.window,
        found,
        (before.0, after.0),
        (before.1, after.1),
    ))
}

async fn one_client(plan: Arc<Plan>, session: Session, window: Window) -> Found {
    let mut found = Found::default();
    let mut session = Some(session);
    while Instant::now() < window.to {
        let begun = Instant::now();
        let asked = async {
            if session.is_none() {
                session = Some(Session::open(&plan.target).await?);
            }
            let current = session.as_mut().expect("it was just opened");
            let answer = current.request(&plan.method, &plan.params).await?;
            check(&plan, &answer)?;
            Ok(answer.len())
        };
        let asked = timeout_at(window.to + DRAIN, timeout(plan.limit, asked)).await;
        let Ok(asked) = asked else {
            return found;
        };
        let asked = asked.unwrap_or_else(|_| Err(anyhow!("no answer within {:?}", plan.limit)));
        let ended = Instant::now();
        match asked {
            Ok(bytes) if ended >= window.from && ended < window.to => {
                found.answered(ended - begun, bytes);
            }
            Ok(_) => {}
            Err(error) => {
                found.failed(&error);
                // What is left of the answer would be taken for the next one.
                session = None;
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
    if let Some(session) = session {
        // What was measured is over; a server that does not answer this any more shows in the next measurement.
        let _ = timeout(SESSION_LIMIT, session.close()).await;
    }
    found
}

fn check(plan: &Plan, answer: &[u8]) -> anyhow::Result<()> {
    let Some(expected) = &plan.expect else {
        return Ok(());
    };
    let answer = std::str::from_utf8(answer)?;
    anyhow::ensure!(
        answer.contains(expected.as_str()),
        "an answer without '{expected}'"
    );
    Ok(())
}

async fn one_restless_client(plan: Arc<Plan>, window: Window) -> Found {
    let mut found = Found::default();
    while Instant::now() < window.to {
        let begun = Instant::now();
        let visit = async { Session::open(&plan.target).await?.close().await };
        let visit = timeout_at(begun + SESSION_LIMIT, visit).await;
        let visit = visit.unwrap_or_else(|_| Err(anyhow!("no session within {SESSION_LIMIT:?}")));
        let ended = Instant::now();
        match visit {
            Ok(()) if ended >= window.from && ended < window.to => {
                found.answered(ended - begun, 0);
            }
            Ok(()) => {}
            Err(error) => {
                found.failed(&error);
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
    found
}
