//! `smcp call`: what it shows, asks, saves and says, of tools here and of a server that runs.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use super::terminal::AtTerminal;
use super::{line, stderr, stdout, with_plugins};
use crate::support::commands::{Watchdog, output_with_input_within};
use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup, run};
use crate::support::until;

const LIMIT: Duration = Duration::from_secs(180);

/// Reports progress, logs, and asks for a name and an age.
const ASKER: &str = r#"
import json, sys
def tell(**event):
    with open(3, "w", closefd=False) as events:
        print(json.dumps(event), file=events)
if "--describe" in sys.argv:
    print(json.dumps({"contract_version": "1.1", "commands": [{"name": "go", "description": "asks"}]}))
    sys.exit()
tell(progress=1, total=4, message="a quarter")
tell(log="info", data="about to ask")
fields = {"name": {"type": "string", "title": "Your name"}, "age": {"type": "integer"}}
form = {"type": "object", "properties": fields, "required": ["name"]}
tell(ask={"who": {"elicit": {"message": "Who is there?", "requestedSchema": form}}})
with open(3, closefd=False) as events:
    print(events.readline().strip())
"#;

/// A program with one command, `go`, which takes any arguments.
fn folder(work: &str) -> Folder {
    let folder = Folder::new();
    let description = json!({"contract_version": "1.1", "commands": [{
        "name": "go", "description": "Goes", "output": "content",
        "parameters": [{"name": "text", "type": "string"}, {"name": "n", "type": "integer"}],
    }]});
    let program = format!(
        "#!/bin/sh\nif [ \"$1\" = --describe ]; then\necho '{description}'\nexit 0\nfi\n{work}\n"
    );
    folder.add_executable("walker", &program);
    folder
}

fn server(folder: &Folder) -> Server {
    let setup = Setup::new().plugins(folder.path());
    let server = Server::start(
        &setup
            .variable("MCP_API_KEY", KEY)
            .argument("--require-auth"),
    );
    server.ready();
    server
}

const KEY: &str = "a-key-that-is-long-enough";
const KEYED: [(&str, &str); 1] = [("MCP_API_KEY", KEY)];

/// The command line, for the server that runs.
fn remote(server: &Server, words: &str) -> Setup {
    let url = format!("http://{}", server.address());
    let setup = line(words).argument("--url").argument(url);
    setup.variable("MCP_API_KEY", KEY)
}

#[test]
fn a_terminal_shows_how_far_a_call_is_and_asks_what_the_program_asks() {
    let folder = Folder::new();
    folder.add("asker", ASKER);
    let server = server(&folder);
    let url = format!("http://{}/mcp", server.address());
    let plugins = folder.path().to_str().expect("it is ASCII");
    for way in [["--plugins-dir", plugins], ["--url", &url]] {
        let home = tempfile::tempdir().expect("there is room");
        let words = [&["call", "asker__go"][..], &way].concat();
        let mut call = AtTerminal::start(&words, home.path(), &KEYED);
        call.answer("Your name: ", "Ada\n");
        call.answer("age [may be empty]: ", "old\n");
        call.answer("that is no number", "36\n");
        let (printed, succeeded) = call.end();
        let answer: Value = serde_json::from_str(&printed).expect("nothing but the result");
        let who = json!({"who": {"action": "accept", "content": {"name": "Ada", "age": 36}}});
        assert_eq!((answer, succeeded), (who, true), "{way:?}");
        let shown = call.shown();
        for words in ["1/4 a quarter", "info: about to ask", "Who is there?"] {
            assert!(shown.contains(words), "{way:?}: no {words:?} in {shown}");
        }
    }
}

#[test]
fn who_ends_a_call_that_asks_is_not_told_of_a_server_to_come_back_to() {
    let folder = Folder::new();
    folder.add("asker", ASKER);
    let home = tempfile::tempdir().expect("there is room");
    let plugins = folder.path().to_str().expect("it is ASCII");
    let words = ["call", "asker__go", "--plugins-dir", plugins];
    // Which of the two is heard first is chance.
    for _ in 0..4 {
        let mut call = AtTerminal::start(&words, home.path(), &KEYED);
        call.answer("Your name: ", "");
        call.signal(Signal::TERM);
        let (printed, succeeded) = call.end();
        assert_eq!((printed.as_str(), succeeded), ("", false));
        let shown = call.shown();
        assert!(shown.contains("smcp: interrupted"), "{shown}");
        assert!(!shown.contains("shutting down"), "{shown}");
    }
}

