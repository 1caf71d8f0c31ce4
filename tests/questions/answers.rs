//! Of whom a program may ask what, and what is taken as an answer.

use serde_json::{Value, json};

use crate::client::{
    Asking, SESSION, answer, call_stateless, printed, question, session, stateless_call,
    stateless_request, with_answers,
};
use crate::support::http::{PATIENCE, exchange};
use crate::support::server::Setup;
use crate::support::session::{Session, code_of};
use crate::support::until;

fn forms() -> Value {
    json!({"elicitation": {}})
}

fn accepted(content: &Value) -> Value {
    json!({"action": "accept", "content": content})
}

/// Answers the next question of a session, and gives its message.
#[track_caller]
fn answered(session: &mut Session, content: &Value) -> Value {
    let asked = question(session);
    answer(session, &asked, &accepted(content));
    asked["params"]["message"].clone()
}

const KINDS: &str = r#"
TEXT = [{"role": "user", "content": {"type": "text", "text": "?"}}]
def kinds():
    lines = {}
    lines["url"] = ask(url={"elicit": {"mode": "url", "message": "?", "url": "https://example.org", "elicitationId": "1"}})
    lines["tools"] = ask(tools={"sample": {"messages": TEXT, "maxTokens": 9, "tools": []}})
    lines["context"] = ask(context={"sample": {"messages": TEXT, "maxTokens": 9, "includeContext": "thisServer"}})
    lines["mode"] = ask(mode={"elicit": {"mode": "voice", "message": "?"}})
    lines["number"] = ask(number={"elicit": {"message": 5, "requestedSchema": {"type": "object"}}})
    lines["reference"] = ask(reference=form("?", k={"$ref": "k"}))
    lines["tokens"] = ask(tokens={"sample": {"messages": TEXT}})
    print(json.dumps(lines))
def form_only():
    print(json.dumps(ask(k=form("?", **YES))))
"#;

