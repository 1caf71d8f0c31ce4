//! How long a call may run, how many run at once, and how one ends that nobody waits for.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use smcp::call::types::{CallError, CallRequest, Caller};
use smcp::catalog::{Load, Settings};
use tokio_util::sync::CancellationToken;

use crate::catalog::{Plugins, Running, live, request, settings, until};

/// How many calls are in progress and wait.
fn load(running: &Running) -> (usize, usize) {
    let load = running.catalog.load();
    (load.running, load.waiting)
}

#[test]
fn a_run_ends_with_its_time_and_says_what_it_had_printed() {
    live(async {
        let plugins = Plugins::new();
        let description = json!({"commands": [{"name": "slow", "timeout": 3}]});
        plugins.describing("one", &description, "echo begun; exec sleep 1000");
        let running = plugins.start().complete().await;
        let fault = running
            .call("one__slow", json!({}))
            .await
            .expect_err("it is ended");
        assert_eq!(fault.code(), "timeout");
        assert!(fault.to_string().contains("begun"), "{fault}");
        assert_eq!(running.catalog.load(), Load::default());
    });
}

#[test]
fn a_result_keeps_its_permit_until_it_is_written() {
    live(async {
        let plugins = Plugins::new();
        let description = json!({"commands": [{"name": "say"}]});
        plugins.describing("one", &description, "echo said");
        let one_at_a_time = Settings {
            max_calls: 1,
            ..settings(Some(plugins.path().to_owned()))
        };
        let running = Arc::new(Running::of(one_at_a_time).complete().await);
        let held = running.call_as("one__say", request(json!({})));
        let held = held.await.expect("it says");
        let next = tokio::spawn({
            let running = Arc::clone(&running);
            async move { running.call("one__say", json!({})).await }
        });
        until("the next waits", || load(&running) == (1, 1)).await;
        drop(held);
        assert!(next.await.expect("no panic").is_ok());
        assert_eq!(
            running.catalog.load(),
            Load::default(),
            "its result is gone too"
        );
    });
}

#[test]
fn a_cancelled_call_is_over_whether_it_runs_or_waits() {
    live(async {
        let plugins = Plugins::new();
        plugins.describing(
            "one",
            &json!({"commands": [{"name": "slow"}]}),
            "exec sleep 1000",
        );
        let running = Arc::new(
            Running::of(Settings {
                max_calls: 1,
                ..settings(Some(plugins.path().to_owned()))
            })
            .complete()
            .await,
        );
        let (runs, waits) = (CancellationToken::new(), CancellationToken::new());
        let start = |cancel: CancellationToken| {
            let running = Arc::clone(&running);
            tokio::spawn(async move {
                running
                    .call_as(
                        "one__slow",
                        CallRequest {
                            cancel,
                            ..request(json!({}))
                        },
                    )
                    .await
            })
        };
        let first = start(runs.clone());
        until("the first runs", || load(&running) == (1, 0)).await;
        let second = start(waits.clone());
        until("the second waits", || load(&running) == (1, 1)).await;
        waits.cancel();
        assert_eq!(
            second.await.expect("no panic").expect_err("it never ran"),
            CallError::Cancelled
        );
        assert_eq!(load(&running), (1, 0));
        runs.cancel();
        assert_eq!(
            first.await.expect("no panic").expect_err("it was ended"),
            CallError::Cancelled
        );
        assert_eq!(running.catalog.load(), Load::default());
    });
}

#[test]
fn a_call_that_is_dropped_ends_its_program_and_then_gives_its_permit_back() {
    live(async {
        let plugins = Plugins::new();
        plugins.describing(
            "one",
            &json!({"commands": [{"name": "slow"}]}),
            "echo $$ > \"$SMCP_PLUGIN_DIR/fresh\"; mv \"$SMCP_PLUGIN_DIR/fresh\" \"$SMCP_PLUGIN_DIR/pid\"; exec sleep 1000",
        );
        let running = plugins.start().complete().await;
        let pid = plugins.path().join("one/pid");
        let tool = running
            .snapshot()
            .resolve("one__slow")
            .expect("it is there");
        {
            let call = running.catalog.call(&tool, request(json!({})));
            tokio::select! {
                _ = call => panic!("it sleeps"),
                () = until("it runs", || pid.exists()) => {}
            }
        }
        until("its permit is back", || load(&running) == (0, 0)).await;
        let pid = std::fs::read_to_string(pid).expect("it is written whole");
        let process = Path::new("/proc").join(pid.trim());
        assert!(!process.exists(), "a permit belongs to the processes");
    });
}

#[test]
fn a_commands_own_limit_holds_up_its_own_calls_alone() {
    live(async {
        let plugins = Plugins::new();
        let description =
            json!({"commands": [{"name": "one", "max_concurrency": 1}, {"name": "free"}]});
        plugins.describing("p", &description, "[ \"$1\" = free ] && exit; mkdir \"$SMCP_PLUGIN_DIR/busy\" || exit 1; sleep 0.2; rmdir \"$SMCP_PLUGIN_DIR/busy\"");
        let running = plugins.start().complete().await;
        let calls = (0..4).map(|_| running.call("p__one", json!({})));
        let (limited, free) = tokio::join!(
            futures_util::future::join_all(calls),
            running.call("p__free", json!({}))
        );
        assert!(limited.iter().all(Result::is_ok), "{limited:?}");
        assert!(free.is_ok());
    });
}

#[test]
fn more_calls_than_places_to_run_and_to_wait_are_refused() {
    live(async {
        let plugins = Plugins::new();
        plugins.describing(
            "one",
            &json!({"commands": [{"name": "slow"}]}),
            "exec sleep 1000",
        );
        let running = Arc::new(
            Running::of(Settings {
                max_calls: 1,
                ..settings(Some(plugins.path().to_owned()))
            })
            .complete()
            .await,
        );
        let stop = CancellationToken::new();
        let calls: Vec<_> = (0..257)
            .map(|_| {
                let (running, cancel) = (Arc::clone(&running), stop.clone());
                let caller = Caller {
                    session_id: "busy".to_owned(),
                    ..Caller::default()
                };
                tokio::spawn(async move {
                    running
                        .call_as(
                            "one__slow",
                            CallRequest {
                                cancel,
                                caller,
                                ..request(json!({}))
                            },
                        )
                        .await
                })
            })
            .collect();
        until("all wait", || load(&running) == (1, 256)).await;
        let caller = Caller {
            session_id: "busy".to_owned(),
            ..Caller::default()
        };
        let fault = running
            .call_as(
                "one__slow",
                CallRequest {
                    caller,
                    ..request(json!({}))
                },
            )
            .await
            .expect_err("no place");
        assert_eq!(fault.code(), "overloaded");
        stop.cancel();
        for call in calls {
            assert_eq!(
                call.await.expect("no panic").expect_err("it is cancelled"),
                CallError::Cancelled
            );
        }
    });
}
