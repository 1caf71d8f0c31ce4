use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::file::FILE;
use super::*;
use crate::tasks::header::VERSION;
use crate::tasks::lookup::PAGE;

fn settings(directory: &Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        ttl: Duration::from_secs(3600),
        max_count: 8,
        max_bytes: 10_000,
    }
}

fn opened(directory: &Path) -> Store {
    Store::open(settings(directory), &Clock::start()).unwrap()
}

fn refusal(directory: &Path) -> String {
    let refused = Store::open(settings(directory), &Clock::start());
    refused.unwrap_err().to_string()
}

fn owner(key: u8) -> Owner {
    Owner::new(Some(&[key; 32]), None)
}

fn begun(id: &str, kind: Kind) -> Task {
    Task {
        id: id.to_owned(),
        tool: "jobs__long".to_owned(),
        kind,
        status: Status::Working,
        has_failed: false,
        message: None,
        created: 1_000,
        updated: 1_000,
        ttl: 500_000,
    }
}

fn result(length: usize) -> End {
    let text = format!("\"{}\"", "x".repeat(length - 2));
    End::Result {
        text: Arc::new(RawValue::from_string(text).unwrap()),
        has_failed: false,
    }
}

#[test]
fn what_ended_is_there_after_a_restart_and_what_ran_has_failed() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    for id in ["done", "running"] {
        store.insert(&begun(id, Kind::Task), &owner(1)).unwrap();
    }
    store
        .end(
            &begun("done", Kind::Task),
            &owner(1),
            &result(10),
            None,
            2_000,
        )
        .unwrap();
    drop(store);
    let store = opened(directory.path());
    let Some(End::Result { text, .. }) = store.ending("done").unwrap() else {
        panic!("it has a result")
    };
    assert_eq!(text.get().len(), 10);
    let (running, _) = store.find("running", &owner(1).key).unwrap().unwrap();
    assert_eq!(running.status, Status::Failed);
    assert_eq!(running.message.as_deref(), Some(RESTARTED));
    assert!(matches!(
        store.ending("running").unwrap(),
        Some(End::Error(_))
    ));
}

#[test]
fn a_task_is_there_for_its_key_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    store.insert(&begun("a", Kind::Task), &owner(1)).unwrap();
    assert!(store.find("a", &owner(1).key).unwrap().is_some());
    assert!(store.find("a", &owner(2).key).unwrap().is_none());
    assert!(store.find("a", "").unwrap().is_none());
    assert!(store.list(&owner(2), None).unwrap().tasks.is_empty());
}

#[test]
fn one_key_takes_half_of_the_room_and_a_kept_call_makes_room_for_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    for id in ["1", "2", "3"] {
        store.insert(&begun(id, Kind::Task), &owner(1)).unwrap();
    }
    store.insert(&begun("call", Kind::Call), &owner(1)).unwrap();
    let full = store.insert(&begun("5", Kind::Task), &owner(1));
    assert!(matches!(full, Err(StoreError::TooMany(_))), "{full:?}");
    store.insert(&begun("b", Kind::Task), &owner(2)).unwrap();
    store
        .end(
            &begun("call", Kind::Task),
            &owner(1),
            &result(10),
            None,
            2_000,
        )
        .unwrap();
    store.insert(&begun("5", Kind::Task), &owner(1)).unwrap();
    assert!(store.find("call", &owner(1).key).unwrap().is_none());
    store
        .end(&begun("1", Kind::Task), &owner(1), &result(10), None, 2_000)
        .unwrap();
    let full = store.insert(&begun("6", Kind::Task), &owner(1));
    assert!(
        matches!(full, Err(StoreError::TooMany(_))),
        "what a client was promised is kept: {full:?}"
    );
}