#[test]
fn a_client_is_asked_only_what_it_declared() {
    let asking = Asking::start(&["kinds", "form_only"], KINDS);
    let declared = json!({"elicitation": {"form": {}}, "sampling": {}});
    let expected = [
        ("url", -32021, "elicitation.url"),
        ("tools", -32021, "sampling.tools"),
        ("context", -32021, "sampling.context"),
        ("mode", -32602, "\"voice\""),
        (
            "number",
            -32602,
            "question 'number': message must be a string, not 5",
        ),
        (
            "reference",
            -32602,
            "requestedSchema.properties.k has no type",
        ),
        ("tokens", -32602, "'tokens': has no maxTokens"),
    ];
    let mut in_session = session(asking.at(), SESSION, &declared);
    let lines = [
        printed(&in_session.call("ask__kinds", json!({}))),
        printed(&call_stateless(
            asking.at(),
            "ask__kinds",
            &declared,
            &json!({}),
        )),
    ];
    for lines in lines {
        for (key, code, named) in expected {
            let error = &lines[key]["error"];
            assert_eq!(error["code"], code, "{key}: {lines}");
            let message = error["message"].as_str().unwrap_or_default();
            assert!(message.contains(named), "{key}: {lines}");
        }
    }
    let only_addresses = json!({"elicitation": {"url": {}}});
    let mut in_session = session(asking.at(), SESSION, &only_addresses);
    let line = printed(&in_session.call("ask__form_only", json!({})));
    let message = line["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("elicitation.form"), "{line}");
}

#[test]
fn a_client_is_asked_what_it_declared_and_context_before_that_could_be_declared() {
    let asking = Asking::start(&["kinds"], KINDS);
    let all = json!({"elicitation": {"url": {}}, "sampling": {"tools": {}, "context": {}}});
    let required = |further: &Value| call_stateless(asking.at(), "ask__kinds", &all, further);
    let first = required(&json!({}));
    let asked = &first["inputRequests"]["url"];
    assert_eq!(asked["params"]["url"], "https://example.org", "{first}");
    let second = required(&with_answers(&first, &json!({"url": {"action": "accept"}})));
    assert!(second["inputRequests"]["tools"].is_object(), "{second}");

    let mut older = session(asking.at(), "2025-06-18", &json!({"sampling": {}}));
    let id = older.begin("ask__kinds", json!({}));
    let asked = question(&mut older);
    assert_eq!(asked["params"]["includeContext"], "thisServer", "{asked}");
    let said = json!({"role": "assistant", "content": {"type": "text", "text": "!"}, "model": "m"});
    answer(&mut older, &asked, &said);
    let lines = printed(&older.result(&id, PATIENCE));
    assert_eq!(lines["context"]["context"], said, "{lines}");
}

#[test]
fn a_command_may_require_a_part_of_a_capability() {
    let commands = json!([
        {"name": "form_only", "requires": ["elicitation.form"]},
        {"name": "kinds", "requires": ["sampling", "elicitation.url", "sampling.tools"]},
    ]);
    let asking = Asking::describing(&commands, KINDS, Setup::new());
    let declared = json!({"elicitation": {}, "sampling": {}});
    let message = stateless_call("ask__kinds", &declared, &json!({}));
    let refused = exchange(asking.at(), &stateless_request(asking.at(), &message));
    assert_eq!(refused.status, 400, "{}", refused.text());
    let error = &refused.json()["error"];
    assert_eq!(error["code"], -32021, "{error}");
    let required = json!({"elicitation": {"url": {}}, "sampling": {"tools": {}}});
    assert_eq!(error["data"]["requiredCapabilities"], required, "{error}");
    let mut session = session(asking.at(), SESSION, &declared);
    let refused = session.call("ask__kinds", json!({}));
    assert_eq!(code_of(&refused), "plugin_error", "{refused}");
    // Whoever names no mode knows forms.
    let id = session.begin("ask__form_only", json!({}));
    answered(&mut session, &json!({"yes": true}));
    session.result(&id, PATIENCE);
}

const DELETES: &str = r#"
def delete():
    what = open(path("what")).read()
    answer = ask(delete=form("Delete %s?" % what, **YES))["delete"]
    print(json.dumps([what, answer]))
"#;

#[test]
fn an_answer_belongs_to_the_question_as_it_was_asked() {
    let asking = Asking::start(&["delete"], DELETES);
    let next = |what: &str| std::fs::write(asking.path("what"), what).expect("a file of our own");
    let call = |further: &Value| call_stateless(asking.at(), "ask__delete", &forms(), further);
    next("A");
    let first = call(&json!({}));
    let yes = json!({"delete": accepted(&json!({"yes": true}))});
    next("B");
    let second = call(&with_answers(&first, &yes));
    let asked = &second["inputRequests"]["delete"]["params"]["message"];
    assert_eq!(asked, "Delete B?", "{second}");
    // Neither does the answer come back with the question that it was given to.
    next("A");
    let third = call(&with_answers(&second, &json!({})));
    let asked = &third["inputRequests"]["delete"]["params"]["message"];
    assert_eq!(asked, "Delete A?", "{third}");
    let done = printed(&call(&with_answers(&third, &yes)));
    assert_eq!(done, json!(["A", yes["delete"]]));
}

/// The official suite holds that answers may come before the question.
#[test]
fn an_answer_in_advance_is_taken_and_belongs_to_its_question_from_then_on() {
    let asking = Asking::start(&["steps"], STEPS);
    let next = |what: &str| std::fs::write(asking.path("what"), what).expect("a file of our own");
    let call = |further: &Value| call_stateless(asking.at(), "ask__steps", &forms(), further);
    let yes = accepted(&json!({"yes": true}));
    next("A");
    let required = call(&json!({"inputResponses": {"delete": yes, "other": yes}}));
    assert!(
        required["inputRequests"]["really"].is_object(),
        "{required}"
    );
    next("B");
    let again = call(&with_answers(&required, &json!({"really": yes})));
    let asked = &again["inputRequests"]["delete"]["params"]["message"];
    assert_eq!(asked, "Delete B?", "{again}");
}

const STEPS: &str = r#"
def steps():
    what = open(path("what")).read()
    ask(delete=form("Delete %s?" % what, **YES))
    ask(really=form("Really?", **YES))
    print(what)
"#;

const KEYS: &str = r#"
def twice():
    first = ask(sure=form("Delete A?", **YES))
    second = ask(sure=form("Delete B?", **YES))
    print(json.dumps([first, second]))
def in_one_line():
    os.write(3, b'{"ask":{"sure":{"roots":{}},"sure":{"roots":{}}}}\n')
    print(json.dumps(line()))
def falls_back():
    refused = ask(sure={"elicit": {"mode": "url", "message": "?", "url": "https://example.org", "elicitationId": "1"}})
    print(json.dumps([refused, ask(sure=form("Delete A?", **YES))]))
"#;

#[test]
fn a_key_stands_for_one_question_of_a_run() {
    let asking = Asking::start(&["twice", "in_one_line", "falls_back"], KEYS);
    let yes = json!({"yes": true});
    let named = |error: &Value| {
        assert_eq!(error["error"]["code"], -32602, "{error}");
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("the key 'sure'"), "{error}");
    };
    let mut session = session(asking.at(), SESSION, &forms());
    let id = session.begin("ask__twice", json!({}));
    assert_eq!(answered(&mut session, &yes), "Delete A?");
    let lines = printed(&session.result(&id, PATIENCE));
    assert_eq!(lines[0]["sure"]["content"], yes, "{lines}");
    named(&lines[1]);
    named(&printed(&session.call("ask__in_one_line", json!({}))));

    let call = |further: &Value| call_stateless(asking.at(), "ask__twice", &forms(), further);
    let required = call(&json!({}));
    let lines = printed(&call(&with_answers(
        &required,
        &json!({"sure": accepted(&yes)}),
    )));
    assert_eq!(lines[0]["sure"]["content"], yes, "{lines}");
    named(&lines[1]);
    until("the log tells the author", PATIENCE, || {
        let log = asking.server.log();
        let tells = |line: &str| line.contains("ask__twice") && line.contains("the key 'sure'");
        log.lines().any(tells).then_some(())
    });

    // What was not asked has not used its key up.
    let id = session.begin("ask__falls_back", json!({}));
    answered(&mut session, &yes);
    let lines = printed(&session.result(&id, PATIENCE));
    assert_eq!(lines[1]["sure"]["content"], yes, "{lines}");
}

