//! Settings in files beside those of flags and variables.

use super::*;

/// What a settings file and these variables give for serving over HTTP.
fn read_file(
    text: &str,
    variables: &[(&str, &str)],
    flags: Flags,
) -> (Reader, Result<Config, Faults>) {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("system.toml");
    std::fs::write(&file, text).expect("there is room");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("it is ours");
    let environment: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let mut reader = Reader::new(&environment);
    let config = read_all(
        &mut reader,
        Purpose::Http,
        &flags,
        environment,
        Vec::new(),
        Some(file),
    );
    (reader, config)
}

#[test]
fn every_setting_of_the_list_is_read_and_nothing_beside_it() {
    let (reader, config) = read_file("", &[], Flags::default());
    config.expect("nothing is wrong");
    let listed = settings::SETTINGS.iter().map(|setting| setting.variable);
    let listed: std::collections::BTreeSet<_> = listed.collect();
    let surroundings = std::collections::BTreeSet::from(settings::SURROUNDINGS);
    let asked = reader.asked();
    let unknown: Vec<_> = asked.difference(&listed).collect();
    assert!(
        unknown.iter().all(|name| surroundings.contains(**name)),
        "{unknown:?}"
    );
    let unread: Vec<_> = listed.difference(asked).collect();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

#[test]
fn flags_win_over_the_environment_and_that_over_a_file() {
    let text = "port = 1\nmax_sessions = 1\nmax_calls = 1\n";
    let variables = [
        ("MCP_MAX_SESSIONS", "2"),
        ("MCP_PORT", "2"),
        ("MCP_MAX_CALLS", " "),
    ];
    let flags = Flags {
        port: Some("3".to_owned()),
        ..Flags::default()
    };
    let (mut reader, config) = read_file(text, &variables, flags);
    let config = config.expect("nothing is wrong");
    assert_eq!(config.addresses[0].port(), 3);
    assert_eq!((config.max_sessions, config.catalog.max_calls), (2, 1));
    let mut of = |variable| reader.in_force(variable);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(of("MCP_PORT"), (text("3"), Some(Origin::Flag("--port"))));
    assert_eq!(
        of("MCP_MAX_SESSIONS"),
        (text("2"), Some(Origin::Environment))
    );
    let (value, origin) = of("MCP_MAX_CALLS");
    assert_eq!(value, text("1"));
    assert!(matches!(origin, Some(Origin::File(line)) if line.number == 3));
    assert_eq!(of("MCP_HOST"), (text("127.0.0.1"), None));
    assert_eq!(of("SMCP_PROFILES"), (None, None));
}

#[test]
fn a_wrong_value_in_a_file_ends_the_start_and_is_named_by_its_line() {
    for (text, expected) in [
        (
            "port = 65536",
            ":1: port: '65536' is not allowed; use a port from 0 to 65535",
        ),
        (
            "\nmax_calls = 0",
            ":2: max_calls: '0' is not allowed; use a whole number",
        ),
        (
            "keep_alive = '1ms'",
            ":1: keep_alive: '1ms' is not allowed; use a time",
        ),
        // What is a warning in the environment, for the sake of version 3.
        (
            "plugin_timeout = 'soon'",
            ":1: plugin_timeout: 'soon' is not allowed",
        ),
        (
            "log_level = 'loud!!'",
            ":1: log_level: 'loud!!' is not allowed",
        ),
        ("plugins_dir = 'gone'", "gone' is not there"),
        (
            "attach_profile = 'gone'",
            ":1: SMCP_ATTACH_PROFILE names the profile 'gone'",
        ),
        (
            "otel_traces_sampler = 'always'",
            ":1: otel_traces_sampler is not understood",
        ),
        (
            "allowed_hosts = ['a', 'b c']",
            ":1: allowed_hosts: 'b c' is not allowed",
        ),
        (
            "api_key = 'k'\napi_key_file = 'f'",
            ":2: api_key_file are both set",
        ),
        (
            "auth_disabled = 'yes'",
            ":1: auth_disabled = 'yes': a string is not allowed",
        ),
    ] {
        let (_, config) = read_file(text, &[], Flags::default());
        let faults = config.expect_err(text).to_string();
        assert!(faults.contains(expected), "{text}: {faults}");
        assert_eq!(faults.lines().count(), 1, "{text}: {faults}");
    }
}

#[test]
fn the_environment_wins_over_a_key_in_a_file_however_it_names_its_own() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("key");
    std::fs::write(&path, "the key of the environment").expect("there is room");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("it is ours");
    let path = path.to_str().expect("it is text");
    let accepts = |config: &Config, key: &str| {
        config
            .http
            .auth
            .keys
            .accept(&crate::mcp::principal::KeyId::of(key.as_bytes()))
    };
    let text = "api_key = 'the key of the file'\n";
    for (variables, is_by_file) in [
        (vec![("MCP_API_KEY_FILE", path)], false),
        (vec![("MCP_API_KEY", "the key of the environment")], false),
        (vec![], true),
        (vec![("MCP_API_KEY", "")], true),
    ] {
        let (_, config) = read_file(text, &variables, Flags::default());
        let config = config.unwrap_or_else(|faults| panic!("{variables:?}: {faults}"));
        assert_eq!(
            accepts(&config, "the key of the file"),
            is_by_file,
            "{variables:?}"
        );
        assert_eq!(
            accepts(&config, "the key of the environment"),
            !is_by_file,
            "{variables:?}"
        );
        let told = [config.notices, config.mistakes].concat().join("\n");
        assert!(!told.contains("the key of"), "{told}");
        assert!(!is_by_file || !config.key_in_shell, "no shell knows it");
    }
}

#[test]
fn the_server_alone_knows_what_a_file_says() {
    let (_, config) = read_file("api_key = 'canary canary canary'\n", &[], Flags::default());
    let environment = format!(
        "{:?}",
        config.expect("nothing is wrong").catalog.environment
    );
    assert!(!environment.contains("canary"), "{environment}");
}
