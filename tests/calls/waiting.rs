//! Calls that wait let others in, and calls that compute are held to the gate.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use smcp::call::types::{CallError, CallRequest, Caller, Event};
use smcp::catalog::{Load, Settings};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Plugins, Running, live, request, settings, until};

const BURNS: &str = "echo begun; while :; do :; done";

async fn serving(plugins: &Plugins, max_calls: usize, max_computing: usize) -> Arc<Running> {
    let settings = Settings {
        max_calls,
        max_computing,
        ..settings(Some(plugins.path().to_owned()))
    };
    Arc::new(Running::of(settings).complete().await)
}

/// A plugin `p` with one command `run`.
fn running(script: &str) -> Plugins {
    let plugins = Plugins::new();
    plugins.describing("p", &json!({"commands": [{"name": "run"}]}), script);
    plugins
}

/// A call of a session of its own.
fn call(running: &Arc<Running>, session: usize, cancel: CancellationToken) -> JoinHandle<Outcome> {
    let caller = Caller {
        session_id: session.to_string(),
        ..Caller::default()
    };
    call_as(
        running,
        CallRequest {
            caller,
            cancel,
            ..request(json!({}))
        },
    )
}

type Outcome = Result<(), CallError>;

fn call_as(running: &Arc<Running>, request: CallRequest) -> JoinHandle<Outcome> {
    let running = Arc::clone(running);
    tokio::spawn(async move { running.call_as("p__run", request).await.map(drop) })
}

fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

#[test]
fn many_calls_that_wait_are_in_progress_although_one_alone_may_compute() {
    const CALLS: usize = 64;
    live(async {
        // Each opens a pipe that nobody writes to before all of them are there.
        let plugins = running(
            ": > \"$SMCP_PLUGIN_DIR/present/$$\"; exec 9< \"$SMCP_PLUGIN_DIR/pipe\"; echo ok",
        );
        let (present, pipe) = (
            plugins.path().join("p/present"),
            plugins.path().join("p/pipe"),
        );
        std::fs::create_dir(&present).expect("there is room");
        // No program makes it: another test of this process loses a supervisor, and what was not started by its launcher
        // is then taken for an orphan.
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).expect("there is room");
        let running = serving(&plugins, 256, 1).await;
        let stop = CancellationToken::new();
        let calls: Vec<_> = (0..CALLS)
            .map(|session| call(&running, session, stop.clone()))
            .collect();
        until("all are there at once", || files(&present) == CALLS).await;
        // Open in both directions, it does not wait for a reader; kept until all have been.
        let _writer = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&pipe)
            .expect("it is there");
        for call in calls {
            assert_eq!(call.await.expect("no panic"), Ok(()));
        }
        until("all is given back", || {
            running.catalog.load() == Load::default()
        })
        .await;
    });
}

#[test]
fn calls_that_compute_are_held_to_the_gate() {
    live(async {
        // Nothing here but what the shell does itself: each counts those that are there, itself included.
        let plugins = running(
            "cd \"$SMCP_PLUGIN_DIR\"; : > \"burning/$$\"; set -- burning/*; echo $# >> counted; i=0; \
             while [ $i -lt 20000 ]; do i=$((i+1)); done; set -- burning/*; echo $# >> counted; \
             exec rm \"burning/$$\"",
        );
        std::fs::create_dir(plugins.path().join("p/burning")).expect("there is room");
        let running = serving(&plugins, 256, 2).await;
        let calls: Vec<_> = (0..12)
            .map(|session| call(&running, session, CancellationToken::new()))
            .collect();
        for call in calls {
            assert_eq!(call.await.expect("no panic"), Ok(()));
        }
        let counted =
            std::fs::read_to_string(plugins.path().join("p/counted")).expect("it is there");
        let counted: HashSet<&str> = counted.lines().collect();
        assert!(
            counted.iter().all(|count| ["1", "2"].contains(count)),
            "{counted:?}"
        );
    });
}

