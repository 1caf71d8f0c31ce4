use super::*;

fn call(params: &Value) -> Request {
    crate::mcp::inbound::request("tools/call", params)
}

fn round_trips(sealer: &Sealer, params: &Value) -> Result<RoundTrips, RpcError> {
    RoundTrips::read(sealer, &Principal::default(), &call(params))
}

fn required(round_trips: &RoundTrips, sealer: &Sealer, params: &Value) -> Value {
    let required = round_trips.input_required(sealer, &Principal::default(), &call(params));
    required.unwrap().unwrap()
}

/// The params of the call that follows on `required`, with these answers.
fn repeated(params: &Value, required: &Value, answers: &Value) -> Value {
    let mut params = params.clone();
    params["requestState"] = required["requestState"].clone();
    params["inputResponses"] = answers.clone();
    params
}

const ELICIT: &str = "elicitation/create";

#[test]
fn answers_of_earlier_rounds_travel_in_the_state() {
    let sealer = Sealer::new().unwrap();
    let params = json!({"name": "t"});
    let first = round_trips(&sealer, &params).unwrap();
    first.leave_open(
        "one",
        ELICIT,
        &json!({"message": "1", "more": {"a": 1, "b": 2}}),
    );
    let asked = required(&first, &sealer, &params);
    assert_eq!(asked["inputRequests"]["one"]["method"], ELICIT);
    let params = repeated(
        &json!({"name": "t", "arguments": {}}),
        &asked,
        &json!({"one": {"a": 1}}),
    );
    let second = round_trips(&sealer, &params).unwrap();
    second.leave_open("two", ELICIT, &json!({"message": "2"}));
    let asked = required(&second, &sealer, &params);
    let params = repeated(&params, &asked, &json!({"two": {"b": 2}}));
    let third = round_trips(&sealer, &params).unwrap();
    // A program may write the members of its question in another order.
    let one = json!({"more": {"b": 2, "a": 1}, "message": "1"});
    assert_eq!(third.answer("one", ELICIT, &one), Some(&json!({"a": 1})));
    let two = json!({"message": "2"});
    assert_eq!(third.answer("two", ELICIT, &two), Some(&json!({"b": 2})));
    assert!(
        third
            .input_required(&sealer, &Principal::default(), &call(&params))
            .unwrap()
            .is_none()
    );
}

#[test]
fn an_answer_belongs_to_the_question_as_it_was_asked() {
    let sealer = Sealer::new().unwrap();
    let params = json!({"name": "t"});
    let delete = |what: &str| json!({"message": format!("Delete {what}?")});
    let first = round_trips(&sealer, &params).unwrap();
    first.leave_open("delete", ELICIT, &delete("A"));
    let asked = required(&first, &sealer, &params);
    let params = repeated(&params, &asked, &json!({"delete": {"yes": 1}}));
    let second = round_trips(&sealer, &params).unwrap();
    assert!(second.answer("delete", ELICIT, &delete("A")).is_some());
    assert_eq!(second.answer("delete", ELICIT, &delete("B")), None);
    assert_eq!(second.answer("delete", "roots/list", &delete("A")), None);
    second.leave_open("delete", ELICIT, &delete("B"));
    let asked = required(&second, &sealer, &params);
    // The old answer is no answer to the new question, and it is not kept for the old one.
    for answers in [json!({}), json!({"other": {"yes": 1}})] {
        let third = round_trips(&sealer, &repeated(&params, &asked, &answers)).unwrap();
        assert_eq!(third.answer("delete", ELICIT, &delete("A")), None);
        assert_eq!(third.answer("delete", ELICIT, &delete("B")), None);
    }
    let params = repeated(&params, &asked, &json!({"delete": {"no": 1}}));
    let third = round_trips(&sealer, &params).unwrap();
    assert_eq!(
        third.answer("delete", ELICIT, &delete("B")),
        Some(&json!({"no": 1}))
    );
}

#[test]
fn an_answer_given_in_advance_counts_for_the_first_question_of_its_key() {
    let sealer = Sealer::new().unwrap();
    let roots = json!({"roots": []});
    let params = json!({"name": "t", "inputResponses": {"k": roots, "more": {}}});
    let first = round_trips(&sealer, &params).unwrap();
    assert_eq!(first.answer("k", "roots/list", &json!({})), Some(&roots));
    assert_eq!(first.answer("k", ELICIT, &json!({})), None);
    first.leave_open("other", ELICIT, &json!({}));
    let asked = required(&first, &sealer, &params);
    let params = repeated(&params, &asked, &json!({"k": {"roots": [1]}, "more": {}}));
    let second = round_trips(&sealer, &params).unwrap();
    assert_eq!(second.answer("k", "roots/list", &json!({})), Some(&roots));
    assert_eq!(second.answer("k", ELICIT, &json!({})), None);
    assert_eq!(
        second.answer("more", ELICIT, &json!({})),
        None,
        "it was not asked"
    );
}

