//! Plugins that change while they are served.

use std::time::Duration;

use super::kit::{Plugins, Running, live};

#[test]
fn a_plugin_that_can_no_longer_be_described_is_served_as_before() {
    live(async {
        let plugins = Plugins::new();
        plugins.serving("one", "run", "fine");
        let running = plugins.start().complete().await;
        plugins.write(
            "one/cli",
            b"#!/bin/sh\n[ \"$1\" = run ] && exec echo fine\n# It knew --describe once.\n[ \"$1\" = --describe ] && exit 1\n",
            0o755,
        );
        running.reload().await;
        assert_eq!(running.names(), ["one__run"]);
        assert!(
            running.warnings().contains("exited with status 1"),
            "{}",
            running.warnings()
        );
        assert_eq!(running.call("one__run", "{}").await.as_deref(), Ok("fine"));
        running.reload().await;
        assert_eq!(
            running.snapshot().plugins[0].warnings.len(),
            1,
            "it does not grow"
        );
        plugins.serving("one", "fresh", "fine");
        running.reload().await;
        assert_eq!(running.names(), ["one__fresh"]);
        assert_eq!(running.warnings(), "");
    });
}

#[test]
fn a_plugin_whose_program_is_gone_is_no_longer_served() {
    live(async {
        let plugins = Plugins::new();
        plugins.serving("one", "run", "fine");
        let running = plugins.start().complete().await;
        std::fs::remove_dir_all(plugins.path().join("one")).expect("it is ours");
        let fault = running
            .call("one__run", "{}")
            .await
            .expect_err("it is gone");
        assert_eq!(fault.code(), "spawn_failed", "{fault}");
        assert_eq!(running.names(), Vec::<String>::new());
    });
}

#[test]
fn a_program_that_became_a_pipe_fails_at_once() {
    live(async {
        let source = "import json, sys\nif sys.argv[1:] == ['--describe']: print(json.dumps({'commands': [{'name': 'run'}]}))\n";
        for (tool, path) in [
            ("python__run", "python/cli.py"),
            ("shell__run", "shell/cli"),
        ] {
            // A catalogue each: the call of a file that is gone has the others looked at again.
            let plugins = Plugins::new();
            plugins.write("python/cli.py", source.as_bytes(), 0o644);
            plugins.serving("shell", "run", "fine");
            let running = plugins.start().complete().await;
            let path = plugins.path().join(path);
            std::fs::remove_file(&path).expect("it is ours");
            let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
            rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).expect("there is room");
            let call =
                tokio::time::timeout(Duration::from_secs(30), running.call(tool, "{}")).await;
            let fault = call
                .expect("nobody waits for a writer")
                .expect_err("it is a pipe");
            assert!(fault.to_string().contains("is a pipe"), "{fault}");
        }
    });
}

#[test]
fn an_interpreter_behind_a_shim_that_goes_is_found_again() {
    live(async {
        let plugins = Plugins::new();
        let source = "import json, sys\nif sys.argv[1:] == ['--describe']: print(json.dumps({'commands': [{'name': 'run'}]}))\nelse: print(sys.executable)\n";
        plugins.write("own/cli.py", source.as_bytes(), 0o644);
        let shim = |interpreter: &str| {
            let python = plugins.path().join(interpreter);
            // A program of its own, so that it is one that can go.
            let script = format!("#!/bin/sh\nexec {} \"$@\"\n", python.display());
            plugins.write("own/.venv/bin/python", script.as_bytes(), 0o755);
            python.display().to_string()
        };
        let python = std::process::Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .expect("Python 3 is installed");
        let python = String::from_utf8(python.stdout).expect("a path");
        for name in ["first", "second"] {
            std::os::unix::fs::symlink(python.trim(), plugins.path().join(name))
                .expect("there is room");
        }
        let first = shim("first");
        let running = plugins.start().complete().await;
        assert_eq!(running.call("own__run", "{}").await, Ok(first.clone()));
        std::fs::remove_file(&first).expect("it is ours");
        let second = shim("second");
        assert_eq!(running.call("own__run", "{}").await, Ok(second));
    });
}

#[test]
fn plugins_find_the_same_variables_whenever_they_are_asked() {
    live(async {
        let plugins = Plugins::new();
        let naming = |ending: &str| {
            let text = format!(
                "#!/bin/sh\n[ \"$1\" = --describe ] && exec echo \"{{\\\"commands\\\":[{{\\\"name\\\":\\\"${{FOUND:?}}{ending}\\\"}}]}}\"\n"
            );
            plugins.write("one/cli", text.as_bytes(), 0o755);
        };
        naming("");
        let directory = Some(plugins.path().to_owned());
        let running = Running::with(directory, &[("FOUND", "here")])
            .complete()
            .await;
        assert_eq!(running.names(), ["one__here"]);
        naming("_again");
        running.reload().await;
        assert_eq!(running.names(), ["one__here_again"]);
    });
}
