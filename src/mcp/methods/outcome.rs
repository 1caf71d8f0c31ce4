//! How a method ends: a result with the name the log has for it, or none. Knows no method.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use crate::call::types::{CallError, Permit, ToolResult};
use crate::catalog::Listing;
use crate::jsonrpc::{Members, RpcError};
use crate::mcp::adapted::Given;
use crate::mcp::context::Cancelled;
use crate::mcp::messages;
use crate::mcp::revision::Revision;

/// A method's result, or why there is none.
pub type Outcome = Result<Success, Failure>;

/// A result, and what the log calls it.
#[derive(Debug)]
pub struct Success {
    /// What a tool gave. It is written straight into the answer, for it may be large.
    pub given: Option<Given>,
    /// A result as it was written once, in place of everything else.
    pub whole: Option<Whole>,
    /// A list by its name, written once for everybody who sees the same of it.
    pub list: Option<(&'static str, Listing)>,
    /// The other members of the response's `result`.
    pub result: Members,
    /// The permit of the call that it came from, kept until it is written.
    pub permit: Option<Arc<Permit>>,
    /// The memory of a result that was kept, until it is written.
    pub room: Option<OwnedSemaphorePermit>,
    /// `ok`, or the code of a failed tool call, whose failure is a result.
    pub code: &'static str,
}

/// A whole result, as it was written once for everybody who gets it.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The JSON text of the object.
    pub text: Arc<Box<RawValue>>,
    /// Whether the tool says in it that it failed.
    pub has_failed: bool,
}

impl Serialize for Success {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(whole) = &self.whole {
            return whole.text.serialize(serializer);
        }
        let mut object = serializer.serialize_map(None)?;
        if let Some(given) = &self.given {
            given.write(&mut object)?;
        }
        if let Some((name, list)) = &self.list {
            object.serialize_entry(name, list.as_ref())?;
        }
        for (name, value) in self.result.iter() {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

impl From<ToolResult> for Success {
    /// The structured content goes out as it is.
    fn from(result: ToolResult) -> Self {
        Self {
            given: Some(Given::new(result.content)),
            whole: None,
            list: None,
            result: messages::tool_result(result.is_error, result.other),
            permit: result.permit,
            room: None,
            code: crate::telemetry::OK,
        }
    }
}

impl Success {
    /// A call that failed; of a tool that `has_schema` without structured content.
    pub fn failed(error: &CallError, has_schema: bool) -> Self {
        Self {
            given: None,
            whole: None,
            list: None,
            result: messages::tool_failure(error, has_schema),
            permit: None,
            room: None,
            code: error.code(),
        }
    }

    /// A call of a tool of the server's own that failed: `text` for the model, `code` and `message` for programs.
    pub fn own_failure(code: &'static str, message: &str, text: &str) -> Self {
        Self {
            code,
            ..messages::own_failure(code, message, text).into()
        }
    }

    /// A result that is one list.
    pub fn listing(name: &'static str, list: Listing) -> Self {
        Self {
            list: Some((name, list)),
            ..Members::default().into()
        }
    }

    /// A result that is made of what a call printed.
    pub fn holding(result: Members, permit: Arc<Permit>) -> Self {
        Self {
            permit: Some(permit),
            ..result.into()
        }
    }

    /// A result that was written before.
    pub fn written(whole: Whole) -> Self {
        Self {
            whole: Some(whole),
            ..Members::default().into()
        }
    }

    /// The members of the result that can be set. A result that was written before is taken apart for that.
    pub fn members(&mut self) -> &mut Members {
        if let Some(whole) = self.whole.take() {
            self.result = Members::parse(whole.text.get()).unwrap_or_default();
        }
        &mut self.result
    }

    /// Whether the tool says that it failed.
    pub fn has_failed(&self) -> bool {
        let failed = self.result.get("isError");
        match &self.whole {
            Some(whole) => whole.has_failed,
            None => failed.is_some_and(|failed| failed.get() == "true"),
        }
    }

    /// How long it will be, in bytes, but for the names of what is always there.
    pub fn written_size(&self) -> usize {
        if let Some(whole) = &self.whole {
            return whole.text.get().len();
        }
        let given = self.given.as_ref();
        let given = given.map_or(0, |given| given.content.written_size());
        let list = self.list.as_ref();
        let list = list.map_or(0, |(name, list)| name.len() + list.get().len() + 4);
        let members = self.result.iter();
        let members = members.map(|(name, value)| name.len() + value.get().len() + 4);
        given + list + members.sum::<usize>()
    }

    /// The same with blocks that clients of the revision can read.
    pub fn readable_by(mut self, revision: Revision) -> Self {
        if let Some(given) = &mut self.given {
            given.adapt_blocks(revision);
        }
        self
    }

    /// The same with structured content as a member of an object, where `wrapped`.
    pub fn wrapped(mut self, wrapped: bool) -> Self {
        if let Some(given) = &mut self.given {
            given.wrapped = wrapped;
        }
        self
    }
}

impl From<Members> for Success {
    fn from(result: Members) -> Self {
        Self {
            given: None,
            whole: None,
            list: None,
            result,
            permit: None,
            room: None,
            code: crate::telemetry::OK,
        }
    }
}

impl From<&CallError> for Success {
    fn from(error: &CallError) -> Self {
        Self::failed(error, false)
    }
}

/// Why a method gives no result.
#[derive(Debug)]
pub enum Failure {
    /// Answered with this error.
    Error(RpcError),
    /// The client cancelled it: no answer at all.
    Cancelled,
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        Self::Error(error)
    }
}

impl From<Cancelled> for Failure {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::types::{Content, JsonText};

    fn written(content: Content, wrapped: bool) -> String {
        let result = ToolResult {
            content,
            is_error: false,
            other: vec![("more".to_owned(), crate::jsonrpc::to_raw(&1))],
            permit: None,
        };
        serde_json::to_string(&Success::from(result).wrapped(wrapped)).unwrap()
    }

    #[test]
    fn what_a_tool_gave_is_written_to_the_letter() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let value = "[1.50,12345678901234567890]";
        for (wrapped, structured) in [
            (false, value.to_owned()),
            (true, format!(r#"{{"result":{value}}}"#)),
        ] {
            assert_eq!(
                written(Content::Json(JsonText::new(raw(value))), wrapped),
                format!(
                    r#"{{"content":[{{"type":"text","text":"{value}"}}],"structuredContent":{structured},"isError":false,"more":1}}"#
                )
            );
        }
        let own = Content::Own {
            blocks: raw("[ ]"),
            youngest: crate::call::types::BlockKind::Basic,
            structured: None,
        };
        assert_eq!(
            written(own, true),
            r#"{"content":[ ],"isError":false,"more":1}"#
        );
    }
}
