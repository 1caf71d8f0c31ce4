//! Descriptions and arguments of a size that nobody meant: refused with the reason, and nobody waits meanwhile.

use std::time::Duration;

use super::kit::{Plugins, Running, live};

/// How often something else was done while `work` was. Both are one task, as the clients of one event loop are.
async fn turns_during(work: impl Future<Output = ()>) -> usize {
    let mut turns = 0;
    let ticking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            turns += 1;
        }
    };
    tokio::select! {
        () = work => {}
        () = ticking => {}
    }
    turns
}

fn describing(plugins: &Plugins, name: &str, description: &str) {
    plugins.write(
        &format!("{name}/description.json"),
        description.as_bytes(),
        0o644,
    );
    let script = "#!/bin/sh\n[ \"$1\" = --describe ] && exec cat \"$SMCP_PLUGIN_DIR/description.json\"\necho \"$@\"\n";
    plugins.write(&format!("{name}/cli"), script.as_bytes(), 0o755);
}

fn reason(running: &Running, name: &str) -> String {
    let snapshot = running.snapshot();
    let found = snapshot.skipped.iter().find(|skipped| skipped.name == name);
    found
        .map(|skipped| skipped.reason.clone())
        .unwrap_or_default()
}

#[test]
fn a_description_with_too_many_parameters_or_faults_is_refused_in_words_that_can_be_read() {
    live(async {
        let plugins = Plugins::new();
        let parameters = vec!["{\"name\":\"a\"}"; 200_000].join(",");
        describing(
            &plugins,
            "many",
            &format!("{{\"commands\":[{{\"name\":\"run\",\"parameters\":[{parameters}]}}]}}"),
        );
        let commands = vec!["{\"name\":\"a b\"}"; 9_999].join(",");
        describing(
            &plugins,
            "faulty",
            &format!("{{\"commands\":[{commands}]}}"),
        );
        plugins.serving("good", "run", "fine");
        let running = plugins.start().complete().await;
        assert_eq!(running.names(), ["good__run"]);
        let many = reason(&running, "many");
        assert!(
            many.contains("commands[0].parameters has 200000 items; at most 10000 are read"),
            "{many}"
        );
        let faulty = reason(&running, "faulty");
        assert!(
            faulty.ends_with("and 9979 more") && faulty.len() < 3_000,
            "{faulty}"
        );
    });
}

#[test]
fn large_arguments_hold_up_nobody() {
    live(async {
        let plugins = Plugins::new();
        describing(
            &plugins,
            "open",
            "{\"commands\":[{\"name\":\"run\",\"parameters\":[{\"name\":\"v\",\"type\":\"array\",\"items\":{\"type\":\"integer\"}}]}]}",
        );
        let running = plugins.start().complete().await;
        let names: Vec<String> = (0..300_000).map(|n| format!("\"n{n}\":1")).collect();
        let zeros = format!("{{\"v\":[0.{}1e65601]}}", "0".repeat(65_600));
        let cases = [
            (10, format!("{{{}}}", names.join(","))),
            (
                10,
                format!("{{\"v\":[{}]}}", vec!["\"x\""; 1_000_000].join(",")),
            ),
            (0, zeros),
        ];
        for (least, arguments) in &cases {
            let mut answer = None;
            let called = async { answer = Some(running.call("open__run", arguments).await) };
            let turns = turns_during(called).await;
            assert!(turns >= *least, "{turns} turns for {}", &arguments[..40]);
            let text = format!("{:?}", answer.expect("it was called"));
            assert!(text.len() < 10_000, "{}", text.len());
        }
    });
}
