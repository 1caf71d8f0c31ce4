//! What no program may be left waiting for, and what no program may take for an answer.

use serde_json::{Value, json};

use crate::client::{
    Asking, SESSION, answer, call_stateless, printed, question, session, stateless_call,
    stateless_request, with_answers,
};
use crate::support::http::{Connection, PATIENCE};
use crate::support::s;
use crate::support::session::text_of;
use crate::support::streamable::Client;

fn all() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {}})
}

const DELETES: &str = r#"
def delete():
    print(json.dumps(ask(sure=form("Delete?", agree={"type": "boolean"}))))
def mark():
    print(json.dumps(ask(sure=form("?"))))
"#;

#[test]
fn what_is_filled_in_reaches_the_program_with_accept_alone_and_never_as_null() {
    let asking = Asking::start(&["delete", "mark"], DELETES);
    let declined = json!({"action": "decline"});
    let rows = [
        (
            "ask__delete",
            json!({"action": "decline", "content": {"agree": true}}),
            declined.clone(),
        ),
        (
            "ask__delete",
            json!({"action": "decline", "content": null}),
            declined,
        ),
        (
            "ask__delete",
            json!({"action": "cancel", "content": {"agree": true}}),
            json!({"action": "cancel"}),
        ),
        (
            "ask__mark",
            json!({"action": "accept", "content": null}),
            json!({"action": "accept"}),
        ),
    ];
    for (tool, given, read) in rows {
        let mut session = session(asking.at(), SESSION, &all());
        let id = session.begin(tool, json!({}));
        let asked = question(&mut session);
        answer(&mut session, &asked, &given);
        let line = printed(&session.result(&id, PATIENCE));
        assert_eq!(line["sure"], read, "{tool}: {given}");
        let call = |further: &Value| call_stateless(asking.at(), tool, &all(), further);
        let further = with_answers(&call(&json!({})), &json!({"sure": given}));
        assert_eq!(printed(&call(&further))["sure"], read, "{tool}: {given}");
    }
}

const STEPS: &str = r#"
TEXT = [{"role": "user", "content": {"type": "text", "text": "?"}}]
def steps():
    tell(ask={"one": form("One?", **YES), "two": {"sample": {"messages": TEXT, "maxTokens": 9}}})
    read = b""
    while not read.endswith(b"\n"):
        read += os.read(3, 1 << 20)
    ask(three={"roots": {}})
    print(json.dumps(json.loads(read)["one"]))
"#;

#[test]
fn an_answer_that_comes_back_in_the_state_is_no_other_one() {
    let asking = Asking::start(&["steps"], STEPS);
    let call = |further: &Value| call_stateless(asking.at(), "ask__steps", &all(), further);
    let text = json!({"type": "text", "text": "!"});
    let answers = json!({"one": {"action": "decline", "content": {"yes": true}},
                         "two": {"role": "assistant", "content": text, "model": "m"}});
    let second = call(&with_answers(&call(&json!({})), &answers));
    assert!(second["inputRequests"]["three"].is_object(), "{second}");
    let done = call(&with_answers(&second, &json!({"three": {"roots": []}})));
    assert_eq!(printed(&done), json!({"action": "decline"}));
}

#[test]
fn a_state_that_no_request_could_carry_is_not_given_out() {
    let asking = Asking::start(&["steps"], STEPS);
    let first = call_stateless(asking.at(), "ask__steps", &all(), &json!({}));
    let text = json!({"type": "text", "text": "y".repeat(3_300_000)});
    let answers = json!({"one": {"action": "decline"},
                         "two": {"role": "assistant", "content": text, "model": "m"}});
    let further = with_answers(&first, &answers);
    let message = stateless_call("ask__steps", &all(), &further);
    let mut connection = Connection::open(asking.at());
    connection
        .send(&stateless_request(asking.at(), &message))
        .expect("the server listens");
    // Longer than others wait: a build for tests reads these megabytes slowly.
    let refused = connection.answer(s(90)).expect("an answer");
    let text = refused.text();
    assert!(
        text.contains("answers so far are too large"),
        "{:.300}",
        text
    );
}

const LINES: &str = r#"
TEXT = {"role": "user", "content": {"type": "text", "text": "x" * 1200000}}
def write(text):
    left = text.encode()
    while left:
        left = left[os.write(3, left):]
def long():
    print(json.dumps(ask(k={"sample": {"messages": [TEXT], "maxTokens": 9}})))
def long_last():
    write('{"log":"info","data":"%s","ask":{"k":{"roots":{}}}}\n' % ("x" * 3000000))
    print(json.dumps(line()))
def both():
    print(json.dumps((tell(progress=1, ask={"k": {"roots": {}}}), line())[1]))
def null():
    write('{"ask":null}\n')
    print(json.dumps(line()))
def broken():
    write('{"ask":{"k":{"roots":NaN}}}\n')
    print(json.dumps(line()))
def no_question():
    write('{"log":"info","data":"%s \\"ask\\" "}\n' % ("x" * 1200000))
    print(json.dumps(ask(k=form("?", **YES))))
"#;

#[test]
fn a_line_that_may_have_been_a_question_has_its_answer() {
    let commands = ["long", "long_last", "both", "null", "broken", "no_question"];
    let asking = Asking::start(&commands, LINES);
    let mut session = session(asking.at(), SESSION, &all());
    for (command, named) in [
        ("long", "1048576"),
        ("long_last", "1048576"),
        ("both", "another event"),
        ("null", "none of progress"),
        ("broken", "line 1"),
    ] {
        let line = printed(&session.call(&format!("ask__{command}"), json!({})));
        assert_eq!(line["error"]["code"], -32602, "{command}: {line}");
        let message = line["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(named), "{command}: {line}");
    }
    // What was none has none: the next line that the program reads is that of its question.
    let id = session.begin("ask__no_question", json!({}));
    let asked = question(&mut session);
    let yes = json!({"action": "accept", "content": {"yes": true}});
    answer(&mut session, &asked, &yes);
    let line = printed(&session.result(&id, PATIENCE));
    assert_eq!(line["k"], yes, "{line}");
}

const AWAY: &str = r#"
def away():
    tell(reconnect=12000)
    wait_for("gone")
    print(json.dumps(ask(k={"roots": {}})))
"#;

/// Takes twelve seconds: longer than a question waits for a client that has just gone.
#[test]
fn a_client_that_comes_back_as_it_was_told_is_asked() {
    let asking = Asking::start(&["away"], AWAY);
    let client = Client::open_as(asking.at(), SESSION, &all());
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                      "params": {"name": "ask__away", "arguments": {}}});
    let events = client.stream(&call).rest();
    let last = events.iter().rev().find_map(|event| event.id.clone());
    asking.touch("gone");
    std::thread::sleep(std::time::Duration::from_secs(12));
    let mut back = client.listen(last.as_deref()).expect("the stream is kept");
    loop {
        let event = back.event().expect("the call goes on");
        if event.data.as_deref().unwrap_or_default().is_empty() {
            continue;
        }
        let message = event.message();
        if message["method"] == "roots/list" {
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"roots": []}});
            assert_eq!(client.post(&answer).status, 202);
        } else if message["id"] == 1 {
            assert!(text_of(&message["result"]).contains("roots"), "{message}");
            return;
        }
    }
}
