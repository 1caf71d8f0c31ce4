//! Which settings are read, and which are refused with which words.

mod in_force;
mod settings_files;

use std::time::Duration;

use super::*;

/// What these variables and flags give for serving over HTTP.
pub(super) fn read_with(variables: &[(&str, &str)], flags: Flags) -> Result<Config, Faults> {
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
        Vec::new(),
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
fn warm_interpreters_have_a_limit_and_can_be_turned_off() {
    for (variables, expected) in [
        (&[("MCP_WARM_MAX_MB", "3")][..], Some(3 << 20)),
        (&[("MCP_WARM_MAX_MB", "0")][..], None),
        (
            &[("MCP_WARM", "on"), ("MCP_WARM_MAX_MB", "5")][..],
            Some(5 << 20),
        ),
        (&[("MCP_WARM", "off"), ("MCP_WARM_MAX_MB", "3")][..], None),
    ] {
        let config = read_with(variables, Flags::default()).expect("nothing is wrong");
        let given = config.warm.map(|settings| settings.max_bytes);
        assert_eq!(given, expected, "{variables:?}");
    }
    let once =
        read(Purpose::Once, &Flags::default(), Vec::new(), Vec::new()).expect("nothing is wrong");
    assert!(once.warm.is_none(), "nothing is kept for what runs once");
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
        assert_eq!(config.catalog.limits.time, expected, "{value}");
    }
}

#[test]
fn the_page_can_be_turned_off_and_then_no_line_of_the_log_is_kept() {
    let page = |value| read_with(&[("MCP_UI", value)], Flags::default()).unwrap();
    for (value, expected) in [("on", true), ("off", false)] {
        let config = page(value);
        assert_eq!(config.http.page.is_some(), expected, "{value}");
        assert_eq!(config.telemetry.tail.is_some(), expected, "{value}");
    }
    assert!(
        read_with(&[], Flags::default())
            .unwrap()
            .http
            .page
            .is_some()
    );
}

#[test]
fn who_sees_everything_is_named_by_a_fingerprint_and_a_key_in_its_place_is_not_repeated() {
    let admins = |value| read_with(&[("MCP_UI_ADMINS", value)], Flags::default());
    let named = admins("7041d661, 0A000001")
        .unwrap()
        .http
        .page
        .unwrap()
        .admins;
    assert_eq!(named, [[0x70, 0x41, 0xd6, 0x61], [10, 0, 0, 1]]);
    for value in ["a-long-random-key", "7041d6", "+041d661", "7041d6611"] {
        let faults = admins(value).unwrap_err().to_string();
        assert!(
            faults.contains("MCP_UI_ADMINS") && faults.contains("fingerprint"),
            "{faults}"
        );
        assert!(!faults.contains(value), "{faults}");
    }
}

#[test]
fn no_stream_is_silent_for_longer_than_clients_wait() {
    let silence = |value| read_with(&[("MCP_KEEP_ALIVE", value)], Flags::default());
    assert_eq!(
        read_with(&[], Flags::default()).unwrap().http.keep_alive,
        Duration::from_secs(15)
    );
    for (value, milliseconds) in [("100ms", 100), ("30", 30_000), ("4m", 240_000)] {
        let read = silence(value).unwrap().http.keep_alive;
        assert_eq!(read, Duration::from_millis(milliseconds), "{value}");
    }
    for value in ["0", "99ms", "5m", "off", "nan"] {
        let faults = silence(value).unwrap_err().to_string();
        let wanted = format!("MCP_KEEP_ALIVE: '{value}'");
        assert!(faults.starts_with(&wanted), "{faults}");
        assert!(faults.contains("a time from 100ms to 4m"), "{faults}");
    }
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
        assert_eq!(config.catalog.limits.time, None, "{name}={value}");
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
fn a_command_that_does_not_listen_looks_at_nothing_about_listening() {
    let variables = [
        ("MCP_HOST", "0.0.0.0"),
        ("MCP_PORT", "abc"),
        ("MCP_API_KEYS", "sha256:12"),
        ("MCP_ROOT_PATH", "no path"),
        ("MCP_ALLOWED_HOSTS", "bad host"),
        ("MCP_ALLOWED_ORIGINS", "x"),
        ("MCP_SSE_MANIFEST", "perhaps"),
        ("MCP_KEEP_ALIVE", "0"),
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
            ..crate::cli::PluginsDir::default()
        },
        plugin_timeout: None,
    }
}