const AGES: &str = r#"
def age():
    question = form("How old are you?", age={"type": "integer", "minimum": 0})
    first = ask(age=question)
    print(json.dumps([first, ask(age=question) if "error" in first else None]))
"#;

#[test]
fn accepted_content_that_breaks_its_schema_never_reaches_the_program() {
    let asking = Asking::start(&["age"], AGES);
    for wrong in [json!({"age": -1}), json!({"age": "3"}), json!({})] {
        let mut session = session(asking.at(), SESSION, &forms());
        let id = session.begin("ask__age", json!({}));
        answered(&mut session, &wrong);
        // The program may ask again.
        answered(&mut session, &json!({"age": 3}));
        let lines = printed(&session.result(&id, PATIENCE));
        assert_eq!(lines[0]["error"]["code"], -32603, "{lines}");
        let message = lines[0]["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("'age'"), "{lines}");
        assert_eq!(lines[1]["age"]["content"], json!({"age": 3}), "{lines}");

        let call = |further: &Value| call_stateless(asking.at(), "ask__age", &forms(), further);
        let first = call(&json!({}));
        let again = call(&with_answers(&first, &json!({"age": accepted(&wrong)})));
        assert!(
            again["inputRequests"]["age"].is_object(),
            "asked again: {again}"
        );
        let right = json!({"age": accepted(&json!({"age": 3}))});
        let lines = printed(&call(&with_answers(&again, &right)));
        assert_eq!(lines[0]["age"]["content"], json!({"age": 3}), "{lines}");
    }
}

const AGE: &str = r#"
def age():
    open(path("runs"), "a").write("run\n")
    print(json.dumps(ask(age=form("How old?", age={"type": "integer", "minimum": 18}))))
"#;

#[test]
fn a_client_of_round_trips_whose_answers_never_fit_is_told_after_the_third() {
    let asking = Asking::start(&["age"], AGE);
    let call = |further: &Value| call_stateless(asking.at(), "ask__age", &forms(), further);
    let young = json!({"age": accepted(&json!({"age": 3}))});
    let mut result = call(&json!({}));
    for _ in 0..2 {
        result = call(&with_answers(&result, &young));
        assert!(result["inputRequests"]["age"].is_object(), "{result}");
    }
    let fitting = json!({"age": accepted(&json!({"age": 20}))});
    let line = printed(&call(&with_answers(&result, &fitting)));
    assert_eq!(line["age"]["content"]["age"], 20, "{line}");
    let line = printed(&call(&with_answers(&result, &young)));
    let error = &line["error"];
    assert_eq!(error["code"], -32603, "{line}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("'age' is none: content/age"), "{line}");
    let runs = std::fs::read_to_string(asking.path("runs")).expect("it has run");
    assert_eq!(runs.lines().count(), 5);
}

const LISTS: &str = r#"
def lists():
    print(json.dumps(ask(k=form("?", of={"type": "array", "items": {"enum": ["a", "b"]}}))))
def choice():
    schema = {"properties": {"k": {"enum": ["a", "b"], "default": None}}}
    print(json.dumps(ask(k={"elicit": {"mode": "form", "message": "?", "requestedSchema": schema}})))
"#;

#[test]
fn a_question_is_asked_in_the_form_that_the_revision_has() {
    let asking = Asking::start(&["lists", "choice"], LISTS);
    let mut older = session(asking.at(), "2025-06-18", &forms());
    let line = printed(&older.call("ask__lists", json!({})));
    assert_eq!(line["error"]["code"], -32021, "{line}");
    let message = line["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("2025-06-18 cannot read"), "{line}");
    let id = older.begin("ask__choice", json!({}));
    let asked = question(&mut older);
    let field = json!({"enum": ["a", "b"], "type": "string"});
    let schema = json!({"type": "object", "properties": {"k": field}});
    assert_eq!(asked["params"]["requestedSchema"], schema, "{asked}");
    answer(&mut older, &asked, &accepted(&json!({"k": "a"})));
    let line = printed(&older.result(&id, PATIENCE));
    assert_eq!(line["k"]["content"]["k"], "a", "{line}");
    let mut newer = session(asking.at(), SESSION, &forms());
    let id = newer.begin("ask__lists", json!({}));
    answered(&mut newer, &json!({"of": ["a"]}));
    let line = printed(&newer.result(&id, PATIENCE));
    assert_eq!(line["k"]["content"]["of"][0], "a", "{line}");
}
