//! How a method ends: a result with the name the log has for it, or none. Knows no method.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

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
    /// A list by its name, written once for everybody who sees the same of it.
    pub list: Option<(&'static str, Listing)>,
    /// The other members of the response's `result`.
    pub result: Members,
    /// The permit of the call that it came from, kept until it is written.
    pub permit: Option<Arc<Permit>>,
    /// `ok`, or the code of a failed tool call, whose failure is a result.
    pub code: &'static str,
}

impl Serialize for Success {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
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
            list: None,
            result: messages::tool_result(result.is_error, result.other),
            permit: result.permit,
            code: crate::telemetry::OK,
        }
    }
}

impl Success {
    /// A call that failed; of a tool that `has_schema` without structured content.
    pub fn failed(error: &CallError, has_schema: bool) -> Self {
        Self {
            given: None,
            list: None,
            result: messages::tool_failure(error, has_schema),
            permit: None,
            code: error.code(),
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

    /// How long it will be, in bytes, but for the names of what is always there.
    pub fn written_size(&self) -> usize {
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
            list: None,
            result,
            permit: None,
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
    use serde_json::value::RawValue;

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
