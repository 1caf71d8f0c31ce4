//! Settings files, and `smcp config`.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use super::{folder, line, stderr, stdout, with_plugins};
use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup, run};
use crate::support::until;

/// A settings file in a folder of plugins, which this user alone can read.
fn settings(folder: &Folder, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    write(&path, text).expect("there is room");
    set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
    path
}

fn row<'a>(report: &'a Value, key: &str) -> &'a Value {
    let rows = report["settings"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["key"] == key);
    row.unwrap_or_else(|| panic!("no {key} in {report}"))
}

#[test]
fn a_server_runs_by_the_file_among_its_plugins_and_says_so() {
    let folder = folder("echo gone");
    let file = settings(&folder, "smcp.toml", "max_calls = 7\nsse_manifest = true\n");
    let server = Server::start(&Setup::new().plugins(folder.path()));
    let named = format!("settings         {}", file.display());
    until("the file is named", PATIENCE, || {
        server.stdout().contains(&named).then_some(())
    });
    let report = run(&with_plugins("config --json", &folder));
    let report: Value = serde_json::from_str(&stdout(&report)).expect("JSON");
    let row = row(&report, "max_calls");
    assert_eq!(row["value"], 7);
    assert_eq!(row["source"]["line"], 1, "{row}");
    assert_eq!(row["source"]["file"], file.to_str().expect("text"));
}

