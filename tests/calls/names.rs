//! The name by which a tool is called.

use serde_json::json;

use crate::catalog::{Plugins, live};

#[test]
fn older_spellings_of_a_name_are_understood_and_others_refused_with_their_code() {
    live(async {
        let plugins = Plugins::new();
        let described = |names: &[&str]| json!({"commands": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        plugins
            .describing("a", &described(&["b_c", "d"]), "")
            .describing("a_b", &described(&["c"]), "");
        let running = plugins.start().complete().await;
        let snapshot = running.snapshot();
        for (name, expected) in [
            ("a__d", "a__d"),
            ("a.d", "a__d"),
            ("a_d", "a__d"),
            ("a_b.c", "a_b__c"),
            ("a.b_c", "a__b_c"),
        ] {
            assert_eq!(
                snapshot.resolve(name).expect("it is known").name,
                expected,
                "{name}"
            );
        }
        for (name, code) in [
            ("a_b_c", "invalid_tool_name"),
            ("nonsense", "invalid_tool_name"),
            ("", "invalid_tool_name"),
            ("__", "invalid_tool_name"),
            ("nobody__run", "plugin_not_found"),
            ("nobody.run", "plugin_not_found"),
            ("a__missing", "command_not_found"),
            ("a.missing", "command_not_found"),
        ] {
            assert_eq!(
                snapshot.resolve(name).expect_err("it is unknown").code(),
                code,
                "{name}"
            );
        }
        let fault = snapshot
            .resolve("a__missing")
            .expect_err("it is unknown")
            .to_string();
        assert!(fault.contains("a__b_c, a__d"), "{fault}");
    });
}
