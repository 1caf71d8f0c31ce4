//! Where on a line, or off it, an argument stands.

use super::*;

#[test]
fn options_of_outer_parsers_stand_before_the_words_of_inner_ones() {
    let entry = json!({"name": "run", "invoke": ["remote", "add"], "parameters": [
        {"name": "url", "arg_style": "positional"},
        {"name": "verbose", "type": "integer", "arg_style": "count", "flag": "-v", "level": 0},
        {"name": "repository", "level": 0, "arg_style": "positional"},
        {"name": "dry", "type": "boolean", "arg_style": "flag", "level": 1},
        {"name": "tags", "type": "array", "arg_style": "list"},
    ]});
    let line = write_line(
        &entry,
        r#"{"url":"u","verbose":2,"dry":true,"tags":["a","b"],"repository":"r"}"#,
    );
    let expected = [
        "-v", "-v", "r", "remote", "--dry", "add", "--tags", "a", "b", "--", "u",
    ];
    assert_eq!(line.expect("it is written").words, expected);
    let bare = json!({"name": "run", "invoke": [], "parameters": [{"name": "x"}]});
    assert_eq!(
        write_line(&bare, r#"{"x":"1"}"#)
            .expect("it is written")
            .words,
        ["--x", "1"]
    );
}

#[test]
fn a_word_in_the_middle_cannot_be_left_out() {
    let parameters = json!([
        {"name": "a", "arg_style": "positional"}, {"name": "b", "arg_style": "positional"},
        {"name": "c", "arg_style": "positional", "required": true},
    ]);
    assert_eq!(
        words(parameters.clone(), r#"{"c":"3"}"#),
        Ok(vec!["3".to_owned()])
    );
    assert_eq!(
        words(parameters.clone(), r#"{"a":"1","c":"3"}"#),
        Ok(vec!["1".to_owned(), "3".to_owned()])
    );
    assert_eq!(
        words(parameters, r#"{"b":"2","c":"3"}"#),
        Err("'b' needs 'a' before it".to_owned())
    );
}

#[test]
fn values_for_the_environment_and_for_stdin_stay_off_the_command_line() {
    let entry = json!({"name": "run", "input": "stdin", "parameters": [
        {"name": "b", "type": "number"}, {"name": "a", "type": "string"}, {"name": "key", "env": "KEY"},
        {"name": "list", "type": "array", "env": "LIST"},
    ]});
    let line = write_line(
        &entry,
        r#"{"key":"s","a":"x\u0000","b":1.50,"list":["p", "q"]}"#,
    )
    .expect("it is written");
    assert_eq!(line.words, ["run"]);
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        line.environment,
        [variable("KEY", "s"), variable("LIST", "[\"p\", \"q\"]")]
    );
    assert_eq!(
        line.stdin.as_deref(),
        Some(br#"{"b":1.50,"a":"x\u0000"}"#.as_slice())
    );
}

#[test]
fn an_option_with_several_values_swallows_neither_the_command_nor_a_positional_value() {
    let list = |name: &str| json!({"name": name, "type": "array", "arg_style": "list", "level": 0});
    let text = json!({"name": "text", "level": 0});
    let with = |parameters: Value, arguments: &str| {
        let line = write_line(&json!({"name": "run", "parameters": parameters}), arguments)?;
        Ok::<_, String>(line.words.join(" "))
    };
    let both = json!([list("many"), text]);
    assert_eq!(
        with(both.clone(), r#"{"many":["a","b"],"text":"x"}"#).as_deref(),
        Ok("--many a b --text x run")
    );
    assert_eq!(
        with(both.clone(), r#"{"many":["a"]}"#).as_deref(),
        Ok("--many=a run")
    );
    let fault = with(both, r#"{"many":["a","b"]}"#).expect_err("the command would be a value");
    assert!(fault.contains("needs another option behind it"), "{fault}");
    let positional = json!([
        {"name": "many", "type": "array", "arg_style": "list"},
        {"name": "word", "arg_style": "positional"},
    ]);
    assert_eq!(
        with(positional, r#"{"many":["a"],"word":"w"}"#).as_deref(),
        Ok("run --many a -- w")
    );
    let pairs = json!([{"name": "pair", "type": "array", "arg_style": "list", "level": 0, "minItems": 2, "maxItems": 2}]);
    assert_eq!(
        with(pairs, r#"{"pair":["a","b"]}"#).as_deref(),
        Ok("--pair a b run")
    );
}
