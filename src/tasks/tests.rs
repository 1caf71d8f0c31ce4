use std::path::Path;

use serde_json::value::RawValue;

use super::book::{MAX_RUNNING_OF_ONE, UNWRITTEN_KIB};
use super::*;

mod copies;

fn settings(directory: &Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        ttl: Duration::from_secs(3600),
        max_count: 1_000,
        max_bytes: 1 << 20,
    }
}

fn nobody() -> Owner {
    Owner::new(None, None)
}

async fn begin(tasks: &Tasks, ttl: u64) -> Begun {
    let ttl = tasks.ttl(Some(ttl));
    tasks
        .begin(nobody(), "t", Kind::Task, ttl, false)
        .await
        .unwrap()
}

fn result(text: &str) -> End {
    End::Result {
        text: Arc::new(RawValue::from_string(text.to_owned()).unwrap()),
        has_failed: false,
    }
}

#[tokio::test]
async fn a_time_that_no_client_can_mean_is_one_that_the_server_can_keep() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    for (wanted, kept) in [
        (None, 3_600),
        (Some(0), 60),
        (Some(120_000), 120),
        (Some(u64::MAX), 3_600),
    ] {
        assert_eq!(tasks.ttl(wanted).as_secs(), kept, "{wanted:?}");
    }
}

#[tokio::test]
async fn of_two_ends_the_first_counts() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let live = begin(&tasks, 60_000).await;
    assert!(tasks.cancel(&live).await);
    assert!(live.cancel().is_cancelled());
    tasks.end(&live, result("1"), ()).await;
    assert!(!tasks.cancel(&live).await);
    let ending = tasks.ending(live.id(), &nobody()).await.unwrap().unwrap();
    assert!(matches!(ending.end, End::Cancelled));
    let live = begin(&tasks, 60_000).await;
    tasks.end(&live, result("1"), ()).await;
    assert!(!tasks.cancel(&live).await);
    assert!(!live.cancel().is_cancelled());
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_takes_the_tasks_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let first = Tasks::open(settings(directory.path())).await;
    let second = Tasks::open(settings(directory.path())).await;
    assert!(first.are_on() && first.fault().is_none());
    assert!(!second.are_on());
    assert!(second.fault().unwrap().contains("another server"));
    assert!(!second.counts().unwrap().is_usable);
}

#[tokio::test]
async fn one_key_has_so_many_tasks_that_run_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let mut running = Vec::new();
    for _ in 0..MAX_RUNNING_OF_ONE {
        running.push(begin(&tasks, 60_000).await);
    }
    let ttl = tasks.ttl(None);
    let one_more = tasks.begin(nobody(), "t", Kind::Task, ttl, false).await;
    assert!(matches!(one_more, Err(Refused::TooManyRun { .. })));
    assert_eq!(counted(tasks.counts().unwrap().refused), [("running", 1)]);
    let other = Owner::new(Some(&[1; 32]), None);
    let others = tasks.begin(other, "t", Kind::Task, ttl, false).await;
    assert!(others.is_ok());
    tasks.end(&running[0], result("1"), ()).await;
    let next = tasks.begin(nobody(), "t", Kind::Task, ttl, false).await;
    assert!(next.is_ok());
}

#[tokio::test]
async fn a_result_that_cannot_be_written_is_there_while_the_server_lives_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let live = begin(&tasks, 60_000).await;
    let (_, keeper) = tasks.book().unwrap();
    keeper.run(|store| store.break_for_test()).await.unwrap();
    tasks.end(&live, result("\"kept\""), ()).await;
    let (task, _) = tasks.find(live.id(), &nobody()).await.unwrap().unwrap();
    assert_eq!(task.status, Status::Completed);
    let said = task.message.unwrap();
    assert!(said.contains("lost when the server ends"), "{said}");
    let ending = tasks.ending(live.id(), &nobody()).await.unwrap().unwrap();
    assert!(matches!(ending.end, End::Result { .. }));
    let unwritten = begin(&tasks, 60_000).await;
    assert!(
        unwritten.task().message.is_some(),
        "the begin was not written"
    );
    tasks.end(&unwritten, result("1"), ()).await;
    let found = tasks.find(unwritten.id(), &nobody()).await.unwrap();
    assert_eq!(found.unwrap().0.status, Status::Completed);
    assert!(tasks.counts().unwrap().faults >= 2);
}

