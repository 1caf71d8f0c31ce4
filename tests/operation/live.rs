//! Plugins that are added, changed and removed below a running server, as its operator and its clients see it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::{Folder, write_program};
use crate::support::server::{Server, Setup, piped};
use crate::support::session::{Session, text_of};
use crate::support::{hangups, until, wire};

const TOOLS: &str = "notifications/tools/list_changed";
const PROMPTS: &str = "notifications/prompts/list_changed";

/// A plugins directory, and a book in which each plugin writes down that it was asked.
struct Place {
    folder: Folder,
    book: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: Folder::new(),
            book: tempfile::tempdir().expect("there is room"),
        }
    }

    /// A file beside the plugins directory.
    fn beside(&self, name: &str) -> PathBuf {
        self.book.path().join(name)
    }

    /// A program that describes itself as `description` after it has done `before`, and else does `work`.
    fn program(&self, name: &str, description: &str, before: &str, work: &str) -> String {
        let book = self.beside("asked");
        format!(
            "#!/bin/sh\nif [ \"$1\" = --describe ]; then\necho {name} >>{}\n{before}\n\
             echo '{description}'\nexit\nfi\n{work}\n",
            book.display()
        )
    }

    /// Puts a program in the place of what is there, in one step.
    fn put(&self, name: &str, program: &str) {
        let directory = self.folder.path().join(name);
        std::fs::create_dir_all(&directory).expect("there is room");
        let fresh = self.beside("fresh");
        write_program(&fresh, program);
        std::fs::rename(&fresh, directory.join("cli")).expect("both are in one file system");
    }

    /// A plugin with one command, which prints its own name.
    fn serving(&self, name: &str, command: &str) {
        let description = described(command);
        let work = format!("echo {command}");
        self.put(name, &self.program(name, &description, "", &work));
    }

    /// How often a plugin was asked.
    fn asked(&self, name: &str) -> usize {
        let book = std::fs::read_to_string(self.beside("asked")).unwrap_or_default();
        book.lines().filter(|line| *line == name).count()
    }

    fn start(&self) -> Server {
        let server = Server::start(&Setup::new().plugins(self.folder.path()));
        server.ready();
        server
    }
}

fn described(command: &str) -> String {
    format!(r#"{{"commands":[{{"name":"{command}","description":"Prints {command}"}}]}}"#)
}

/// A client that has read the list of tools.
fn client(server: &Server) -> Session {
    let mut session = Session::ready(server.address());
    tools(&mut session);
    session
}

/// The entries of the plugins' tools as they were sent.
fn tools(session: &mut Session) -> Vec<Value> {
    let answer = session.ask("tools/list", json!({}));
    let tools = answer["result"]["tools"].as_array().expect("a list");
    let own = ["health", "sanctum__tools"];
    let of_plugins = |tool: &&Value| own.iter().all(|own| tool["name"] != *own);
    tools.iter().filter(of_plugins).cloned().collect()
}

fn names(session: &mut Session) -> Vec<String> {
    let tools = tools(session);
    let names = tools.iter().filter_map(|tool| tool["name"].as_str());
    names.map(str::to_owned).collect()
}

#[track_caller]
fn hears(session: &mut Session, method: &str) {
    let heard = session.take(PATIENCE, |message| message["method"] == method);
    heard.unwrap_or_else(|silence| panic!("{silence:?} instead of {method}"));
}

/// Whether this was said before the answer to a ping that is sent now.
fn has_heard(session: &mut Session, method: &str) -> bool {
    session.ask("ping", json!({}));
    let heard = session.take(Duration::ZERO, |message| message["method"] == method);
    heard.is_ok()
}

fn health(server: &Server) -> Value {
    let at = server.address();
    exchange(at, &get(at, "/health", "")).json()
}

#[test]
fn a_plugin_that_is_added_changed_and_removed_is_so_for_clients_and_no_other_is_asked() {
    let place = Place::new();
    place.serving("stays", "go");
    let server = place.start();
    let mut session = client(&server);
    let before = tools(&mut session);

    place.serving("comes", "first");
    hears(&mut session, TOOLS);
    assert_eq!(names(&mut session), ["comes__first", "stays__go"]);
    assert_eq!(text_of(&session.call("comes__first", json!({}))), "first");

    place.serving("comes", "second");
    hears(&mut session, TOOLS);
    let now = tools(&mut session);
    assert_eq!(now[0]["name"], "comes__second");
    assert_eq!(now[1].to_string(), before[0].to_string(), "the other");
    assert_eq!(text_of(&session.call("comes__second", json!({}))), "second");

    std::fs::remove_dir_all(place.folder.path().join("comes")).expect("it is ours");
    hears(&mut session, TOOLS);
    assert_eq!(names(&mut session), ["stays__go"]);
    assert_eq!((place.asked("stays"), place.asked("comes")), (1, 2));
    assert!(!has_heard(&mut session, PROMPTS), "no prompt has changed");
    server.logs(&["no longer served", "comes"]);
}

#[test]
fn a_directory_that_is_no_plugin_yet_or_may_not_be_served_is_noticed_when_it_becomes_one() {
    let place = Place::new();
    let server = place.start();
    let mut session = client(&server);
    std::fs::create_dir(place.folder.path().join("late")).expect("there is room");
    place.serving("other", "go");
    hears(&mut session, TOOLS);
    // By now somebody has looked at the empty directory.
    assert_eq!(names(&mut session), ["other__go"]);
    place.serving("late", "go");
    hears(&mut session, TOOLS);
    assert_eq!(names(&mut session), ["late__go", "other__go"]);

    let program = place.folder.path().join("late/cli");
    let allow = |mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&program, permissions).expect("it is ours");
    };
    allow(0o777);
    hears(&mut session, TOOLS);
    assert_eq!(names(&mut session), ["other__go"]);
    allow(0o755);
    hears(&mut session, TOOLS);
    assert_eq!(names(&mut session), ["late__go", "other__go"]);
}

