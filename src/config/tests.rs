//! Which settings are read, and which are refused with which words.

use super::*;

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
    assert_eq!(faults.lines().count(), 9, "{faults}");
    for expected in [
        "MCP_PORT: 'seventy'",
        "LOUD!!",
        "MCP_MAX_CALLS: '0'",
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
    assert_eq!(config.address, SocketAddr::from(([127, 0, 0, 1], 8000)));
}

#[test]
fn flags_win_over_the_environment() {
    let flags = Flags {
        port: Some("9".to_owned()),
        ..Flags::default()
    };
    let config = read_with(&[("MCP_PORT", "8")], flags).unwrap();
    assert_eq!(config.address.port(), 9);
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
        &[("MCP_API_KEYS", "se cret,sha256:12,clef-é")],
        Flags::default(),
    )
    .unwrap_err()
    .to_string();
    assert_eq!(faults.lines().count(), 3);
    assert!(!faults.contains("se cret") && !faults.contains("clef"));
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
