//! What becomes of the file.

use super::*;
use crate::cli::ClientName;
use crate::commands::client::snippets;
use crate::commands::client::target::Target;

fn entry(command: &str) -> Entry {
    let target = Target::Stdio {
        command: command.to_owned(),
        args: Vec::new(),
    };
    snippets::entry(ClientName::Cursor, "smcp", &target).expect("it has a file")
}

fn installed(path: &Path, command: &str, is_agreed: bool) -> anyhow::Result<Outcome> {
    install(path, Form::JsonWithComments, &entry(command), is_agreed)
}

#[test]
fn the_file_is_replaced_and_each_earlier_one_is_kept_with_its_permissions() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/mcp.json");
    assert_eq!(installed(&path, "/1", true).unwrap(), Outcome::Done);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let first = std::fs::read_to_string(&path).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    installed(&path, "/2", true).unwrap();
    let second = std::fs::read_to_string(&path).unwrap();
    installed(&path, "/3", true).unwrap();
    // Nothing to do, so nothing is kept.
    installed(&path, "/3", true).unwrap();
    for (name, text) in [("mcp.json.bak", first), ("mcp.json.bak.1", second)] {
        let kept = path.with_file_name(name);
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), text, "{name}");
        assert_eq!(mode(&kept), 0o640, "{name}");
    }
    assert_eq!(mode(&path), 0o640);
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        3
    );
}

#[test]
fn a_link_stays_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let (real, link) = (directory.path().join("real"), directory.path().join("link"));
    std::fs::write(&real, "{}").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    installed(&link, "/1", true).unwrap();
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().contains("/1"));
    let dangling = directory.path().join("dangling");
    std::os::unix::fs::symlink("/no/such/file", &dangling).unwrap();
    assert!(installed(&dangling, "/1", true).is_err());
}

#[test]
fn what_is_not_understood_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcp.json");
    for text in ["{\"a\": ", "not JSON"] {
        std::fs::write(&path, text).unwrap();
        let refused = format!("{:#}", installed(&path, "/1", true).unwrap_err());
        assert!(refused.contains("is left as it is"), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    assert!(installed(directory.path(), "/1", true).is_err());
}

/// Each of many that write at once adds to what the ones before have written.
#[test]
fn installations_at_the_same_time_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcp.json");
    let names: Vec<String> = (0..12).map(|number| format!("server-{number}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let path = &path;
            scope.spawn(move || {
                let mut entry = entry("/bin/smcp");
                entry.name.clone_from(name);
                install(path, Form::JsonWithComments, &entry, true).unwrap()
            });
        }
    });
    let written = std::fs::read_to_string(&path).unwrap();
    for name in &names {
        assert!(written.contains(&format!("\"{name}\"")), "{written}");
    }
    // The first has made the file, and each other one has kept what it found.
    let files = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, names.len());
}

#[test]
fn a_lock_of_somebody_else_is_waited_for_and_then_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcp.json");
    let held = lock(&path).unwrap().expect("this file system has locks");
    let refused = format!("{:#}", installed(&path, "/1", true).unwrap_err());
    assert!(refused.contains("locked"), "{refused}");
    assert!(!path.exists());
    drop(held);
    installed(&path, "/1", true).unwrap();
}