#[tokio::test]
async fn what_cannot_be_written_takes_so_much_memory_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let (_, keeper) = tasks.book().unwrap();
    keeper.run(|store| store.break_for_test()).await.unwrap();
    let large = format!("\"{}\"", "x".repeat((UNWRITTEN_KIB as usize) << 9));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let live = begin(&tasks, 60_000).await;
        tasks.end(&live, result(&large), ()).await;
        statuses.push(live.task().status);
    }
    let expected = [Status::Completed, Status::Failed, Status::Failed];
    assert_eq!(statuses, expected);
    assert_eq!(counted(tasks.counts().unwrap().lost), [("not_written", 2)]);
}

#[tokio::test]
async fn a_result_without_room_is_a_task_that_has_failed_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let live = begin(&tasks, 60_000).await;
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    tasks.end(&live, result(&large), ()).await;
    let (task, _) = tasks.find(live.id(), &nobody()).await.unwrap().unwrap();
    assert_eq!(task.status, Status::Failed);
    assert!(task.message.unwrap().contains("MCP_MAX_TASK_BYTES"));
    assert_eq!(counted(tasks.counts().unwrap().lost), [("no_room", 1)]);
}

#[tokio::test]
async fn a_question_is_open_until_it_is_answered_and_each_is_answered_once() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let live = begin(&tasks, 60_000).await;
    let question = OpenQuestion {
        method: "roots/list",
        params: serde_json::json!({}),
    };
    let both = ["a", "b"].map(|key| (key.to_owned(), question.clone()));
    let answering = async {
        live.watch()
            .wait_for(|state| state.status == Status::InputRequired)
            .await
            .unwrap();
        assert!(live.take_question(|_| true, true).is_some());
        live.answer("c", Ok(serde_json::json!(0)));
        live.answer("a", Ok(serde_json::json!(1)));
        live.answer("a", Ok(serde_json::json!(2)));
        assert_eq!(live.questions().len(), 1);
        assert_eq!(live.task().status, Status::InputRequired);
        live.answer("b", Err(serde_json::json!(3)));
    };
    let (answers, ()) = tokio::join!(live.ask(both.to_vec()), answering);
    let answers = answers.unwrap();
    assert_eq!(answers[0].1, Ok(serde_json::json!(1)));
    assert_eq!(answers[1].1, Err(serde_json::json!(3)));
    assert_eq!(live.task().status, Status::Working);
}

#[tokio::test]
async fn a_question_that_somebody_puts_is_put_by_nobody_else_until_he_gives_up() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let live = begin(&tasks, 60_000).await;
    let question = OpenQuestion {
        method: "roots/list",
        params: serde_json::json!({}),
    };
    let asking = live.ask(vec![("a".to_owned(), question)]);
    tokio::pin!(asking);
    assert!(futures_util::poll!(asking.as_mut()).is_pending());
    assert!(
        live.take_question(|method| method != "roots/list", true)
            .is_none()
    );
    let taken = live.take_question(|_| true, true).unwrap();
    assert!(live.take_question(|_| true, true).is_none());
    drop(taken);
    assert!(live.take_question(|_| true, true).is_some());
}

