use super::entries::MAX_ITEMS;
use super::*;

const THING: Shape = Shape {
    members: &[
        Member {
            name: "name",
            form: Form::Text,
            need: Need::Required,
        },
        Member {
            name: "more",
            form: Form::List(&Form::Shape(&INNER)),
            need: Need::Optional,
        },
    ],
    any_of: &[],
};
const INNER: Shape = Shape {
    members: &[
        Member {
            name: "text",
            form: Form::Text,
            need: Need::Optional,
        },
        Member {
            name: "blob",
            form: Form::Base64,
            need: Need::Optional,
        },
    ],
    any_of: &["text", "blob"],
};

#[test]
fn what_fits_is_kept_to_the_letter_without_nulls_that_say_nothing() {
    for (given, kept) in [
        (r#"{"name":"a","x":1.50}"#, r#"{"name":"a","x":1.50}"#),
        (
            r#" { "name" : "\u0061" , "more":null, "x":null}"#,
            r#"{"name":"\u0061","x":null}"#,
        ),
        (
            r#"{"name":"a","more":[{"text":null,"blob":"aGk="}]}"#,
            r#"{"name":"a","more":[{"blob":"aGk="}]}"#,
        ),
    ] {
        let fitting = Form::Shape(&THING).fitting(given);
        assert_eq!(fitting.map(|fitting| fitting.json), Ok(kept.to_owned()));
    }
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    for (given, said) in [
        ("[]", "must be an object, not an array"),
        ("{}", "has no name"),
        (r#"{"name":null}"#, "has no name"),
        (r#"{"name":5}"#, "name must be a string, not 5"),
        (r#"{"name":"a","name":"b"}"#, "has two members named 'name'"),
        (
            r#"{"name":"a","more":{}}"#,
            "more must be an array, not an object",
        ),
        (
            r#"{"name":"a","more":[{"text":"b"},{}]}"#,
            "more[1] has neither text nor blob",
        ),
        (
            r#"{"name":"a","more":[{"blob":"*"}]}"#,
            r#"more[0].blob must be base64, not "*""#,
        ),
    ] {
        let misfit = Form::Shape(&THING).fitting(given).expect_err("it is wrong");
        assert_eq!(misfit.to_string(), said);
    }
}

#[test]
fn what_can_be_left_out_is_left_out_and_named() {
    let given = r#"{"name":"a","more":[{"text":5,"blob":"aGk="},{"text":5},{"text":"b"}]}"#;
    let fitting = Form::Shape(&THING)
        .fitting_in_part(given)
        .expect("the rest fits");
    let kept = r#"{"name":"a","more":[{"blob":"aGk="},{"text":"b"}]}"#;
    assert_eq!(fitting.json, kept);
    let said: Vec<String> = fitting.left_out.iter().map(Misfit::to_string).collect();
    assert_eq!(
        said,
        [
            "more[0].text must be a string, not 5",
            "more[1] has neither text nor blob"
        ]
    );
    let none = Form::Shape(&THING).fitting_in_part(r#"{"more":5,"name":"a"}"#);
    assert_eq!(
        none.map(|fitting| fitting.json),
        Ok(r#"{"name":"a"}"#.to_owned())
    );
    let missing = Form::Shape(&THING).fitting_in_part(r#"{"name":5}"#);
    assert!(missing.is_err());
}

#[test]
fn members_and_items_have_a_bound() {
    let members: String = (0..MAX_MEMBERS).map(|n| format!(",\"m{n}\":1")).collect();
    let json = format!("{{\"name\":\"a\"{members}}}");
    let misfit = Form::Shape(&THING)
        .fitting(&json)
        .expect_err("one too many");
    assert!(misfit.to_string().contains("100 members"), "{misfit}");
    let json = format!("[1{}]", ",1".repeat(MAX_ITEMS));
    let misfit = Form::List(&Form::Count).fitting(&json);
    let misfit = misfit.expect_err("one too many").to_string();
    assert!(misfit.contains("100000 items"), "{misfit}");
}
