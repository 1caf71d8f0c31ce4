//! `smcp stdio`: one client over standard input and output.

use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::setup::prepare;
use crate::app;
use crate::config::Config;
use crate::mcp::principal::{Principal, Transport};
use crate::shutdown::Shutdown;
use crate::stdio;
use crate::telemetry::Counters;

/// How long after the start the answer to `initialize` waits for plugins that are still being asked. What it says
/// that the server can do depends on them and cannot be corrected later, and nobody else waits for this server.
const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Serves until the input ends or a signal asks for the end, and what was asked is answered; or until
/// the output is closed.
///
/// # Errors
/// The server cannot be set up.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let (guard, launcher) = prepare(&config)?;
    let shutdown = Shutdown::new();
    let _signals = shutdown.listen()?;
    let stopped = CancellationToken::new();
    for notice in config.mistakes.iter().chain(&config.notices) {
        tracing::warn!("{notice}");
    }
    let sessions = app::sessions(
        &config,
        &launcher,
        Counters::new(guard.losses()),
        &shutdown,
        &stopped,
        FIRST_ANSWER_WAIT,
        app::kept(&config).await,
    )?;
    let session = sessions.open(Transport::Stdio, Principal::default())?;
    let _held = session.hold();
    let _closed_at_the_end = sessions.services().catalog.close_on_drop();
    let answered = async {
        if shutdown.finish(app::CALL_GRACE).await.is_err() {
            shutdown.overdue().cancel();
            let _ = shutdown.finish(app::LAST_ANSWERS).await;
        }
    };
    let draining = shutdown.draining().clone();
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    tokio::select! {
        () = stdio::serve(session, input, output, draining, answered) => {}
        () = reader_gone() => {}
    }
    stopped.cancel();
    sessions.each(|session| session.close());
    launcher.end_background();
    let _ = tokio::time::timeout(app::KILL_GRACE, app::end_processes(&launcher)).await;
    let services = sessions.services();
    tokio::join!(
        services.tracer.close(app::SPANS_GRACE),
        services.kept.close(app::SPANS_GRACE)
    );
    drop(guard);
    Ok(ExitCode::SUCCESS)
}

/// Done when nobody can read the output any more. A client that died closes both ends at once, and
/// the end of the input alone says nothing: a script's answers are still wanted then.
async fn reader_gone() {
    let (gone, closed) = tokio::sync::oneshot::channel();
    // A thread of its own, not one of the runtime's: those are waited for at the end, and this one
    // may never come back.
    std::thread::spawn(move || {
        let output = std::io::stdout();
        // No event is asked for: errors and hang-ups are reported unasked.
        let mut watched = [PollFd::new(&output, PollFlags::empty())];
        while poll(&mut watched, None) == Err(Errno::INTR) {}
        let _ = gone.send(());
    });
    if closed.await.is_err() {
        std::future::pending::<()>().await;
    }
}
