//! `smcp tools`, `check` and `call`.

use std::process::Command;

use serde_json::{Value, json};

use super::{folder, line, program, stderr, stdout, with_plugins};
use crate::support::plugins::Folder;
use crate::support::server::{Setup, run};

#[test]
fn a_plugins_directory_that_is_named_and_not_there_is_refused_by_flag_and_told_by_variable() {
    for command in ["serve", "stdio", "check", "tools", "call health"] {
        let setup = line(command).argument("--plugins-dir").argument("/no/such");
        let output = run(&setup);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert_eq!(said.lines().count(), 1, "{command}: {said}");
        assert!(
            said.contains("--plugins-dir") && said.contains("/no/such"),
            "{said}"
        );
        assert_eq!(stdout(&output), "", "{command}");
    }
    for (command, code) in [("check", 1), ("tools", 0), ("call health", 0)] {
        let output = run(&line(command).variable("MCP_PLUGINS_DIR", "/no/such"));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        assert!(
            said.contains("MCP_PLUGINS_DIR: '/no/such' is not there"),
            "{command}: {said}"
        );
    }
}

#[test]
fn commands_that_do_not_listen_work_whatever_is_set_for_listening() {
    let folder = folder("echo gone");
    for command in ["tools", "check", "call walker__go"] {
        let setup = with_plugins(command, &folder)
            .variable("MCP_HOST", "0.0.0.0")
            .variable("MCP_PORT", "abc")
            .variable("MCP_ALLOWED_HOSTS", "bad host")
            .variable("MCP_LOG_LEVEL", "verbose");
        let output = run(&setup);
        let said = stderr(&output);
        assert!(output.status.success(), "{command}: {said}");
        assert!(!said.contains("MCP_"), "{command}: {said}");
    }
}

#[test]
fn every_mistake_at_the_shell_is_answered_with_what_to_do() {
    let folder = folder("printf '\\033[31mout of paper\\033[0m\\n' >&2; exit 1");
    folder.add("lacking", "import no_such_module_anywhere\n");
    folder.add("empty", "\n");
    for (command, words) in [
        ("call walker__go --name Ada", vec!["NAME=VALUE: name=Ada"]),
        ("call tools/list", vec!["smcp tools"]),
        ("call nowhere__jump", vec!["smcp tools"]),
        (
            "call walker__go --json {\"a\":1,\"a\":2}",
            vec!["--json", "'a' is repeated"],
        ),
        ("call walker__go", vec!["failed: out of paper\n"]),
        (
            "call lacking__x",
            vec![" -m pip install no_such_module_anywhere", "MCP_PYTHON"],
        ),
        ("call empty__x", vec!["its cli.py is empty", "--describe"]),
    ] {
        let mut words_of_line = command.splitn(4, ' ');
        let setup = words_of_line
            .by_ref()
            .fold(Setup::new(), |setup, word| setup.argument(word));
        let output = run(&setup.argument("--plugins-dir").argument(folder.path()));
        let said = stderr(&output);
        assert!(!output.status.success(), "{command}: {said}");
        for word in words {
            assert!(said.contains(word), "{command}: no {word:?} in {said}");
        }
        assert!(!said.contains('\u{1b}'), "{command}: {said}");
    }
    let setup = with_plugins("check", &folder).variable("MCP_PYTHON", "/no/such/python");
    let report = stdout(&run(&setup));
    let named =
        "MCP_PYTHON is '/no/such/python', which is no program that can be executed; set it to";
    assert!(report.contains(named), "{report}");
}

#[test]
fn tools_lists_what_a_client_sees_and_names_what_is_not_served() {
    let folder = folder("echo gone");
    folder.add("broken", "import sys\nsys.exit(3)\n");
    let output = run(&with_plugins("tools", &folder));
    let listed = stdout(&output);
    let names: Vec<&str> = listed
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        names,
        ["walker__go", "health", "sanctum__tools"],
        "{listed}"
    );
    let said = stderr(&output);
    assert_eq!(said.matches("broken").count(), 1, "named once: {said}");
    assert!(said.contains("smcp: broken is not served: "), "{said}");
    let place = format!("plugins: {}", folder.path().display());
    assert!(said.contains(&place), "{said}");
    let output = run(&with_plugins("tools --json", &folder));
    let listed: Value = serde_json::from_str(&stdout(&output)).expect("nothing but JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(3));
}

