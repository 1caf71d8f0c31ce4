//! Programs that fail or cannot be started.

use serde_json::json;

use smcp::catalog::Load;

use crate::catalog::{Plugins, Running, live, settings};

#[test]
fn a_program_that_reports_an_error_fails_with_it() {
    live(async {
        let running = Running::of(settings(None)).complete().await;
        let arguments = json!({"operation": "divide", "a": 1, "b": 0});
        let fault = running
            .call("demo_math__calculate", arguments)
            .await
            .expect_err("it cannot be divided");
        assert_eq!(
            (fault.code(), fault.to_string().as_str()),
            ("plugin_error", "division_by_zero")
        );
    });
}

#[test]
fn a_program_that_is_gone_or_was_replaced_fails_cleanly() {
    live(async {
        let plugins = Plugins::new();
        let description = json!({"commands": [{"name": "run"}]});
        plugins
            .describing("gone", &description, "")
            .describing("broken", &description, "");
        let running = plugins.start().complete().await;
        std::fs::remove_file(plugins.path().join("gone/cli")).expect("it is ours");
        plugins.write("broken/cli", "#!/nowhere/interpreter\n", 0o755);
        for tool in ["gone__run", "broken__run"] {
            let fault = running
                .call(tool, json!({}))
                .await
                .expect_err("it cannot start");
            assert_eq!(fault.code(), "spawn_failed", "{fault}");
        }
        assert_eq!(running.catalog.load(), Load::default());
    });
}
