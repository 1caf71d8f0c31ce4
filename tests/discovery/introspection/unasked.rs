//! No program is run with a question that it does not know, but under the guard.

use super::asking::python3;
use super::serving::served;
use crate::catalog::{Plugins, live};

#[test]
fn a_program_that_ignores_the_question_does_no_work_when_it_is_asked() {
    live(async {
        let plugins = Plugins::new();
        let worker = "try:\n    open(__file__ + '.made', 'w')\nexcept OSError:\n    pass\n";
        plugins.python("silent", worker);
        let helpful = format!("print('Usage: tool FILE')\n{worker}");
        plugins.python("helpful", &helpful);
        let remark = format!("# --describe is not known here\n{worker}");
        plugins.python("remark", &remark);
        plugins.write("script/cli", "#!/bin/sh\ntouch \"$0.made\"\n", 0o755);
        let running = served(plugins.path(), python3()).await;
        for made in [
            "silent/cli.py",
            "helpful/cli.py",
            "remark/cli.py",
            "script/cli",
        ] {
            let made = plugins.path().join(format!("{made}.made"));
            assert!(!made.exists(), "{} was made", made.display());
        }
        assert!(
            running.snapshot().resolve("helpful__helpful").is_ok(),
            "its help text was read"
        );
        let reason = running.skipped("script");
        assert!(
            reason.contains("has neither --describe nor --help"),
            "{reason}"
        );
        for name in ["silent", "remark"] {
            assert_ne!(running.skipped(name), "");
        }
    });
}

#[test]
fn a_program_that_knows_the_question_without_the_word_describes_itself() {
    live(async {
        let plugins = Plugins::new();
        let text = "import sys\nif sys.argv[1:] == ['--' + 'describe']:\n    \
                print('{\"commands\": [{\"name\": \"go\", \"parameters\": []}]}')\n";
        plugins.python("taught", text);
        let running = served(plugins.path(), python3()).await;
        assert!(running.snapshot().resolve("taught__go").is_ok());
    });
}

#[test]
fn the_pages_of_commands_are_read_under_the_guard_as_well() {
    live(async {
        let plugins = Plugins::new();
        let text = "import sys\nif sys.argv[1] == 'go':\n    print('Usage: tool go\\n\\nOptions:\\n  --fast  hurry')\n    \
                open(__file__ + '.made', 'w')\nelse:\n    print('Commands:\\n  go  Go\\n\\nOptions:\\n  -h, --help')\n";
        plugins.python("pages", text);
        let running = served(plugins.path(), python3()).await;
        assert!(running.snapshot().resolve("pages__go").is_ok());
        assert!(
            !plugins.path().join("pages/cli.py.made").exists(),
            "it went"
        );
    });
}
