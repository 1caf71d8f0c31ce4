//! `smcp check`: each fault that it knows, planted in a plugin; what it mends; what it says to programs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::terminal::AtTerminal;
use super::{line, stderr, stdout, with_plugins};
use crate::support::plugins::Folder;
use crate::support::server::run;

/// A program that describes itself so, and otherwise does `work`.
fn described(description: &Value, work: &str) -> String {
    format!(
        "#!/bin/sh\nif [ \"$1\" = --describe ]; then\necho '{description}'\nexit 0\nfi\n{work}\n"
    )
}

fn one_command(command: Value) -> Value {
    let mut whole = json!({"name": "go", "description": "Goes"});
    for (name, value) in command.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    json!({"contract_version": "1.1", "commands": [whole]})
}

/// What is found of these plugins, and whether the exit status is that of a success.
fn findings(folder: &Folder, flags: &str) -> (Vec<Value>, bool) {
    let output = run(&with_plugins(&format!("check --json{flags}"), folder));
    let report: Value = serde_json::from_str(&stdout(&output)).expect("nothing but JSON");
    let findings = report["findings"].as_array().expect("a list").clone();
    (findings, output.status.success())
}

fn of_rule<'a>(findings: &'a [Value], rule: &str) -> Vec<&'a Value> {
    findings
        .iter()
        .filter(|finding| finding["rule"] == rule)
        .collect()
}

#[test]
fn every_planted_fault_is_found_with_its_place_and_its_remedy() {
    let parser = "import argparse, sys, json\nif '--describe' in sys.argv:\n    print(json.dumps(DESCRIPTION))\n    \
        sys.exit()\nparser = argparse.ArgumentParser()\nparser.add_subparsers().add_parser('go')\nparser.parse_args()\n";
    let two = json!({"contract_version": "1.1", "commands": [
        {"name": "go", "description": "Goes"}, {"name": "gone", "description": "Was there"}
    ]});
    let python = parser.replace("DESCRIPTION", &two.to_string());
    // On a busy machine nearly all of that takes longer, as the start of an interpreter does.
    let slow = format!(
        "import time\nwhile time.process_time() < 1.2:\n    pass\ntime.sleep(0.2)\n{}",
        parser.replace("DESCRIPTION", &one_command(json!({})).to_string())
    );
    let object = json!({"input_schema": {"type": "object", "required": ["o"],
        "properties": {"o": {"type": "object", "description": "all"}}}});
    let long = format!("{}-{}", "long", "command".repeat(6));
    let listing = "echo 'Available commands:'; echo '  other   does other things'";
    for (rule, severity, place, word, program) in [
        (
            "not-served",
            "error",
            Some("commands[0].timeout"),
            "above 0",
            described(&one_command(json!({"timeout": -1})), ""),
        ),
        (
            "name-length",
            "warning",
            None,
            "Letta refuses names over 48",
            described(&one_command(json!({"name": long})), ""),
        ),
        (
            "letta-schema",
            "warning",
            Some("commands[0]"),
            "requires 'o'",
            described(&one_command(object), ""),
        ),
        (
            "no-description",
            "warning",
            Some("commands[0]"),
            "has no description",
            described(&one_command(json!({"description": ""})), ""),
        ),
        (
            "no-description",
            "warning",
            Some("commands[0]"),
            "arguments without a description: bare",
            described(
                &one_command(json!({"parameters": [{"name": "bare", "type": "string"}]})),
                "",
            ),
        ),
        (
            "unknown-command",
            "error",
            Some("commands[1]"),
            "'gone'",
            python,
        ),
        (
            "unknown-command",
            "warning",
            Some("commands[0]"),
            "it has other",
            described(
                &one_command(json!({})),
                &format!("[ \"$1\" = --help ] && {{ {listing}; exit; }}"),
            ),
        ),
        ("slow-start", "warning", None, "to say what it can do", slow),
        (
            "writes",
            "warning",
            None,
            "state",
            described(&one_command(json!({})), "")
                .replace("echo", "touch \"$SMCP_PLUGIN_DIR/state\"; echo"),
        ),
        (
            "writes",
            "warning",
            None,
            "log.txt",
            "import argparse\nopen('log.txt', 'a').write('x')\n\
             argparse.ArgumentParser(description='d').parse_args()\n"
                .to_owned(),
        ),
    ] {
        let folder = Folder::new();
        if program.starts_with("#!") {
            folder.add_executable("planted", &program);
        } else {
            folder.add("planted", &program);
        }
        let (found, succeeded) = findings(&folder, "");
        let of_rule = of_rule(&found, rule);
        let [finding] = of_rule.as_slice() else {
            panic!("{rule}: one finding: {found:?}")
        };
        assert_eq!(finding["severity"], severity, "{rule}: {finding}");
        assert_eq!(finding["plugin"], "planted", "{rule}: {finding}");
        let text = format!("{} {}", finding["place"], finding["message"]);
        assert!(text.contains(word), "{rule}: {finding}");
        if let Some(place) = place {
            assert!(text.contains(place), "{rule}: {finding}");
        }
        let mend = finding["mend"].as_str().unwrap_or_default();
        assert!(mend.len() > 5, "{rule}: {finding}");
        assert_eq!(succeeded, severity == "warning", "{rule}: {found:?}");
        let (_, is_strictly_right) = findings(&folder, " --strict");
        assert!(!is_strictly_right, "{rule}");
    }
}