#[test]
fn results_of_one_key_take_half_of_the_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    for id in ["1", "2", "3"] {
        store.insert(&begun(id, Kind::Call), &owner(1)).unwrap();
    }
    let large = store.end(
        &begun("1", Kind::Call),
        &owner(1),
        &result(5_001),
        None,
        2_000,
    );
    assert!(
        matches!(large, Ok(Ended::WithoutResult(_))),
        "that it ended is written in any case: {large:?}"
    );
    store.remove("1").unwrap();
    store.insert(&begun("1", Kind::Call), &owner(1)).unwrap();
    store
        .end(
            &begun("1", Kind::Task),
            &owner(1),
            &result(4_000),
            None,
            2_000,
        )
        .unwrap();
    store
        .end(
            &begun("2", Kind::Task),
            &owner(1),
            &result(2_000),
            None,
            2_000,
        )
        .unwrap();
    assert!(
        store.find("1", &owner(1).key).unwrap().is_none(),
        "the oldest made room"
    );
    assert_eq!(store.kept().bytes, 2_000);
}

#[test]
fn a_task_is_forgotten_when_its_time_is_over_and_never_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    for id in ["ended", "late", "running"] {
        store.insert(&begun(id, Kind::Task), &owner(1)).unwrap();
    }
    store
        .end(
            &begun("ended", Kind::Task),
            &owner(1),
            &result(10),
            None,
            2_000,
        )
        .unwrap();
    // It ran longer than it was to be kept: there is a minute to fetch it.
    store
        .end(
            &begun("late", Kind::Task),
            &owner(1),
            &result(10),
            None,
            600_000,
        )
        .unwrap();
    assert_eq!(store.expire(500_999).unwrap().count, 3);
    assert_eq!(store.expire(501_000).unwrap().count, 2);
    assert_eq!(store.expire(659_999).unwrap().count, 2);
    assert_eq!(store.expire(660_000).unwrap().count, 1);
    assert_eq!(store.expire(i64::MAX).unwrap().count, 1);
}

#[test]
fn a_list_comes_in_pages_the_newest_first() {
    let directory = tempfile::tempdir().unwrap();
    let wide = Settings {
        max_count: 1_000,
        ..settings(directory.path())
    };
    let mut store = Store::open(wide, &Clock::start()).unwrap();
    for number in 0..=PAGE {
        let task = begun(&number.to_string(), Kind::Task);
        store.insert(&task, &owner(1)).unwrap();
    }
    let first = store.list(&owner(1), None).unwrap();
    assert_eq!(first.tasks.len(), PAGE);
    assert_eq!(first.tasks[0].id, PAGE.to_string());
    let second = store.list(&owner(1), first.next).unwrap();
    assert_eq!((second.tasks.len(), second.next), (1, None));
    assert_eq!(second.tasks[0].id, "0");
}

#[test]
fn a_second_server_is_told_that_another_one_uses_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let first = opened(directory.path());
    assert!(refusal(directory.path()).contains("another server uses it"));
    drop(first);
    opened(directory.path());
}

#[test]
fn what_is_no_store_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    for (bytes, said) in [
        (
            b"a letter to nobody, long enough for a header".repeat(40),
            "damaged",
        ),
        (b"x".to_vec(), "damaged"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let refused = refusal(directory.path());
        assert!(refused.contains(said), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    std::fs::remove_file(&path).unwrap();
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE letters (a)").unwrap();
    drop(foreign);
    is_refused_untouched(directory.path(), "no store of tasks");
}

/// The file in this directory is refused with these words, and not a bit of it changes.
fn is_refused_untouched(directory: &Path, words: &str) {
    let path = directory.join(FILE);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
    let about = || {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        (std::fs::read(&path).unwrap(), mode)
    };
    let before = about();
    let refused = refusal(directory);
    assert!(refused.contains(words), "{refused}");
    assert!(about() == before, "{words}: it was changed");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1);
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    opened(directory.path());
    let later = Connection::open(directory.path().join(FILE)).unwrap();
    later
        .pragma_update(None, "user_version", VERSION + 1)
        .unwrap();
    drop(later);
    is_refused_untouched(directory.path(), "later version of smcp");
}

#[test]
fn a_damaged_page_is_noticed_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    for id in ["1", "2"] {
        store.insert(&begun(id, Kind::Task), &owner(1)).unwrap();
        store
            .end(
                &begun(id, Kind::Task),
                &owner(1),
                &result(2_000),
                None,
                2_000,
            )
            .unwrap();
    }
    drop(store);
    let path = directory.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let page = bytes.len() / 4096 * 4096 / 2 / 4096 * 4096;
    bytes[page..page + 64].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    assert!(refusal(directory.path()).contains("damaged"));
}