/// Whose connection broke never answers, and does not know it.
#[tokio::test]
async fn a_question_that_nobody_reads_is_taken_over_by_whoever_is_read_and_by_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let live = begin(&tasks, 60_000).await;
    let question = OpenQuestion {
        method: "roots/list",
        params: serde_json::json!({}),
    };
    let asking = live.ask(vec![("a".to_owned(), question)]);
    tokio::pin!(asking);
    assert!(futures_util::poll!(asking.as_mut()).is_pending());
    let first = live.take_question(|_| true, true).unwrap();
    first.is_unread(true);
    assert!(live.take_question(|_| true, false).is_none());
    first.is_unread(false);
    assert!(live.take_question(|_| true, true).is_none());
    first.is_unread(true);
    let second = live.take_question(|_| true, true).unwrap();
    first.replaced().await;
    // What it says of a question that is not its own any more changes nothing.
    first.is_unread(true);
    drop(first);
    assert!(live.take_question(|_| true, true).is_none());
    drop(second);
    assert!(live.take_question(|_| true, false).is_some());
}

#[tokio::test]
async fn an_id_of_a_megabyte_is_no_task_and_asks_no_disk() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let found = tasks.find(&"x".repeat(1 << 20), &nobody()).await;
    assert!(found.unwrap().is_none());
}

#[tokio::test]
async fn what_is_over_before_it_is_kept_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let ttl = tasks.ttl(None);
    let live = tasks.begin(nobody(), "t", Kind::Call, ttl, true).await;
    let live = live.unwrap();
    let ((), kept) = tokio::join!(
        async {
            tasks.cancel(&live).await;
        },
        tasks.keep(&live)
    );
    kept.unwrap();
    let page = tasks.list(&nobody(), None).await.unwrap();
    assert!(
        page.tasks.iter().all(|task| task.status.is_over()),
        "{page:?}"
    );
    assert!(tasks.book().unwrap().0.lock().is_empty());
}

#[tokio::test]
async fn whoever_asks_whether_a_call_is_kept_waits_for_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let ttl = tasks.ttl(None);
    let live = tasks.begin(nobody(), "t", Kind::Call, ttl, true).await;
    let live = live.unwrap();
    live.decided_whether_kept().await;
    assert!(!live.is_kept(), "nobody wants it to be");
    let keeping = tasks.keep(&live);
    tokio::pin!(keeping);
    assert!(futures_util::poll!(keeping.as_mut()).is_pending());
    let (kept, ()) = tokio::join!(keeping, live.decided_whether_kept());
    kept.unwrap();
    assert!(live.is_kept());
}

#[tokio::test]
async fn a_task_that_is_given_up_while_it_begins_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let ttl = tasks.ttl(None);
    let (book, keeper) = tasks.book().unwrap();
    for _ in 0..8 {
        {
            let beginning = tasks.begin(nobody(), "t", Kind::Task, ttl, false);
            tokio::pin!(beginning);
            assert!(futures_util::poll!(beginning.as_mut()).is_pending());
        }
        drop(begin(&tasks, 60_000).await);
    }
    assert!(book.lock().is_empty());
    assert_eq!(keeper.run(|store| Ok(store.kept())).await.unwrap().count, 0);
}

#[tokio::test]
async fn a_run_that_is_gone_without_an_end_has_failed() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let mut live = begin(&tasks, 60_000).await;
    live.runs();
    let id = live.id().to_owned();
    drop(live);
    tasks.sweep_once().await.unwrap();
    assert!(tasks.book().unwrap().0.lock().is_empty());
    let (task, _) = tasks.find(&id, &nobody()).await.unwrap().unwrap();
    assert_eq!(task.status, Status::Failed);
}