#[test]
fn two_rounds_have_two_states() {
    let sealer = Sealer::new().unwrap();
    let params = json!({"name": "t"});
    let first = round_trips(&sealer, &params).unwrap();
    first.leave_open("k", "roots/list", &json!({}));
    let asked = required(&first, &sealer, &params);
    let params = repeated(&params, &asked, &json!({}));
    let second = round_trips(&sealer, &params).unwrap();
    second.leave_open("k", "roots/list", &json!({}));
    let again = required(&second, &sealer, &params);
    assert_ne!(asked["requestState"], again["requestState"]);
}

#[test]
fn a_state_of_another_tool_or_other_arguments_is_refused() {
    let sealer = Sealer::new().unwrap();
    let params = json!({"name": "t", "arguments": {"x": 1, "y": 2}});
    let first = round_trips(&sealer, &params).unwrap();
    first.leave_open("k", "roots/list", &json!({}));
    let state = required(&first, &sealer, &params)["requestState"].clone();
    assert!(
        round_trips(
            &sealer,
            &json!({"name": "t", "arguments": {"y": 2, "x": 1}, "requestState": state})
        )
        .is_ok()
    );
    assert!(
        round_trips(
            &sealer,
            &json!({"name": "u", "arguments": {"x": 1, "y": 2}, "requestState": state})
        )
        .is_err()
    );
    assert!(
        round_trips(
            &sealer,
            &json!({"name": "t", "arguments": {"x": 2, "y": 2}, "requestState": state})
        )
        .is_err()
    );
}

#[test]
fn responses_must_be_objects() {
    let sealer = Sealer::new().unwrap();
    for bad in [json!([]), json!(3), json!({"k": 12345}), json!({"k": null})] {
        assert!(round_trips(&sealer, &json!({"name": "t", "inputResponses": bad})).is_err());
    }
    assert!(round_trips(&sealer, &json!({"name": "t", "inputResponses": null})).is_ok());
}

#[test]
fn a_question_is_asked_again_only_so_often_when_its_answers_are_none() {
    let sealer = Sealer::new().unwrap();
    let mut params = json!({"name": "t"});
    let question = json!({"message": "?"});
    for unfit in 0..MAX_UNFIT {
        // A round without an answer changes nothing.
        for answers in [json!({}), json!({"k": {"none": 1}})] {
            let round = round_trips(&sealer, &params).unwrap();
            let is_answered = round.answer("k", ELICIT, &question).is_some();
            let may_ask_again = round.may_ask_again("k", ELICIT, &question);
            assert!(!is_answered || may_ask_again, "{unfit}");
            round.leave_open("k", ELICIT, &question);
            let asked = required(&round, &sealer, &params);
            params = repeated(&params, &asked, &answers);
        }
    }
    let last = round_trips(&sealer, &params).unwrap();
    assert!(last.answer("k", ELICIT, &question).is_some());
    assert!(!last.may_ask_again("k", ELICIT, &question));
    let another = json!({"message": "another"});
    assert!(last.may_ask_again("k", ELICIT, &another));
}

#[test]
fn a_state_that_is_given_out_fits_into_a_request_with_an_answer() {
    let sealer = Sealer::new().unwrap();
    let params = json!({"name": "t"});
    let mut given_out = 0;
    for kib in [1 << 10, 2 << 10, 2_900, 3_300] {
        let first = round_trips(&sealer, &params).unwrap();
        first.leave_open("one", ELICIT, &json!({}));
        let asked = required(&first, &sealer, &params);
        let large = json!({"one": {"text": "y".repeat(kib << 10)}});
        let again = repeated(&params, &asked, &large);
        let second = round_trips(&sealer, &again).unwrap();
        second.leave_open("two", ELICIT, &json!({}));
        match second.input_required(&sealer, &Principal::default(), &call(&again)) {
            Ok(asked) => {
                let answer = json!({"two": {"text": "y".repeat(200 << 10)}});
                let next = repeated(&params, &asked.unwrap(), &answer);
                assert!(next.to_string().len() <= MAX_MESSAGE, "{kib} KiB");
                given_out += 1;
            }
            Err(refused) => assert!(refused.message.contains("too large"), "{refused:?}"),
        }
    }
    assert_eq!(given_out, 2);
}
