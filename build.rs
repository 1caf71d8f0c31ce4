//! Gives `smcp --version` the commit that a release build was made from, where one is known.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program is made of, beside the libraries that `Cargo.lock` names.
const SOURCES: [&str; 5] = ["src", "plugins", "build.rs", "Cargo.toml", "Cargo.lock"];
/// Written by `cargo package` into every packaged crate.
const PACKAGED: &str = ".cargo_vcs_info.json";
const DIGITS: usize = 12;

fn main() {
    let variable = |name| std::env::var(name).expect("cargo sets it for every build script");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let number = variable("CARGO_PKG_VERSION");
    println!("cargo::rerun-if-changed=build.rs");
    // Each commit would have every test program linked anew, for a name that nobody looks at.
    let version = if variable("PROFILE") == "release" {
        for path in watched(&root) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        with_commit(&root, &number)
    } else {
        format!("{number} (debug build)")
    };
    println!("cargo::rustc-env=BUILD_VERSION={version}");
}

/// The number, and the commit in parentheses if the sources in `root` say it: those of a packaged crate, or of the
/// top of a git repository. A copy inside another repository has nothing to do with that one's commits.
pub fn with_commit(root: &Path, number: &str) -> String {
    match packaged(root).or_else(|| checked_out(root)) {
        Some(commit) => format!("{number} ({commit})"),
        None => number.to_owned(),
    }
}

/// The files that change when the answer of [`with_commit`] does. Only those that are there: cargo takes a missing one
/// for one that changes all the time.
pub fn watched(root: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = SOURCES.map(|name| root.join(name)).into();
    paths.push(root.join(PACKAGED));
    // The log of HEAD grows with every commit and every change of the branch; a repository may have none.
    for name in ["HEAD", "logs/HEAD", "packed-refs"] {
        paths.extend(git(root, &["rev-parse", "--git-path", name]).map(|path| root.join(path)));
    }
    let branch = git(root, &["symbolic-ref", "--quiet", "HEAD"]);
    let file = branch.and_then(|branch| git(root, &["rev-parse", "--git-path", &branch]));
    paths.extend(file.map(|path| root.join(path)));
    paths.retain(|path| path.exists());
    paths
}

/// The commit that a crate was packaged from.
fn packaged(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join(PACKAGED)).ok()?;
    let (_, after) = text.split_once("\"sha1\"")?;
    let commit = after.split('"').nth(1)?.get(..DIGITS)?;
    let is_commit = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let state = if text.contains("\"dirty\": true") {
        ", modified"
    } else {
        ""
    };
    is_commit.then(|| format!("{commit}{state}"))
}

/// The commit that is checked out, its day, and whether the sources have changed since.
fn checked_out(root: &Path) -> Option<String> {
    if !git(root, &["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    let abbreviation = format!("--abbrev={DIGITS}");
    let commit = git(
        root,
        &[
            "log",
            "-1",
            &abbreviation,
            "--no-show-signature",
            "--format=%h %cs",
        ],
    )?;
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--"];
    status.extend(SOURCES);
    let state = if git(root, &status)?.is_empty() {
        ""
    } else {
        ", modified"
    };
    Some(format!("{commit}{state}"))
}

/// What git prints about the repository of `root`; `None` where there is no git, or nothing that it can answer about.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // A hook of git runs with variables that name its own repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command.arg("--no-optional-locks").arg("-C").arg(root);
    let output = command.args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
