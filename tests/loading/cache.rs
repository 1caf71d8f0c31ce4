//! Descriptions that are kept from one start to the next: what makes a plugin be asked again, and what is never kept.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use smcp::catalog::Settings;
use smcp::catalog::cache::{self, Usage};

use super::kit::{Plugins, Running, live, until};

/// A plugins directory, and a directory with the cache and with a book in which plugins write that they were asked.
struct Kept {
    plugins: Plugins,
    place: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Kept {
    fn new() -> Self {
        Self {
            plugins: Plugins::new(),
            place: tempfile::tempdir().expect("there is room"),
            variables: Vec::new(),
        }
    }

    /// With a plugin `one`, which serves `run`, or what a file outside its own directory says.
    fn with_one() -> Self {
        let kept = Self::new();
        let script = "#!/bin/sh\n\
            if [ \"$1\" = --describe ]; then\n\
            echo asked >> \"$BOOK/asked\"\n\
            if [ -e \"$BOOK/says\" ]; then exec cat \"$BOOK/says\"; fi\n\
            exec echo '{\"commands\":[{\"name\":\"run\",\"description\":\"runs\"}]}'\n\
            fi\n\
            echo fine\n";
        kept.plugins.write("one/cli", script.as_bytes(), 0o755);
        kept
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// How often `one` was asked by now.
    fn asked(&self) -> usize {
        let book = std::fs::read_to_string(self.at("asked"));
        book.map_or(0, |book| book.lines().count())
    }

    /// What `one` says from now on, although none of its own files changes.
    fn says(&self, text: &str) {
        std::fs::write(self.at("says"), text).expect("there is room");
    }

    /// Lets `one` wait with its answers until it is [told](Self::tell) what to say.
    fn holds_answers(&self) {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, self.at("says"), kind, mode, 0)
            .expect("there is room");
    }

    /// What `one` says once that is waiting.
    async fn tell(&self, text: &'static str) {
        let pipe = self.at("says");
        let telling = tokio::task::spawn_blocking(move || std::fs::write(pipe, text));
        let told = tokio::time::timeout(Duration::from_secs(60), telling).await;
        told.expect("it is asked")
            .unwrap()
            .expect("it waits for it");
    }

    fn entries(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.at("smcp/descriptions"));
        let entries = entries.into_iter().flatten();
        entries
            .map(|entry| entry.expect("it is there").path())
            .collect()
    }

    fn only_entry(&self) -> PathBuf {
        let [entry] = self.entries().try_into().expect("there is one");
        entry
    }

    fn settings(&self, usage: Usage) -> Settings {
        let mut settings = Running::settings(Some(self.plugins.path().to_owned()));
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        settings.environment.extend(variables);
        let book = ("BOOK".into(), self.place.path().into());
        settings.environment.push(book);
        settings.cache = Some(cache::Settings {
            directory: self.at("smcp"),
            is_named: true,
            usage,
        });
        settings
    }

    async fn start(&self, usage: Usage) -> Running {
        let running = Running::of_settings(self.settings(usage), &[]);
        running.complete().await
    }

    /// Starts, and says whether `one` was asked for that.
    async fn asks(&self) -> bool {
        let before = self.asked();
        self.start(Usage::Serve).await;
        self.asked() > before
    }
}

fn definitions(running: &Running) -> Vec<String> {
    let snapshot = running.snapshot();
    let tools = snapshot.tools.iter();
    tools.map(|tool| tool.definition.get().to_owned()).collect()
}

#[test]
fn an_unchanged_plugin_is_not_asked_at_the_next_start_and_is_served_as_before() {
    live(async {
        let kept = Kept::with_one();
        let first = kept.start(Usage::Serve).await;
        assert_eq!((kept.asked(), first.snapshot().recalled), (1, 0));
        let second = kept.start(Usage::Serve).await;
        assert_eq!((kept.asked(), second.snapshot().recalled), (1, 1));
        assert_eq!(definitions(&second), definitions(&first));
        assert_eq!(first.snapshot().plugins, second.snapshot().plugins);
        assert_eq!(second.call("one__run", "{}").await.as_deref(), Ok("fine"));
    });
}