#[tokio::test]
async fn what_could_not_be_written_is_listed_takes_no_place_and_is_written_later() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let (book, keeper) = tasks.book().unwrap();
    keeper.run(|store| store.break_for_test()).await.unwrap();
    let mut refused = None;
    for _ in 0..=MAX_RUNNING_OF_ONE {
        let begun = tasks
            .begin(nobody(), "t", Kind::Task, tasks.ttl(None), false)
            .await;
        match begun {
            Ok(live) => tasks.end(&live, result("1"), ()).await,
            Err(why) => refused = Some(why),
        }
    }
    assert!(
        matches!(refused, Some(Refused::TooManyWait(_))),
        "{refused:?}"
    );
    let page = tasks.list(&nobody(), None).await.unwrap();
    assert_eq!(page.tasks.len(), MAX_RUNNING_OF_ONE);
    let counts = tasks.counts().unwrap();
    assert_eq!(counts.unwritten as usize, MAX_RUNNING_OF_ONE);
    assert_eq!(counted(counts.refused), [("unwritten", 1)]);
    let id = page.tasks[0].id.clone();
    assert!(tasks.ending(&id, &nobody()).await.unwrap().is_some());
    keeper.run(|store| store.mend_for_test()).await.unwrap();
    tasks.sweep_once().await.unwrap();
    assert!(book.lock().is_empty());
    assert_eq!(tasks.counts().unwrap().unwritten, 0);
    let (task, live) = tasks.find(&id, &nobody()).await.unwrap().unwrap();
    assert_eq!((task.status, task.message), (Status::Completed, None));
    assert!(live.is_none());
    begin(&tasks, 60_000).await;
}

#[tokio::test]
async fn a_disk_that_hangs_holds_nothing_of_a_call() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let live = begin(&tasks, 60_000).await;
    let (_, keeper) = tasks.book().unwrap();
    let (answers, hangs) = std::sync::mpsc::channel::<()>();
    keeper.leave(move |_| assert!(hangs.recv().is_err()));
    let place = Arc::new(());
    let held = Arc::clone(&place);
    let ending = tasks.end(&live, result("1"), held);
    tokio::pin!(ending);
    assert!(futures_util::poll!(ending.as_mut()).is_pending());
    assert_eq!(Arc::strong_count(&place), 1, "nothing is held for the disk");
    tokio::time::pause();
    ending.await;
    tokio::time::resume();
    assert_eq!(live.task().status, Status::Completed);
    assert!(live.task().message.unwrap().contains("has not answered"));
    drop(answers);
    keeper.run(|_| Ok(())).await.unwrap();
    assert_eq!(live.task().message, None, "the disk has it now");
    let ending = tasks.ending(live.id(), &nobody()).await.unwrap().unwrap();
    assert!(matches!(ending.end, End::Result { .. }));
}

#[tokio::test]
async fn a_fault_that_ends_the_store_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let (_, keeper) = tasks.book().unwrap();
    let work = keeper.run(|_| -> Result<(), StoreError> { panic!("a fault of the server") });
    assert!(work.await.is_err());
    while !keeper.is_gone() {
        tokio::task::yield_now().await;
    }
    assert!(!tasks.are_on() && !tasks.counts().unwrap().is_usable);
    assert!(tasks.fault().unwrap().contains("a fault of the server"));
}

/// It may be the room of what has expired that the others need.
#[tokio::test]
async fn a_result_that_is_too_large_for_the_disk_keeps_neither_others_from_it_nor_what_has_expired_on_it()
 {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let (book, keeper) = tasks.book().unwrap();
    let old = begin(&tasks, 60_000).await;
    tasks.end(&old, result("1"), ()).await;
    let mut large = Vec::new();
    for _ in 0..4 {
        large.push(begin(&tasks, 60_000).await);
    }
    let small = begin(&tasks, 60_000).await;
    keeper.run(Store::age_for_test).await.unwrap();
    keeper.run(Store::fill_for_test).await.unwrap();
    let text = format!("\"{}\"", "x".repeat(100 << 10));
    for live in &large {
        tasks.end(live, result(&text), ()).await;
        assert!(live.task().message.is_some(), "it finds no room");
    }
    keeper.run(Store::break_for_test).await.unwrap();
    tasks.end(&small, result("1"), ()).await;
    keeper.run(Store::mend_for_test).await.unwrap();
    assert!(tasks.sweep_once().await.is_err(), "that is said");
    let unwritten = book.unwritten();
    assert_eq!(unwritten.len(), large.len(), "the small one is written");
    let found = tasks.find(old.id(), &nobody()).await.unwrap();
    assert!(found.is_none(), "what has expired is gone");
}