#[test]
fn without_any_directory_the_commands_say_that_they_use_the_demos() {
    for (command, on_stdout) in [("tools", false), ("check", true), ("call health", false)] {
        let output = run(&line(command));
        let said = if on_stdout {
            stdout(&output)
        } else {
            stderr(&output)
        };
        assert!(
            said.contains("plugins: the built-in demos"),
            "{command}: {said}"
        );
    }
}

#[test]
fn the_servers_own_tools_can_be_called() {
    let folder = folder("echo gone");
    let output = run(&with_plugins("call health", &folder));
    assert!(output.status.success(), "{}", stderr(&output));
    let health: Value = serde_json::from_str(&stdout(&output)).expect("health is JSON");
    assert_eq!(health["plugin_names"][0], "walker", "{health}");
    let output = run(&with_plugins(
        "call sanctum__tools action=list-attached",
        &folder,
    ));
    assert!(
        stdout(&output).contains("walker__go"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn call_asks_only_the_plugin_that_it_calls() {
    let folder = Folder::new();
    let marker = folder.path().join("asked");
    folder.add_executable("walker", &program("echo gone"));
    let nosy = format!(
        "#!/bin/sh\n[ \"$1\" = --describe ] && touch '{}'\n",
        marker.display()
    );
    folder.add_executable("nosy", &nosy);
    for name in ["walker__go", "walker.go"] {
        let output = run(&with_plugins(&format!("call {name}"), &folder));
        assert_eq!(stdout(&output).trim(), "gone", "{}", stderr(&output));
    }
    assert!(!marker.exists(), "another plugin was run");
    run(&with_plugins("call elsewhere__go", &folder));
    assert!(marker.exists(), "an unknown name may be anybody's");
}

#[test]
fn a_program_learns_that_call_is_a_client_which_can_be_asked_nothing() {
    let folder = folder("printf '%s' \"$SMCP_CLIENT\"");
    let output = run(&with_plugins("call walker__go", &folder));
    let client: Value = serde_json::from_str(&stdout(&output)).expect("the client is JSON");
    assert_eq!(
        client,
        json!({
            "name": "smcp call",
            "version": env!("CARGO_PKG_VERSION"),
            "revision": "2025-11-25",
            "capabilities": {},
        })
    );
}

#[test]
fn call_says_why_a_plugin_is_not_served_and_which_name_may_be_meant() {
    let folder = folder("echo gone");
    folder.add("broken", "import sys\nsys.exit('the reason')\n");
    for (name, expected) in [
        ("broken__run", "smcp: broken is not served: "),
        (
            "walker__goo",
            "smcp: no tool 'walker__goo'; did you mean walker__go?",
        ),
        ("helth", "did you mean health?"),
    ] {
        let output = run(&with_plugins(&format!("call {name}"), &folder));
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn a_plugins_own_failure_does_not_look_like_the_servers() {
    let folder = folder("echo 'out of paper' >&2; exit 1");
    let output = run(&with_plugins("call walker__go", &folder));
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("walker__go failed: "), "{said}");
    assert!(
        said.contains("out of paper") && !said.contains("smcp: "),
        "{said}"
    );
}

#[test]
fn a_name_that_looks_like_a_setting_is_pointed_out() {
    for command in ["tools", "check", "call health"] {
        let output = run(&line(command).variable("MCP_PLUGIN_DIR", "/srv/plugins"));
        let said = stderr(&output);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("MCP_PLUGIN_DIR") && said.contains("do you mean MCP_PLUGINS_DIR?"),
            "{command}: {said}"
        );
    }
}

/// What a plugin finds of Letta's credentials under these settings.
fn credentials(settings: &[(&str, &str)]) -> String {
    let folder = folder("echo \"$LETTA_SERVER_PASSWORD $LETTA_API_KEY $MCP_API_KEY\"");
    let setup = with_plugins("call walker__go", &folder)
        .variable("LETTA_SERVER_PASSWORD", "letta-canary")
        .variable("MCP_API_KEY", "server-canary");
    let setup = settings
        .iter()
        .fold(setup, |setup, (name, value)| setup.variable(name, *value));
    stdout(&run(&setup)).trim().to_owned()
}

#[test]
fn lettas_password_reaches_no_plugin_under_scope_agent_that_is_not_named() {
    const SCOPE: (&str, &str) = ("LETTA_ENV_SCOPE", "agent");
    for (settings, found) in [
        (vec![], "letta-canary"),
        (vec![SCOPE], ""),
        (vec![SCOPE, ("SMCP_LETTA_CREDENTIALS", "other")], ""),
        (
            vec![SCOPE, ("SMCP_LETTA_CREDENTIALS", "other, walker")],
            "letta-canary",
        ),
        (vec![("SMCP_LETTA_CREDENTIALS", "none")], ""),
    ] {
        assert_eq!(credentials(&settings), found, "{settings:?}");
    }
}

#[test]
fn what_stands_in_lettas_file_reaches_plugins_as_the_environment_does() {
    let folder = folder("echo \"$LETTA_SERVER_URL $LETTA_SERVER_PASSWORD\"");
    let home = tempfile::tempdir().expect("there is room");
    std::fs::create_dir(home.path().join(".letta")).expect("a new directory");
    let lines =
        "export LETTA_SERVER_URL=http://127.0.0.1:9\nexport LETTA_SERVER_PASSWORD='in the file'\n";
    std::fs::write(home.path().join(".letta/.env"), lines).expect("there is room");
    for (name, value, found) in [
        (
            "LETTA_ENV_SCOPE",
            "merged",
            "http://127.0.0.1:9 in the file",
        ),
        ("LETTA_ENV_SCOPE", "all", "http://127.0.0.1:9 in the file"),
        ("LETTA_ENV_SCOPE", "agent", ""),
        ("SMCP_LETTA_CREDENTIALS", "none", ""),
        ("LETTA_SERVER_PASSWORD", "set", "http://127.0.0.1:9 set"),
    ] {
        // The working directory of these tests is the home directory as well.
        let setup = with_plugins("call walker__go", &folder).directory(home.path());
        let output = run(&setup.variable(name, value));
        assert_eq!(stdout(&output).trim(), found, "{name}={value}");
    }
}

#[test]
fn help_of_a_command_shows_what_it_takes_and_no_more() {
    let help = |command: &str| stdout(&run(&line(&format!("{command} --help"))));
    assert!(!help("tools").contains("--port"));
    assert!(help("serve").contains("--port"));
    assert!(help("call").contains("--plugin-timeout"));
    let refused = run(&Setup::new()
        .argument("tools")
        .argument("--port")
        .argument("1"));
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn what_is_not_served_is_told_by_its_one_cause() {
    let folder = Folder::new();
    folder.add("unreadable", "import argparse\ndef f(:\n    pass\n");
    folder.add("described", "KNOWN = '--describe'\nif True:\nprint(1)\n");
    folder.add_executable("windows", "#!/bin/sh\r\necho hello\r\n");
    folder.add_executable(
        "windows_env",
        "#!/usr/bin/env python3\r\nimport argparse\r\n",
    );
    folder.add_executable("no_interpreter", "#!/no/such/interpreter\necho hello\n");
    let elsewhere = folder.path().join("misnamed");
    std::fs::create_dir(&elsewhere).expect("a new name");
    std::fs::write(elsewhere.join("main.py"), "print(1)").expect("there is room");
    let report = stdout(&run(&with_plugins("check", &folder)));
    for (name, expected) in [
        (
            "unreadable",
            "not served: a syntax error: invalid syntax (cli.py, line 2)",
        ),
        (
            "described",
            "not served: a syntax error in line 3 of cli.py: ",
        ),
        ("windows:", "Unix line ends"),
        ("windows_env", "Unix line ends"),
        (
            "no_interpreter",
            "names the interpreter /no/such/interpreter",
        ),
        ("misnamed", "it has a main.py and no cli.py"),
    ] {
        let line = report.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("nothing of {name} in {report}"));
        assert!(line.contains(expected), "{line}");
        assert!(!line.contains("--help"), "one cause is enough: {line}");
    }
}

#[test]
fn a_signal_that_the_starter_ignored_is_ignored_in_programs() {
    let folder = folder("grep SigIgn /proc/self/status");
    let command = format!(
        "trap '' USR1; exec '{}' call --plugins-dir '{}' walker__go",
        env!("CARGO_BIN_EXE_smcp"),
        folder.path().display()
    );
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", &command])
        .env("MCP_DISABLE_FILE_LOG", "1")
        .output()
        .expect("there is a shell");
    let said = stdout(&output);
    let mask = said.trim().rsplit('\t').next().unwrap_or_default();
    let mask = u64::from_str_radix(mask, 16)
        .unwrap_or_else(|_| panic!("no mask in {said:?}; {}", stderr(&output)));
    let bit = 1 << (rustix::process::Signal::USR1.as_raw() - 1);
    assert_eq!(mask & bit, bit, "{said}");
}

#[test]
fn a_reader_who_has_had_enough_is_no_fault() {
    let folder = folder("echo gone");
    for command in ["tools --json", "tools", "check", "call walker__go"] {
        let line = format!(
            "'{}' {command} --plugins-dir '{}' | true; exit ${{PIPESTATUS[0]}}",
            env!("CARGO_BIN_EXE_smcp"),
            folder.path().display()
        );
        let output = std::process::Command::new("/bin/bash")
            .args(["-c", &line])
            .env("MCP_DISABLE_FILE_LOG", "1")
            .output()
            .expect("there is a shell");
        assert!(output.status.success(), "{command}: {}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let folder = Folder::new();
    folder.add_executable(
        "one",
        "#!/bin/sh\n[ \"$1\" = --describe ] && exec echo '{\"commands\":[{\"name\":\"run\",\"description\":\"d\"}]}'\necho ran\n",
    );
    for command in ["call one__run", "tools", "tools --json", "check", "config"] {
        let script = format!("exec \"$0\" {command} --plugins-dir \"$1\" >/dev/full");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_smcp")])
            .arg(folder.path())
            .output()
            .expect("there is a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(
            said.contains("cannot write to standard output"),
            "{command}: {said}"
        );
    }
}

#[test]
fn a_wrong_command_line_ends_with_the_status_of_one() {
    let folder = Folder::new();
    let program = "import argparse\nparser = argparse.ArgumentParser()\n\
                   parser.add_subparsers(required=True).add_parser('go').add_argument('--name', required=True)\n\
                   parser.parse_args()\n";
    folder.add("walker", program);
    for (words, told) in [
        (vec!["call", "walker__go", "Ada"], "write it as name=Ada"),
        (
            vec!["call", "walker__go", "name=a", "name=b"],
            "several times",
        ),
        (
            vec!["call", "walker__go", "--json", "{bad"],
            "no JSON object",
        ),
        (vec!["new", "my plugin"], "cannot be a plugin's name"),
        (
            vec!["client", "curl", "--url", "nonsense here"],
            "no address",
        ),
        (vec!["client", "letta", "--stdio"], "leave --stdio out"),
        (vec!["call", "x", "--url", "http://["], "no address"),
        (vec!["call", "x", "--url", ""], "no address"),
        (
            vec!["call", "x", "--url", "http://127.0.0.1:9"],
            "no HTTP header can carry",
        ),
        (vec!["check", ""], "an empty name is no plugin"),
    ] {
        let setup = words
            .iter()
            .fold(Setup::new(), |setup, word| setup.argument(word));
        let setup = match words.contains(&"http://127.0.0.1:9") {
            true => setup.variable("MCP_API_KEY", "one\nanother"),
            false => setup,
        };
        let output = run(&setup.variable("MCP_PLUGINS_DIR", folder.path()));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(told), "{words:?}: {said}");
    }
}