#[test]
fn a_plugin_is_asked_again_when_anything_has_changed_that_files_or_variables_show() {
    live(async {
        let mut kept = Kept::with_one();
        let one = kept.plugins.path().join("one");
        let outside = tempfile::tempdir().expect("there is room");
        let shared = outside.path().join("shared.txt");
        std::fs::write(&shared, "a").unwrap();
        symlink(outside.path(), one.join("linked")).unwrap();
        kept.plugins.write("one/data/table.txt", b"a", 0o644);
        assert!(kept.asks().await);
        assert!(!kept.asks().await);
        let (table, new) = (one.join("data/table.txt"), one.join("data/new.txt"));
        let (hidden, program) = (one.join(".env"), one.join("cli"));
        let changes: [(&str, &dyn Fn()); 7] = [
            ("a file", &|| std::fs::write(&table, "longer").unwrap()),
            ("a new file", &|| std::fs::write(&new, "x").unwrap()),
            ("a hidden file", &|| std::fs::write(&hidden, "x").unwrap()),
            ("a file behind a link", &|| {
                std::fs::write(&shared, "longer").unwrap()
            }),
            ("a file gone", &|| std::fs::remove_file(&new).unwrap()),
            ("a mode", &|| {
                std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
            }),
            ("as many bytes with the old time", &|| {
                let before = std::fs::metadata(&table).unwrap().modified().unwrap();
                std::fs::write(&table, "LONGER").unwrap();
                let file = std::fs::File::options().write(true).open(&table).unwrap();
                file.set_modified(before).unwrap();
            }),
        ];
        for (what, change) in changes {
            change();
            assert!(kept.asks().await, "{what}");
            assert!(!kept.asks().await, "{what}, a second time");
        }
        kept.variables.push(("TOKEN".into(), "hunter-2".into()));
        assert!(kept.asks().await, "a variable");
        assert!(!kept.asks().await);
        for entry in kept.entries() {
            let text = std::fs::read_to_string(&entry).unwrap();
            assert!(!text.contains("hunter-2"), "a secret in {text}");
        }
        kept.variables.clear();
        assert!(!kept.asks().await, "what was before is known still");
    });
}

#[test]
fn what_running_a_program_leaves_and_what_each_start_brings_does_not_count() {
    live(async {
        let mut kept = Kept::with_one();
        assert!(kept.asks().await);
        for path in ["__pycache__/cli.pyc", ".git/index", "venv/lib/x.py"] {
            let path = format!("one/{path}");
            kept.plugins.write(&path, b"x", 0o644);
            assert!(!kept.asks().await, "{path}");
        }
        for name in ["INVOCATION_ID", "SHLVL", "SSH_TTY", "_"] {
            kept.variables.push((name.into(), "new".into()));
            assert!(!kept.asks().await, "{name}");
        }
    });
}

#[test]
fn an_installed_package_and_another_interpreter_have_python_plugins_asked_again() {
    live(async {
        let kept = Kept::new();
        let source = "import json, os, sys\n\
            if sys.argv[1:] == ['--describe']:\n    \
            open(os.environ['BOOK'] + '/asked', 'a').write('asked\\n')\n    \
            print(json.dumps({'commands': [{'name': 'run'}]}))\n";
        kept.plugins.write("one/cli.py", source.as_bytes(), 0o644);
        let real = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable, end='')"])
            .output()
            .expect("there is a Python");
        let real = String::from_utf8(real.stdout).expect("it is a path");
        let environment = kept.plugins.path().join("one/.venv");
        let packages = environment.join("lib/python3.99/site-packages");
        let python = environment.join("bin/python");
        std::fs::create_dir_all(&packages).unwrap();
        std::fs::create_dir_all(environment.join("bin")).unwrap();
        symlink(&real, &python).unwrap();
        assert!(kept.asks().await);
        assert!(!kept.asks().await);
        std::fs::create_dir(packages.join("click-9.dist-info")).unwrap();
        assert!(kept.asks().await, "a package was installed");
        assert!(!kept.asks().await);
        let script = format!("#!/bin/sh\nexec {real} \"$@\"\n");
        let shim = "one/.venv/bin/python";
        kept.plugins.write(shim, script.as_bytes(), 0o755);
        assert!(kept.asks().await, "the interpreter is another");
        assert!(!kept.asks().await);
        let interpreter = |running: &Running| running.snapshot().plugins[0].interpreter.clone();
        let running = kept.start(Usage::Serve).await;
        until("what is behind the shim is known", || {
            interpreter(&running) == Path::new(&real)
        })
        .await;
    });
}

