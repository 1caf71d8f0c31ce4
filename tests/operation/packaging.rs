//! The scripts by which packages are tested, where they depend on the machine.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::plugins::write_program;

/// What the script prints on a machine where apt has these lists: publisher, release, suite, address.
fn archive(os_release: &str, lists: &str) -> Output {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        write_program(&path, text);
        path
    };
    let mirrors = "# ours\nhttp://mirror.example/ubuntu/\tpriority:1\nhttps://second.example/\n";
    let mirrors = write("mirrors.txt", mirrors).display().to_string();
    let lists = lists.replace("MIRRORS", &format!("mirror+file:{mirrors}/"));
    write(
        "apt-get",
        &format!("#!/bin/sh\ncat <<'END'\n{lists}\nEND\n"),
    );
    let release = write("os-release", os_release);
    let path = std::env::var("PATH").expect("a path");
    Command::new(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deb/archive-of-this-machine"),
    )
    .arg(release)
    .env("PATH", format!("{}:{path}", directory.path().display()))
    .output()
    .expect("it can be started")
}

#[test]
fn the_archive_of_the_distribution_is_taken_and_no_other_with_a_release_of_its_name() {
    let ubuntu = "ID=ubuntu\nVERSION_CODENAME=noble\n";
    let debian = "ID=debian\nVERSION_CODENAME=bookworm\n";
    for (os_release, lists, expected) in [
        (
            ubuntu,
            "third-party noble|noble|noble|https://third.example/repos/\n\
             Ubuntu|noble|noble-security|http://security.example/ubuntu/\n\
             Ubuntu|noble|noble|http://archive.example/ubuntu/",
            "http://archive.example/ubuntu/\n",
        ),
        (
            ubuntu,
            "third|noble|noble|https://third.example/\nUbuntu|noble|noble|MIRRORS",
            "http://mirror.example/ubuntu/\n",
        ),
        (
            debian,
            "Node|bookworm|bookworm|https://node.example/\n\
             Debian|bookworm-security|oldstable-security|http://security.example/\n\
             Debian|bookworm|oldstable|https://archive.example/debian/",
            "https://archive.example/debian/\n",
        ),
    ] {
        let output = archive(os_release, lists);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{lists}");
    }
    for lists in [
        "",
        "third|noble|noble|https://third.example/",
        "Ubuntu|noble|noble|cdrom:x/",
    ] {
        let output = archive(ubuntu, lists);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && output.stdout.is_empty(),
            "{said}"
        );
        assert!(said.contains("no archive of ubuntu noble"), "{said}");
    }
}

#[test]
fn arm64_programs_of_a_release_run_on_kernels_with_large_pages() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        std::fs::read_to_string(path).expect("a file of the repository")
    };
    let (workflow, settings) = (
        read(".github/workflows/release.yml"),
        read(".cargo/config.toml"),
    );
    let targets = workflow
        .lines()
        .filter_map(|line| line.split_once("target: aarch64"));
    let targets: Vec<_> = targets.map(|(_, rest)| format!("aarch64{rest}")).collect();
    assert!(!targets.is_empty(), "no such program is released");
    for target in targets {
        let name = target.to_uppercase().replace('-', "_");
        let line = format!("\n{name}_JEMALLOC_SYS_WITH_LG_PAGE = \"16\"\n");
        assert!(settings.contains(&line), "{target}");
    }
}
