//! Which settings are read, and which are refused with which words.

use std::time::Duration;

use super::*;
use crate::catalog::Holders;
use crate::letta::settings::Scope;

fn read_with(variables: &[(&str, &str)], flags: Flags) -> Result<Config, Faults> {
    read(
        &flags,
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    )
}

#[test]
fn every_fault_is_reported_with_name_value_and_what_is_allowed() {
    let faults = read_with(
        &[
            ("MCP_PORT", "seventy"),
            ("MCP_LOG_LEVEL", "LOUD!!"),
            ("MCP_MAX_CALLS", "0"),
            ("MCP_MAX_BACKGROUND", "10001"),
            ("MCP_BACKGROUND", "sometimes"),
            ("MCP_PLUGIN_TIMEOUT", "soon"),
            ("MCP_AUTH_DISABLED", "perhaps"),
            ("MCP_ROOT_PATH", "smcp"),
            ("MCP_ALLOWED_HOSTS", "good.example, bad host"),
            ("MCP_ALLOWED_ORIGINS", "example.org"),
            ("MCP_LOG_ROTATION", "sometimes"),
        ],
        Flags::default(),
    )
    .unwrap_err()
    .to_string();
    assert_eq!(faults.lines().count(), 11, "{faults}");
    for expected in [
        "MCP_PORT: 'seventy'",
        "LOUD!!",
        "MCP_MAX_CALLS: '0'",
        "MCP_MAX_BACKGROUND: '10001'",
        "MCP_BACKGROUND: 'sometimes'",
        "'soon'",
        "perhaps",
        "'smcp'",
        "'bad host'",
        "'example.org'",
        "sometimes",
    ] {
        assert!(faults.contains(expected), "{expected} is not in\n{faults}");
    }
}

#[test]
fn background_jobs_have_a_number_and_can_be_turned_off() {
    for (variables, expected) in [
        (&[][..], 64),
        (&[("MCP_MAX_BACKGROUND", "3")][..], 3),
        (&[("MCP_MAX_BACKGROUND", "0")][..], 0),
        (&[("MCP_BACKGROUND", "on")][..], 64),
        (
            &[("MCP_BACKGROUND", "off"), ("MCP_MAX_BACKGROUND", "3")][..],
            0,
        ),
    ] {
        let config = read_with(variables, Flags::default()).expect("nothing is wrong");
        assert_eq!(config.max_background, expected, "{variables:?}");
    }
}

#[test]
fn beyond_loopback_needs_a_key() {
    for host in ["0.0.0.0", "::", "192.0.2.7", "[::]"] {
        let flags = || Flags {
            host: Some(host.to_owned()),
            ..Flags::default()
        };
        let refusal = read_with(&[], flags()).unwrap_err().to_string();
        assert!(
            refusal.contains("refusing to bind") && refusal.contains("MCP_API_KEY"),
            "{refusal}"
        );
        assert!(
            read_with(&[("MCP_API_KEY", "k")], flags()).is_ok(),
            "{host}"
        );
        assert!(
            read_with(&[("MCP_AUTH_DISABLED", "1")], flags()).is_ok(),
            "{host}"
        );
    }
    let external = || Flags {
        allow_external: true,
        ..Flags::default()
    };
    assert!(read_with(&[("MCP_API_KEY", "")], external()).is_err());
    for host in ["127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1"] {
        let flags = Flags {
            host: Some(host.to_owned()),
            ..Flags::default()
        };
        assert!(read_with(&[], flags).is_ok(), "{host}");
    }
}

#[test]
fn without_settings_it_is_port_8000_of_this_machine() {
    let config = read_with(&[], Flags::default()).unwrap();
    assert_eq!(config.addresses, [SocketAddr::from(([127, 0, 0, 1], 8000))]);
}

#[test]
fn flags_win_over_the_environment() {
    let flags = Flags {
        port: Some("9".to_owned()),
        ..Flags::default()
    };
    let config = read_with(&[("MCP_PORT", "8")], flags).unwrap();
    assert_eq!(config.addresses[0].port(), 9);
}

#[test]
fn a_time_limit_of_zero_or_less_is_none() {
    for (value, expected) in [
        ("0", None),
        ("-1", None),
        ("1.5", Some(Duration::from_millis(1500))),
    ] {
        let config = read_with(&[("MCP_PLUGIN_TIMEOUT", value)], Flags::default()).unwrap();
        assert_eq!(config.catalog.time_limit, expected, "{value}");
    }
}

#[test]
fn keys_come_plain_or_as_digests_and_never_show() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let config = read_with(
        &[
            ("MCP_API_KEYS", &format!("one, two,{digest}")),
            ("MCP_API_KEY", "three"),
        ],
        Flags::default(),
    )
    .unwrap();
    assert_eq!(config.http.auth.keys.len(), 4);
    let faults = read_with(
        &[("MCP_API_KEYS", "se\tcret,sha256:12,clef-é")],
        Flags::default(),
    )
    .unwrap_err()
    .to_string();
    assert_eq!(faults.lines().count(), 3);
    assert!(!faults.contains("cret") && !faults.contains("clef"));
}

