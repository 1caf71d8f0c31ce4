//! What every result of revision 2026-07-28 has, beside what its method or a plugin wrote.
//! <https://modelcontextprotocol.io/specification/draft/basic>

use serde_json::value::RawValue;

use super::lifecycle;
use crate::jsonrpc::{Members, to_raw};
use crate::mcp::method::Method;

const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// Adds what every result of this revision has, to what a plugin wrote.
pub fn complete(result: &mut Members, method: Method) {
    result.set_default("resultType", &"complete");
    let asks_for_input = result.string("resultType").as_deref() == Some("input_required");
    if method.is_cacheable() && !asks_for_input {
        // Attachments and plugins may change at any moment, and listeners are notified.
        result.set_default("ttlMs", &0);
        result.set_default("cacheScope", &"private");
    }
    let written = result.get("_meta").map(RawValue::get);
    let written = written.and_then(|meta| Members::parse(meta).ok());
    let mut meta = written.unwrap_or_default();
    meta.set(SERVER_INFO, to_raw(&lifecycle::server_info()));
    result.set("_meta", to_raw(&meta));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn finish(result: &str, method: Method) -> Value {
        let mut members = Members::parse(result).unwrap();
        complete(&mut members, method);
        serde_json::to_value(members).unwrap()
    }

    #[test]
    fn results_say_that_they_are_complete_and_who_gave_them() {
        let result = finish(r#"{"content":[],"_meta":{"a":1}}"#, Method::CallTool);
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result["_meta"]["a"], 1);
        assert_eq!(
            result["_meta"][SERVER_INFO]["name"],
            crate::mcp::messages::SERVER_NAME
        );
        assert!(result.get("ttlMs").is_none());
        assert_eq!(finish("{}", Method::Discover)["ttlMs"], 0);
    }

    #[test]
    fn what_a_plugin_says_of_caching_stands() {
        let result = finish(
            r#"{"contents":[],"ttlMs":5000,"cacheScope":"public"}"#,
            Method::ReadResource,
        );
        assert_eq!(
            (result["ttlMs"].as_u64(), result["cacheScope"].as_str()),
            (Some(5000), Some("public"))
        );
    }

    #[test]
    fn a_question_says_nothing_of_caching() {
        let result = finish(
            r#"{"resultType":"input_required","inputRequests":{}}"#,
            Method::ReadResource,
        );
        assert_eq!(result["resultType"], "input_required");
        assert!(result.get("ttlMs").is_none());
    }
}