#[test]
fn a_file_that_is_wrong_ends_every_command_that_would_use_it_with_its_lines() {
    let folder = folder("echo gone");
    let file = settings(
        &folder,
        "smcp.toml",
        "max_cals = 7\n\nhost = '0.0.0.0'\nmax_calls = 0\n",
    );
    for command in [
        "serve",
        "stdio",
        "check",
        "tools",
        "call walker__go",
        "config",
    ] {
        let output = run(&with_plugins(command, &folder));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        let lines: Vec<&str> = said.lines().collect();
        for (line, words) in [
            (1, "'max_cals' is not a setting of smcp; write max_calls"),
            (3, "host cannot be set by a file among the plugins"),
            (
                4,
                "max_calls: '0' is not allowed; use a whole number from 1",
            ),
        ] {
            let start = format!("smcp: {}:{line}: {words}", file.display());
            let found = lines.iter().filter(|line| line.starts_with(&start)).count();
            assert_eq!(found, 1, "{command}: {start} in\n{said}");
        }
        assert_eq!(lines.len(), 3, "{command}: {said}");
    }
    let other = settings(&folder, "other.toml", "");
    let output = run(&with_plugins("tools", &folder)
        .argument("--config")
        .argument(&other));
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn config_shows_no_secret_and_says_where_each_value_comes_from() {
    let folder = folder("echo gone");
    let text = "api_keys = ['canary in a file', 'another canary']\nletta_server_password = 'canary'\nport = 0\n";
    let file = settings(&folder, "own.toml", text);
    let setup = |command: &str| {
        with_plugins(command, &folder)
            .argument("--config")
            .argument(&file)
            .argument("--require-auth")
            .variable("MCP_API_KEY", "canary of the environment")
            .variable("MCP_KEEP_ALIVE", "20s")
    };
    let output = run(&setup("config"));
    let said = stdout(&output);
    for (start, source) in [
        ("# api_key is set, and not shown", "# MCP_API_KEY"),
        ("# api_keys is set, and not shown", "own.toml:1"),
        ("port = 0", "own.toml:3"),
        ("keep_alive = \"20s\"", "# MCP_KEEP_ALIVE"),
        ("auth_allow_loopback = false", "# --require-auth"),
        ("# max_sessions = 4096", "# default"),
        ("# profiles is not set", ""),
    ] {
        let found = said.lines().find(|line| line.starts_with(start));
        assert!(
            found.is_some_and(|line| line.ends_with(source)),
            "{start} {source}: {said}"
        );
    }
    let json = stdout(&run(&setup("config --json")));
    assert!(
        !format!("{said}{json}{}", stderr(&output)).contains("canary"),
        "{said}{json}"
    );
    let report: Value = serde_json::from_str(&json).expect("JSON");
    let key = row(&report, "api_key");
    assert_eq!((&key["set"], &key["value"]), (&true.into(), &Value::Null));
}

/// What is no secret by its name has one in it all the same: a key in place of its fingerprint, a password in an address.
#[test]
fn config_shows_no_secret_that_stands_where_none_belongs() {
    let folder = folder("echo gone");
    for (variable, key, value) in [
        ("MCP_UI_ADMINS", "ui_admins", "01234567, canary-key"),
        (
            "LETTA_SERVER_URL",
            "letta_server_url",
            "http://u:canary@127.0.0.1:9",
        ),
        (
            "LETTA_SERVER_URL",
            "letta_server_url",
            "http://u:1/canary@127.0.0.1:9",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "otel_exporter_otlp_endpoint",
            "https://c.example/?key=canary",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "otel_exporter_otlp_endpoint",
            "u:canary@c.example",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "otel_exporter_otlp_traces_endpoint",
            "http://canary@c.example",
        ),
        (
            "MCP_ALLOWED_ORIGINS",
            "allowed_origins",
            "https://u:canary@a.example",
        ),
        (
            "MCP_ALLOWED_ORIGINS",
            "allowed_origins",
            "https://u:1/canary@a.example",
        ),
    ] {
        let text = format!("port = 0\n{key} = \"{value}\"\n");
        let file = settings(&folder, "own.toml", &text);
        for command in ["config", "config --json"] {
            let by_variable = with_plugins(command, &folder).variable(variable, value);
            let by_file = with_plugins(command, &folder)
                .argument("--config")
                .argument(&file);
            for setup in [by_variable, by_file] {
                let output = run(&setup);
                let said = stdout(&output) + &stderr(&output);
                assert!(!said.contains("canary"), "{command} {variable}: {said}");
                assert!(said.contains(key), "{command} {variable}: {said}");
            }
        }
    }
    let shown = [
        ("MCP_UI_ADMINS", "01234567, 89abcdef"),
        ("LETTA_SERVER_URL", "http://127.0.0.1:9/letta"),
    ];
    let setup = shown
        .iter()
        .fold(with_plugins("config", &folder), |setup, (name, value)| {
            setup.variable(name, value)
        });
    let said = stdout(&run(&setup));
    for line in [
        "ui_admins = [\"01234567\", \"89abcdef\"]",
        "letta_server_url = \"http://127.0.0.1:9/letta\"",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn what_config_prints_is_a_settings_file_that_means_the_same() {
    let folder = folder("echo gone");
    let printed = run(&with_plugins("config", &folder)
        .variable("MCP_ALLOWED_HOSTS", "a.example, b.example:81")
        .variable("OTEL_SERVICE_NAME", "a \"b'")
        .variable("MCP_MAX_CALLS", "3")
        .variable("MCP_WARM", "OFF")
        .variable("MCP_KEEP_ALIVE", "20")
        .variable("MCP_DRAIN_DELAY", "1.5"));
    let file = settings(&folder, "printed.toml", &stdout(&printed));
    let again = run(&line("config").argument("--config").argument(&file));
    let values = |text: String| -> Vec<String> {
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        let values = rows.map(|line| line.rsplit_once("# ").map_or(line, |(value, _)| value));
        values.map(|value| value.trim().to_owned()).collect()
    };
    let (first, second) = (values(stdout(&printed)), values(stdout(&again)));
    assert_eq!(first, second);
    for line in [
        "max_calls = 3",
        "warm = false",
        "keep_alive = 20",
        "drain_delay = 1.5",
        "allowed_hosts = [\"a.example\", \"b.example:81\"]",
    ] {
        assert!(
            first.iter().any(|known| known == line),
            "{line} in {first:?}"
        );
    }
}

#[test]
fn a_health_check_asks_where_the_file_says_that_the_server_is() {
    let folder = Folder::new();
    let server = Server::start(&Setup::new().plugins(folder.path()));
    server.ready();
    let port = server.address().port();
    // What else is wrong in it does not keep anybody from asking.
    let file = settings(&folder, "own.toml", &format!("prot = 1\nport = {port}\n"));
    let output = run(&line("--config").argument(&file).argument("health"));
    assert!(output.status.success(), "{}", stderr(&output));
}
