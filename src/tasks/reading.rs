//! Tasks as clients ask for them: one, how it ended, a list.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::book::{READING_KIB, Tasks};
use super::live::Live;
use super::lookup::Page;
use super::store::StoreError;
use super::task::{End, Owner, Task};

/// No task has a longer id.
const MAX_ID: usize = 64;

/// How a task ended, with the memory that it takes until it is written as an answer.
#[derive(Debug)]
pub struct Ending {
    /// How.
    pub end: End,
    /// The memory.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Tasks {
    /// The task of that id, if it belongs to the same key; with it, if it runs, what runs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(
        &self,
        id: &str,
        owner: &Owner,
    ) -> Result<Option<(Task, Option<Arc<Live>>)>, StoreError> {
        let Some((book, keeper)) = self.book().filter(|_| id.len() <= MAX_ID) else {
            return Ok(None);
        };
        let live = book.lock().get(id).cloned();
        if let Some(live) = live {
            let is_theirs = live.is_kept() && live.owner().key == owner.key;
            return Ok(is_theirs.then(|| (live.task(), Some(live))));
        }
        let (id, key) = (id.to_owned(), owner.key.clone());
        let found = keeper.run(move |store| store.find(&id, &key)).await;
        let found = found.inspect_err(|fault| book.fault(fault))?;
        Ok(found.map(|(task, _)| (task, None)))
    }

    /// How a task of this owner ended; `None` where it is not over, or is not there any more.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ending(&self, id: &str, owner: &Owner) -> Result<Option<Ending>, StoreError> {
        let Some((book, keeper)) = self.book() else {
            return Ok(None);
        };
        // Several copies of it are made on the way: as text, as the members of an answer, as a line.
        let room_for = async |bytes: u64| {
            let kib = u32::try_from(bytes >> 9).unwrap_or(READING_KIB);
            let reading = Arc::clone(&book.reading);
            let room = reading.acquire_many_owned(kib.clamp(1, READING_KIB));
            room.await.ok()
        };
        let live = book.lock().get(id).cloned();
        if let Some(live) = live {
            let held = live.watch().borrow().end.clone();
            if let Some(held) = held {
                let room = room_for(held.end.bytes() as u64).await;
                let end = held.end.clone();
                return Ok(Some(Ending { end, room }));
            }
            if !live.is_over() {
                return Ok(None);
            }
            // It has just been written.
        }
        let (sought, key) = (id.to_owned(), owner.key.clone());
        let found = keeper.run(move |store| store.find(&sought, &key)).await;
        let Some((_, bytes)) = found.inspect_err(|fault| book.fault(fault))? else {
            return Ok(None);
        };
        let room = room_for(bytes).await;
        let id = id.to_owned();
        let end = keeper.run(move |store| store.ending(&id)).await;
        let end = end.inspect_err(|fault| book.fault(fault))?;
        Ok(end.map(|end| Ending { end, room }))
    }

    /// The tasks of an owner, the newest first, from where the page before has ended.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, owner: &Owner, before: Option<i64>) -> Result<Page, StoreError> {
        let Some((book, keeper)) = self.book() else {
            return Ok(Page::default());
        };
        let asked = owner.clone();
        let page = keeper.run(move |store| store.list(&asked, before)).await;
        let mut page = page.inspect_err(|fault| book.fault(fault))?;
        let live = book.lock();
        for task in &mut page.tasks {
            if let Some(live) = live.get(&task.id) {
                *task = live.task();
            }
        }
        if before.is_none() {
            let unwritten = live.values().filter(|live| {
                let agent = &live.owner().agent;
                live.is_kept()
                    && !live.is_stored()
                    && live.owner().key == owner.key
                    && (owner.agent.is_none() || *agent == owner.agent)
            });
            let mut unwritten: Vec<Task> = unwritten.map(|live| live.task()).collect();
            unwritten.sort_by_key(|task| std::cmp::Reverse(task.created));
            unwritten.append(&mut page.tasks);
            page.tasks = unwritten;
        }
        drop(live);
        Ok(page)
    }
}
