//! Rows 51 to 58 and 75: what a program may do to the server that runs it, and what must come of that.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::served::{GONE, found_soon, gone_within};
use crate::support::http::{Connection, PATIENCE, post};
use crate::support::plugins::{Folder, write_program};
use crate::support::server::{Server, Setup, is_root};
use crate::support::session::{Session, code_of, text_of};
use crate::support::witness::Witness;
use crate::support::{processes, rows, s, until};

/// The user that the tests run servers as when root's rights would hide a fault.
const NOBODY: u32 = 65_534;

/// A plugin that is a shell script: one command for each name, with its script. `$mark` is on the
/// command line of what it starts.
fn shell_plugin(folder: &Folder, name: &str, commands: &[(&str, &str, &str)]) {
    let declared: Vec<_> = commands
        .iter()
        .map(|(command, more, _)| {
            let declared = r#""description":"a command","parameters":[{"name":"mark","type":"string","arg_style":"positional"}]"#;
            format!(r#"{{"name":"{command}",{declared}{more}}}"#)
        })
        .collect();
    let cases: Vec<_> = commands
        .iter()
        .map(|(command, _, script)| format!("{command}) {script} ;;\n"))
        .collect();
    let description = format!(
        r#"{{"contract_version":"1.1","commands":[{}]}}"#,
        declared.join(",")
    );
    folder.add_executable(
        name,
        &format!(
            "#!/bin/bash\nmark=$2\ncase $1 in\n--describe) echo '{description}' ;;\n{}esac\n",
            cases.concat()
        ),
    );
}

fn serve(folder: &Folder) -> Server {
    let server = Server::start(&Setup::new().plugins(folder.path()));
    server.ready();
    server
}

#[test]
fn lines_that_are_no_events_close_the_channel_and_fill_no_log() {
    let folder = Folder::new();
    shell_plugin(
        &folder,
        "noise",
        &[
            ("words", "", "exec yes \"$mark\" >&3"),
            ("blank", "", "yes '' >&3; echo \"$mark\""),
            (
                "grandchild",
                "",
                "(yes \"$mark\" >&3 &); sleep 1; echo left",
            ),
            (
                "deaf",
                "",
                "trap '' PIPE; while :; do echo \"$mark\" >&3; done 2>/dev/null",
            ),
        ],
    );
    let server = serve(&folder);
    let cases = [
        ("words", Some("plugin_error")),
        ("blank", None),
        ("grandchild", None),
    ];
    rows::each(
        &cases,
        cases.len(),
        |(command, _)| format!("row 51: {command}"),
        |(command, code)| {
            let witness = Witness::of(server.address(), "");
            let mark = format!("row-51-{command}");
            let mut session = Session::ready(server.address());
            let result = session.call(&format!("noise__{command}"), json!({"mark": mark}));
            match code {
                Some(code) => assert_eq!(code_of(&result), *code, "{result}"),
                None => assert_eq!(result["isError"], false, "{result}"),
            }
            gone_within(&mark, GONE);
            witness.must_be_served();
        },
    );
    let witness = Witness::of(server.address(), "");
    let mut session = Session::ready(server.address());
    let id = session.begin("noise__deaf", json!({"mark": "row-51-deaf"}));
    found_soon("row-51-deaf");
    std::thread::sleep(s(2));
    session.tell("notifications/cancelled", json!({"requestId": id}));
    gone_within("row-51-deaf", GONE);
    witness.must_be_served();
    let lines = server.log().matches("no event").count();
    assert!(lines < 60, "row 51: {lines} lines in the log");
}

#[test]
fn a_large_output_costs_three_times_what_is_answered_at_most() {
    let folder = Folder::new();
    let output = |style: &str| format!(r#","output":"{style}""#);
    let (json, content) = (output("json"), output("content"));
    let schema = r#","output":"json","output_schema":{"type":"object"}"#;
    shell_plugin(
        &folder,
        "large",
        &[
            ("text", "", "head -c 16777216 /dev/zero | tr '\\0' x"),
            ("nul", "", "head -c 16777216 /dev/zero"),
            (
                "no-utf8",
                "",
                "head -c 16777216 /dev/zero | tr '\\0' '\\377'",
            ),
            (
                "json",
                &json,
                "echo '[1'; yes ,1 | tr -d '\\n' | head -c 16776960; echo ']'",
            ),
            (
                "schema",
                schema,
                "echo '{\"a\":[1'; yes ,1 | tr -d '\\n' | head -c 16776960; echo ']}'",
            ),
            (
                "content",
                &content,
                r#"printf '{"content":[{"type":"text","text":"'; head -c 16776960 /dev/zero | tr '\0' x; echo '"}]}'"#,
            ),
            (
                "blocks",
                &content,
                "echo '{\"content\":[{}'; yes ',{}' | tr -d '\\n' | head -c 16776960; echo ']}'",
            ),
            (
                "error",
                "",
                "echo '{\"error\":[1'; yes ,1 | tr -d '\\n' | head -c 16776960; echo ']}'; exit 1",
            ),
            (
                "members",
                "",
                "echo '{\"error\":\"why\"'; yes ',\"a\":1' | tr -d '\\n' | head -c 16776960; echo '}'; exit 1",
            ),
        ],
    );
    let setup = Setup::new()
        .plugins(folder.path())
        .variable("MCP_LOG_LEVEL", "WARNING");
    let server = Server::start(&setup);
    server.ready();
    let call = |command: &str| {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": format!("large__{command}"), "arguments": {"mark": "row-52"}}});
        post(
            server.address(),
            "/messages/",
            "",
            call.to_string().as_bytes(),
        )
    };
    // Longer than others wait: a build for tests reads these megabytes slowly.
    let answer_to = |command: &str| {
        let mut connection = Connection::open(server.address());
        connection.send(&call(command)).expect("the server listens");
        let answer = connection.answer(s(90));
        answer.unwrap_or_else(|silence| panic!("row 52: {command}: {silence:?}"))
    };
    // What a first call takes once is not the output's.
    answer_to("members");
    let at_first = processes::resident(server.pid());
    for (command, end) in [
        ("text", r#""isError":false}}"#),
        ("nul", r#""code":"output_too_large""#),
        ("no-utf8", r#""code":"output_too_large""#),
        ("json", r#""isError":false}}"#),
        ("schema", r#""code":"output_too_large""#),
        ("content", r#""isError":false}}"#),
        ("blocks", r#""code":"plugin_error""#),
        ("error", r#""code":"plugin_error""#),
        ("members", r#""code":"plugin_error""#),
    ] {
        let witness = Witness::of(server.address(), "");
        let before = processes::resident(server.pid());
        let over = std::sync::atomic::AtomicBool::new(false);
        let (highest, answered) = std::thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let mut highest = before;
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    highest = highest.max(processes::resident(server.pid()));
                    std::thread::sleep(Duration::from_millis(2));
                }
                highest
            });
            let answer = answer_to(command);
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            let text = answer.text();
            let tail = &text[text.len().saturating_sub(70_000)..];
            assert!(
                tail.contains(end),
                "row 52: {command}: {}",
                &tail[tail.len().saturating_sub(300)..]
            );
            let highest = watching.join().expect("it does not panic");
            (highest, answer.body.len() as u64)
        });
        witness.must_be_served();
        let peak = (highest - before) >> 20;
        let most = 3 * answered.max(16 << 20) + (8 << 20);
        assert!(
            highest - before <= most,
            "row 52: {command} took {peak} MiB"
        );
    }
    // Blocks that the allocator keeps for the next one do not add up.
    until("row 52: all but 64 MiB are given back", s(60), || {
        let kept = processes::resident(server.pid()).saturating_sub(at_first);
        (kept <= 64 << 20).then_some(())
    });
}

#[test]
fn a_permit_is_taken_until_the_process_tree_is_gone() {
    let folder = Folder::new();
    shell_plugin(
        &folder,
        "deaf",
        &[(
            "sit",
            "",
            "trap '' TERM; while :; do sleep 1; done # \"$mark\"",
        )],
    );
    let setup = Setup::new()
        .plugins(folder.path())
        .variable("MCP_MAX_CALLS", "2");
    let server = Server::start(&setup);
    server.ready();
    let witness = Witness::of(server.address(), "");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "deaf__sit", "arguments": {"mark": "row-54"}}});
    let request = post(
        server.address(),
        "/messages/",
        "",
        call.to_string().as_bytes(),
    );
    // The first client waits until its program runs, however long a start takes; the others leave soon.
    let mut first = Connection::open(server.address());
    first.send(&request).expect("the server listens");
    found_soon("row-54");
    let mut most = 0;
    for _ in 0..12 {
        let mut connection = Connection::open(server.address());
        connection.send(&request).expect("the server listens");
        std::thread::sleep(Duration::from_millis(150));
        drop(connection);
        // A child has its parent's command line until it executes its own program.
        let marked = processes::with_argument("row-54");
        let is_fork = |pid: &Pid| processes::ancestors(*pid).any(|parent| marked.contains(&parent));
        most = most.max(marked.iter().filter(|pid| !is_fork(pid)).count());
    }
    assert!((1..=2).contains(&most), "row 54: {most} ran at once");
    drop(first);
    gone_within("row-54", s(20));
    witness.must_be_served();
}

/// A program that becomes root and that nobody else may signal.
fn unkillable_helper(folder: &Folder) -> std::path::PathBuf {
    let helper = folder.path().join(".helper");
    std::fs::copy("/usr/bin/perl", &helper).expect("there is a perl");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    std::fs::set_permissions(&helper, mode).expect("it is ours");
    helper
}

#[test]
fn what_cannot_be_killed_holds_up_no_answer_and_is_listed() {
    if !is_root() || !std::path::Path::new("/usr/bin/perl").exists() {
        return;
    }
    let folder = Folder::new();
    let helper = unkillable_helper(&folder);
    let become_root = format!(
        "{} -e '$< = $> = 0; $( = $) = 0; print STDERR \"root\\n\"; sleep 600' \"$mark\"",
        helper.display()
    );
    let behind = format!("{become_root} >/dev/null 2>&1 & sleep 1; echo left");
    let limited = r#","timeout":1"#;
    shell_plugin(
        &folder,
        "rooted",
        &[
            ("sit", limited, &become_root),
            ("behind", "", &behind),
            (
                "stopped",
                "",
                &format!("{become_root} & sleep 1; kill -KILL $PPID; wait"),
            ),
            ("well", "", "echo well"),
        ],
    );
    let server = Server::start(&Setup::new().plugins(folder.path()).user(NOBODY));
    server.ready();
    let witness = Witness::of(server.address(), "");
    let _killed = KilledAtLast("row-56-");
    let cases = [
        ("sit", "timeout"),
        ("behind", ""),
        ("stopped", "internal_error"),
    ];
    rows::each(
        &cases,
        cases.len(),
        |(command, _)| format!("row 56: {command}"),
        |(command, code)| {
            let mut session = Session::ready(server.address());
            let mark = format!("row-56-{command}");
            let id = session.begin(&format!("rooted__{command}"), json!({"mark": mark}));
            // What it waited for would be there for ten minutes.
            let result = session.result(&id, PATIENCE);
            if code.is_empty() {
                assert_eq!(result["isError"], false, "{result}");
            } else {
                assert_eq!(code_of(&result), *code, "{result}");
            }
            assert!(
                !processes::with_argument(&mark).is_empty(),
                "it could be killed"
            );
        },
    );
    let mut session = Session::ready(server.address());
    until("health lists all three", PATIENCE, || {
        let health = session.call("health", json!({}));
        let health: serde_json::Value = serde_json::from_str(text_of(&health)).ok()?;
        (health["unkillable"].as_array()?.len() == 3).then_some(())
    });
    // A supervisor that is lost now has nothing to do with what others have left.
    let id = session.begin("rooted__stopped", json!({"mark": "row-56-again"}));
    session.result(&id, PATIENCE);
    let result = session.call("rooted__well", json!({"mark": "a"}));
    assert_eq!(text_of(&result), "well", "row 56");
    server.logs(&["do not end"]);
    witness.must_be_served();
    drop(_killed);
    until("nothing is listed any more", PATIENCE, || {
        let health = session.call("health", json!({}));
        let health: serde_json::Value = serde_json::from_str(text_of(&health)).ok()?;
        health["unkillable"].as_array()?.is_empty().then_some(())
    });
}

/// Ends what the server may not end.
struct KilledAtLast(&'static str);

impl Drop for KilledAtLast {
    fn drop(&mut self) {
        for pid in processes::with_argument(self.0) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

#[test]
fn an_executable_that_becomes_something_else_fails_the_call_with_the_reason() {
    let folder = Folder::new();
    for name in ["fifo", "directory", "socket"] {
        shell_plugin(&folder, name, &[("say", "", "echo said")]);
    }
    // A server that notices the change first has no such tool any more.
    let setup = Setup::new().variable("MCP_WATCH", "off");
    let server = Server::start(&setup.plugins(folder.path()));
    server.ready();
    let witness = Witness::of(server.address(), "");
    let at = |name: &str| folder.path().join(name).join("cli");
    for name in ["fifo", "directory", "socket"] {
        std::fs::remove_file(at(name)).expect("ours");
    }
    let status = std::process::Command::new("mkfifo")
        .arg("-m")
        .arg("755")
        .arg(at("fifo"))
        .status();
    assert!(status.expect("there is a mkfifo").success());
    std::fs::create_dir(at("directory")).expect("ours");
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("ours");
    for (name, reason) in [
        ("fifo", "is a pipe"),
        ("directory", "is a directory"),
        ("socket", "no regular file"),
    ] {
        let mut session = Session::ready(server.address());
        let id = session.begin(&format!("{name}__say"), json!({"mark": "a"}));
        let result = session.result(&id, PATIENCE);
        assert_eq!(code_of(&result), "spawn_failed", "row 57: {name}: {result}");
        assert!(
            text_of(&result).contains(reason),
            "row 57: {name}: {result}"
        );
    }
    witness.must_be_served();
}

#[test]
fn a_program_has_a_session_without_a_terminal() {
    let folder = Folder::new();
    shell_plugin(
        &folder,
        "terminal",
        &[(
            "look",
            "",
            "cut -d' ' -f6 /proc/$$/stat; echo $PPID; (exec 9</dev/tty) 2>/dev/null && echo a terminal; :",
        )],
    );
    let server = serve(&folder);
    let mut session = Session::ready(server.address());
    let result = session.call("terminal__look", json!({"mark": "a"}));
    let lines: Vec<&str> = text_of(&result).lines().collect();
    assert_eq!(lines.len(), 2, "row 58: {result}");
    assert_eq!(
        lines[0], lines[1],
        "row 58: the supervisor leads the session"
    );
}

#[test]
fn signals_that_the_server_has_no_use_for_do_not_end_it() {
    let folder = Folder::new();
    shell_plugin(
        &folder,
        "signals",
        &[(
            "ignored",
            "",
            "grep -E 'SigIgn|SigCgt|SigBlk' /proc/self/status",
        )],
    );
    let server = serve(&folder);
    let witness = Witness::of(server.address(), "");
    for signal in [Signal::XFSZ, Signal::USR1, Signal::USR2, Signal::ALARM] {
        server.signal(signal);
    }
    let mut session = Session::ready(server.address());
    let result = session.call("signals__ignored", json!({"mark": "a"}));
    let ours = [
        Signal::XFSZ,
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::PIPE,
        Signal::TERM,
    ];
    for line in text_of(&result).lines() {
        let (_, mask) = line.split_once(':').expect("a name and a mask");
        let mask = u64::from_str_radix(mask.trim(), 16).expect("a mask");
        let set = |signal: &Signal| mask & (1 << (signal.as_raw() - 1)) != 0;
        assert!(!ours.iter().any(set), "row 75: {line}");
    }
    witness.must_be_served();
}

#[test]
fn without_processes_to_spare_the_server_ends_with_a_line() {
    if !is_root() {
        return;
    }
    // A user of its own: the limit counts all processes of one.
    let user: u32 = 61_234;
    let folder = Folder::new();
    let starter = folder.path().join("starter");
    write_program(
        &starter,
        &format!(
            "#!/bin/sh\nexec prlimit --nproc=3:3 setpriv --reuid {user} --regid {user} --clear-groups \"$0.smcp\" \"$@\"\n"
        ),
    );
    let program = folder.path().join("starter.smcp");
    std::fs::copy(env!("CARGO_BIN_EXE_smcp"), &program).expect("a copy");
    let output = std::process::Command::new(&starter)
        .args(["--port", "0"])
        .env("MCP_DISABLE_FILE_LOG", "1")
        .output()
        .expect("a shell starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "row 75: {said}");
    assert!(!said.contains("panicked"), "row 75: {said}");
    assert_eq!(said.lines().count(), 1, "row 75: {said}");
}

#[test]
fn without_proc_the_start_is_refused_with_the_reason() {
    if !is_root() {
        return;
    }
    let output = std::process::Command::new("unshare")
        .args([
            "-m",
            "sh",
            "-c",
            "mount -t tmpfs none /proc && exec \"$0\" --port 0",
        ])
        .arg(env!("CARGO_BIN_EXE_smcp"))
        .env("MCP_DISABLE_FILE_LOG", "1")
        .output()
        .expect("unshare starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/proc"), "{said}");
}