#[test]
fn a_key_with_commas_and_spaces_in_it_is_one_key() {
    let key = "abc,def ghi, jkl";
    let config = read_with(&[("MCP_API_KEY", key)], Flags::default()).unwrap();
    let expected = crate::mcp::principal::KeyId::of(key.as_bytes());
    assert_eq!(config.http.auth.keys, [expected]);
}

#[test]
fn a_key_that_can_be_guessed_is_warned_about_without_being_shown() {
    let noticed = |name, value| {
        let config = read_with(&[(name, value)], Flags::default()).unwrap();
        config.notices.join("\n")
    };
    assert!(noticed("MCP_API_KEY", "z").contains("MCP_API_KEY: the key has 1 character "));
    let notices = noticed("MCP_API_KEYS", "0123456789abcdef,q7");
    assert!(
        notices.contains("MCP_API_KEYS: key 2 has 2 characters"),
        "{notices}"
    );
    assert!(
        !notices.contains("q7") && !notices.contains("key 1"),
        "{notices}"
    );
    assert!(!noticed("MCP_API_KEY", "0123456789abcdef").contains("guessed"));
}

#[test]
fn every_number_has_bounds() {
    for (name, value) in [
        ("MCP_PLUGIN_TIMEOUT", "1e19"),
        ("MCP_PLUGIN_TIMEOUT", "nan"),
        ("MCP_MAX_CALLS", "18446744073709551615"),
        ("MCP_MAX_SESSIONS", "18446744073709551615"),
        ("MCP_MAX_CONNECTIONS", "18446744073709551615"),
        ("MCP_LOG_MAX_BYTES", "18446744073709551615"),
        ("MCP_LOG_BACKUP_COUNT", "10001"),
        ("MCP_PORT", "65536"),
    ] {
        let faults = read_with(&[(name, value)], Flags::default()).unwrap_err();
        let faults = faults.to_string();
        assert!(
            faults.starts_with(&format!("{name}: '{value}'")),
            "{faults}"
        );
    }
}

#[test]
fn a_plugins_directory_that_was_named_must_be_there() {
    let missing = [("MCP_PLUGINS_DIR", "/no/such/directory")];
    let faults = read_with(&missing, Flags::default())
        .unwrap_err()
        .to_string();
    assert!(
        faults.starts_with("MCP_PLUGINS_DIR: there is no directory '/no/such/directory'")
            && faults.lines().count() == 1,
        "{faults}"
    );
}

#[test]
fn a_misspelled_setting_is_a_notice_and_no_fault() {
    let config = read_with(&[("MCP_PLUGIN_DIR", "/x")], Flags::default()).unwrap();
    let found = |notice: &&String| {
        notice.contains("MCP_PLUGIN_DIR ") && notice.contains("do you mean MCP_PLUGINS_DIR?")
    };
    assert_eq!(
        config.notices.iter().filter(found).count(),
        1,
        "{:?}",
        config.notices
    );
}

#[test]
fn a_name_stands_for_all_of_its_addresses() {
    let flags = Flags {
        host: Some("localhost".to_owned()),
        ..Flags::default()
    };
    let config = read_with(&[], flags).unwrap();
    let resolved = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 8000)).unwrap();
    let resolved: std::collections::HashSet<_> = resolved.collect();
    assert_eq!(
        config
            .addresses
            .iter()
            .copied()
            .collect::<std::collections::HashSet<_>>(),
        resolved
    );
    assert!(config.addresses.is_sorted_by_key(SocketAddr::is_ipv6));
}

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
fn the_servers_secrets_are_not_for_plugins() {
    let config = read_with(
        &[
            ("MCP_API_KEY", "k"),
            ("MCP_API_KEYS", "l"),
            ("NOTIFY_SOCKET", "/x"),
            ("LISTEN_FDS", "1"),
            ("HOME", "/h"),
        ],
        Flags::default(),
    )
    .unwrap();
    let names: Vec<_> = config
        .catalog
        .environment
        .iter()
        .map(|(name, _)| name.to_str().unwrap())
        .collect();
    assert_eq!(names, ["HOME"]);
}

#[test]
fn a_broken_profile_is_a_fault_among_the_others() {
    let variables = [
        ("SMCP_ATTACH_PROFILE", "nobody-defines-it"),
        ("MCP_PORT", "x"),
    ];
    let faults = read_with(&variables, Flags::default())
        .unwrap_err()
        .to_string();
    assert!(
        faults.contains("nobody-defines-it") && faults.contains("MCP_PORT"),
        "{faults}"
    );
}

#[test]
fn behind_a_proxy_nobody_is_exempt() {
    for variable in [
        ("MCP_ROOT_PATH", "/smcp"),
        ("MCP_ALLOWED_HOSTS", "mcp.example.org"),
    ] {
        let config = read_with(&[("MCP_API_KEY", "k"), variable], Flags::default()).unwrap();
        assert!(!config.http.auth.loopback_exempt, "{variable:?}");
    }
    let config = read_with(&[("MCP_API_KEY", "k")], Flags::default()).unwrap();
    assert!(config.http.auth.loopback_exempt);
    assert!(
        config
            .notices
            .iter()
            .any(|notice| notice.contains("--require-auth"))
    );
}