#[test]
fn who_has_asked_for_prompts_hears_of_prompts_alone() {
    let place = Place::new();
    let describe = |title: &str| {
        let description = format!(
            r#"{{"contract_version":"1.1","commands":[{{"name":"go"}}],"prompts":[{{"name":"p","command":"go","description":"{title}"}}]}}"#
        );
        place.put("one", &place.program("one", &description, "", "echo hi"));
    };
    describe("Before");
    let server = place.start();
    let mut session = client(&server);
    session.ask("prompts/list", json!({}));
    describe("After");
    hears(&mut session, PROMPTS);
    let listed = session.ask("prompts/list", json!({}));
    assert_eq!(listed["result"]["prompts"][0]["description"], "After");
    assert!(!has_heard(&mut session, TOOLS), "no tool has changed");
}

#[test]
fn a_broken_change_leaves_the_plugin_as_it_was_and_is_said_each_time_until_it_is_mended() {
    let place = Place::new();
    place.serving("one", "go");
    let broken = place.program("one", "", "echo this is no JSON >&2; exit 3", "echo go");
    let server = place.start();
    let mut session = client(&server);
    for times in 1..=2 {
        place.put("one", &broken);
        let health = until("/health says that it is outdated", PATIENCE, || {
            Some(health(&server)).filter(|health| health["plugins_outdated"] == 1)
        });
        assert_eq!(health["outdated"][0]["plugin"], "one", "{health}");
        assert!(
            health["outdated"][0]["reason"]
                .as_str()
                .is_some_and(|why| why.contains("no JSON"))
        );
        assert_eq!(names(&mut session), ["one__go"]);
        assert_eq!(text_of(&session.call("one__go", json!({}))), "go");
        until("the log says it once for each time", PATIENCE, || {
            let log = server.log();
            let said = log.lines().filter(|line| line.contains("served as before"));
            (said.count() == times).then_some(())
        });
        assert!(!has_heard(&mut session, TOOLS), "nothing has changed");
        place.serving("one", "go");
        until("it is as it should be", PATIENCE, || {
            health_is_good(&server).then_some(())
        });
    }
    assert_eq!(place.asked("one"), 5);
}

fn health_is_good(server: &Server) -> bool {
    health(server).get("plugins_outdated").is_none()
}

