//! Which settings are read, and which are refused with which words.

use std::time::Duration;

use super::*;
use crate::catalog::Holders;
use crate::letta::settings::Scope;

fn read_with(variables: &[(&str, &str)], flags: Flags) -> Result<Config, Faults> {
    read_for(Purpose::Http, variables, flags)
}

fn read_for(purpose: Purpose, variables: &[(&str, &str)], flags: Flags) -> Result<Config, Faults> {
    read(
        purpose,
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
    let faults = read_with(&[("MCP_API_KEYS", "good,sha256:12")], Flags::default())
        .unwrap_err()
        .to_string();
    assert!(faults.contains("MCP_API_KEYS: key 2") && faults.lines().count() == 1);
    assert!(!faults.contains(":12"), "{faults}");
}

#[test]
fn a_key_that_no_client_can_send_is_warned_about_without_being_shown() {
    for (name, value) in [
        ("MCP_API_KEY", "two\twords-0123456789"),
        ("MCP_API_KEYS", "0123456789abcdef, clef-é-0123456789"),
    ] {
        let external = Flags {
            allow_external: true,
            ..Flags::default()
        };
        let config = read_with(&[(name, value)], external).unwrap();
        let told = config.notices.join("\n");
        assert!(told.contains("no client can send"), "{told}");
        assert!(!told.contains("words") && !told.contains("clef"), "{told}");
    }
}

#[test]
fn the_shell_has_the_key_only_where_the_variable_holds_it_and_not_its_digest() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    for (name, value, expected) in [
        ("MCP_API_KEY", "three", true),
        ("MCP_API_KEY", digest.as_str(), false),
        ("MCP_API_KEYS", "one", false),
    ] {
        let config = read_with(&[(name, value)], Flags::default()).unwrap();
        assert_eq!(config.key_in_shell, expected, "{name}");
    }
}

