use serde_json::json;

use super::*;

fn read(asked: &str) -> Result<Vec<Question>, String> {
    let asked = RawValue::from_string(asked.to_owned()).expect("it is JSON");
    Question::read_all(&asked)
}

fn question(question: Value) -> Question {
    let mut questions = read(&json!({"k": question}).to_string()).expect("it is a question");
    questions.pop().expect("there is one")
}

fn fault(asked: &str) -> String {
    read(asked).expect_err("it cannot be asked")
}

#[test]
fn what_is_no_question_is_named_by_its_key() {
    for (asked, named) in [
        ("[1]", "ask must be an object"),
        (
            r#"{"a":{"roots":{}},"b":{"guess":{}}}"#,
            "'b' must have one object",
        ),
        (r#"{"a":{"roots":3}}"#, "'a' must have one object"),
        (
            r#"{"a":{"roots":{}},"a":{"sample":{}}}"#,
            "the key 'a' stands for another question",
        ),
        (r#"{"error":{"roots":{}}}"#, "must not have the key 'error'"),
        (
            r#"{"a":{"elicit":{"mode":"dance"}}}"#,
            r#"'a': mode must be form or url, not "dance""#,
        ),
        (
            r#"{"a":{"elicit":{"message":"?","requestedSchema":{"properties":{"k":{"type":"string","pattern":"("}}}}}}"#,
            "'a': requestedSchema is no valid",
        ),
        (
            r#"{"a":{"elicit":{"message":"?","requestedSchema":{"properties":{},"$ref":"https://x/y"}}}}"#,
            "'a': requestedSchema is no valid",
        ),
    ] {
        assert!(fault(asked).contains(named), "{asked}: {}", fault(asked));
    }
    let many: Value = (0..=MAX_QUESTIONS)
        .map(|n| (n.to_string(), json!({"roots": {}})))
        .collect();
    assert!(fault(&many.to_string()).contains("65 questions at once"));
    let half = json!({"elicit": {"message": "?", "requestedSchema": {"type": "object", "title": "x".repeat(MAX_SCHEMAS / 2)}}});
    assert!(read(&json!({"a": half}).to_string()).is_ok());
    let both = json!({"a": half, "b": half}).to_string();
    assert!(fault(&both).contains("'b': requestedSchema is too large"));
}

#[test]
fn questions_keep_their_order_and_their_parameters() {
    let questions =
        read(r#"{"z":{"roots":{}},"a":{"sample":{"maxTokens":3,"messages":[],"more":[1]}}}"#);
    let questions = questions.expect("both are questions");
    let all: Vec<_> = questions
        .iter()
        .map(|one| (one.key.as_str(), one.kind))
        .collect();
    assert_eq!(
        all,
        [("z", QuestionKind::Roots), ("a", QuestionKind::Sample)]
    );
    assert_eq!(
        questions[1].params,
        json!({"maxTokens": 3, "messages": [], "more": [1]})
    );
}

#[test]
fn a_question_needs_what_it_uses() {
    use Capability::{Elicitation, ElicitationForm, ElicitationUrl, Roots};
    use Capability::{Sampling, SamplingContext, SamplingTools};
    let form = json!({"elicit": {"message": "?", "requestedSchema": {"type": "object"}}});
    let url = json!({"elicit": {"message": "?", "mode": "url", "url": "https://example.org"}});
    let plain = json!({"sample": {"messages": [], "maxTokens": 9, "includeContext": "none"}});
    let tools = json!({"sample": {"messages": [], "maxTokens": 9, "tools": []}});
    let choice =
        json!({"sample": {"messages": [], "maxTokens": 9, "toolChoice": {"mode": "auto"}}});
    let context =
        json!({"sample": {"messages": [], "maxTokens": 9, "includeContext": "allServers"}});
    for (asked, declared, missing) in [
        (&form, vec![], Some("elicitation")),
        (
            &form,
            vec![Elicitation, ElicitationUrl],
            Some("elicitation.form"),
        ),
        (&form, vec![Elicitation, ElicitationForm], None),
        (
            &url,
            vec![Elicitation, ElicitationForm],
            Some("elicitation.url"),
        ),
        (&url, vec![Elicitation, ElicitationUrl], None),
        (&plain, vec![], Some("sampling")),
        (&plain, vec![Sampling], None),
        (
            &tools,
            vec![Sampling, SamplingContext],
            Some("sampling.tools"),
        ),
        (&choice, vec![Sampling], Some("sampling.tools")),
        (&tools, vec![Sampling, SamplingTools], None),
        (
            &context,
            vec![Sampling, SamplingTools],
            Some("sampling.context"),
        ),
        (&context, vec![Sampling, SamplingContext], None),
        (&json!({"roots": {}}), vec![Sampling], Some("roots")),
        (&json!({"roots": {}}), vec![Roots], None),
    ] {
        let declared = ClientCapabilities::from_iter(declared);
        assert_eq!(
            question(asked.clone()).missing(declared),
            missing,
            "{asked} {declared:?}"
        );
    }
}

#[test]
fn an_answer_is_held_against_its_question() {
    let form = json!({"elicit": {"message": "?", "requestedSchema": {"type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0}}, "required": ["age"]}}});
    let free = json!({"elicit": {"message": "?", "requestedSchema": {"type": "object"}}});
    let url = json!({"elicit": {"message": "?", "mode": "url", "url": "https://example.org", "requestedSchema": false}});
    let sample = json!({"sample": {"messages": [], "maxTokens": 9}});
    let roots = json!({"roots": {}});
    for (asked, answer, wrong) in [
        (
            &form,
            json!({"action": "accept", "content": {"age": 3}}),
            None,
        ),
        (
            &form,
            json!({"action": "accept", "content": {"age": -3}}),
            Some("content/age: "),
        ),
        (
            &form,
            json!({"action": "accept", "content": {"age": "3"}}),
            Some("content/age: "),
        ),
        (
            &form,
            json!({"action": "accept", "content": {}}),
            Some("\"age\" is a required"),
        ),
        (
            &form,
            json!({"action": "accept"}),
            Some("\"age\" is a required"),
        ),
        (
            &form,
            json!({"action": "accept", "content": {"age": 3, "note": "x".repeat(MAX_CONTENT)}}),
            Some("the limit is 262144"),
        ),
        (
            &form,
            json!({"action": "accept", "content": [3]}),
            Some("content: "),
        ),
        (&form, json!({"action": "decline"}), None),
        (
            &json!({"elicit": {"message": "?", "requestedSchema": {"type": "object"}}}),
            json!({"action": "accept", "content": null}),
            None,
        ),
        (
            &form,
            json!({"action": "cancel", "content": {"age": "x"}}),
            None,
        ),
        (&form, json!({"action": "maybe"}), Some("its action")),
        (&form, json!({"content": {"age": 3}}), Some("its action")),
        (
            &free,
            json!({"action": "accept", "content": {"any": [1]}}),
            None,
        ),
        (&url, json!({"action": "accept"}), None),
        (
            &sample,
            json!({"role": "assistant", "content": {}, "model": "m"}),
            None,
        ),
        (&sample, json!({"role": "assistant"}), Some("no content")),
        (&sample, json!({"content": {}}), Some("no role")),
        (&roots, json!({"roots": []}), None),
        (
            &roots,
            json!({"action": "accept"}),
            Some("no list of roots"),
        ),
    ] {
        let found = question(asked.clone()).check(&answer);
        match wrong {
            None => assert_eq!(found, Ok(()), "{asked} {answer}"),
            Some(why) => assert!(
                found.as_ref().is_err_and(|found| found.contains(why)),
                "{asked} {answer}: {found:?}"
            ),
        }
    }
}