#[test]
fn a_running_call_ends_as_it_began_and_the_next_is_of_the_new_plugin() {
    let place = Place::new();
    let (begun, end) = (place.beside("begun"), place.beside("end"));
    let work = format!(
        "touch {}; while [ ! -e {} ]; do sleep 0.05; done; echo old",
        begun.display(),
        end.display()
    );
    place.put("one", &place.program("one", &described("go"), "", &work));
    let server = place.start();
    let mut session = client(&server);
    let running = session.begin("one__go", json!({}));
    until("the call runs", PATIENCE, || begun.exists().then_some(()));
    let description = r#"{"commands":[{"name":"go"},{"name":"more"}]}"#;
    place.put("one", &place.program("one", description, "", "echo new"));
    hears(&mut session, TOOLS);
    assert_eq!(text_of(&session.call("one__go", json!({}))), "new");
    std::fs::write(&end, "").expect("there is room");
    assert_eq!(text_of(&session.result(&running, PATIENCE)), "old");
}

#[test]
fn a_call_by_the_name_of_a_moment_ago_reaches_the_command_that_had_it() {
    let place = Place::new();
    let named = |tool: &str| {
        let description = format!(
            r#"{{"contract_version":"1.1","commands":[{{"name":"go","tool":"{tool}","parameters":[{{"name":"to"}}]}}]}}"#
        );
        place.put("one", &place.program("one", &description, "", "echo went"));
    };
    named("before");
    let server = place.start();
    let mut session = client(&server);
    assert_eq!(names(&mut session), ["before"]);
    for tool in ["between", "after"] {
        named(tool);
        hears(&mut session, TOOLS);
        assert_eq!(names(&mut session), [tool], "the old name is not listed");
    }
    for name in ["before", "between", "after"] {
        assert_eq!(text_of(&session.call(name, json!({"to": "x"}))), "went");
    }
    place.put("one", &place.program("one", &described("stop"), "", ""));
    hears(&mut session, TOOLS);
    let refused = session.call("before", json!({}));
    assert_eq!(refused["isError"], true, "the command is gone: {refused}");
}

#[test]
fn a_call_finds_a_program_that_is_being_replaced() {
    let place = Place::new();
    place.serving("one", "go");
    let server = place.start();
    let mut session = client(&server);
    let directory = place.folder.path().join("one");
    // A call waits a second for it. A machine that is busy may need that for what happens here; then nothing is said.
    let in_time = Duration::from_millis(500);
    let mut found = 0;
    for _ in 0..30 {
        let began = Instant::now();
        std::fs::rename(&directory, place.beside("aside")).expect("one file system");
        let call = session.begin("one__go", json!({}));
        std::fs::rename(place.beside("aside"), &directory).expect("one file system");
        let took = began.elapsed();
        let answer = session.response(&call, PATIENCE);
        if took > in_time {
            until("it is served again", PATIENCE, || {
                (names(&mut session) == ["one__go"]).then_some(())
            });
            continue;
        }
        assert_eq!(text_of(&answer["result"]), "go", "{took:?}");
        assert_eq!(names(&mut session), ["one__go"]);
        found += 1;
        if found == 3 {
            return;
        }
    }
    eprintln!("in part not checked: this machine is too busy");
}

#[test]
fn a_plugin_that_writes_into_its_own_directory_when_it_is_asked_is_asked_ever_less() {
    let place = Place::new();
    let log = place.folder.path().join("writes/log.txt");
    let before = format!("echo asked >>{}", log.display());
    let program = place.program("writes", &described("go"), &before, "echo hi");
    place.put("writes", &program);
    place.serving("quiet", "go");
    let began = Instant::now();
    let server = place.start();
    let mut session = client(&server);
    until("it was asked six times", PATIENCE, || {
        (place.asked("writes") >= 6).then_some(())
    });
    // Two at once, then after one, two and four seconds at the earliest.
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(7), "after {took:?}");
    assert_eq!(place.asked("quiet"), 1);
    assert!(!has_heard(&mut session, TOOLS), "nothing has changed");
    // Who works on it does not wait for that.
    let changed = program.replace("\"go\"", "\"went\"");
    place.put("writes", &changed);
    hears(&mut session, TOOLS);
    assert_eq!(names(&mut session), ["quiet__go", "writes__went"]);
}

