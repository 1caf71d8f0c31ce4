//! Programs whose help text lists the commands that their parser does not know as such.

use serde_json::json;

use super::asking::{fixture, python3};
use super::serving::served;
use crate::catalog::{Plugins, Running, live};

#[test]
fn commands_that_only_the_help_text_lists_are_served_by_the_names_that_version_3_gave_them() {
    live(async {
        let plugins = Plugins::new();
        let source = std::fs::read_to_string(fixture("lists_commands")).expect("it is there");
        plugins.python("service", &source);
        let running = served(plugins.path(), python3()).await;
        assert_eq!(
            tools(&running, "service"),
            ["service__status", "service__restart"]
        );
        for (given, said) in [
            (json!({"arguments": ["web"]}), "restart web, forced: False"),
            (json!({"force": true}), "restart all, forced: True"),
        ] {
            assert_eq!(running.text("service__restart", given).await.trim(), said);
        }
    });
}

#[test]
fn a_title_that_lists_nothing_leaves_the_parser_as_it_was_read() {
    live(async {
        let plugins = Plugins::new();
        let source = "import argparse\nparser = argparse.ArgumentParser(epilog='Available commands:')\n\
                parser.add_argument('--name', required=True)\nparser.parse_args()\n";
        plugins.python("bare", source);
        let running = served(plugins.path(), python3()).await;
        assert_eq!(tools(&running, "bare"), ["bare__bare"]);
        let refused = running
            .call("bare__bare", json!({}))
            .await
            .expect_err("it is required");
        assert!(format!("{refused:?}").contains("name"), "{refused:?}");
    });
}

#[test]
fn a_parser_with_sub_commands_needs_no_listing() {
    live(async {
        let plugins = Plugins::new();
        let source = "import argparse\nraw = argparse.RawDescriptionHelpFormatter\n\
                parser = argparse.ArgumentParser(epilog='Available commands:\\n  old  gone\\n', formatter_class=raw)\n\
                parser.add_subparsers().add_parser('go').add_argument('--fast')\nparser.parse_args()\n";
        plugins.python("real", source);
        let running = served(plugins.path(), python3()).await;
        assert_eq!(tools(&running, "real"), ["real__go"]);
    });
}

/// The tools of one plugin.
fn tools(running: &Running, plugin: &str) -> Vec<String> {
    let prefix = format!("{plugin}__");
    let names = running.names().into_iter();
    names.filter(|name| name.starts_with(&prefix)).collect()
}
