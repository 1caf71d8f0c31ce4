//! Environments made, found, handed over and removed.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::held::Holds;
use super::super::key::KEY_LENGTH;
use super::*;

fn place() -> (tempfile::TempDir, Place) {
    let above = tempfile::tempdir().expect("there is room");
    let place = Place::new(above.path().join("environments"));
    (above, place)
}

fn key(digit: char) -> String {
    digit.to_string().repeat(KEY_LENGTH)
}

fn begun(place: &Place, key: &str) -> Making {
    let making = place.begin(key).expect("there is room");
    making.expect("nobody else does")
}

fn half_made(making: &Making) {
    std::fs::create_dir_all(making.directory().join("bin")).expect("there is room");
    symlink("/bin/sh", making.directory().join("bin/python")).expect("there is room");
}

#[test]
fn an_environment_is_whole_only_with_its_mark_and_its_interpreter() {
    let (_above, place) = place();
    let making = begun(&place, &key('a'));
    half_made(&making);
    assert_eq!(place.interpreter(&key('a')), None, "without a mark");
    making.finish(About::default()).expect("there is room");
    let python = making.directory().join("bin/python");
    assert_eq!(place.interpreter(&key('a')), Some(python.clone()));
    std::fs::copy(place.mark(&key('a')), place.mark(&key('b'))).expect("there is room");
    assert_eq!(place.interpreter(&key('b')), None, "it is another's mark");
    std::fs::set_permissions(&place.0, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    assert_eq!(place.interpreter(&key('a')), None, "others may write there");
    std::fs::set_permissions(&place.0, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
    std::fs::remove_file(&python).expect("it is ours");
    assert_eq!(
        place.interpreter(&key('a')),
        None,
        "its interpreter is gone"
    );
}

#[test]
fn one_process_makes_it_and_the_next_one_finds_nothing_half_made() {
    let (_above, place) = place();
    let making = begun(&place, &key('a'));
    half_made(&making);
    assert!(place.begin(&key('a')).expect("there is room").is_none());
    assert_eq!(place.remove(&key('a')), Ok(false));
    drop(making);
    let making = begun(&place, &key('a'));
    making.clear().expect("it is ours");
    let left = std::fs::read_dir(&place.0).expect("it is ours").count();
    assert_eq!(left, 1, "the lock alone");
}

#[test]
fn what_is_handed_over_stays_where_it_is_and_goes_with_its_new_key() {
    let (_above, place) = place();
    let made = |key: &str| {
        let making = begun(&place, key);
        half_made(&making);
        making.finish(About::default()).expect("there is room");
        making.directory().join("bin/python")
    };
    let (one, two) = (key('a'), key('b'));
    assert_eq!(
        place.hand_over(&one, &two, About::default()),
        Ok(false),
        "there is none"
    );
    let python = made(&one);
    assert_eq!(place.hand_over(&one, &two, About::default()), Ok(true));
    assert_eq!(place.interpreter(&one), None);
    assert_eq!(place.interpreter(&two), Some(python.clone()));
    // Another one under the first key does not touch it, nor does the end of that one.
    let other = made(&one);
    assert_eq!(
        place.hand_over(&one, &two, About::default()),
        Ok(false),
        "it has one"
    );
    assert_eq!(place.all().len(), 2);
    assert_eq!(place.remove(&one), Ok(true));
    assert!(python.is_symlink() && !other.is_symlink());
    assert_eq!(place.all().len(), 1);
    assert_eq!(place.remove(&two), Ok(true));
    assert!(!python.is_symlink() && place.names().is_empty());
}

#[test]
fn who_uses_an_environment_is_known() {
    let (_above, place) = place();
    let making = begun(&place, &key('a'));
    half_made(&making);
    making.finish(About::default()).expect("there is room");
    for declaration in ["one", "two"] {
        place.note_user(&key('a'), Path::new("/plugins/p"), declaration);
    }
    drop(making);
    let all = place.all();
    assert_eq!(all.len(), 1);
    assert_eq!(
        all[0].users,
        BTreeMap::from([("/plugins/p".into(), "two".to_owned())])
    );
    assert_eq!(place.remove(&key('a')), Ok(true));
    assert!(place.all().is_empty());
}

#[test]
fn what_cannot_be_removed_of_an_earlier_attempt_is_no_end_of_the_next() {
    let (_above, place) = place();
    let making = begun(&place, &key('a'));
    // No directory, so it cannot be removed as one.
    let left = place.0.join(format!("{}-left", key('a')));
    std::fs::write(&left, "").expect("there is room");
    assert!(making.clear().is_err());
    half_made(&making);
    making.finish(About::default()).expect("there is room");
    assert!(making.is_whole());
    drop(making);
    assert!(place.remove(&key('a')).is_err(), "that is told");
}

#[test]
fn of_those_that_were_made_with_an_interpreter_of_before_the_last_one_counts() {
    let (_above, place) = place();
    let made = |digit: char, kin: &str| {
        let making = begun(&place, &key(digit));
        half_made(&making);
        let kin = kin.to_owned();
        let about = About {
            kin,
            ..About::default()
        };
        making.finish(about).expect("there is room");
        making.directory().join("bin/python")
    };
    let (old, new, _) = (made('a', "x"), made('b', "x"), made('c', "y"));
    let aged = std::fs::File::open(place.mark(&key('a'))).expect("it is there");
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    aged.set_modified(before).expect("it is ours");
    assert_eq!(place.last_of("x"), Some(new.clone()));
    std::fs::remove_file(new).expect("it is ours");
    assert_eq!(place.last_of("x"), Some(old));
    assert_eq!(place.last_of("z"), None);
}

#[test]
fn one_whose_place_is_taken_goes_when_nobody_holds_it_any_more() {
    let (_above, place) = place();
    let made = || {
        let making = begun(&place, &key('a'));
        half_made(&making);
        making.finish(About::default()).expect("there is room");
        making.directory().to_owned()
    };
    let first = made();
    place.note_user(&key('a'), Path::new("/plugins/p"), "one");
    let held = Holds::default().hold(&first.join("bin/python"));
    assert!(held.is_some());
    assert_eq!(place.remove(&key('a')), Ok(false));
    let second = made();
    assert_eq!(place.all()[0].users.len(), 1, "its users are this one's");
    assert_eq!(begun(&place, &key('a')).sweep(), Ok(false));
    assert!(first.exists() && second.exists());
    drop(held);
    assert_eq!(begun(&place, &key('a')).sweep(), Ok(true));
    assert!(!first.exists() && second.exists());
    assert_eq!(
        place.interpreter(&key('a')),
        Some(second.join("bin/python"))
    );
}