#[test]
fn several_quick_changes_are_one() {
    let place = Place::new();
    place.serving("one", "version0");
    let server = place.start();
    let mut session = client(&server);
    for version in 1..=40 {
        place.serving("one", &format!("version{version}"));
        std::thread::sleep(Duration::from_millis(10));
    }
    until("the last of them is served", PATIENCE, || {
        (names(&mut session) == ["one__version40"]).then_some(())
    });
    let asked = place.asked("one");
    // A machine that is busy may pause between two of them.
    assert!(asked < 20, "asked {asked} times");
}

#[test]
fn a_plugins_directory_that_goes_and_comes_back_is_served_meanwhile_and_afterwards() {
    let place = Place::new();
    place.serving("one", "go");
    let server = place.start();
    let mut session = client(&server);
    let (path, aside) = (place.folder.path(), place.beside("aside"));
    let moved = place.beside("plugins");
    std::fs::rename(path, &aside).expect("it is ours");
    server.logs(&["the plugins directory cannot be read"]);
    assert_eq!(names(&mut session), ["one__go"]);
    std::fs::rename(&aside, &moved).expect("it is ours");
    std::fs::create_dir(moved.join("two")).expect("it is ours");
    let program = place.program("two", &described("go"), "", "");
    write_program(&moved.join("two/cli"), &program);
    std::fs::rename(&moved, path).expect("it is ours");
    hears(&mut session, TOOLS);
    assert_eq!(names(&mut session), ["one__go", "two__go"]);
    assert_eq!(place.asked("one"), 1);
}

#[test]
fn a_link_that_leads_elsewhere_is_another_directory() {
    let place = Place::new();
    for version in ["first", "second"] {
        let directory = place.beside(version).join("one");
        std::fs::create_dir_all(&directory).expect("there is room");
        let program = place.program("one", &described(version), "", "");
        write_program(&directory.join("cli"), &program);
    }
    let link = place.beside("current");
    symlink("first", &link).expect("there is room");
    let server = Server::start(&Setup::new().plugins(&link));
    server.ready();
    let mut session = client(&server);
    assert_eq!(names(&mut session), ["one__first"]);
    let fresh = place.beside("fresh");
    symlink("second", &fresh).expect("there is room");
    std::fs::rename(&fresh, &link).expect("it is ours");
    hears(&mut session, TOOLS);
    assert_eq!(names(&mut session), ["one__second"]);
}

#[test]
fn who_does_not_want_it_notices_nothing_until_a_reload() {
    if hangups::are_ignored() {
        return;
    }
    for setup in [
        Setup::new().argument("--no-watch"),
        Setup::new().variable("MCP_WATCH", "off"),
    ] {
        let place = Place::new();
        place.serving("one", "first");
        let server = Server::start(&setup.plugins(place.folder.path()));
        server.ready();
        let mut session = client(&server);
        place.serving("one", "second");
        // Nothing can be waited for that does not come; what would come comes within this time on an idle machine.
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(place.asked("one"), 1);
        server.signal(Signal::HUP);
        hears(&mut session, TOOLS);
        assert_eq!(names(&mut session), ["one__second"]);
    }
}

#[test]
fn a_client_over_lines_hears_of_it_too() {
    use std::io::{BufRead, BufReader, Write};
    let place = Place::new();
    place.serving("one", "go");
    let setup = Setup::new()
        .argument("stdio")
        .argument("--plugins-dir")
        .argument(place.folder.path());
    let mut server = piped(&setup);
    let mut input = server.child().stdin.take().expect("stdin is a pipe");
    let output = server.child().stdout.take().expect("stdout is a pipe");
    let mut output = BufReader::new(output);
    let hello = json!({"protocolVersion": wire::NEWEST, "capabilities": {},
        "clientInfo": {"name": "smcp-tests", "version": "1"}});
    for message in [
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    ] {
        writeln!(input, "{message}").expect("the server reads");
    }
    let mut next = |wanted: &str| loop {
        let mut line = String::new();
        let read = output.read_line(&mut line).expect("a line");
        assert!(read > 0, "the output ended before {wanted}");
        if line.contains(wanted) {
            return line;
        }
    };
    assert!(next("\"id\":1").contains("one__go"));
    place.serving("two", "go");
    next(TOOLS);
    let message = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    writeln!(input, "{message}").expect("the server reads");
    assert!(next("\"id\":2").contains("two__go"));
}
