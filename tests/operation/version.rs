//! What `smcp --version` names, by the build script that works it out, in repositories of every kind.

use std::path::{Path, PathBuf};
use std::process::Command;

#[allow(dead_code)]
#[path = "../../build.rs"]
mod build_script;

use build_script::{watched, with_commit};

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "protocol.file.allow=always",
        ])
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .env("GIT_COMMITTER_DATE", "2031-02-03T12:00:00Z")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .expect("git is there, as the sources came by it");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout)
        .expect("names of commits")
        .trim()
        .to_owned()
}

/// A repository with two commits, and the version that a build of it has.
fn repository(directory: &Path) -> (PathBuf, String) {
    let root = directory.join("repository");
    std::fs::create_dir_all(root.join("src")).expect("there is room");
    git(&root, &["init", "--quiet"]);
    for text in ["fn main() {}", "fn main() { }"] {
        std::fs::write(root.join("src/main.rs"), text).expect("there is room");
        git(&root, &["add", "."]);
        git(&root, &["commit", "--quiet", "--message", "a change"]);
    }
    let named = named(&root);
    (root, named)
}

fn named(root: &Path) -> String {
    let commit = git(root, &["rev-parse", "HEAD"]);
    format!("1.2.3 ({} 2031-02-03)", &commit[..12])
}

#[test]
fn a_checkout_is_named_by_its_commit_and_day_whatever_kind_it_is() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let (root, expected) = repository(directory.path());
    assert_eq!(with_commit(&root, "1.2.3"), expected);

    git(&root, &["worktree", "add", "--quiet", "../tree"]);
    assert_eq!(
        with_commit(&directory.path().join("tree"), "1.2.3"),
        expected
    );

    let address = format!("file://{}", root.display());
    git(
        directory.path(),
        &["clone", "--quiet", "--depth=1", &address, "shallow"],
    );
    assert_eq!(
        with_commit(&directory.path().join("shallow"), "1.2.3"),
        expected
    );

    git(&root, &["checkout", "--quiet", "--detach", "HEAD^"]);
    let before = named(&root);
    assert_ne!(before, expected);
    assert_eq!(with_commit(&root, "1.2.3"), before);
}

#[test]
fn sources_that_have_changed_since_the_commit_are_said_to_and_other_files_are_not_looked_at() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let (root, expected) = repository(directory.path());
    std::fs::write(root.join("notes"), "").expect("there is room");
    assert_eq!(with_commit(&root, "1.2.3"), expected);
    std::fs::write(root.join("src/main.rs"), "fn main() { other() }").expect("there is room");
    let modified = expected.replace(')', ", modified)");
    assert_eq!(with_commit(&root, "1.2.3"), modified);
}

#[test]
fn a_packaged_crate_is_named_by_the_commit_that_it_was_made_from() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let (root, _) = repository(directory.path());
    let info = root.join(".cargo_vcs_info.json");
    let sha = "0123456789abcdef0123456789abcdef01234567";
    for (text, expected) in [
        (
            format!(
                "{{\n  \"git\": {{\n    \"sha1\": \"{sha}\"\n  }},\n  \"path_in_vcs\": \"\"\n}}"
            ),
            "1.2.3 (0123456789ab)",
        ),
        (
            format!("{{\n  \"git\": {{\n    \"sha1\": \"{sha}\",\n    \"dirty\": true\n  }}\n}}"),
            "1.2.3 (0123456789ab, modified)",
        ),
    ] {
        std::fs::write(&info, text).expect("there is room");
        assert_eq!(with_commit(&root, "1.2.3"), expected);
    }
}

#[test]
fn sources_that_say_nothing_of_a_commit_have_their_number_alone() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let lone = directory.path().join("lone");
    std::fs::create_dir(&lone).expect("there is room");
    assert_eq!(with_commit(&lone, "1.2.3"), "1.2.3");

    // Copied into a repository of another program.
    let (root, _) = repository(directory.path());
    let vendored = root.join("vendor/smcp");
    std::fs::create_dir_all(&vendored).expect("there is room");
    assert_eq!(with_commit(&vendored, "1.2.3"), "1.2.3");

    // As `git init` leaves it.
    git(&lone, &["init", "--quiet"]);
    assert_eq!(with_commit(&lone, "1.2.3"), "1.2.3");
    std::fs::write(
        lone.join(".cargo_vcs_info.json"),
        "{\"git\":{\"sha1\":\"é\"}}",
    )
    .expect("there is room");
    assert_eq!(with_commit(&lone, "1.2.3"), "1.2.3");
}

#[test]
fn a_build_watches_files_that_are_there_and_one_that_every_commit_changes() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let (root, _) = repository(directory.path());
    git(&root, &["worktree", "add", "--quiet", "../tree"]);
    git(&root, &["pack-refs", "--all"]);
    for root in [root, directory.path().join("tree")] {
        let contents = |paths: &[PathBuf]| -> Vec<Option<Vec<u8>>> {
            paths.iter().map(|path| std::fs::read(path).ok()).collect()
        };
        let paths = watched(&root);
        assert!(paths.iter().all(|path| path.exists()), "{paths:?}");
        let before = contents(&paths);
        git(
            &root,
            &["commit", "--quiet", "--allow-empty", "--message", "another"],
        );
        assert_ne!(contents(&paths), before, "{paths:?}");
    }
}