#[test]
fn the_end_of_input_is_no_answer_and_the_call_goes_on() {
    let folder = Folder::new();
    folder.add("asker", ASKER);
    let home = tempfile::tempdir().expect("there is room");
    let plugins = folder.path().to_str().expect("it is ASCII");
    let mut call = AtTerminal::start(
        &["call", "asker__go", "--plugins-dir", plugins],
        home.path(),
        &KEYED,
    );
    call.answer("Your name: ", "\u{4}");
    let (printed, succeeded) = call.end();
    assert!(
        succeeded && printed.contains(r#"{"action":"cancel"}"#),
        "{printed}"
    );
}

#[test]
fn without_a_terminal_nothing_is_asked_and_only_the_result_is_printed() {
    let folder = Folder::new();
    folder.add("asker", ASKER);
    let server = server(&folder);
    for setup in [
        with_plugins("call asker__go", &folder),
        remote(&server, "call asker__go"),
    ] {
        let output = run(&setup);
        let printed = stdout(&output);
        assert!(
            printed.contains("did not declare the capability elicitation"),
            "{printed}"
        );
        assert_eq!(printed.lines().count(), 1, "{printed}");
        let said = stderr(&output);
        assert!(
            said.contains("info: about to ask") && !said.contains("1/4"),
            "{said}"
        );
    }
}

#[test]
fn arguments_come_from_a_file_or_from_standard_input() {
    let folder = folder("printf '{\"content\":[{\"type\":\"text\",\"text\":\"%s\"}]}' \"$*\"");
    let home = tempfile::tempdir().expect("there is room");
    let file = home.path().join("arguments.json");
    let object = r#"{"text": "a=b", "n": 3}"#;
    std::fs::write(&file, object).expect("there is room");
    let named = format!("@{}", file.display());
    for argument in [named.as_str(), "-"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
        command
            .args(["call", "walker__go", argument, "--plugins-dir"])
            .arg(folder.path())
            .env("HOME", home.path())
            .stdin(File::open(&file).expect("it is there"));
        let output = output_with_input_within(LIMIT, &mut command);
        assert_eq!(
            stdout(&output),
            "go --text a=b --n 3\n",
            "{}",
            stderr(&output)
        );
    }
    std::fs::write(&file, r#"{"n": 1, "n": 2}"#).expect("there is room");
    for (argument, why) in [
        (named.as_str(), "'n' is repeated"),
        ("@/no/such/file", "/no/such/file"),
    ] {
        let refused = run(&with_plugins("call walker__go", &folder).argument(argument));
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains(why), "{}", stderr(&refused));
    }
}

#[test]
fn pictures_and_sounds_are_saved_and_their_paths_printed() {
    let content = json!({"content": [
        {"type": "text", "text": "Here:"},
        {"type": "image", "data": "aGk=", "mimeType": "image/png"},
        {"type": "audio", "data": "aG8=", "mimeType": "audio/wav"},
        {"type": "resource_link", "uri": "notes://1", "name": "a note"},
        {"type": "resource", "resource": {"uri": "notes://2", "text": "inside"}},
    ]});
    let folder = folder(&format!("echo '{content}'"));
    let place = tempfile::tempdir().expect("there is room");
    let save = |setup: Setup| run(&setup.argument("--save").argument(place.path()));
    let printed = stdout(&save(with_plugins("call walker__go", &folder)));
    let lines: Vec<&str> = printed.lines().collect();
    let [text, image, audio, link, inside] = lines.as_slice() else {
        panic!("five lines: {printed}")
    };
    assert_eq!([*text, *link, *inside], ["Here:", "notes://1", "inside"]);
    assert!(image.ends_with("walker__go-1.png") && audio.ends_with("walker__go-1.wav"));
    assert_eq!(std::fs::read(image).expect("it was saved"), b"hi");
    assert_eq!(std::fs::read(audio).expect("it was saved"), b"ho");
    let again = stdout(&save(with_plugins("call walker__go", &folder)));
    assert!(
        again.contains("walker__go-2.png"),
        "nothing is replaced: {again}"
    );
    let raw = stdout(&run(&with_plugins("call walker__go --raw", &folder)));
    let raw: Value = serde_json::from_str(&raw).expect("--raw is JSON");
    assert_eq!(raw["content"], content["content"]);
}

#[test]
fn a_server_that_runs_is_called_with_its_key_and_every_failure_says_what_to_do() {
    let folder = folder(
        "[ \"$2\" = --n ] && { echo out of paper >&2; exit 1; }\n\
         printf '{\"content\":[{\"type\":\"text\",\"text\":\"%s\"}]}' \"$3\"",
    );
    let server = server(&folder);
    let called = run(&remote(&server, "call walker__go text=42"));
    assert_eq!(stdout(&called), "42\n", "{}", stderr(&called));
    for (words, why) in [
        ("call walker__go n=1", "walker__go failed: out of paper"),
        ("call walker__go n=many", "invalid arguments for walker__go"),
        ("call walker__goo", "did you mean walker__go?"),
        ("call nothing", "it has walker__go, health, sanctum__tools"),
    ] {
        let output = run(&remote(&server, words));
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(
            stderr(&output).contains(why),
            "{words}: {}",
            stderr(&output)
        );
    }
    let refused = run(&remote(&server, "call health").variable("MCP_API_KEY", "wrong"));
    assert!(
        stderr(&refused).contains("set MCP_API_KEY"),
        "{}",
        stderr(&refused)
    );
    let elsewhere = run(&line("call health --url http://127.0.0.1:1"));
    assert!(
        stderr(&elsewhere).contains("is the server running"),
        "{}",
        stderr(&elsewhere)
    );
    // Each of these has another place in which it says the address.
    let at = server.address();
    for (url, status) in [
        (format!("http://ada:canary@{at}/"), 0),
        (format!("http://ada:canary@{at}/?key=canary"), 0),
        (format!("http://ada:canary@{at}/readyz"), 1),
        (format!("http://ada:canary@{at}/nothing"), 1),
        ("http://ada:canary@127.0.0.1:1/mcp?key=canary".to_owned(), 1),
        ("ada:canary@127.0.0.1:1".to_owned(), 1),
        ("http://ada:can/ary:canary@127.0.0.1:1".to_owned(), 2),
        ("ftp://ada:canary@127.0.0.1:1".to_owned(), 2),
    ] {
        let shown = run(&line("call health").argument("--url").argument(&url));
        let said = stdout(&shown) + &stderr(&shown);
        assert!(!said.contains("canary"), "{url}: {said}");
        let keyed = run(&line("call health")
            .argument("--url")
            .argument(&url)
            .variable("MCP_API_KEY", KEY));
        let said = stdout(&keyed) + &stderr(&keyed);
        assert!(!said.contains("canary"), "{url}: {said}");
        assert_eq!(keyed.status.code(), Some(status), "{url}: {said}");
    }
    let mixed = run(&remote(&server, "call health --plugin-timeout 5"));
    assert_eq!(mixed.status.code(), Some(2));
    let digest = format!("sha256:{}", "0".repeat(64));
    let digest = run(&remote(&server, "call health").variable("MCP_API_KEY", digest));
    assert_eq!(digest.status.code(), Some(2));
    assert!(
        stderr(&digest).contains("the key itself"),
        "{}",
        stderr(&digest)
    );
}

#[test]
fn a_client_that_is_sent_away_comes_back_for_its_result() {
    let folder = folder(
        "echo '{\"reconnect\":50}' >&3\nsleep 0.5\n\
         echo '{\"content\":[{\"type\":\"text\",\"text\":\"late\"}]}'",
    );
    let server = server(&folder);
    let called = run(&remote(&server, "call walker__go"));
    assert_eq!(stdout(&called), "late\n", "{}", stderr(&called));
}

#[test]
fn who_interrupts_a_call_ends_what_runs_here_and_at_a_server() {
    let folder = Folder::new();
    let marker = folder.path().join("pid");
    let work = format!(
        "echo $$ > '{0}.new' && mv '{0}.new' '{0}'; sleep 600",
        marker.display()
    );
    folder.add_executable("walker", &super::program(&work));
    let server = server(&folder);
    let url = format!("http://{}", server.address());
    let plugins = folder.path().to_str().expect("it is ASCII");
    for way in [["--plugins-dir", plugins], ["--url", &url]] {
        let _ = std::fs::remove_file(&marker);
        let mut call = Command::new(env!("CARGO_BIN_EXE_smcp"))
            .args(["call", "walker__go"])
            .args(way)
            .env("MCP_API_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let _watchdog = Watchdog::of(call.id(), LIMIT);
        let program = until("the program runs", PATIENCE, || {
            let pid = std::fs::read_to_string(&marker).ok()?;
            Pid::from_raw(pid.trim().parse().ok()?)
        });
        let pid = Pid::from_raw(call.id().try_into().expect("it is small"));
        kill_process(pid.expect("it is not zero"), Signal::INT).expect("it runs");
        let mut said = String::new();
        let err = call.stderr.as_mut().expect("a pipe");
        err.read_to_string(&mut said).expect("text");
        assert_eq!(call.wait().expect("it ends").code(), Some(1), "{said}");
        assert!(said.contains("interrupted"), "{way:?}: {said}");
        until("the program is gone", PATIENCE, || {
            test_kill_process(program).is_err().then_some(())
        });
    }
}
