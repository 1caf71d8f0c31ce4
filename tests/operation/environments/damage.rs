//! Environments that have lost something since they were made: noticed, made anew, and in use until then.

use std::path::PathBuf;

use rustix::process::Signal;

use super::kit::{self, LIBRARY, Place};
use super::{INSTALLED, command, version};
use crate::support::http::PATIENCE;
use crate::support::server::Server;
use crate::support::until;

/// The directories of packages of all environments.
fn packages(place: &Place) -> Vec<PathBuf> {
    let below = |path: PathBuf| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    };
    let environments = below(place.cache().join("environments"));
    let versions = environments.flat_map(|environment| below(environment.join("lib")));
    let packages = versions.map(|version| version.join("site-packages"));
    packages.filter(|packages| packages.is_dir()).collect()
}

/// Those of the only environment.
fn only_packages(place: &Place) -> PathBuf {
    let [packages] = packages(place).try_into().expect("there is one");
    packages
}

/// A plugin that imports its library when it is called, with its environment.
fn outfitted() -> Place {
    let place = Place::new();
    place.folder.add("one", kit::LAZY);
    place.declare("one", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    let (status, _, err) = command(&place, &["sync"]);
    assert_eq!((status, place.environments()), (Some(0), 1), "{err}");
    place
}

#[test]
fn sync_makes_an_environment_anew_that_has_lost_a_package_or_a_part_of_one() {
    let place = outfitted();
    let about = "smcp_test_library-1.0.dist-info";
    for lost in [
        "smcp_test_library",
        about,
        "smcp_test_library/__init__.py",
        &format!("{about}/METADATA"),
    ] {
        let path = only_packages(&place).join(lost);
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).expect("it is ours"),
            false => std::fs::remove_file(path).expect("it is ours"),
        }
        let (_, out, err) = command(&place, &["list"]);
        let told = format!("{out}{err}");
        assert!(
            told.contains("has lost smcp-test-library"),
            "{lost}: {told}"
        );
        let (status, _, err) = command(&place, &["sync"]);
        assert_eq!(status, Some(0), "{lost}: {err}");
        assert!(err.contains("has lost smcp-test-library"), "{lost}: {err}");
        assert!(only_packages(&place).join(lost).exists(), "{lost}");
        assert_eq!((place.environments(), place.directories()), (1, 1));
        let (status, _, err) = command(&place, &["sync"]);
        assert_eq!(status, Some(0), "{err}");
        assert!(!err.contains("is made"), "nothing is missing: {err}");
    }
    // A file that a crash has left empty.
    let file = only_packages(&place).join(about).join("METADATA");
    std::fs::write(&file, "").expect("it is ours");
    let (status, _, err) = command(&place, &["sync"]);
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains("has lost smcp-test-library"), "{err}");
}

#[test]
fn what_cannot_be_made_anew_is_told_and_stays_as_it_is() {
    let place = outfitted();
    std::fs::remove_dir_all(only_packages(&place).join("smcp_test_library")).expect("it is ours");
    let setup = place.setup_without_packages();
    let setup = setup.variable("MCP_PLUGINS_DIR", place.folder.path());
    let output = crate::support::server::run(&setup.argument("plugins").argument("sync"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("has lost smcp-test-library") && err.contains("could not be installed"),
        "{err}"
    );
    assert_eq!((place.environments(), place.directories()), (1, 1), "{err}");
}

#[test]
fn a_start_and_a_reload_make_an_environment_anew_that_has_lost_a_package() {
    let place = outfitted();
    let lose = || {
        let packages = packages(&place);
        let all = ["smcp_test_library", "smcp_test_library-1.0.dist-info"];
        let paths = packages.iter().flat_map(|at| all.map(|lost| at.join(lost)));
        for path in paths.filter(|path| path.exists()) {
            std::fs::remove_dir_all(path).expect("it is ours");
        }
    };
    lose();
    let server = Server::start(&place.setup());
    server.ready();
    until("calls find the library", INSTALLED, || {
        (version(&server, "one") == "1.0").then_some(())
    });
    lose();
    server.signal(Signal::HUP);
    until("calls find the library again", INSTALLED, || {
        (version(&server, "one") == "1.0").then_some(())
    });
    server.logs(&[
        "one: its environment is made anew",
        "has lost smcp-test-library",
    ]);
    assert_eq!(place.environments(), 1);
}

#[test]
fn what_is_damaged_so_that_a_plugin_does_not_answer_is_made_anew_at_a_start() {
    let place = Place::new();
    let program =
        kit::PROGRAM.replacen("import", "from smcp_test_library import VERSION\nimport", 1);
    place.folder.add("one", &program);
    place.declare("one", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    let (status, _, err) = command(&place, &["sync"]);
    assert_eq!(status, Some(0), "{err}");
    let file = only_packages(&place).join("smcp_test_library/__init__.py");
    std::fs::remove_file(file).expect("it is ours");
    let server = Server::start(&place.setup());
    until("it is served", INSTALLED, || {
        kit::is_served(&server, "one__version").then_some(())
    });
    assert_eq!(version(&server, "one"), "1.0");
    server.logs(&[
        "one: its environment is made anew",
        "has lost smcp-test-library",
    ]);
}

#[test]
fn an_environment_that_a_server_uses_is_left_where_it_is_while_another_takes_its_place() {
    let place = outfitted();
    let mut server = Server::start(&place.setup().variable("MCP_WATCH", "off"));
    server.ready();
    assert_eq!(version(&server, "one"), "1.0");
    let packages = only_packages(&place);
    let metadata = packages.join("smcp_test_library-1.0.dist-info/METADATA");
    std::fs::remove_file(metadata).expect("it is ours");
    let (status, _, err) = command(&place, &["sync", "--prune"]);
    assert_eq!(status, Some(0), "{err}");
    assert_eq!((place.environments(), place.directories()), (1, 2), "{err}");
    // What calls import is still there.
    assert_eq!(version(&server, "one"), "1.0");
    server.signal(Signal::TERM);
    server.ends_within(PATIENCE);
    let (status, _, err) = command(&place, &["sync", "--prune"]);
    assert_eq!(status, Some(0), "{err}");
    assert_eq!((place.environments(), place.directories()), (1, 1), "{err}");
    assert!(!packages.exists());
}
