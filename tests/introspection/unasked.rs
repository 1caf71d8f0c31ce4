//! No program is run with a question that it does not know, but under the guard.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::asking::python3;
use crate::serving::Served;

fn plugin(plugins: &Path, name: &str, file: &str, text: &str) {
    let directory = plugins.join(name);
    std::fs::create_dir(&directory).expect("the directory is new");
    std::fs::write(directory.join(file), text).expect("the directory is ours");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.join(file), mode).expect("it is ours");
}

#[tokio::test]
async fn a_program_that_ignores_the_question_does_no_work_when_it_is_asked() {
    let plugins = tempfile::tempdir().expect("there is room for small files");
    let worker = "try:\n    open(__file__ + '.made', 'w')\nexcept OSError:\n    pass\n";
    plugin(plugins.path(), "silent", "cli.py", worker);
    let helpful = format!("print('Usage: tool FILE')\n{worker}");
    plugin(plugins.path(), "helpful", "cli.py", &helpful);
    let remark = format!("# --describe is not known here\n{worker}");
    plugin(plugins.path(), "remark", "cli.py", &remark);
    plugin(
        plugins.path(),
        "script",
        "cli",
        "#!/bin/sh\ntouch \"$0.made\"\n",
    );
    let served = Served::start(plugins.path(), python3()).await;
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
        served.snapshot.resolve("helpful__helpful").is_ok(),
        "its help text was read"
    );
    let reason = served.reason_for("script").expect("it is skipped");
    assert!(
        reason.contains("looks at neither --describe nor --help"),
        "{reason}"
    );
    assert!(served.reason_for("silent").is_some() && served.reason_for("remark").is_some());
}

#[tokio::test]
async fn a_program_that_knows_the_question_without_the_word_describes_itself() {
    let plugins = tempfile::tempdir().expect("there is room for small files");
    let text = "import sys\nif sys.argv[1:] == ['--' + 'describe']:\n    \
                print('{\"commands\": [{\"name\": \"go\", \"parameters\": []}]}')\n";
    plugin(plugins.path(), "taught", "cli.py", text);
    let served = Served::start(plugins.path(), python3()).await;
    assert!(
        served.snapshot.resolve("taught__go").is_ok(),
        "{:?}",
        served.reason_for("taught")
    );
}

#[tokio::test]
async fn the_pages_of_commands_are_read_under_the_guard_as_well() {
    let plugins = tempfile::tempdir().expect("there is room for small files");
    let text = "import sys\nif sys.argv[1] == 'go':\n    print('Usage: tool go\\n\\nOptions:\\n  --fast  hurry')\n    \
                open(__file__ + '.made', 'w')\nelse:\n    print('Commands:\\n  go  Go\\n\\nOptions:\\n  -h, --help')\n";
    plugin(plugins.path(), "pages", "cli.py", text);
    let served = Served::start(plugins.path(), python3()).await;
    assert!(served.snapshot.resolve("pages__go").is_ok());
    assert!(
        !plugins.path().join("pages/cli.py.made").exists(),
        "it went"
    );
}
