//! Plugins that do not answer, and those that do not wait for them.

use std::time::Duration;

use serde_json::json;
use smcp::catalog::Settings;

use crate::catalog::{PRINT_WORDS, Plugins, Running, live, settings};

#[test]
fn a_plugin_without_a_proper_answer_is_skipped_with_the_reason() {
    live(async {
        let plugins = Plugins::new();
        plugins
            .shell("hangs", "exec sleep 1000")
            .shell("floods", "exec yes '{\"commands\":'")
            .shell("dies", "kill -SEGV $$")
            .shell("silent", "exit 0");
        let running = Running::of(Settings {
            // Long enough for those that answer, on a busy machine too.
            describe_limit: Duration::from_secs(15),
            ..settings(Some(plugins.path().to_owned()))
        });
        let running = running.complete().await;
        for (name, expected) in [
            ("hangs", "--describe had no answer within 15 s"),
            ("floods", "--describe printed more than 4194304 bytes"),
            ("dies", "--describe was ended by signal 11"),
            ("silent", "--describe printed no JSON"),
        ] {
            let reason = running.skipped(name);
            assert!(reason.contains(expected), "{name}: {reason}");
        }
    });
}

#[test]
fn a_plugin_that_hangs_holds_up_none_that_answers() {
    live(async {
        let plugins = Plugins::new();
        plugins.shell("hangs", "exec sleep 1000");
        for index in 0..6 {
            plugins.describing(
                &format!("good_{index}"),
                &json!({"commands": [{"name": "run"}]}),
                PRINT_WORDS,
            );
        }
        let running = plugins.start();
        let mut changes = running.catalog.changes();
        while running.snapshot().tools.len() < 6 {
            changes.changed().await.expect("the catalogue lives");
        }
        assert!(
            !running.snapshot().complete,
            "a plugin that hangs is still being asked"
        );
    });
}

/// Takes seven seconds: more programs hang than are asked at once, and the first of them keep their places for a while.
#[test]
fn many_plugins_that_hang_hold_up_none_that_answers() {
    live(async {
        let plugins = Plugins::new();
        for index in 0..20 {
            plugins.shell(&format!("a_hangs_{index:02}"), "exec sleep 1000");
            plugins.describing(
                &format!("b_good_{index:02}"),
                &json!({"commands": [{"name": "run"}]}),
                "",
            );
        }
        let limit = Duration::from_secs(25);
        let running = Running::of(Settings {
            describe_limit: limit,
            ..settings(Some(plugins.path().to_owned()))
        });
        let mut changes = running.catalog.changes();
        let all_good = async {
            while running.snapshot().tools.len() < 20 {
                changes.changed().await.expect("the catalogue lives");
            }
        };
        tokio::time::timeout(limit, all_good)
            .await
            .expect("before the first of those that hang is given up");
    });
}