#[tokio::test]
async fn a_begin_that_could_not_be_written_is_written_when_the_disk_works_again() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let (_, keeper) = tasks.book().unwrap();
    keeper.run(Store::break_for_test).await.unwrap();
    let live = begin(&tasks, 60_000).await;
    assert!(live.task().message.is_some(), "it is not on the disk");
    keeper.run(Store::mend_for_test).await.unwrap();
    tasks.sweep_once().await.unwrap();
    assert_eq!(live.task().message, None);
    let (id, key) = (live.id().to_owned(), nobody().key);
    let stored = keeper.run(move |store| store.find(&id, &key)).await;
    assert_eq!(stored.unwrap().unwrap().0.status, Status::Working);
    assert!(!live.is_over());
}

#[tokio::test]
async fn a_task_is_over_also_where_the_store_ends_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let (book, keeper) = tasks.book().unwrap();
    let live = begin(&tasks, 60_000).await;
    // It waits for room among what the disk does not take.
    let all = Arc::clone(&book.unwritten).acquire_many_owned(UNWRITTEN_KIB);
    let all = all.await.unwrap();
    let ending = tasks.end(&live, result("1"), ());
    tokio::pin!(ending);
    assert!(futures_util::poll!(ending.as_mut()).is_pending());
    let work = keeper.run(|_| -> Result<(), StoreError> { panic!("a fault of the server") });
    assert!(work.await.is_err());
    while !keeper.is_gone() {
        tokio::task::yield_now().await;
    }
    drop(all);
    ending.await;
    assert!(live.is_over());
}

/// What was counted, without the reasons that there were none of.
fn counted(counts: [(&'static str, u64); 3]) -> Vec<(&'static str, u64)> {
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn a_kept_call_that_makes_room_and_a_task_that_finds_none_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let two = Settings {
        max_count: 4,
        ..settings(directory.path())
    };
    let tasks = Tasks::open(two).await;
    let ttl = tasks.ttl(None);
    let mut running = Vec::new();
    for kind in [Kind::Call, Kind::Task, Kind::Task] {
        let begun = tasks.begin(nobody(), "t", kind, ttl, false).await.unwrap();
        if kind == Kind::Call {
            tasks.end(&begun, result("1"), ()).await;
        }
        running.push(begun);
    }
    assert_eq!(counted(tasks.counts().unwrap().lost), [("made_room", 1)]);
    let one_more = tasks.begin(nobody(), "t", Kind::Task, ttl, false).await;
    assert!(matches!(one_more, Err(Refused::TooManyKept(_))));
    assert_eq!(counted(tasks.counts().unwrap().refused), [("kept", 1)]);
}

/// What is written to a file that nobody can open any more is lost with the server.
#[tokio::test]
async fn a_file_that_is_gone_or_another_one_takes_no_promise_and_what_runs_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let [file, aside] = ["tasks.sqlite", "aside"].map(|name| directory.path().join(name));
    for is_restored in [false, true] {
        let tasks = Tasks::open(settings(directory.path())).await;
        let earlier = begin(&tasks, 60_000).await;
        tasks.end(&earlier, result("1"), ()).await;
        let live = begin(&tasks, 60_000).await;
        assert_eq!(tasks.fault(), None);
        std::fs::rename(&file, &aside).unwrap();
        if is_restored {
            std::fs::copy(&aside, &file).unwrap();
        }

        let ttl = tasks.ttl(None);
        let refused = tasks.begin(nobody(), "t", Kind::Task, ttl, false).await;
        let refused = refused.expect_err("nobody could fetch it").to_string();
        assert!(refused.contains("restart the server"), "{refused}");
        let is_known = || !tasks.are_on() && !tasks.counts().unwrap().is_usable;
        assert!(is_known());
        assert!(tasks.fault().unwrap().contains("restart the server"));
        tasks.end(&live, result("2"), ()).await;
        let said = live.task().message.unwrap();
        assert!(said.contains("lost when the server ends"), "{said}");
        for done in [&earlier, &live] {
            let ending = tasks.ending(done.id(), &nobody()).await.unwrap();
            let ending = ending.expect("it is there for as long as the server is");
            assert!(matches!(ending.end, End::Result { .. }));
        }
        assert!(tasks.sweep_once().await.is_err() && is_known());

        // Put back where it was, it is what it was.
        std::fs::rename(&aside, &file).unwrap();
        tasks.sweep_once().await.unwrap();
        assert!(tasks.are_on() && tasks.fault().is_none());
        assert_eq!(live.task().message, None, "the disk has it now");
        drop((earlier, live, tasks));
        until_closed(&settings(directory.path())).await;
    }
}

/// Also where nothing is begun: the sweep looks.
#[tokio::test]
async fn a_file_that_is_gone_is_noticed_although_nobody_begins_anything() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let tasks = Tasks::open(settings(&state)).await;
    tasks.sweep_once().await.unwrap();
    std::fs::remove_dir_all(&state).unwrap();
    let fault = tasks.sweep_once().await.unwrap_err().to_string();
    assert!(fault.contains("tasks.sqlite"), "{fault}");
    assert!(!tasks.are_on() && !tasks.counts().unwrap().is_usable);
}