#[test]
fn a_server_asks_again_after_its_start_and_serves_what_is_said_now() {
    live(async {
        let kept = Kept::with_one();
        kept.start(Usage::Serve).await;
        kept.holds_answers();
        let running = kept.start(Usage::Serve).await;
        assert_eq!(running.names(), ["one__run"], "at once, as it was");
        assert_eq!(running.snapshot().recalled, 1);
        kept.tell(r#"{"commands":[{"name":"fresh"}]}"#).await;
        until("the new description is served", || {
            running.names() == ["one__fresh"]
        })
        .await;
        assert_eq!(running.snapshot().recalled, 0);
        assert_eq!(kept.asked(), 2);
        drop(running);
        let next = kept.start(Usage::Serve).await;
        assert_eq!(next.names(), ["one__fresh"], "it was kept");
        assert_eq!(kept.asked(), 2);
    });
}

#[test]
fn a_plugin_that_says_the_same_after_the_start_changes_nothing_for_clients() {
    live(async {
        let kept = Kept::with_one();
        kept.start(Usage::Serve).await;
        let running = kept.start(Usage::Serve).await;
        let before = *running.catalog.changes().borrow();
        let tool = running.snapshot().resolve("one__run").unwrap();
        until("it was asked again", || running.snapshot().recalled == 0).await;
        assert_eq!(kept.asked(), 2);
        assert_eq!(*running.catalog.changes().borrow(), before);
        let now = running.snapshot().resolve("one__run").unwrap();
        assert!(std::sync::Arc::ptr_eq(&tool, &now), "nothing is built anew");
    });
}

#[test]
fn a_plugin_that_fails_after_the_start_is_served_with_a_warning_and_unknown_at_the_next() {
    live(async {
        let kept = Kept::with_one();
        kept.start(Usage::Serve).await;
        kept.says("no JSON");
        let running = kept.start(Usage::Serve).await;
        until("a warning", || {
            running.warnings().contains("served as before")
        })
        .await;
        assert_eq!(running.names(), ["one__run"]);
        assert_eq!(kept.entries(), Vec::<PathBuf>::new());
        drop(running);
        let next = kept.start(Usage::Serve).await;
        assert_eq!(next.names(), Vec::<String>::new());
        assert_eq!(kept.entries(), Vec::<PathBuf>::new(), "no answer, no entry");
    });
}

#[test]
fn whoever_asks_for_a_reload_hears_what_plugins_say_now() {
    live(async {
        let kept = Kept::with_one();
        kept.start(Usage::Serve).await;
        let running = kept.start(Usage::Serve).await;
        assert_eq!(kept.asked(), 1);
        kept.says(r#"{"commands":[{"name":"fresh"}]}"#);
        running.reload().await;
        assert_eq!(running.names(), ["one__fresh"]);
        assert_eq!(running.snapshot().recalled, 0);
    });
}

#[test]
fn a_description_that_breaks_the_contract_is_asked_for_at_each_start() {
    live(async {
        let kept = Kept::with_one();
        kept.says(r#"{"contract_version":"9","commands":[]}"#);
        let first = kept.start(Usage::Serve).await.snapshot().skipped.clone();
        assert!(first[0].reason.contains("breaks the contract"), "{first:?}");
        kept.says(r#"{"commands":[{"name":"fresh"}]}"#);
        let second = kept.start(Usage::Serve).await;
        assert_eq!(second.names(), ["one__fresh"]);
    });
}

#[test]
fn an_answer_that_shows_a_variable_is_not_kept() {
    live(async {
        let mut kept = Kept::with_one();
        kept.variables
            .push(("TOKEN".into(), "sk-\"hunter\"-2".into()));
        kept.says(r#"{"commands":[{"name":"run","description":"uses sk-\"hunter\"-2"}]}"#);
        assert!(kept.asks().await);
        assert!(kept.asks().await);
        assert_eq!(kept.entries(), Vec::<PathBuf>::new());
        kept.says(r#"{"commands":[{"name":"run","description":"uses a token"}]}"#);
        assert!(kept.asks().await);
        assert!(!kept.asks().await);
    });
}

#[test]
fn arguments_are_refused_only_by_what_a_plugin_says_now() {
    live(async {
        let kept = Kept::with_one();
        let taking = |name: &str| {
            format!(
                r#"{{"commands":[{{"name":"run","parameters":[{{"name":"{name}","type":"string"}}]}}]}}"#
            )
        };
        kept.says(&taking("before"));
        kept.start(Usage::Serve).await;
        kept.says(&taking("after"));
        let running = kept.start(Usage::Serve).await;
        let answer = running.call("one__run", r#"{"after":"x"}"#).await;
        assert_eq!(answer.as_deref(), Ok("fine"));
        let refused = running.call("one__run", r#"{"before":"x"}"#).await;
        assert!(refused.is_err(), "{refused:?}");
    });
}

#[test]
fn an_answer_that_was_cut_short_by_time_is_not_kept() {
    live(async {
        let kept = Kept::new();
        // Its pages are asked for one by one, and that of `slow` never comes.
        let script = "#!/bin/sh\n\
            # knows --help\n\
            echo asked >> \"$BOOK/asked\"\n\
            case \"$1\" in\n\
            slow) exec sleep 600;;\n\
            --help) printf 'usage: one [-h] {quick,slow} ...\\n\\npositional arguments:\\n  {quick,slow}\\n    quick       is quick\\n    slow        is slow\\n\\noptions:\\n  -h, --help  show this help message and exit\\n';;\n\
            *) printf 'usage: one quick [-h]\\n\\noptions:\\n  -h, --help  show this help message and exit\\n';;\n\
            esac\n";
        kept.plugins.write("one/cli", script.as_bytes(), 0o755);
        let mut settings = kept.settings(Usage::Serve);
        // Long enough for the pages that come, on a busy machine too.
        settings.describe_limit = Duration::from_secs(15);
        let running = Running::of_settings(settings, &[]).complete().await;
        assert_eq!(running.names(), ["one__quick", "one__slow"]);
        assert!(kept.asked() >= 3, "its pages were asked for");
        assert_eq!(kept.entries(), Vec::<PathBuf>::new());
    });
}

#[test]
fn a_kept_file_that_is_broken_is_ignored_and_replaced() {
    live(async {
        let kept = Kept::with_one();
        assert!(kept.asks().await);
        let entry = kept.only_entry();
        let whole = std::fs::read(&entry).unwrap();
        let line = whole.iter().position(|byte| *byte == b'\n').unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let broken: [(&str, Vec<u8>); 5] = [
            ("empty", Vec::new()),
            ("cut short", whole[..whole.len() - 1].to_vec()),
            ("the first line alone", whole[..=line].to_vec()),
            ("one bit is another", flipped),
            ("no text", vec![0xff; 100]),
        ];
        for (what, bytes) in broken {
            std::fs::write(&entry, bytes).unwrap();
            assert!(kept.asks().await, "{what}");
            assert_eq!(std::fs::read(&entry).unwrap(), whole, "{what}: replaced");
            assert!(!kept.asks().await, "{what}");
        }
        std::fs::set_permissions(&entry, PermissionsExt::from_mode(0o666)).unwrap();
        assert!(kept.asks().await, "anybody may have written it");
        assert!(!kept.asks().await);
    });
}

/// A kept file as somebody would forge it who knows its form.
fn forge(entry: &Path, payload: &str) {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(payload);
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let of = entry.file_stem().unwrap().to_str().unwrap();
    let head = serde_json::json!({
        "of": of, "source": "describe", "warning": "\u{1b}[31mred", "sha256": digits
    });
    std::fs::write(entry, format!("{head}\n{payload}")).unwrap();
}

#[test]
fn what_is_kept_is_held_to_the_contract_as_if_the_plugin_had_printed_it() {
    live(async {
        let kept = Kept::with_one();
        assert!(kept.asks().await);
        let entry = kept.only_entry();
        for payload in [
            r#"{"contract_version":"9","commands":[]}"#,
            r#"{"commands":{}}"#,
            "[]",
            r#"{"contract_version":"1.1","commands":[{"name":"run","input_schema":{"type":7}}]}"#,
        ] {
            forge(&entry, payload);
            assert!(kept.asks().await, "{payload}");
        }
        forge(&entry, &"[".repeat(100_000));
        assert!(kept.asks().await, "too deep to be read");
        forge(&entry, r#"{"commands":[{"name":"forged"}]}"#);
        let command = kept.start(Usage::Serve).await;
        assert_eq!(command.names(), ["one__forged"]);
        assert_eq!(command.warnings(), "red", "without what steers a terminal");
        let running = kept.start(Usage::Serve).await;
        until("the plugin's own word counts", || {
            running.names() == ["one__run"]
        })
        .await;
    });
}

#[test]
fn a_server_uses_no_description_that_nobody_has_renewed_for_a_month() {
    live(async {
        let kept = Kept::with_one();
        assert!(kept.asks().await);
        let entry = kept.only_entry();
        let age_by_days = |days: u64| {
            let file = std::fs::File::options().write(true).open(&entry).unwrap();
            let age = Duration::from_secs(days * 24 * 60 * 60);
            file.set_modified(SystemTime::now() - age).unwrap();
        };
        age_by_days(29);
        let running = kept.start(Usage::Serve).await;
        until("it was asked again", || running.snapshot().recalled == 0).await;
        drop(running);
        age_by_days(31);
        let running = kept.start(Usage::Serve).await;
        assert_eq!(running.snapshot().recalled, 0, "too old");
    });
}

#[test]
fn where_nothing_can_be_kept_every_plugin_is_asked() {
    live(async {
        let kept = Kept::with_one();
        std::fs::write(kept.at("smcp"), "in the way").unwrap();
        assert!(kept.asks().await);
        assert!(kept.asks().await);
    });
}

#[test]
fn servers_that_share_a_directory_do_not_disturb_each_other() {
    live(async {
        let kept = Kept::with_one();
        for name in ["two", "three", "four"] {
            kept.plugins.serving(name, "run", "fine");
        }
        let starts = (0..4).map(|_| kept.start(Usage::Serve));
        let names = ["four__run", "one__run", "three__run", "two__run"];
        for running in futures_util::future::join_all(starts).await {
            assert_eq!(running.names(), names);
        }
        assert_eq!(kept.entries().len(), 4);
        let next = kept.start(Usage::Serve).await;
        assert_eq!(next.snapshot().recalled, 4);
    });
}
