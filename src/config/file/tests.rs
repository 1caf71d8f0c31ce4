//! What a line may say, and how the others are refused.

use super::*;
use crate::config::settings::SYSTEM;

fn parsed(text: &str, is_among_plugins: bool) -> Content {
    let file: Arc<Path> = Arc::from(Path::new("/home/ada/tools/smcp.toml"));
    parse(text, &file, is_among_plugins)
}

#[test]
fn every_kind_of_value_becomes_what_its_variable_would_have() {
    for (line, variable, expected) in [
        ("host = '::1'", "MCP_HOST", "::1"),
        ("port = 8_001", "MCP_PORT", "8001"),
        ("port = 0x1f90", "MCP_PORT", "8080"),
        ("max_calls = -1", "MCP_MAX_CALLS", "-1"),
        ("cache = false", "MCP_CACHE", "false"),
        ("plugin_timeout = 1.5", "MCP_PLUGIN_TIMEOUT", "1.5"),
        ("plugin_timeout = 30", "MCP_PLUGIN_TIMEOUT", "30"),
        ("plugin_timeout = '30s'", "MCP_PLUGIN_TIMEOUT", "30s"),
        (
            "allowed_hosts = ['a', ' b:1 ']",
            "MCP_ALLOWED_HOSTS",
            "a,b:1",
        ),
        ("allowed_hosts = 'a, b'", "MCP_ALLOWED_HOSTS", "a, b"),
        ("allowed_hosts = []", "MCP_ALLOWED_HOSTS", ""),
        (
            "otel_traces_sampler_arg = 1",
            "OTEL_TRACES_SAMPLER_ARG",
            "1",
        ),
        ("log_dir = 'log'", "MCP_LOG_DIR", "/home/ada/tools/log"),
        ("log_dir = '/log'", "MCP_LOG_DIR", "/log"),
        ("log_file = 'own.log'", "MCP_LOG_FILE", "own.log"),
        ("python = 'python3.11'", "MCP_PYTHON", "python3.11"),
        (
            "python = './bin/py'",
            "MCP_PYTHON",
            "/home/ada/tools/./bin/py",
        ),
        (
            "letta_credentials = 'none'",
            "SMCP_LETTA_CREDENTIALS",
            "none",
        ),
    ] {
        let content = parsed(line, false);
        assert!(content.faults.is_empty(), "{:?}", content.faults);
        let entry = &content.entries[variable];
        assert_eq!(entry.value, expected, "{line}");
        assert_eq!(entry.line.to_string(), "/home/ada/tools/smcp.toml:1");
    }
}

#[test]
fn every_fault_names_file_line_key_and_value_and_what_to_write() {
    let text = "# settings\n\
                prot = 8000\n\
                MCP_HOST = 'x'\n\
                max_calls = \"many\"\n\
                cache = 'on'\n\
                allowed_hosts = [1]\n\
                log_dir = ''\n\
                log_dir_ = '~/log'\n\
                python = '~/py'\n\
                plugin_timeout = true\n\
                require_auth = true\n\
                host = ['a',\n 'b']\n\
                nonsense_of_somebody = 1\n\
                [http]\n\
                port = 1\n";
    let content = parsed(text, false);
    assert!(content.entries.is_empty(), "{:?}", content.entries);
    let expected = [
        (2, "'prot' is not a setting of smcp; write port"),
        (3, "'MCP_HOST' is not a setting of smcp; write host"),
        (
            4,
            "max_calls = \"many\": a string is not allowed; use an integer",
        ),
        (
            5,
            "cache = 'on': a string is not allowed; use true or false",
        ),
        (6, "allowed_hosts = [1]: an integer is among the entries"),
        (7, "log_dir = '': it is empty"),
        (8, "'log_dir_' is not a setting of smcp; write log_dir"),
        (9, "python = '~/py': no shell reads this"),
        (
            10,
            "plugin_timeout = true: a boolean is not allowed; use a number",
        ),
        (
            11,
            "'require_auth' is not a setting of smcp; write auth_allow_loopback = false",
        ),
        (
            12,
            "host = ['a',  'b']: an array is not allowed; use a string",
        ),
        (
            14,
            "'nonsense_of_somebody' is not a setting of smcp; smcp config",
        ),
        (15, "[http]: settings stand in no group"),
    ];
    assert_eq!(
        content.faults.len(),
        expected.len(),
        "{:#?}",
        content.faults
    );
    for (fault, (line, words)) in content.faults.iter().zip(expected) {
        let start = format!("/home/ada/tools/smcp.toml:{line}: {words}");
        assert!(fault.starts_with(&start), "{fault}\nis not\n{start}");
        assert_eq!(fault.lines().count(), 1, "{fault}");
    }
}

#[test]
fn what_is_no_toml_is_refused_by_its_line_without_showing_it() {
    for text in [
        "port = 1\napi_key = canary\n",
        "port = 1\napi_key = \"canary\n",
        "port = 1\nport = 2 # canary\n",
    ] {
        let content = parsed(text, false);
        let [fault] = &content.faults[..] else {
            panic!("{:?}", content.faults)
        };
        assert!(fault.contains("smcp.toml:2: this is no TOML"), "{fault}");
        assert!(!fault.contains("canary"), "{fault}");
        assert!(content.entries.is_empty());
    }
}

#[test]
fn no_message_shows_a_secret_or_what_may_be_one() {
    let text = "api_key = ['canary']\nletta_api_key = 12345678\napi_kye = 'canary'\n";
    let faults = parsed(text, false).faults;
    assert_eq!(faults.len(), 3, "{faults:?}");
    let told = faults.join("\n");
    assert!(!told.contains("canary") && !told.contains("1234"), "{told}");
}

#[test]
fn faults_of_one_file_are_bounded() {
    let text: String = (0..1000).map(|n| format!("nonsense_{n} = 1\n")).collect();
    let faults = parsed(&text, false).faults;
    assert_eq!(faults.len(), MAX_FAULTS + 1);
    assert!(faults[MAX_FAULTS].ends_with("980 more lines are wrong"));
}

#[test]
fn a_file_among_plugins_sets_nothing_that_is_guarded_and_everything_else() {
    for setting in SETTINGS {
        let value = match setting.kind {
            Kind::Switch => "true",
            Kind::Whole | Kind::Number | Kind::Time => "1",
            Kind::Text | Kind::Path | Kind::Program | Kind::List => "'x'",
        };
        let line = format!("{} = {value}", setting.key());
        assert_eq!(parsed(&line, false).faults, [""; 0], "{line}");
        let faults = parsed(&line, true).faults;
        assert_eq!(faults.is_empty(), !setting.is_guarded, "{line}: {faults:?}");
        for fault in faults {
            assert!(
                fault.contains(SYSTEM) && fault.contains(setting.variable),
                "{fault}"
            );
        }
    }
}
