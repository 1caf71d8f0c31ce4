//! The tasks in their file as they are asked for: found, listed, with how they ended. Every function here waits for the
//! disk: `keeper` calls them.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};
use serde_json::value::RawValue;

use super::file::StoreError;
use super::pieces;
use super::store::Store;
use super::task::{End, Kind, Owner, Status, Task};

/// How many tasks one page of a list has.
pub(super) const PAGE: usize = 100;

/// One page of a list, the newest first.
#[derive(Debug, Default)]
pub struct Page {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Where the next page begins; `None` where this is the last.
    pub next: Option<i64>,
}

impl Store {
    /// The task of that id, if it is this key's.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn find(&self, id: &str, key: &str) -> Result<Option<(Task, u64)>, StoreError> {
        let sql = "SELECT id, tool, is_call, status, message, created, updated, ttl, failed, bytes, seq FROM tasks
                   WHERE id = ?1 AND owner = ?2";
        let found = self.db.query_row(sql, [id, key], |row| {
            Ok((task(row)?, row.get::<_, u64>("bytes")?))
        });
        Ok(found.optional()?)
    }

    /// How a task ended, if it has.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn ending(&self, id: &str) -> Result<Option<End>, StoreError> {
        let sql =
            "SELECT status, message, result, error, failed, seq, bytes FROM tasks WHERE id = ?1";
        let row = self.db.query_row(sql, [id], |row| {
            let about: (String, Option<String>) = (row.get("status")?, row.get("message")?);
            let result: Option<String> = row.get("result")?;
            let error: Option<String> = row.get("error")?;
            let place = (row.get("seq")?, row.get("bytes")?);
            Ok((about, result, error, row.get::<_, bool>("failed")?, place))
        });
        let Some(((status, message), result, error, has_failed, (seq, bytes))) = row.optional()?
        else {
            return Ok(None);
        };
        let no_json = |fault: &dyn std::fmt::Display| {
            StoreError::Fault(format!("what is kept is no JSON: {fault}"))
        };
        let raw = |text: String| RawValue::from_string(text).map_err(|fault| no_json(&fault));
        let result = match result {
            None if status == Status::Completed.name() => {
                let text = pieces::read(&self.db, seq, bytes)?;
                Some(String::from_utf8(text).map_err(|fault| no_json(&fault))?)
            }
            result => result,
        };
        Ok(match (result, error) {
            (Some(text), _) => Some(End::Result {
                text: Arc::new(raw(text)?),
                has_failed,
            }),
            (None, Some(error)) => Some(End::Error(raw(error)?)),
            (None, None) if status == Status::Cancelled.name() => Some(End::Cancelled),
            (None, None) if status == Status::Failed.name() => {
                Some(End::failed(message.as_deref().unwrap_or("it failed")))
            }
            (None, None) => None,
        })
    }

    /// The tasks of an owner, the newest first, `before` one of them. Where an agent is named, those made for it.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn list(&self, owner: &Owner, before: Option<i64>) -> Result<Page, StoreError> {
        let sql = "SELECT id, tool, is_call, status, message, created, updated, ttl, failed, seq FROM tasks
                   WHERE owner = ?1 AND (?2 IS NULL OR agent = ?2) AND (?3 IS NULL OR seq < ?3) ORDER BY seq DESC LIMIT ?4";
        let mut query = self.db.prepare(sql)?;
        let rows = query.query_map(params![owner.key, owner.agent, before, PAGE + 1], |row| {
            Ok((task(row)?, row.get::<_, i64>("seq")?))
        })?;
        let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
        let has_more = rows.len() > PAGE;
        rows.truncate(PAGE);
        let next = rows.last().map(|(_, seq)| *seq).filter(|_| has_more);
        Ok(Page {
            tasks: rows.into_iter().map(|(task, _)| task).collect(),
            next,
        })
    }
}

fn task(row: &Row<'_>) -> Result<Task, rusqlite::Error> {
    let status: String = row.get("status")?;
    let is_call: bool = row.get("is_call")?;
    Ok(Task {
        id: row.get("id")?,
        tool: row.get("tool")?,
        kind: if is_call { Kind::Call } else { Kind::Task },
        status: Status::parse(&status).unwrap_or(Status::Failed),
        has_failed: row.get("failed")?,
        message: row.get("message")?,
        created: row.get("created")?,
        updated: row.get("updated")?,
        ttl: row.get("ttl")?,
    })
}
