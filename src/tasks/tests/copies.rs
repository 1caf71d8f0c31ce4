//! Copies of the file that are put back, and the journal that lies beside them.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

const FILE: &str = "tasks.sqlite";
const JOURNAL: &str = "tasks.sqlite-wal";

/// A directory with results, and a copy of the file from before the later ones.
struct Scene {
    directory: TempDir,
    tasks: Tasks,
    /// What the copy has.
    old: String,
    /// What only the file and its journal have.
    later: Vec<String>,
}

impl Scene {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tasks = Tasks::open(settings(directory.path())).await;
        let old = kept(&tasks).await;
        tasks.close(Duration::from_secs(60)).await;
        std::fs::copy(directory.path().join(FILE), directory.path().join("copy")).unwrap();
        drop(tasks);
        closed(directory.path()).await;
        let tasks = Tasks::open(settings(directory.path())).await;
        let in_file = kept(&tasks).await;
        settled(&tasks).await;
        let in_journal = kept(&tasks).await;
        Self {
            directory,
            tasks,
            old,
            later: vec![in_file, in_journal],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put_the_copy_back(&self, directory: &Path) {
        // The file stays the same one: what is in it is another.
        std::fs::copy(self.path("copy"), directory.join(FILE)).unwrap();
    }

    /// The server ends in order.
    async fn ends(self) -> (TempDir, String) {
        self.tasks.close(Duration::from_secs(60)).await;
        drop(self.tasks);
        closed(self.directory.path()).await;
        (self.directory, self.old)
    }
}

/// A task whose result is kept.
async fn kept(tasks: &Tasks) -> String {
    let live = begin(tasks, 60_000).await;
    let text = format!("\"{}\"", "x".repeat(20_000));
    tasks.end(&live, result(&text), ()).await;
    live.id().to_owned()
}

/// What SQLite does by itself once the journal is large.
async fn settled(tasks: &Tasks) {
    let (_, keeper) = tasks.book().unwrap();
    keeper.run(|store| store.settle()).await.unwrap();
}

/// Waits until the thread of a store that was dropped has closed its file, whatever the next one says of it.
async fn closed(directory: &Path) {
    let next = || Store::open(settings(directory), &task::Clock::start());
    while next().is_err_and(|fault| fault.to_string().contains("another server")) {
        tokio::task::yield_now().await;
    }
}

async fn is_there(tasks: &Tasks, id: &str) -> bool {
    let ending = tasks.ending(id, &nobody()).await.unwrap();
    ending.is_some_and(|ending| matches!(ending.end, End::Result { .. }))
}

/// What a server that is killed now leaves.
fn left_by_a_kill(directory: &Path) -> TempDir {
    let left = tempfile::tempdir().unwrap();
    for name in [FILE, JOURNAL] {
        std::fs::copy(directory.join(name), left.path().join(name)).unwrap();
    }
    left
}

/// What is in the journals that were set aside.
fn set_aside(directory: &Path) -> Vec<Vec<u8>> {
    let names = std::fs::read_dir(directory).unwrap();
    let names = names.map(|entry| entry.unwrap().path());
    let aside = names.filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("tasks.sqlite-wal.")
    });
    aside.map(|path| std::fs::read(path).unwrap()).collect()
}