#[test]
fn where_the_interpreter_alone_is_slow_no_program_is() {
    let folder = Folder::new();
    let description = one_command(json!({}));
    folder.add("quick", &format!("print('{description}')\n"));
    let interpreters = Folder::new();
    interpreters.add_executable("python", "#!/bin/sh\nsleep 1.2\nexec python3 \"$@\"\n");
    let python = interpreters.path().join("python/cli");
    let setup = with_plugins("check --json", &folder).variable("MCP_PYTHON", python);
    let report = stdout(&run(&setup));
    let report: Value = serde_json::from_str(&report).expect("nothing but JSON");
    assert_eq!(report["findings"], json!([]), "{report}");
}

#[test]
fn what_only_reads_is_tried_when_that_is_asked_for_and_nothing_else_ever_is() {
    let reads = json!({"annotations": {"readOnlyHint": true}, "output": "json", "parameters": [
        {"name": "n", "type": "integer", "description": "a number", "required": true, "examples": [7]}
    ]});
    let folder = Folder::new();
    let marker = folder.path().join("ran");
    let ran = |name: &str| marker.with_file_name(name).exists();
    let work = |name: &str, printed: &str| {
        format!(
            "echo \"$*\" > '{}'; {printed}",
            marker.with_file_name(name).display()
        )
    };
    for (name, command, printed) in [
        ("liar", reads.clone(), "echo no JSON"),
        ("failing", reads.clone(), "echo 'no network' >&2; exit 1"),
        ("honest", reads.clone(), "echo '{}'"),
        ("writing", json!({"output": "json"}), "echo no JSON"),
    ] {
        let program = described(
            &one_command(command),
            &work(&format!("{name}.ran"), printed),
        );
        folder.add_executable(name, &program);
    }
    let (found, succeeded) = findings(&folder, "");
    assert!(
        succeeded && of_rule(&found, "output").is_empty(),
        "{found:?}"
    );
    assert!(!ran("liar.ran") && !ran("writing.ran"));
    let said = stdout(&run(&with_plugins("check", &folder)));
    assert!(
        said.contains("3 commands that only read can be tried: smcp check --run"),
        "{said}"
    );

    let (found, succeeded) = findings(&folder, " --run");
    assert!(!succeeded && !ran("writing.ran"));
    let of = |plugin: &str| {
        found
            .iter()
            .find(|one| one["plugin"] == plugin && one["rule"] == "output")
    };
    let liar = of("liar").expect("it is found");
    assert_eq!(liar["severity"], "error", "{liar}");
    assert!(
        liar["message"]
            .as_str()
            .is_some_and(|text| text.contains("declares JSON")),
        "{liar}"
    );
    let failing = of("failing").expect("it is found");
    assert_eq!(failing["severity"], "warning", "{failing}");
    assert!(
        failing["message"]
            .as_str()
            .is_some_and(|text| text.contains("no network")),
        "{failing}"
    );
    assert!(of("honest").is_none(), "{found:?}");
    let words = std::fs::read_to_string(marker.with_file_name("honest.ran")).expect("it ran");
    assert_eq!(words, "go --n 7\n");
}

