//! Profiles as their files say them, and what is wrong with files.

use super::*;

#[test]
fn settings_pick_the_start_profile() {
    let files = Files::of(&[("a.json", PROFILES)]);
    let with = |attach: Option<&str>, prefix: Option<&str>| Settings {
        attach_profile: attach.map(str::to_owned),
        admin_prefix: prefix.map(str::to_owned),
        ..files.settings()
    };
    let cases = [
        (with(None, None), "chatter"),
        (with(Some(" TASKS "), None), "tasks"),
        (with(Some("  "), None), "chatter"),
        (with(Some("admin"), Some("demo_math__")), "admin"),
        (Settings::default(), "full"),
    ];
    for (settings, expected) in cases {
        let profiles = Profiles::load(&settings).unwrap();
        assert_eq!(profiles.start().name, expected);
    }
    let admin = Profiles::load(&with(Some("admin"), Some("demo_math__"))).unwrap();
    assert!(admin.start().admits("demo_math__x") && !admin.start().admits("tasks__x"));
}

#[test]
fn later_files_override_earlier_ones() {
    let files = Files::of(&[
        (
            "20.json",
            r#"{"default_profile":"two","profiles":{"one":{"mode":"prefix","prefix":"b"}}}"#,
        ),
        (
            "10.json",
            r#"{"default_profile":"one","profiles":{"ONE":{"mode":"prefix","prefix":"a"},"two":{"mode":"all"}}}"#,
        ),
        (".hidden.json", "not JSON"),
        ("notes.txt", "not JSON"),
    ]);
    let profiles = Profiles::load(&files.settings()).unwrap();
    assert_eq!(profiles.start().name, "two");
    assert!(profiles.find("One").unwrap().admits("b__x"));
    assert!(!profiles.find("one").unwrap().admits("a__x"));
}

#[test]
fn a_broken_file_is_named_with_the_member_that_is_wrong() {
    let cases = [
        (
            "{not json",
            "it is not JSON: key must be a string at line 1",
        ),
        ("[]", "the file is [], but must be an object"),
        (
            r#"{"default_profile":5}"#,
            "default_profile is 5, but must be a string",
        ),
        (
            r#"{"profiles":[1]}"#,
            "profiles is [1], but must be an object",
        ),
        (
            r#"{"profiles":{"a":"b"}}"#,
            r#"profiles.a is "b", but must be an object"#,
        ),
        (r#"{"profiles":{" ":{}}}"#, "profiles has an empty name"),
        (
            r#"{"profiles":{"a":{"mode":"some"}}}"#,
            "profiles.a.mode 'some' is not one of all, explicit, glob, prefix",
        ),
        (
            r#"{"profiles":{"a":{"mode":"prefix"}}}"#,
            "profiles.a.prefix is missing; mode 'prefix' needs it",
        ),
        (
            r#"{"profiles":{"a":{"mode":"prefix","prefix":""}}}"#,
            "profiles.a.prefix is empty",
        ),
        (
            r#"{"profiles":{"a":{"mode":"glob","pattern":"x["}}}"#,
            "profiles.a.pattern 'x[' is no glob pattern",
        ),
        (
            r#"{"profiles":{"a":{"mode":"explicit"}}}"#,
            "profiles.a.tools is missing",
        ),
        (
            r#"{"profiles":{"a":{"mode":"explicit","tools":["x",{}]}}}"#,
            "profiles.a.tools[1] is {}, but must be a string",
        ),
        (
            r#"{"intent_hints":[{"intent":"x"},7]}"#,
            "intent_hints[1] is 7, but must be an object",
        ),
        (
            r#"{"intent_hints":[{"intent":7}]}"#,
            "intent_hints[0].intent is 7, but must be a string",
        ),
    ];
    for (text, expected) in cases {
        let files = Files::of(&[("bad.json", text)]);
        let error = Profiles::load(&files.settings()).unwrap_err().to_string();
        let path = files.path().join("bad.json").display().to_string();
        assert!(
            error.contains(&path) && error.contains(expected),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_start_profile_that_is_not_defined_names_the_setting_and_the_profiles() {
    let files = Files::of(&[(
        "a.json",
        r#"{"default_profile":"gone","profiles":{"x":{}}}"#,
    )]);
    let error = Profiles::load(&files.settings()).unwrap_err().to_string();
    assert!(error.contains("a.json names the profile 'gone'"), "{error}");
    assert!(error.ends_with("there are: full, x"), "{error}");
    let settings = Settings {
        attach_profile: Some("nope".into()),
        ..Settings::default()
    };
    let error = Profiles::load(&settings).unwrap_err().to_string();
    assert!(
        error.starts_with("SMCP_ATTACH_PROFILE names the profile 'nope'"),
        "{error}"
    );
}

#[test]
fn paths_that_hold_no_profiles_are_refused_without_being_read() {
    let empty = Files::of(&[]);
    let cases = [
        (empty.path(), "has no *.json file"),
        (empty.path().join("gone"), "No such file"),
        (PathBuf::from("/dev/null"), "not a regular file"),
    ];
    for (path, expected) in cases {
        let settings = Settings {
            profiles: Some(path.clone()),
            ..Settings::default()
        };
        let error = Profiles::load(&settings).unwrap_err().to_string();
        let path: &Path = &path;
        assert!(
            error.contains(expected) && error.contains(&*path.to_string_lossy()),
            "{error}"
        );
    }
}

#[test]
fn profiles_that_ask_for_what_is_not_there_are_pointed_out() {
    let governor = governor_of(PROFILES);
    let said = governor.unmatched(&Snapshot::default());
    assert_eq!(
        said,
        [
            "the profile 'chatter' asks for the tool 'tasks__create-task', which no plugin gives",
            "the profile 'chatter' asks for the tool 'tasks__later', which no plugin gives",
            "the profile 'maths' asks for tools that match 'demo_math__[!x]*', which no plugin gives",
            "the profile 'tasks' asks for tools that begin with 'tasks__', which no plugin gives",
        ]
    );
}