/// What SQLite has in memory says nothing of it: the next server finds what lies on the disk.
#[tokio::test]
async fn a_file_that_others_write_to_takes_no_promise_until_the_server_is_restarted() {
    type Harm = fn(&Path, &Path);
    let harms: [Harm; 3] = [
        |file, _| cut(file),
        |file, older| assert!(std::fs::copy(older, file).unwrap() > 0),
        |file, _| cut(&file.with_file_name("tasks.sqlite-wal")),
    ];
    for harm in harms {
        let directory = tempfile::tempdir().unwrap();
        let [file, older] = ["tasks.sqlite", "older"].map(|name| directory.path().join(name));
        let tasks = Tasks::open(settings(directory.path())).await;
        tasks.close(Duration::from_secs(60)).await;
        std::fs::copy(&file, &older).unwrap();
        let live = begin(&tasks, 60_000).await;
        let large = format!("\"{}\"", "x".repeat(100_000));
        tasks.end(&live, result(&large), ()).await;
        let (_, keeper) = tasks.book().unwrap();
        keeper.run(|store| store.settle()).await.unwrap();
        let running = begin(&tasks, 60_000).await;
        tasks.sweep_once().await.unwrap();
        assert!(tasks.are_on() && tasks.fault().is_none());

        harm(&file, &older);
        let ttl = tasks.ttl(None);
        let refused = tasks.begin(nobody(), "t", Kind::Task, ttl, false).await;
        assert!(matches!(refused, Err(Refused::NoStore(_))), "{refused:?}");
        assert!(!tasks.are_on() && !tasks.counts().unwrap().is_usable);
        let said = tasks.fault().unwrap();
        assert!(said.contains("restart the server"), "{said}");
        tasks.end(&running, result("1"), ()).await;
        let ending = tasks.ending(running.id(), &nobody()).await.unwrap();
        assert!(matches!(ending.unwrap().end, End::Result { .. }));
        // Nothing takes that back.
        let _ = tasks.sweep_once().await;
        assert!(!tasks.are_on());
    }
}

/// The server has the journal still open; one that is killed leaves the file alone.
#[tokio::test]
async fn what_stood_in_a_journal_that_is_gone_is_in_the_file_from_then_on() {
    for is_replaced in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let [file, journal] =
            ["tasks.sqlite", "tasks.sqlite-wal"].map(|name| directory.path().join(name));
        let tasks = Tasks::open(settings(directory.path())).await;
        let live = begin(&tasks, 60_000).await;
        tasks.end(&live, result("\"kept\""), ()).await;
        std::fs::remove_file(&journal).unwrap();
        if is_replaced {
            std::fs::write(&journal, "").unwrap();
        }
        let fault = tasks.sweep_once().await.unwrap_err().to_string();
        assert!(
            fault.contains("what was kept until then is in tasks.sqlite"),
            "{fault}"
        );
        let killed = tempfile::tempdir().unwrap();
        std::fs::copy(&file, killed.path().join("tasks.sqlite")).unwrap();
        let next = Tasks::open(settings(killed.path())).await;
        let ending = next.ending(live.id(), &nobody()).await.unwrap();
        assert!(matches!(ending.unwrap().end, End::Result { .. }));
        // It goes on giving what it has.
        assert!(tasks.ending(live.id(), &nobody()).await.unwrap().is_some());
    }
}

