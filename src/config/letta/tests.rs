//! Where Letta is, whose variables a call gets, and who gets Letta's own credentials.

use super::*;
use crate::cli::Flags;
use crate::config::tests::read_with;
use crate::config::{Config, Faults};

/// What a directory with `.letta/.env` and these variables say of Letta.
fn letta_of(
    variables: &[(&str, &str)],
    dotenv: Option<&str>,
) -> Result<(Option<(String, String)>, Config), Faults> {
    let home = tempfile::tempdir().unwrap();
    if let Some(text) = dotenv {
        std::fs::create_dir(home.path().join(".letta")).unwrap();
        std::fs::write(home.path().join(".letta/.env"), text).unwrap();
    }
    let mut variables = variables.to_vec();
    variables.push(("HOME", home.path().to_str().unwrap()));
    let config = read_with(&variables, Flags::default())?;
    let letta = config.letta.as_ref();
    let found = letta.map(|letta| (letta.url.clone(), letta.token.expose().to_owned()));
    Ok((found, config))
}

#[test]
fn environment_and_file_together_say_where_letta_is() {
    const URL: (&str, &str) = ("LETTA_SERVER_URL", "http://letta:8283/");
    const PASSWORD: (&str, &str) = ("LETTA_SERVER_PASSWORD", "pw");
    const KEY: (&str, &str) = ("LETTA_API_KEY", "key");
    let file = "# a comment\nPLAIN=1\nexport LETTA_SERVER_PASSWORD=\"file$pw # x\" # y\n";
    let with_url = "export LETTA_API_KEY='k'\n\texport\tLETTA_SERVER_URL = http://f:1 # where\n";
    type Case<'a> = (
        &'a [(&'a str, &'a str)],
        Option<&'a str>,
        Option<(&'a str, &'a str)>,
    );
    let cases: [Case<'_>; 13] = [
        (&[], None, None),
        (&[URL], None, None),
        (&[PASSWORD], None, None),
        (&[URL, PASSWORD], None, Some(("http://letta:8283", "pw"))),
        (&[URL, KEY], None, Some(("http://letta:8283", "key"))),
        (
            &[KEY, PASSWORD, URL],
            None,
            Some(("http://letta:8283", "pw")),
        ),
        (&[("LETTA_SERVER_URL", " "), PASSWORD], None, None),
        (
            &[],
            Some(file),
            Some(("http://127.0.0.1:8284", "file$pw # x")),
        ),
        (
            &[URL],
            Some(file),
            Some(("http://letta:8283", "file$pw # x")),
        ),
        (
            &[PASSWORD],
            Some(file),
            Some(("http://127.0.0.1:8284", "pw")),
        ),
        (&[URL, KEY], Some(file), Some(("http://letta:8283", "key"))),
        (&[], Some(with_url), Some(("http://f:1", "k"))),
        (
            &[],
            Some("LETTA_API_KEY=plain\nexported X=1\nexport\n"),
            None,
        ),
    ];
    for (environment, dotenv, expected) in cases {
        let (found, _) = letta_of(environment, dotenv).unwrap();
        let expected = expected.map(|(url, token)| (url.to_owned(), token.to_owned()));
        assert_eq!(found, expected, "{environment:?} {dotenv:?}");
    }
}

#[test]
fn the_scope_is_one_of_three_words() {
    let with = |scope| {
        let variables = [
            ("LETTA_SERVER_URL", "http://l"),
            ("LETTA_API_KEY", "k"),
            ("LETTA_ENV_SCOPE", scope),
        ];
        let read = letta_of(&variables, None).map_err(|faults| faults.to_string());
        read.map(|(_, config)| config.letta.unwrap().scope)
    };
    assert_eq!(with("Agent"), Ok(Scope::Agent));
    assert_eq!(with("merged"), Ok(Scope::Merged));
    assert_eq!(with("ALL"), Ok(Scope::All));
    assert_eq!(with(""), Ok(Scope::Merged));
    let fault = "LETTA_ENV_SCOPE: 'mine' is not allowed; use merged, agent or all";
    assert_eq!(with("mine"), Err(fault.to_owned()));
}

#[test]
fn lettas_credentials_go_to_all_plugins_but_under_scope_agent_to_none_that_is_not_named() {
    let only =
        |names: &[&str]| Holders::Only(names.iter().map(|name| (*name).to_owned()).collect());
    let cases = [
        (vec![], Holders::All),
        (vec![("LETTA_ENV_SCOPE", "all")], Holders::All),
        (vec![("LETTA_ENV_SCOPE", "agent")], Holders::None),
        (vec![("SMCP_LETTA_CREDENTIALS", "none")], Holders::None),
        (
            vec![
                ("LETTA_ENV_SCOPE", "agent"),
                ("SMCP_LETTA_CREDENTIALS", "all"),
            ],
            Holders::All,
        ),
        (
            vec![
                ("LETTA_ENV_SCOPE", "agent"),
                ("SMCP_LETTA_CREDENTIALS", "bridge, cron"),
            ],
            only(&["bridge", "cron"]),
        ),
    ];
    for (variables, holders) in cases {
        let (_, config) = letta_of(&variables, None).unwrap();
        assert_eq!(config.catalog.reserved.holders, holders, "{variables:?}");
    }
}

#[test]
fn lettas_credentials_are_reserved_wherever_they_stand() {
    let in_file = "export LETTA_API_KEY=k2\nexport LETTA_SERVER_URL=http://l\n";
    let (_, config) = letta_of(&[("LETTA_SERVER_PASSWORD", "pw")], Some(in_file)).unwrap();
    let reserved = &config.catalog.reserved;
    let text = |text: &OsString| text.to_str().unwrap().to_owned();
    let mut variables: Vec<_> = reserved
        .variables
        .iter()
        .map(|(n, v)| (text(n), text(v)))
        .collect();
    variables.sort();
    let expected = [
        ("LETTA_API_KEY", "k2"),
        ("LETTA_SERVER_PASSWORD", "pw"),
        ("LETTA_SERVER_URL", "http://l"),
    ];
    assert_eq!(
        variables,
        expected.map(|(n, v)| (n.to_owned(), v.to_owned()))
    );
    assert_eq!(reserved.names.len(), 3);
}

#[test]
fn an_address_of_letta_without_a_password_reaches_plugins_as_it_was_given() {
    let given = ("LETTA_SERVER_URL".into(), "http://l".into());
    for (variables, dotenv, expected) in [
        (vec![("LETTA_SERVER_URL", "http://l")], None, vec![given]),
        (vec![], Some("export OTHER=1\n"), vec![]),
    ] {
        let (letta, config) = letta_of(&variables, dotenv).unwrap();
        assert_eq!(letta, None, "nobody is asked");
        assert_eq!(config.catalog.reserved.variables, expected);
    }
}