#[test]
fn what_leaves_no_doubt_is_mended_and_nothing_else_is_touched() {
    let folder = Folder::new();
    let program = described(&one_command(json!({})), "echo '\r' > /dev/null");
    let windows = program.replace('\n', "\r\n");
    folder.add_executable("closed", &program);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    mode(&folder.path().join("closed/cli"), 0o644);
    folder.add_executable("open", &program);
    mode(&folder.path().join("open"), 0o777);
    folder.add_executable("windows", &windows);
    folder.add_executable("marked", &format!("\u{feff}{program}"));
    let elsewhere = tempfile::tempdir().expect("there is room");
    let target = elsewhere.path().join("theirs");
    std::fs::write(&target, &windows).expect("there is room");
    let linked = folder.path().join("linked");
    std::fs::create_dir(&linked).expect("a new name");
    std::os::unix::fs::symlink(&target, linked.join("cli")).expect("there is room");

    let before = run(&with_plugins("check", &folder));
    assert_eq!(before.status.code(), Some(1));
    let mended = run(&with_plugins("check --fix", &folder));
    let said = stdout(&mended);
    for name in ["closed", "open", "windows", "marked"] {
        assert!(said.contains(&format!("{name}: 1 tool")), "{name}: {said}");
        assert!(said.contains("mended: "), "{said}");
    }
    let read =
        |name: &str| std::fs::read(folder.path().join(name).join("cli")).expect("it is there");
    assert_eq!(read("windows"), windows.replace("\r\n", "\n").into_bytes());
    assert_eq!(read("marked"), program.as_bytes());
    assert_eq!(read("open"), program.as_bytes());
    let theirs = std::fs::read(&target).expect("it is there");
    assert_eq!(
        theirs,
        windows.as_bytes(),
        "what a link leads to is another's"
    );
    let again = stdout(&run(&with_plugins("check --fix", &folder)));
    assert!(!again.contains("mended: "), "{again}");
}

#[test]
fn one_plugin_is_looked_at_by_name_directory_or_program() {
    let folder = Folder::new();
    folder.add_executable("good", &described(&one_command(json!({})), ""));
    folder.add("broken", "import sys\nsys.exit(3)\n");
    let by_name = run(&with_plugins("check good", &folder));
    assert!(by_name.status.success(), "{}", stdout(&by_name));
    for path in ["good", "good/cli"] {
        let by_path = run(&line("check").argument(folder.path().join(path)));
        let said = stdout(&by_path);
        assert!(
            by_path.status.success() && !said.contains("broken"),
            "{said}"
        );
        assert!(said.contains("good: 1 tool"), "{said}");
    }
    let all = run(&line("check").argument(folder.path()));
    assert_eq!(all.status.code(), Some(1));
    let nobody = run(&with_plugins("check nobody", &folder));
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        stderr(&nobody).contains("no plugin of that name"),
        "{}",
        stderr(&nobody)
    );
}

#[test]
fn colours_are_for_terminals_alone_and_for_nobody_who_wants_none() {
    let folder = Folder::new();
    folder.add("broken", "import sys\nsys.exit(3)\n");
    let home = tempfile::tempdir().expect("there is room");
    let plugins = folder.path().to_str().expect("it is ASCII");
    for command in ["check", "tools"] {
        let piped = run(&with_plugins(command, &folder).variable("TERM", "xterm"));
        let said = stdout(&piped) + &stderr(&piped);
        assert!(!said.contains('\u{1b}'), "{command}: {said}");
        let words = [command, "--plugins-dir", plugins];
        for (variables, is_coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
            let mut shown = AtTerminal::whole(&words, home.path(), variables);
            shown.end();
            let shown = shown.shown();
            assert_eq!(shown.contains('\u{1b}'), is_coloured, "{command}: {shown}");
        }
    }
}
