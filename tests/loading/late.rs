//! Plugins that do not answer in time, as on a machine that has just been started, or are still being written.

use std::time::Duration;

use smcp::catalog::Settings;

use super::kit::{Plugins, Running, live, until};

#[test]
fn a_plugin_that_was_late_is_asked_once_more_and_served() {
    live(async {
        let plugins = Plugins::new();
        // Beside the plugin: what changes in its directory would be a reason of its own to ask it.
        let notes = tempfile::tempdir().expect("there is room");
        let asked = notes.path().join("asked");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --describe ] || exit 1\n[ -e '{0}' ] || {{ : > '{0}'; exec sleep 1000; }}\n\
             exec echo '{{\"commands\":[{{\"name\":\"run\"}}]}}'\n",
            asked.display()
        );
        plugins.write("late/cli", script.as_bytes(), 0o755);
        plugins.serving("other", "run", "fine");
        let running = Running::of_settings(
            Settings {
                describe_limit: Duration::from_secs(6),
                ..Running::settings(Some(plugins.path().to_owned()))
            },
            &[],
        );
        let running = running.complete().await;
        let skipped = running.snapshot().skipped.clone();
        let reasons: Vec<&str> = skipped
            .iter()
            .map(|plugin| plugin.reason.as_str())
            .collect();
        assert_eq!(reasons, ["--describe had no answer within 6 s"]);
        let mut changes = running.catalog.changes();
        let served = async {
            while running.names() != ["late__run", "other__run"] {
                changes.changed().await.expect("the catalogue lives");
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(60), served).await;
        in_time.expect("it is asked again, and served");
        assert!(running.snapshot().skipped.is_empty());
    });
}

#[test]
fn a_plugin_that_is_still_being_written_is_served_when_it_is_closed() {
    live(async {
        let plugins = Plugins::new();
        plugins.serving("one", "run", "fine");
        let program = plugins.path().join("one/cli");
        let writing = std::fs::File::options().append(true).open(&program);
        let writing = writing.expect("it is ours");
        let running = plugins.start().complete().await;
        let skipped = running.snapshot().skipped.clone();
        assert!(
            skipped.len() == 1 && skipped[0].reason.contains("open for writing"),
            "{skipped:?}"
        );
        drop(writing);
        until("it is served", || running.names() == ["one__run"]).await;
        assert_eq!(running.call("one__run", "{}").await.as_deref(), Ok("fine"));
    });
}