#[tokio::test]
async fn a_copy_put_over_the_file_of_a_server_that_runs_is_what_the_next_one_opens() {
    for is_noticed in [true, false] {
        let scene = Scene::new().await;
        let journal = std::fs::read(scene.path(JOURNAL)).unwrap();
        scene.put_the_copy_back(scene.directory.path());
        if is_noticed {
            assert!(scene.tasks.sweep_once().await.is_err());
        }
        let (directory, old) = scene.ends().await;
        let next = Tasks::open(settings(directory.path())).await;
        assert_eq!(next.fault(), None, "{is_noticed}");
        assert!(is_there(&next, &old).await, "{is_noticed}");
        assert!(
            set_aside(directory.path()) == [journal],
            "it is not lost: {is_noticed}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_damaged_stays_as_it_is_when_the_server_ends_and_a_copy_mends_it() {
    let scene = Scene::new().await;
    let (book, keeper) = scene.tasks.book().unwrap();
    let fault = StoreError::Damaged("it".to_owned());
    let found = fault.clone();
    let _ = keeper.run(move |_| Err::<(), _>(found)).await;
    book.fault(&fault);
    let [file, journal] = [FILE, JOURNAL].map(|name| std::fs::read(scene.path(name)).unwrap());
    scene.tasks.close(Duration::from_secs(60)).await;
    assert!(std::fs::read(scene.path(FILE)).unwrap() == file);
    assert!(set_aside(scene.directory.path()) == [journal]);
    scene.put_the_copy_back(scene.directory.path());
    let (directory, old) = scene.ends().await;
    let next = Tasks::open(settings(directory.path())).await;
    assert_eq!(next.fault(), None);
    assert!(is_there(&next, &old).await);
}

#[tokio::test]
async fn a_copy_put_back_after_a_kill_is_opened_without_the_journal_of_the_other_file() {
    let scene = Scene::new().await;
    let left = left_by_a_kill(scene.directory.path());
    let journal = std::fs::read(left.path().join(JOURNAL)).unwrap();
    scene.put_the_copy_back(left.path());
    let next = Tasks::open(settings(left.path())).await;
    assert_eq!(next.fault(), None);
    assert!(is_there(&next, &scene.old).await);
    assert!(set_aside(left.path()) == [journal]);
    let _ = kept(&next).await;
}

#[tokio::test]
async fn where_the_file_was_moved_away_a_new_one_is_begun_and_its_journal_kept() {
    let scene = Scene::new().await;
    let left = left_by_a_kill(scene.directory.path());
    let [file, journal] = [FILE, JOURNAL].map(|name| left.path().join(name));
    let [moved, written] = [&file, &journal].map(|path| std::fs::read(path).unwrap());
    std::fs::remove_file(&file).unwrap();
    let next = Tasks::open(settings(left.path())).await;
    assert_eq!(next.fault(), None);
    let new = kept(&next).await;
    assert!(is_there(&next, &new).await);
    assert!(set_aside(left.path()) == [written.clone()]);
    // With the file that was moved it has everything.
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join(FILE), moved).unwrap();
    std::fs::write(other.path().join(JOURNAL), written).unwrap();
    let both = Tasks::open(settings(other.path())).await;
    for id in [&scene.old, &scene.later[0], &scene.later[1]] {
        assert!(is_there(&both, id).await);
    }
}

/// Also one that was killed while it put the journal into the file.
#[tokio::test]
async fn a_server_that_was_killed_loses_nothing_where_nobody_touched_its_files() {
    let scene = Scene::new().await;
    let directory = scene.directory.path();
    let mut all = vec![scene.old.clone()];
    all.extend(scene.later.iter().cloned());
    let mut moments = vec![(left_by_a_kill(directory), all.clone())];
    for _ in 0..3 {
        all.push(kept(&scene.tasks).await);
        let before = left_by_a_kill(directory);
        settled(&scene.tasks).await;
        let after = std::fs::read(scene.path(FILE)).unwrap();
        for first_page_is_new in [true, false] {
            let half = left_by_a_kill(before.path());
            let path = half.path().join(FILE);
            let old = std::fs::read(&path).unwrap();
            let (one, other) = match first_page_is_new {
                true => (&after, &old),
                false => (&old, &after),
            };
            let mixed = [&one[..4096], &other[4096..]].concat();
            std::fs::write(&path, mixed).unwrap();
            moments.push((half, all.clone()));
        }
        moments.push((before, all.clone()));
        moments.push((left_by_a_kill(directory), all.clone()));
        all.push(kept(&scene.tasks).await);
        moments.push((left_by_a_kill(directory), all.clone()));
    }
    for (moment, (left, ids)) in moments.iter().enumerate() {
        let next = Tasks::open(settings(left.path())).await;
        assert_eq!(next.fault(), None, "{moment}");
        for id in ids {
            assert!(is_there(&next, id).await, "{moment}: {id}");
        }
        assert!(set_aside(left.path()).is_empty(), "{moment}");
        // And once more, with what this one has written.
        let more = kept(&next).await;
        let left = left_by_a_kill(left.path());
        let next = Tasks::open(settings(left.path())).await;
        assert!(is_there(&next, &more).await && is_there(&next, &ids[0]).await);
        assert!(set_aside(left.path()).is_empty(), "{moment}");
    }
}
