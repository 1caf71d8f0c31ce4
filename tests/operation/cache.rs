//! Kept descriptions as somebody at a terminal sees them: which command asks, which does not, and who says so.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support::commands::output_within;
use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;

/// Commands that are run in one place, with one environment.
struct Place {
    plugins: Folder,
    home: tempfile::TempDir,
}

impl Place {
    /// With a plugin that writes down that it was asked.
    fn new() -> Self {
        let plugins = Folder::new();
        plugins.add(
            "one",
            "import json, os, sys\n\
            if sys.argv[1:] == ['--describe']:\n    \
            open(os.environ['HOME'] + '/asked', 'a').write('asked\\n')\n    \
            print(json.dumps({'commands': [{'name': 'run'}]}))\n",
        );
        let home = tempfile::tempdir().expect("there is room");
        Self { plugins, home }
    }

    fn run(&self, words: &str, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
        command
            .args(words.split(' '))
            .env_clear()
            .envs(crate::support::COVERAGE)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("MCP_PLUGINS_DIR", self.plugins.path())
            .envs(variables.iter().copied())
            .current_dir(self.home.path());
        let output = output_within(PATIENCE, &mut command);
        assert!(output.status.success(), "{words}: {output:?}");
        output
    }

    fn asked(&self) -> usize {
        let book = std::fs::read_to_string(self.home.path().join("asked"));
        book.map_or(0, |book| book.lines().count())
    }

    fn cache(&self) -> PathBuf {
        self.home.path().join(".cache/smcp")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn commands_that_run_once_always_ask_and_keep_what_they_hear() {
    let place = Place::new();
    // `check` asks a plugin once more by itself, to see how long that takes, and where it took long, as on a busy
    // machine, another time.
    for (words, asked) in [("check", 2..=3), ("tools", 1..=1), ("call one__run", 1..=1)] {
        let before = place.asked();
        place.run(words, &[]);
        let now = place.asked() - before;
        assert!(asked.contains(&now), "{words}: {now} times");
    }
    assert!(place.cache().join("descriptions").is_dir());
}

#[test]
fn without_the_cache_every_plugin_is_asked_and_nothing_is_written() {
    let place = Place::new();
    for (words, variables) in [
        ("tools --no-cache", &[][..]),
        ("--no-cache tools", &[]),
        ("tools", &[("MCP_CACHE", "off")]),
    ] {
        let before = place.asked();
        let tools = place.run(words, variables);
        assert_eq!(place.asked(), before + 1, "{words}");
        assert!(!text(&tools.stderr).contains("cache"), "{words}");
        assert!(!place.cache().exists(), "{words}");
    }
    place.run("tools", &[]);
    assert!(place.cache().join("descriptions").is_dir());
}

#[test]
fn the_cache_lies_where_it_is_said() {
    let place = Place::new();
    let other = place.home.path().join("other");
    place.run(&format!("tools --cache-dir {}", other.display()), &[]);
    assert!(other.join("descriptions").is_dir());
    assert!(!place.cache().exists());
}

#[test]
fn a_directory_that_was_named_and_cannot_be_used_is_a_warning_and_the_tools_are_there() {
    let place = Place::new();
    let file = place.home.path().join("file");
    std::fs::write(&file, "").expect("there is room");
    let tools = place.run("tools", &[("MCP_CACHE_DIR", file.to_str().unwrap())]);
    assert!(text(&tools.stdout).contains("one__run"));
    let said = text(&tools.stderr);
    let warnings = said.lines().filter(|line| line.contains("are not kept"));
    assert_eq!(warnings.count(), 1, "{said}");
}

#[test]
fn a_named_directory_that_cannot_be_used_is_a_warning_where_there_is_nothing_to_keep_too() {
    let place = tempfile::tempdir().expect("there is room");
    let file = place.path().join("file");
    std::fs::write(&file, "").expect("there is room");
    for directory in [file.to_str().expect("it is UTF-8"), "/proc/descriptions"] {
        // Without a plugins directory the demos are served, of which nothing is kept.
        let tools = Command::new(env!("CARGO_BIN_EXE_smcp"))
            .arg("tools")
            .env_clear()
            .envs(crate::support::COVERAGE)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("MCP_CACHE_DIR", directory)
            .current_dir(place.path())
            .output()
            .expect("it runs");
        let said = text(&tools.stderr);
        assert!(text(&tools.stdout).contains("demo_math__"), "{said}");
        let warnings = said.lines().filter(|line| line.contains("cannot be used"));
        assert_eq!(warnings.count(), 1, "{directory}: {said}");
    }
}