#[test]
fn a_call_that_waits_for_its_turn_to_compute_can_be_cancelled() {
    live(async {
        let plugins = running(BURNS);
        let running = serving(&plugins, 8, 1).await;
        let (burns, waits) = (CancellationToken::new(), CancellationToken::new());
        let first = call(&running, 1, burns.clone());
        until("the first computes", || {
            running.catalog.load().computing == 1
        })
        .await;
        let second = call(&running, 2, waits.clone());
        until("the second waits", || running.catalog.load().waiting == 1).await;
        waits.cancel();
        assert_eq!(second.await.expect("no panic"), Err(CallError::Cancelled));
        burns.cancel();
        assert_eq!(first.await.expect("no panic"), Err(CallError::Cancelled));
        assert_eq!(running.catalog.load(), Load::default());
    });
}

#[test]
fn both_permits_come_back_however_a_call_ends() {
    live(async {
        for (script, ending) in [
            ("exit 0", Ok(())),
            ("exit 3", Err("plugin_error")),
            ("kill -9 $$", Err("plugin_error")),
            // The supervisor, from outside.
            (
                "sleep 0.5; kill -9 $PPID; while :; do :; done",
                Err("internal_error"),
            ),
            (BURNS, Err("timeout")),
        ] {
            let plugins = Plugins::new();
            let limit = if script == BURNS { 0.5 } else { 170.0 };
            let description = json!({"commands": [{"name": "run", "timeout": limit}]});
            plugins.describing("p", &description, script);
            let running = serving(&plugins, 8, 1).await;
            let ended = call(&running, 1, CancellationToken::new())
                .await
                .expect("no panic");
            assert_eq!(ended.map_err(|fault| fault.code()), ending, "{script}");
            until(script, || running.catalog.load() == Load::default()).await;
        }
    });
}

#[test]
fn a_program_that_cannot_be_started_gives_both_permits_back() {
    live(async {
        let plugins = running("exit");
        let running = serving(&plugins, 8, 1).await;
        let program = plugins.path().join("p/cli");
        std::fs::write(&program, "#!/nowhere\n").expect("it can be written");
        let ended = call(&running, 1, CancellationToken::new())
            .await
            .expect("no panic");
        assert_eq!(ended.expect_err("it has not run").code(), "spawn_failed");
        assert_eq!(running.catalog.load(), Load::default());
    });
}

#[test]
fn a_caller_who_leaves_gives_both_permits_back() {
    live(async {
        let plugins = running(BURNS);
        let running = serving(&plugins, 8, 1).await;
        let leaves = call(&running, 1, CancellationToken::new());
        until("it computes", || running.catalog.load().computing == 1).await;
        leaves.abort();
        until("all is given back", || {
            running.catalog.load() == Load::default()
        })
        .await;
    });
}

#[test]
fn a_call_that_waits_for_a_person_does_not_compute() {
    live(async {
        let plugins = running(&format!(
            "echo '{{\"ask\":{{\"k\":{{\"elicit\":{{\"message\":\"?\",\"requestedSchema\":{{\"type\":\"object\",\"properties\":{{}}}}}}}}}}}}' >&3; {BURNS}"
        ));
        let running = serving(&plugins, 8, 1).await;
        let (events, mut asked) = mpsc::channel(4);
        let cancel = CancellationToken::new();
        let asks = call_as(
            &running,
            CallRequest {
                events: Some(events),
                cancel: cancel.clone(),
                ..request(json!({}))
            },
        );
        let question = asked.recv().await.expect("it asks");
        assert!(matches!(question, Event::Ask { .. }), "{question:?}");
        let gives_back = || {
            running.catalog.load()
                == Load {
                    running: 1,
                    computing: 0,
                    waiting: 0,
                }
        };
        until("it gives back what it needs to compute", gives_back).await;
        cancel.cancel();
        assert_eq!(asks.await.expect("no panic"), Err(CallError::Cancelled));
    });
}

#[test]
fn what_a_program_leaves_behind_holds_no_permit_to_compute() {
    live(async {
        // It has no session of its own, so it is ended; it does not hear SIGTERM, so that takes a while.
        let plugins = running("(trap '' TERM; while :; do :; done) > /dev/null 2>&1 & echo ok");
        let running = serving(&plugins, 8, 1).await;
        let ended = call(&running, 1, CancellationToken::new())
            .await
            .expect("no panic");
        assert_eq!(ended, Ok(()));
        assert_eq!(running.catalog.load().computing, 0);
        until("it is ended", || running.catalog.load() == Load::default()).await;
    });
}