/// A store with a result that is closed, its file, and what is in that.
fn closed() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    let task = begun("1", Kind::Task);
    let ended = store.end(&task, &owner(1), &result(4_900), None, 2_000);
    assert_eq!(ended.unwrap(), Ended::AsItDid);
    drop(store);
    let path = directory.path().join(FILE);
    let bytes = std::fs::read(&path).unwrap();
    (directory, path, bytes)
}

#[test]
fn tables_that_are_not_those_of_this_version_are_damage_and_stay_as_they_are() {
    for change in [
        "DROP TABLE tasks",
        "ALTER TABLE tasks DROP COLUMN failed",
        "ALTER TABLE tasks RENAME COLUMN message TO said",
        "ALTER TABLE tasks ADD COLUMN more TEXT",
        "DROP INDEX by_expiry",
        "CREATE UNIQUE INDEX more ON tasks (tool)",
        "CREATE TRIGGER more AFTER INSERT ON tasks BEGIN DELETE FROM tasks; END",
        "PRAGMA writable_schema = on;
         UPDATE sqlite_schema SET sql = replace(sql, 'created INTEGER', 'created TEXT')",
    ] {
        let (directory, path, _) = closed();
        let other = Connection::open(&path).unwrap();
        other.execute_batch(change).unwrap();
        drop(other);
        let before = std::fs::read(&path).unwrap();
        let refused = refusal(directory.path());
        assert!(refused.contains("damaged"), "{change}: {refused}");
        assert!(refused.contains("move it away"), "{change}: {refused}");
        assert!(std::fs::read(&path).unwrap() == before, "{change}");
    }
}

#[test]
fn statistics_that_somebody_has_made_are_no_damage() {
    let (directory, path, _) = closed();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("ANALYZE").unwrap();
    drop(other);
    opened(directory.path());
}

#[test]
fn a_file_whose_end_is_missing_is_damaged_and_stays_as_it_is() {
    let (directory, path, bytes) = closed();
    for length in (1..bytes.len()).step_by(509) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let refused = refusal(directory.path());
        assert!(refused.contains("damaged"), "{length} bytes: {refused}");
        assert!(
            std::fs::read(&path).unwrap() == bytes[..length],
            "{length} bytes"
        );
    }
    std::fs::write(&path, &bytes).unwrap();
    opened(directory.path());
}

#[test]
fn a_journal_is_not_removed_because_its_file_is_empty_and_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    store.insert(&begun("1", Kind::Task), &owner(1)).unwrap();
    let path = directory.path().join(FILE);
    let journal = directory.path().join(format!("{FILE}-wal"));
    let written = std::fs::read(&journal).unwrap();
    drop(store);
    std::fs::write(&path, "").unwrap();
    std::fs::write(&journal, &written).unwrap();
    opened(directory.path());
    let aside = directory.path().join(format!("{FILE}-wal.aside-1"));
    assert!(std::fs::read(&aside).unwrap() == written);
    // The next one finds a name as well.
    std::fs::write(&path, "").unwrap();
    std::fs::write(&journal, "more").unwrap();
    opened(directory.path());
    let next = aside.with_extension("aside-2");
    assert_eq!(std::fs::read(&next).unwrap(), b"more");
    assert!(std::fs::read(&aside).unwrap() == written);
}

/// SQLite would do it by itself, and begin the next one without what says to which file it belongs.
#[test]
fn a_large_journal_is_put_into_the_file_and_the_next_one_begins_with_a_mark() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = wide(directory.path());
    let journal = directory.path().join(format!("{FILE}-wal"));
    let length = || std::fs::metadata(&journal).unwrap().len();
    for id in ["1", "2"] {
        let done = store.turn(|store| {
            let end = result(5 << 20);
            let ended = store.end(&begun(id, Kind::Task), &owner(1), &end, None, 2_000);
            assert_eq!(ended?, Ended::AsItDid);
            Ok(())
        });
        assert!(done.is_ok() && length() == 0, "{done:?}");
    }
    let before = std::fs::read(directory.path().join(FILE)).unwrap();
    store.turn(|_| Ok(())).unwrap();
    let mark = std::fs::read(&journal).unwrap();
    assert_eq!(mark.len(), 32 + 24 + 4096);
    assert_eq!(mark[56 + 40..56 + 42], before[42..44]);
    drop(store);
    assert!(wide(directory.path()).ending("2").unwrap().is_some());
}