#[test]
fn a_key_with_commas_and_spaces_in_it_is_one_key() {
    let key = "abc,def ghi, jkl";
    let expected = crate::mcp::principal::KeyId::of(key.as_bytes());
    // White space around it is no part of it: HTTP drops it from headers, so that no client could send it.
    for given in [key.to_owned(), format!(" {key}\n")] {
        let config = read_with(&[("MCP_API_KEY", &given)], Flags::default()).unwrap();
        assert_eq!(config.http.auth.keys, [expected]);
    }
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
        ("MCP_MAX_CALLS", "18446744073709551615"),
        ("MCP_MAX_SESSIONS", "18446744073709551615"),
        ("MCP_MAX_CONNECTIONS", "18446744073709551615"),
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
fn what_version_3_took_or_never_looked_at_is_a_warning_and_has_no_effect() {
    let without = read_with(&[], Flags::default()).unwrap();
    for (name, value) in [
        ("MCP_PLUGIN_TIMEOUT", "soon"),
        ("MCP_PLUGIN_TIMEOUT", "1e19"),
        ("MCP_PLUGIN_TIMEOUT", "nan"),
        ("MCP_LOG_LEVEL", "verbose"),
        ("MCP_LOG_LEVEL", "NOTSET"),
        ("MCP_LOG_ROTATION", "daily"),
        ("MCP_LOG_ROTATION", "10 MB"),
        ("MCP_LOG_MAX_BYTES", "10MB"),
        ("MCP_LOG_MAX_BYTES", "18446744073709551615"),
        ("MCP_LOG_BACKUP_COUNT", "-1"),
        ("MCP_LOG_BACKUP_COUNT", "10001"),
        ("MCP_LOG_JSON", "pretty"),
        ("MCP_DISABLE_FILE_LOG", "maybe"),
        ("MCP_AUTH_DISABLED", "enabled"),
    ] {
        let config = read_with(&[(name, value)], Flags::default())
            .unwrap_or_else(|faults| panic!("{name}={value} ends the start: {faults}"));
        let told = config.mistakes.join("\n");
        assert!(
            told.starts_with(&format!("{name}: '{value}' ")) && told.lines().count() == 1,
            "{told}"
        );
        let telemetry = |config: &Config| format!("{:?}", config.telemetry);
        assert_eq!(telemetry(&config), telemetry(&without), "{name}={value}");
        assert_eq!(config.catalog.time_limit, None, "{name}={value}");
        assert!(!config.http.auth.disabled, "{name}={value}");
    }
    for level in ["WARNING", "warn", "Critical", "FATAL"] {
        let config = read_with(&[("MCP_LOG_LEVEL", level)], Flags::default()).unwrap();
        assert_eq!(config.mistakes, [""; 0], "{level} is a level");
    }
    let flags = Flags {
        plugins: crate::cli::PluginFlags {
            plugin_timeout: Some("soon".to_owned()),
            ..Default::default()
        },
        ..Flags::default()
    };
    assert!(read_with(&[], flags).is_err(), "a flag was never ignored");
}

#[test]
fn a_start_profile_that_nobody_defines_is_a_warning_and_clients_see_all() {
    let variables = [
        ("SMCP_ATTACH_PROFILE", "gone"),
        ("SMCP_ADMIN_PREFIX", "admin__"),
    ];
    let config = read_with(&variables, Flags::default()).unwrap();
    assert_eq!(config.profiles.start().name, "full");
    let told = config.mistakes.join("\n");
    assert!(
        told.contains("'gone'") && told.contains("admin, full"),
        "{told}"
    );
}

#[test]
fn only_a_clear_yes_lets_local_clients_go_without_the_key() {
    for (value, exempt, told) in [
        (None, true, ""),
        (Some("1"), true, ""),
        (Some(" Yes "), true, ""),
        (Some("on"), true, ""),
        (Some("0"), false, ""),
        (Some("no"), false, ""),
        (Some(""), false, "set but empty"),
        (Some(" \t "), false, "set but empty"),
        (Some("perhaps"), false, "counts as no"),
        (Some("2"), false, "counts as no"),
    ] {
        let mut variables = vec![("MCP_API_KEY", "0123456789abcdef")];
        variables.extend(value.map(|value| ("MCP_AUTH_ALLOW_LOOPBACK", value)));
        let config = read_with(&variables, Flags::default()).unwrap();
        assert_eq!(config.http.auth.loopback_exempt, exempt, "{value:?}");
        let lines = [config.notices, config.mistakes].concat().join("\n");
        assert_eq!(
            lines.contains("MCP_AUTH_ALLOW_LOOPBACK"),
            !told.is_empty(),
            "{value:?}: {lines}"
        );
        assert!(lines.contains(told), "{value:?}: {lines}");
    }
}

#[test]
fn to_listen_on_every_address_is_the_last_word() {
    let external = |host: Option<&str>| Flags {
        allow_external: true,
        host: host.map(str::to_owned),
        ..Flags::default()
    };
    const KEY: (&str, &str) = ("MCP_API_KEY", "k");
    for (variables, flags, ip, warned) in [
        (vec![KEY], external(None), "0.0.0.0", false),
        (
            vec![KEY, ("MCP_HOST", "127.0.0.1")],
            external(None),
            "0.0.0.0",
            true,
        ),
        (vec![KEY], external(Some("127.0.0.1")), "0.0.0.0", true),
        (
            vec![KEY, ("MCP_HOST", "localhost")],
            external(Some("0.0.0.0")),
            "0.0.0.0",
            false,
        ),
        (vec![KEY], external(Some("[::]")), "::", false),
    ] {
        let config = read_with(&variables, flags).unwrap();
        assert_eq!(config.addresses[0].ip().to_string(), ip, "{variables:?}");
        assert_eq!(!config.mistakes.is_empty(), warned, "{:?}", config.mistakes);
    }
    let keyless = read_with(&[("MCP_HOST", "127.0.0.1")], external(None));
    assert!(keyless.is_err(), "and it needs a key");
}

#[test]
fn a_command_that_does_not_listen_looks_at_nothing_about_listening() {
    let variables = [
        ("MCP_HOST", "0.0.0.0"),
        ("MCP_PORT", "abc"),
        ("MCP_API_KEYS", "sha256:12"),
        ("MCP_ROOT_PATH", "no path"),
        ("MCP_ALLOWED_HOSTS", "bad host"),
        ("MCP_ALLOWED_ORIGINS", "x"),
        ("MCP_SSE_MANIFEST", "perhaps"),
        ("MCP_AUTH_DISABLED", "1"),
        ("MCP_MAX_CONNECTIONS", "0"),
    ];
    let flags = || Flags {
        host: Some("no.such.name.invalid".to_owned()),
        port: Some("-1".to_owned()),
        require_auth: true,
        ..Flags::default()
    };
    assert!(read_with(&variables, flags()).is_err());
    for purpose in [Purpose::Stdio, Purpose::Once] {
        let config = read_for(purpose, &variables, flags())
            .unwrap_or_else(|faults| panic!("{purpose:?}: {faults}"));
        let told = [config.notices, config.mistakes].concat().join("\n");
        assert!(!told.contains("MCP_"), "{purpose:?}: {told}");
        let limit = read_for(purpose, &[("MCP_MAX_CALLS", "0")], Flags::default());
        assert!(limit.is_err(), "{purpose:?} runs calls");
    }
}

#[test]
fn the_log_lies_where_version_3_wrote_it_and_stdio_writes_none_unasked() {
    let path = |purpose, variables: &[(&str, &str)]| {
        let config = read_for(purpose, variables, Flags::default()).unwrap();
        config
            .telemetry
            .file
            .map(|file| file.path.display().to_string())
    };
    const DIRECTORY: (&str, &str) = ("MCP_LOG_DIR", "/var/log/x");
    const FILE: (&str, &str) = ("MCP_LOG_FILE", "own.log");
    const OFF: (&str, &str) = ("MCP_DISABLE_FILE_LOG", "1");
    for (variables, http, stdio) in [
        (vec![], Some("logs/mcp_server.log"), None),
        (
            vec![DIRECTORY],
            Some("/var/log/x/mcp_server.log"),
            Some("/var/log/x/mcp_server.log"),
        ),
        (vec![FILE], Some("own.log"), Some("own.log")),
        (
            vec![DIRECTORY, FILE],
            Some("/var/log/x/own.log"),
            Some("/var/log/x/own.log"),
        ),
        (vec![DIRECTORY, OFF], None, None),
    ] {
        assert_eq!(
            path(Purpose::Http, &variables).as_deref(),
            http,
            "{variables:?}"
        );
        assert_eq!(
            path(Purpose::Stdio, &variables).as_deref(),
            stdio,
            "{variables:?}"
        );
        assert_eq!(path(Purpose::Once, &variables), None, "{variables:?}");
    }
}

#[test]
fn a_plugins_directory_that_is_missing_is_a_warning_by_variable_and_a_fault_by_flag() {
    let missing = [("MCP_PLUGINS_DIR", "/no/such/directory")];
    let config = read_with(&missing, Flags::default()).unwrap();
    let told = config.mistakes.join("\n");
    assert!(
        told.starts_with("MCP_PLUGINS_DIR: '/no/such/directory' is not there"),
        "{told}"
    );
    assert_eq!(
        config.catalog.directory.as_deref(),
        Some("/no/such/directory".as_ref())
    );
    let fault = |directory: &str| {
        let flags = Flags {
            plugins: plugins_in(directory),
            ..Flags::default()
        };
        read_with(&[], flags).unwrap_err().to_string()
    };
    let told = fault("/no/such/directory");
    assert!(
        told.starts_with("--plugins-dir: '/no/such/directory' is not there")
            && told.lines().count() == 1,
        "{told}"
    );
    let plugins = tempfile::tempdir().unwrap();
    let program = plugins.path().join("one/cli.py");
    std::fs::create_dir(plugins.path().join("one")).unwrap();
    std::fs::write(&program, "").unwrap();
    let told = fault(program.to_str().unwrap());
    let meant = format!(": '{}'", plugins.path().display());
    assert!(
        told.contains("is no directory") && told.ends_with(&meant),
        "{told}"
    );
}

fn plugins_in(directory: &str) -> crate::cli::PluginFlags {
    crate::cli::PluginFlags {
        place: crate::cli::PluginsDir {
            plugins_dir: Some(directory.to_owned()),
        },
        plugin_timeout: None,
    }
}

#[test]
fn a_path_need_not_be_text() {
    use std::os::unix::ffi::OsStringExt;
    let home = tempfile::tempdir().unwrap();
    let odd = home.path().join(OsString::from_vec(b"pl\xfcgins".to_vec()));
    std::fs::create_dir(&odd).unwrap();
    let environment = vec![
        ("MCP_PLUGINS_DIR".into(), odd.clone().into_os_string()),
        ("MCP_LOG_DIR".into(), odd.clone().into_os_string()),
    ];
    let config = read(Purpose::Http, &Flags::default(), environment).unwrap();
    assert_eq!(config.catalog.directory, Some(odd.clone()));
    let file = config.telemetry.file.unwrap();
    assert_eq!(file.path, odd.join("mcp_server.log"));
}

#[test]
fn a_misspelled_setting_is_a_warning_and_no_fault() {
    let config = read_with(&[("MCP_PLUGIN_DIR", "/x")], Flags::default()).unwrap();
    let told = config.mistakes.join("\n");
    assert!(
        told.contains("MCP_PLUGIN_DIR ") && told.contains("do you mean MCP_PLUGINS_DIR?"),
        "{told}"
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
    let variables = [("SMCP_PROFILES", "/nobody-defines-it"), ("MCP_PORT", "x")];
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