#[test]
fn descriptions_are_kept_where_it_is_said_or_where_the_system_has_room_for_them() {
    let kept = |variables: &[(&str, &str)], flag: Option<&str>, no_cache: bool| {
        let mut flags = Flags::default();
        flags.plugins.place.cache_dir = flag.map(str::to_owned);
        flags.plugins.place.no_cache = no_cache;
        let cache = read_with(variables, flags).unwrap().catalog.cache;
        cache.map(|cache| (cache.directory.display().to_string(), cache.is_named))
    };
    let all = [
        ("MCP_CACHE_DIR", "named"),
        ("CACHE_DIRECTORY", "/var/cache/smcp:/var/cache/more"),
        ("XDG_CACHE_HOME", "/xdg"),
        ("HOME", "/home/ada"),
    ];
    let at = |path: &str, is_named| Some((path.to_owned(), is_named));
    assert_eq!(kept(&all, Some("flag"), false), at("flag", true));
    assert_eq!(kept(&all, None, false), at("named", true));
    assert_eq!(kept(&all[1..], None, false), at("/var/cache/smcp", false));
    assert_eq!(kept(&all[2..], None, false), at("/xdg/smcp", false));
    let home = at("/home/ada/.cache/smcp", false);
    assert_eq!(kept(&all[3..], None, false), home);
    let relative = [("XDG_CACHE_HOME", "cache"), all[3]];
    assert_eq!(kept(&relative, None, false), home);
    assert_eq!(kept(&[], None, false), None);
    assert_eq!(kept(&all, None, true), None);
    let off = [("MCP_CACHE", "off"), all[0]];
    assert_eq!(kept(&off, Some("flag"), false), None);
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
    let config = read(Purpose::Http, &Flags::default(), environment, Vec::new()).unwrap();
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
fn the_servers_secrets_are_not_for_plugins() {
    let config = read_with(
        &[
            ("MCP_API_KEY", "k"),
            ("MCP_API_KEYS", "l"),
            ("NOTIFY_SOCKET", "/x"),
            ("LISTEN_FDS", "1"),
            ("JOURNAL_STREAM", "9:1"),
            ("LOGS_DIRECTORY", "/var/log/smcp"),
            ("MCP_LOG_DIR", "/var/log/smcp"),
            ("MCP_LOG_FILE", "audit.log"),
            ("MCP_STATE_DIR", "/var/lib/smcp"),
            ("CREDENTIALS_DIRECTORY", "/run/credentials/smcp.service"),
            ("INVOCATION_ID", "0"),
            ("WATCHDOG_USEC", "1"),
            ("SYSTEMD_EXEC_PID", "1"),
            ("LETTA_API_KEY_FILE", ""),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=k"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-api-key=k"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-api-key=k"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
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
    assert_eq!(names, ["OTEL_EXPORTER_OTLP_ENDPOINT", "HOME"]);
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
fn changes_of_plugins_are_noticed_unless_somebody_says_no_and_never_by_what_runs_once() {
    let is_on = |purpose, value: &str, no_watch| {
        let flags = Flags {
            no_watch,
            ..Flags::default()
        };
        let config = read_for(purpose, &[("MCP_WATCH", value)], flags);
        config.expect("nothing is wrong").catalog.watch
    };
    for (purpose, value, no_watch, expected) in [
        (Purpose::Http, "", false, true),
        (Purpose::Stdio, "on", false, true),
        (Purpose::Http, "off", false, false),
        (Purpose::Stdio, "on", true, false),
        (Purpose::Once, "on", false, false),
    ] {
        let watch = is_on(purpose, value, no_watch);
        assert_eq!(watch, expected, "{purpose:?} {value} {no_watch}");
    }
}

#[test]
fn settings_of_kept_results_say_that_they_have_no_effect_without_a_directory() {
    let own = [
        ("MCP_TASK_TTL", "2h"),
        ("MCP_MAX_TASKS", "7"),
        ("MCP_MAX_TASK_BYTES", "2000000"),
    ];
    for (name, value) in own {
        let alone = read_with(&[(name, value)], Flags::default()).unwrap();
        let told = alone.mistakes.join("\n");
        assert!(
            told.starts_with(&format!("{name} has no effect: ")) && told.contains("MCP_STATE_DIR"),
            "{told}"
        );
        let both = [(name, value), ("MCP_STATE_DIR", "/var/lib/smcp")];
        let both = read_with(&both, Flags::default()).unwrap();
        assert!(both.mistakes.is_empty(), "{:?}", both.mistakes);
    }
}

#[test]
fn a_directory_named_plugins_is_where_new_ones_are_made() {
    let work = tempfile::tempdir().unwrap();
    let here = work.path().join("plugins");
    std::fs::create_dir(&here).unwrap();
    assert!(is_plugins_directory(Some(&here)));
    assert!(!is_plugins_directory(Some(work.path())) && !is_plugins_directory(None));
    std::fs::create_dir(here.join("plugins")).unwrap();
    assert!(!is_plugins_directory(Some(&here)), "its own is below it");
}