/// Also where nothing is begun: the sweep looks.
#[tokio::test]
async fn a_journal_that_is_gone_is_noticed_and_so_is_its_return() {
    let directory = tempfile::tempdir().unwrap();
    let [journal, aside] = ["tasks.sqlite-wal", "aside"].map(|name| directory.path().join(name));
    let tasks = Tasks::open(settings(directory.path())).await;
    let _live = begin(&tasks, 60_000).await;
    std::fs::rename(&journal, &aside).unwrap();
    let fault = tasks.sweep_once().await.unwrap_err().to_string();
    assert!(fault.contains("tasks.sqlite-wal"), "{fault}");
    assert!(!tasks.are_on() && tasks.fault().unwrap().contains("tasks.sqlite-wal"));
    std::fs::rename(&aside, &journal).unwrap();
    tasks.sweep_once().await.unwrap();
    assert!(tasks.are_on() && tasks.fault().is_none());
}

#[test]
fn what_sqlite_finds_damaged_lasts_and_other_faults_do_not() {
    use rusqlite::ffi::{self, Error};
    for (code, is_lasting) in [
        (ffi::SQLITE_CORRUPT, true),
        (ffi::SQLITE_NOTADB, true),
        (ffi::SQLITE_FULL, false),
        (ffi::SQLITE_IOERR, false),
    ] {
        let fault = StoreError::from(rusqlite::Error::SqliteFailure(Error::new(code), None));
        assert_eq!(fault.is_lasting(), is_lasting, "{fault}");
    }
    let directory = tempfile::tempdir().unwrap();
    let book = Book::new(settings(directory.path()));
    book.fault(&StoreError::Damaged("it".to_owned()));
    assert!(book.damage().is_some());
}

#[tokio::test]
async fn what_waits_for_the_disk_is_written_at_the_end_or_said_to_have_ended() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = Tasks::open(settings(directory.path())).await;
    let (_, keeper) = tasks.book().unwrap();
    let [small, large] = [begin(&tasks, 60_000).await, begin(&tasks, 60_000).await];
    keeper.run(|store| store.break_for_test()).await.unwrap();
    tasks.end(&small, result("1"), ()).await;
    let text = format!("\"{}\"", "x".repeat(500_000));
    tasks.end(&large, result(&text), ()).await;
    assert_eq!(tasks.counts().unwrap().unwritten, 2);
    // There is room again, but not for everything.
    keeper.run(|store| store.mend_for_test()).await.unwrap();
    keeper.run(|store| store.fill_for_test()).await.unwrap();
    let ids = [small.id().to_owned(), large.id().to_owned()];
    tasks.close(Duration::from_secs(60)).await;
    drop((small, large, tasks));
    until_closed(&settings(directory.path())).await;
    let tasks = Tasks::open(settings(directory.path())).await;
    let [small, large] = ids;
    let (task, _) = tasks.find(&small, &nobody()).await.unwrap().unwrap();
    assert_eq!(task.status, Status::Completed);
    let (task, _) = tasks.find(&large, &nobody()).await.unwrap().unwrap();
    assert_eq!(task.status, Status::Failed);
    let said = task.message.unwrap();
    assert!(said.contains("it ended, and its result is lost"), "{said}");
}

fn cut(file: &Path) {
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(0).unwrap();
}

/// Waits until the thread of a store that was dropped has closed its file.
async fn until_closed(settings: &Settings) {
    while Store::open(settings.clone(), &task::Clock::start()).is_err() {
        tokio::task::yield_now().await;
    }
}