/// A store with room for large results.
fn wide(directory: &Path) -> Store {
    let wide = Settings {
        max_bytes: 100 << 20,
        ..settings(directory)
    };
    Store::open(wide, &Clock::start()).unwrap()
}

fn pieces(store: &Store) -> u64 {
    let sql = "SELECT count(*) FROM pieces";
    store.db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_large_result_is_what_it_was_and_goes_with_its_task() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = wide(directory.path());
    // No piece of it ends where a letter does.
    let text = format!("\"{}\"", "€".repeat(300_001));
    for id in ["1", "2", "3"] {
        let end = End::Result {
            text: Arc::new(RawValue::from_string(text.clone()).unwrap()),
            has_failed: false,
        };
        let kind = if id == "1" { Kind::Call } else { Kind::Task };
        store
            .end(&begun(id, kind), &owner(1), &end, None, 2_000)
            .unwrap();
        let again = store.end(&begun(id, kind), &owner(1), &result(9), None, 2_000);
        assert_eq!(again.unwrap(), Ended::AsItDid);
    }
    drop(store);
    let mut store = wide(directory.path());
    let Some(End::Result { text: read, .. }) = store.ending("2").unwrap() else {
        panic!("it is kept");
    };
    assert!(read.get() == text);
    let all = pieces(&store);
    assert!(all >= 9, "{all}");
    store.remove("2").unwrap();
    assert_eq!(pieces(&store), all / 3 * 2);
    let mut forgotten = Forgotten::default();
    assert!(forgotten.oldest_call(&store.db, None).unwrap());
    assert_eq!(pieces(&store), all / 3);
    store.expire(i64::MAX).unwrap();
    assert_eq!(pieces(&store), 0);
}

#[test]
fn a_store_of_the_first_version_is_one_of_this_version_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = wide(directory.path());
    store.insert(&begun("1", Kind::Task), &owner(1)).unwrap();
    let old = "DROP TRIGGER pieces_go; DROP TABLE pieces; PRAGMA user_version = 1;
        UPDATE tasks SET status = 'completed', expires = 600000, bytes = 400002,
            result = '\"' || hex(zeroblob(200000)) || '\"'";
    store.db.execute_batch(old).unwrap();
    drop(store);
    let mut store = wide(directory.path());
    let ending = store.ending("1").unwrap();
    assert!(ending.is_some_and(|end| end.bytes() == 400_002));
    store
        .end(
            &begun("2", Kind::Task),
            &owner(1),
            &result(400_000),
            None,
            2_000,
        )
        .unwrap();
    assert!(pieces(&store) > 1);
    drop(store);
    assert!(wide(directory.path()).ending("2").unwrap().is_some());
}

/// A server that is killed leaves a journal, and may leave a file that ends within a page.
#[test]
fn what_stands_in_the_journal_of_a_server_that_was_killed_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    let task = begun("1", Kind::Task);
    store
        .end(&task, &owner(1), &result(4_900), None, 2_000)
        .unwrap();
    let other = tempfile::tempdir().unwrap();
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        let bytes = std::fs::read(directory.path().join(&name)).unwrap();
        let more = &b"torn"[..if name == FILE { 4 } else { 0 }];
        std::fs::write(other.path().join(&name), [&bytes, more].concat()).unwrap();
    }
    assert!(opened(other.path()).ending("1").unwrap().is_some());
}

