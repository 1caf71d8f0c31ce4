//! Whose tools they are: clients, how long they are remembered, and how many of them.

use super::*;

#[test]
fn attachments_belong_to_the_agent_else_the_key_else_the_program_else_the_session_else_the_process()
{
    let key = Some([7; 32]);
    let address = IpAddr::from([192, 0, 2, 1]);
    let program = Some(("bridge", address));
    let long = "x".repeat(5000);
    let cases = [
        (
            Client::of(Some("a"), key, program, Some("s")),
            Client::Agent {
                id: "a".into(),
                key,
            },
        ),
        (
            Client::of(None, key, program, Some("s")),
            Client::Key([7; 32]),
        ),
        (
            Client::of(Some(""), None, program, Some("s")),
            Client::Program {
                name: "bridge".into(),
                address,
            },
        ),
        (
            Client::of(Some(&long), None, Some((&long, address)), Some("s")),
            Client::Session("s".into()),
        ),
        (
            Client::of(None, None, Some(("", address)), Some("s")),
            Client::Session("s".into()),
        ),
        (Client::of(None, None, None, Some("")), Client::Process),
        (Client::by_authorization(key), Client::Key([7; 32])),
        (Client::by_authorization(None), Client::Nobody),
    ];
    for (got, expected) in cases {
        assert_eq!(got, expected);
    }
}

#[test]
fn another_key_that_names_the_same_agent_is_another_client() {
    let governor = governor_of(PROFILES);
    let own = Client::of(Some("a"), Some([1; 32]), None, Some("s"));
    let attach = r#"{"action":"attach","tool":"tasks__list-users"}"#;
    ask(&governor, &own, attach);
    assert!(governor.admit(&own, "tasks__list-users").is_ok());
    let elsewhere = Client::of(Some("a"), Some([1; 32]), None, Some("another session"));
    assert!(governor.admit(&elsewhere, "tasks__list-users").is_ok());
    for other in [Some([2; 32]), None] {
        let other = Client::of(Some("a"), other, None, Some("s"));
        assert!(
            governor.admit(&other, "tasks__list-users").is_err(),
            "{other:?}"
        );
    }
    let shown = format!("{own:?}");
    assert_eq!(shown, "agent \"a\" of key 01010101");
}

#[test]
fn agents_and_programs_keep_their_tools_over_connections_and_a_closed_session_loses_them() {
    let governor = governor_of(PROFILES);
    let session = Client::of(None, None, None, Some("s1"));
    let bridge = |last| Some(("bridge", IpAddr::from([192, 0, 2, last])));
    let program = Client::of(None, None, bridge(1), Some("s1"));
    for who in [&agent("a"), &program, &session] {
        ask(
            &governor,
            who,
            r#"{"action":"attach","tool":"tasks__list-users"}"#,
        );
        assert!(governor.admit(who, "tasks__list-users").is_ok());
    }
    governor.forget_session("s1");
    assert!(governor.admit(&session, "tasks__list-users").is_err());
    assert!(governor.admit(&agent("a"), "tasks__list-users").is_ok());
    let again = Client::of(None, None, bridge(1), Some("s2"));
    assert!(governor.admit(&again, "tasks__list-users").is_ok());
    let elsewhere = Client::of(None, None, bridge(2), Some("s2"));
    assert!(governor.admit(&elsewhere, "tasks__list-users").is_err());
}

#[test]
fn a_request_that_nothing_identifies_sees_the_start_profile_and_changes_nothing() {
    let governor = governor_of(PROFILES);
    for arguments in [
        r#"{"action":"attach","tool":"tasks__list-users"}"#,
        r#"{"action":"detach","tool":"tasks__create-task"}"#,
        r#"{"action":"attach-profile","profile":"full"}"#,
    ] {
        let (answer, reply) = ask(&governor, &Client::Nobody, arguments);
        assert!(reply.is_error && !reply.changed, "{answer}");
    }
    assert_eq!(
        attached(&governor, &Client::Nobody),
        [NAME, "tasks__create-task"]
    );
    let refused = governor
        .admit(&Client::Nobody, "tasks__list-users")
        .unwrap_err();
    assert!(refused.to_string().contains("send an API key"), "{refused}");
}

fn add(attached: &mut Attached) -> Result<(), ()> {
    attached.add("x__y");
    Ok(())
}

#[test]
fn an_agent_is_forgotten_a_day_after_its_last_request() {
    let governor = governor_of(PROFILES);
    let attachments = &governor.attachments;
    let start = Instant::now();
    let hour = Duration::from_secs(3600);
    attachments.change(&agent("a"), start, add).unwrap();
    assert!(attachments.of(&agent("a"), start + 23 * hour).holds("x__y"));
    // The look an hour ago counts as a request.
    assert!(attachments.of(&agent("a"), start + 46 * hour).holds("x__y"));
    assert!(!attachments.of(&agent("a"), start + 70 * hour).holds("x__y"));
    // A clock that stands still or a request out of order forgets nothing.
    attachments.change(&agent("b"), start + hour, add).unwrap();
    assert!(attachments.of(&agent("b"), start).holds("x__y"));
}

#[test]
fn the_agent_unheard_of_for_longest_makes_room_for_the_ten_thousand_and_first() {
    let governor = governor_of(PROFILES);
    let attachments = &governor.attachments;
    let start = Instant::now();
    let at = |n: u64| start + Duration::from_millis(n);
    for n in 0..10_000 {
        attachments
            .change(&agent(&n.to_string()), at(n), add)
            .unwrap();
    }
    assert!(attachments.of(&agent("0"), at(10_000)).holds("x__y"));
    attachments.change(&agent("new"), at(10_001), add).unwrap();
    for (id, kept) in [("0", true), ("1", false), ("2", true), ("new", true)] {
        assert_eq!(
            attachments.of(&agent(id), at(10_002)).holds("x__y"),
            kept,
            "{id}"
        );
    }
}

#[test]
fn made_up_names_of_programs_drive_out_no_agent() {
    let governor = governor_of(PROFILES);
    let attachments = &governor.attachments;
    let start = Instant::now();
    let at = |n: u64| start + Duration::from_millis(n);
    let program = |n: u64| Client::Program {
        name: n.to_string(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    attachments.change(&agent("a"), at(0), add).unwrap();
    for n in 0..11_000 {
        attachments.change(&program(n), at(n), add).unwrap();
    }
    assert!(attachments.of(&agent("a"), at(11_000)).holds("x__y"));
    assert!(attachments.of(&program(10_999), at(11_000)).holds("x__y"));
    assert!(!attachments.of(&program(0), at(11_000)).holds("x__y"));
}

#[test]
fn exceptions_from_a_profile_are_bounded() {
    let governor = plain();
    let names: Vec<String> = (0..1_200).map(|n| format!("many__t{n}")).collect();
    let tools: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let stock = Stock::of(&tools);
    let who = agent("a");
    let detach = |names: &[String]| {
        let arguments = json!({"action": "detach", "tools": names}).to_string();
        ask_on(&governor, &stock, &who, &arguments).1
    };
    assert!(
        detach(&names).is_error,
        "one request with more than the bound"
    );
    assert!(!detach(&names[..900]).is_error);
    assert!(detach(&names[900..]).is_error);
    assert!(governor.admit(&who, "many__t1100").is_ok());
    assert!(governor.admit(&who, "many__t5").is_err());
}

#[test]
fn a_key_is_never_shown_whole() {
    let shown = format!("{:?}", Client::Key([0xab; 32]));
    assert_eq!(shown, "key abababab");
}