#[test]
fn an_end_without_a_result_needs_no_room_also_where_there_is_too_much() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    let [old, new] = ["1", "2"].map(|id| begun(id, Kind::Task));
    store
        .end(&old, &owner(1), &result(4_000), None, 2_000)
        .unwrap();
    drop(store);
    let less = Settings {
        max_bytes: 1_000,
        ..settings(directory.path())
    };
    let mut store = Store::open(less, &Clock::start()).unwrap();
    let ended = store.end(&new, &owner(1), &End::Cancelled, None, 2_000);
    assert_eq!(ended.unwrap(), Ended::AsItDid);
}

#[test]
fn what_is_kept_is_for_this_user_alone() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("state");
    let store = opened(&inner);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for entry in std::fs::read_dir(&inner).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(store);
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mode =
        |mode| std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode));
    mode(0o777).unwrap();
    assert!(refusal(directory.path()).contains("everybody can write there"));
    opened(&directory.path().join("own"));
    mode(0o775).unwrap();
    opened(directory.path());
}

#[test]
fn what_lies_in_its_place_is_not_followed_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    refusal(directory.path());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refusal(directory.path());
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    refusal(&file.join("below"));
}

#[test]
fn a_full_disk_is_an_error_and_the_store_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let wide = Settings {
        max_bytes: 100 << 20,
        ..settings(directory.path())
    };
    let mut store = Store::open(wide, &Clock::start()).unwrap();
    store.insert(&begun("1", Kind::Task), &owner(1)).unwrap();
    let pages: i64 = store
        .db
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    store
        .db
        .pragma_update(None, "max_page_count", pages + 2)
        .unwrap();
    let full = store.end(
        &begun("1", Kind::Task),
        &owner(1),
        &result(1 << 20),
        None,
        2_000,
    );
    assert!(matches!(full, Err(StoreError::Fault(_))), "{full:?}");
    store
        .db
        .pragma_update(None, "max_page_count", pages + 1_000)
        .unwrap();
    store
        .end(
            &begun("1", Kind::Task),
            &owner(1),
            &result(1 << 20),
            None,
            2_000,
        )
        .unwrap();
    assert!(store.ending("1").unwrap().is_some());
}

#[test]
fn what_is_counted_is_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    for (id, key, kind) in [
        ("1", 1, Kind::Call),
        ("2", 1, Kind::Call),
        ("3", 2, Kind::Task),
    ] {
        store.insert(&begun(id, kind), &owner(key)).unwrap();
        store
            .end(&begun(id, kind), &owner(key), &result(2_000), None, 2_000)
            .unwrap();
        // The second time it changes nothing.
        store
            .end(&begun(id, kind), &owner(key), &result(2_000), None, 2_000)
            .unwrap();
    }
    store.insert(&begun("4", Kind::Task), &owner(1)).unwrap();
    store
        .end(
            &begun("4", Kind::Task),
            &owner(1),
            &result(3_000),
            None,
            2_000,
        )
        .unwrap();
    let counted = store.kept();
    assert_eq!(
        (counted.count, counted.bytes),
        (3, 7_000),
        "the oldest call made room"
    );
    drop(store);
    let mut store = opened(directory.path());
    assert_eq!(store.kept(), counted);
    store.remove("3").unwrap();
    store.remove("3").unwrap();
    assert_eq!(store.kept().bytes, 5_000);
    assert_eq!(store.expire(i64::MAX).unwrap(), Kept::default());
    assert!(store.by_owner.is_empty());
}

#[test]
fn a_key_whose_room_is_full_can_still_end_its_tasks() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    let (task, key) = (|id| begun(id, Kind::Task), owner(1));
    store
        .end(&task("1"), &key, &result(5_000), None, 2_000)
        .unwrap();
    for id in ["2", "3"] {
        store.insert(&task(id), &key).unwrap();
        let ended = store
            .end(&task(id), &key, &result(10), None, 2_000)
            .unwrap();
        assert!(matches!(ended, Ended::WithoutResult(_)), "{ended:?}");
        let (found, bytes) = store.find(id, &key.key).unwrap().unwrap();
        assert_eq!((found.status, bytes), (Status::Failed, 0));
        assert!(found.message.unwrap().contains("MCP_MAX_TASK_BYTES"));
        assert!(matches!(store.ending(id).unwrap(), Some(End::Error(_))));
    }
}

#[test]
fn room_that_nothing_takes_is_given_back_to_the_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let wide = Settings {
        max_bytes: 100 << 20,
        ..settings(directory.path())
    };
    let mut store = Store::open(wide, &Clock::start()).unwrap();
    let (task, key) = (begun("1", Kind::Task), owner(1));
    store
        .end(&task, &key, &result(20 << 20), None, 2_000)
        .unwrap();
    store.settle().unwrap();
    let size = || {
        std::fs::metadata(directory.path().join(FILE))
            .unwrap()
            .len()
    };
    let before = size();
    assert_eq!(store.expire(i64::MAX).unwrap(), Kept::default());
    while store.shrink().unwrap() {}
    store.settle().unwrap();
    assert!(size() < 1 << 20 && before > 20 << 20, "{before} {}", size());
}

#[test]
fn a_task_that_is_said_to_run_and_does_not_has_failed() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    for id in ["runs", "lost"] {
        store.insert(&begun(id, Kind::Task), &owner(1)).unwrap();
    }
    store.fail_orphans(|id| id == "runs", 2_000).unwrap();
    let status = |id| store.find(id, &owner(1).key).unwrap().unwrap().0.status;
    assert_eq!(
        (status("runs"), status("lost")),
        (Status::Working, Status::Failed)
    );
}

#[test]
fn what_was_made_while_the_clock_was_ahead_is_kept_no_longer_than_what_is_made_now() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    let now = Clock::start().now();
    let ahead = Task {
        created: now * 2,
        updated: now * 2,
        ..begun("1", Kind::Task)
    };
    store
        .end(&ahead, &owner(1), &result(10), None, now * 2)
        .unwrap();
    drop(store);
    let mut store = opened(directory.path());
    assert_eq!(store.expire(now + 600_000).unwrap().count, 0);
}

/// Nobody was promised what was kept unasked: it gives way to whoever has room left of its own share.
#[test]
fn calls_that_were_kept_unasked_make_room_for_tasks_of_other_keys() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    for number in 0..8 {
        let (id, owner) = (format!("call-{number}"), owner(number % 2));
        let call = begun(&id, Kind::Call);
        store.insert(&call, &owner).unwrap();
        let ended = store.end(&call, &owner, &result(1_200), None, 2_000);
        assert_eq!(ended.unwrap(), Ended::AsItDid);
    }
    // All eight places and nearly all of the bytes are taken.
    let task = begun("task", Kind::Task);
    store.insert(&task, &owner(3)).unwrap();
    assert!(store.find("call-0", &owner(0).key).unwrap().is_none());
    assert!(store.find("call-1", &owner(1).key).unwrap().is_some());
    let ended = store.end(&task, &owner(3), &result(4_000), None, 2_000);
    assert_eq!(ended.unwrap(), Ended::AsItDid);
    assert!(store.kept().bytes <= 10_000);
    let counted = opened_anew(store, directory.path()).kept();
    assert!(counted.bytes <= 10_000 && counted.count >= 5, "{counted:?}");
}

/// Who names no agent sees what was made for any.
#[test]
fn the_agent_narrows_a_list_and_no_agent_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = opened(directory.path());
    let of = |agent: Option<&str>| Owner::new(Some(&[1; 32]), agent.map(str::to_owned));
    for (id, agent) in [("a", Some("ag-1")), ("b", Some("ag-2")), ("c", None)] {
        store.insert(&begun(id, Kind::Task), &of(agent)).unwrap();
    }
    let listed = |agent| {
        let page = store.list(&of(agent), None).unwrap();
        let ids = page.tasks.into_iter().map(|task| task.id);
        ids.collect::<Vec<_>>().concat()
    };
    assert_eq!(listed(None), "cba");
    assert_eq!(listed(Some("ag-1")), "a");
    assert_eq!(listed(Some("nobody")), "");
}

/// What is counted when a store is opened is what was counted when it was closed.
fn opened_anew(store: Store, directory: &Path) -> Store {
    let before = store.kept();
    drop(store);
    let store = opened(directory);
    assert_eq!(store.kept(), before);
    store
}
