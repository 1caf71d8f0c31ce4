//! Services of plugins: programs that run for as long as their plugin is served.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::{Folder, write_program};
use crate::support::processes::lives;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::until;

/// Writes a line when it begins and when it is asked to end; what it does between says its argument.
const PLUGIN: &str = r#"#!/bin/sh
# VERSION
if [ "$1" = --describe ]; then
    echo '{"contract_version":"1.1","commands":[{"name":"run","description":"d"}],
        "services":[{"name":"worker","command":"work","args":["HOW"]}]}'
elif [ "$1" = work ]; then
    journal=$JOURNAL
    trap 'echo "end $$" >>"$journal"; exit 0' TERM
    echo "begin $$ $SMCP_SERVICE" >>"$journal"
    case $2 in
        stay) echo "said by the worker"; while :; do sleep 0.05; done ;;
        crash) echo "no luck" >&2; exit 3 ;;
        flood) head -c 20000000 /dev/zero | tr '\0' 'x'; echo; echo "flooded" >>"$journal"
            while :; do sleep 0.05; done ;;
    esac
else
    echo ran
fi
"#;

/// A directory with the plugin in it, and beside that directory what its services write.
struct Scene {
    folder: Folder,
    plugins: PathBuf,
}

impl Scene {
    fn new(how: &str) -> Self {
        let folder = Folder::new();
        let plugins = folder.path().join("plugins");
        let scene = Self { folder, plugins };
        scene.write(how, 1);
        scene
    }

    /// Another file in the place of the plugin's program, in one step: somebody may be reading the one that is there.
    fn write(&self, how: &str, version: u32) {
        let program = PLUGIN
            .replace("HOW", how)
            .replace("VERSION", &version.to_string());
        let directory = self.plugins.join("one");
        fs::create_dir_all(&directory).expect("a directory of ours");
        let fresh = self.folder.path().join("fresh");
        write_program(&fresh, &program);
        fs::rename(fresh, directory.join("cli")).expect("both are in one file system");
    }

    fn setup(&self) -> Setup {
        let journal = self.folder.path().join("journal");
        Setup::new()
            .plugins(&self.plugins)
            .variable("JOURNAL", journal)
    }

    fn journal(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("journal")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits for the line that a service writes as the `nth` of its kind, and gives its process.
    #[track_caller]
    fn nth(&self, nth: usize, kind: &str) -> Pid {
        until(&format!("{kind} number {nth}"), PATIENCE, || {
            let journal = self.journal();
            let lines = journal.iter().filter(|line| line.starts_with(kind));
            let line = lines.clone().nth(nth - 1)?.clone();
            Pid::from_raw(line.split(' ').nth(1)?.parse().ok()?)
        })
    }
}

/// A program that writes to `$JOURNAL` when it is asked and when its service begins and ends. What the service does, in
/// rounds of a second, is `work`; `about` is what it says of itself.
fn restless(about: &str, work: &str) -> String {
    format!(
        r#"#!/bin/sh
if [ "$1" = --describe ]; then
    echo asked >>"$JOURNAL"
    echo '{{"contract_version":"1.1","plugin":{{"description":"'"{about}"'"}},
        "commands":[{{"name":"run","description":"d"}}],"services":[{{"name":"worker","command":"work"}}]}}'
else
    trap 'echo "end $$" >>"$JOURNAL"; exit 0' TERM
    echo "begin $$" >>"$JOURNAL"
    cd "$SMCP_PLUGIN_DIR"
    while :; do {work}; sleep 1; done
fi
"#
    )
}

fn services(server: &Server) -> Value {
    let mut session = Session::ready(server.address());
    let answer = session.call("health", json!({}));
    let text = answer["content"][0]["text"].as_str();
    let health: Value = serde_json::from_str(text.expect("a text")).expect("JSON");
    health["services"].clone()
}

#[test]
fn a_service_runs_with_the_server_and_ends_with_it() {
    let scene = Scene::new("stay");
    let mut server = Server::start(&scene.setup());
    let worker = scene.nth(1, "begin");
    assert!(
        scene.journal()[0].ends_with(" worker"),
        "{:?}",
        scene.journal()
    );
    server.logs(&["said by the worker", "one", "worker"]);
    let service = &services(&server)[0];
    assert_eq!(
        (
            &service["plugin"],
            &service["name"],
            &service["state"],
            &service["starts"]
        ),
        (
            &json!("one"),
            &json!("worker"),
            &json!("running"),
            &json!(1)
        ),
    );
    let metrics = exchange(server.address(), &get(server.address(), "/metrics", "")).text();
    let labels = r#"{plugin="one",service="worker"}"#;
    assert!(
        metrics.contains(&format!("smcp_plugin_service_up{labels} 1")),
        "{metrics}"
    );
    assert!(
        metrics.contains(&format!("smcp_plugin_service_starts_total{labels} 1")),
        "{metrics}"
    );
    server.signal(Signal::TERM);
    server.ends_within(PATIENCE);
    assert!(!lives(worker));
    // It was asked, not killed.
    assert_eq!(scene.nth(1, "end"), worker);
    server.leaves_nothing_within(PATIENCE);
}

#[test]
fn a_service_that_ends_is_started_again_after_growing_pauses_and_said_to_be_down() {
    let scene = Scene::new("crash");
    let server = Server::start(&scene.setup());
    scene.nth(3, "begin");
    server.logs(&["exited with status 3 (no luck)", "again in 1 s"]);
    server.logs(&["exited with status 3", "again in 4 s"]);
    // Between the ends and the starts it waits.
    let waiting = until("it waits for its next start", PATIENCE, || {
        let service = services(&server)[0].clone();
        (service["state"] == "waiting").then_some(service)
    });
    assert_eq!(waiting["last_end"], "exited with status 3 (no luck)");
    assert!(waiting["starts"].as_u64() >= Some(3), "{waiting}");
}

/// Two servers can serve one directory when one of them runs no services.
#[test]
fn services_that_are_turned_off_are_listed_and_not_run() {
    let scene = Scene::new("stay");
    let server = Server::start(&scene.setup().variable("MCP_SERVICES", "off"));
    server.ready();
    server.logs(&["the service is not run", "MCP_SERVICES"]);
    let service = &services(&server)[0];
    assert_eq!(
        (&service["name"], &service["state"]),
        (&json!("worker"), &json!("off"))
    );
    assert!(
        service["reason"]
            .as_str()
            .is_some_and(|why| why.contains("MCP_SERVICES"))
    );
    // Nothing to be alarmed at.
    let metrics = exchange(server.address(), &get(server.address(), "/metrics", "")).text();
    assert!(!metrics.contains("smcp_plugin_service_up{"), "{metrics}");
    assert_eq!(scene.journal(), [""; 0]);
}

/// What finds no room is told to whoever looks, and runs once there is some.
#[test]
fn services_without_room_are_named_and_run_when_there_is_some() {
    let folder = Folder::new();
    let declared: Vec<Value> = (0..8)
        .map(|number| json!({"name": format!("w{number}"), "command": "work"}))
        .collect();
    let described = json!({"contract_version": "1.1", "commands": [], "services": declared});
    let program = format!(
        "#!/bin/sh\n[ \"$1\" = --describe ] && {{ echo '{described}'; exit; }}\nexec sleep 1000\n"
    );
    for number in 0..9 {
        let directory = folder.path().join(format!("p{number}"));
        fs::create_dir(&directory).expect("a directory of ours");
        write_program(&directory.join("cli"), &program);
    }
    let server = Server::start(&Setup::new().plugins(folder.path()));
    let in_state = |state: &str| {
        let all = services(&server);
        let all = all.as_array().expect("a list");
        all.iter().filter(|one| one["state"] == state).count()
    };
    until("64 run and 8 have no room", 3 * PATIENCE, || {
        (in_state("running") == 64 && in_state("refused") == 8).then_some(())
    });
    let metrics = exchange(server.address(), &get(server.address(), "/metrics", "")).text();
    let down = metrics
        .lines()
        .filter(|line| line.starts_with("smcp_plugin_service_up{") && line.ends_with(" 0"));
    assert_eq!(down.count(), 8, "{metrics}");
    fs::remove_dir_all(folder.path().join("p0")).expect("a directory of ours");
    until("all run that are left", 3 * PATIENCE, || {
        (in_state("running") == 64 && in_state("refused") == 0).then_some(())
    });
}

#[test]
fn a_service_that_was_killed_is_started_again() {
    let scene = Scene::new("stay");
    let server = Server::start(&scene.setup());
    kill_process(scene.nth(1, "begin"), Signal::KILL).expect("it is ours");
    let second = scene.nth(2, "begin");
    assert!(lives(second));
    server.logs(&["was ended by signal 9"]);
}

#[test]
fn a_service_of_another_program_replaces_the_one_before_it_and_the_same_one_is_left_alone() {
    let scene = Scene::new("stay");
    let server = Server::start(&scene.setup());
    server.ready();
    let first = scene.nth(1, "begin");
    server.signal(Signal::HUP);
    server.logs(&["reload"]);
    scene.write("stay", 2);
    server.signal(Signal::HUP);
    let second = scene.nth(2, "begin");
    let journal = scene.journal();
    let position = |line: &str| journal.iter().position(|known| known.starts_with(line));
    let (end, begin) = (
        position(&format!("end {first}")),
        position(&format!("begin {second}")),
    );
    assert!(end.is_some() && end < begin, "{journal:?}");
    assert!(!lives(first) && lives(second));
    // A plugin that is gone has no service.
    fs::remove_dir_all(scene.plugins.join("one")).expect("it is there");
    server.signal(Signal::HUP);
    until("the service ends", PATIENCE, || {
        (!lives(second)).then_some(())
    });
    until("nobody speaks of it", PATIENCE, || {
        (services(&server) == json!([])).then_some(())
    });
    assert_eq!(scene.journal().len(), 4, "{:?}", scene.journal());
}

/// Data, caches and times are no part of a program, whoever writes them.
#[test]
fn a_service_that_writes_beside_its_program_and_touches_it_is_left_alone() {
    let scene = Scene::new("stay");
    let work =
        "touch cli helper.py; date >>log.txt; mkdir -p __pycache__; date >__pycache__/helper.pyc";
    write_program(&scene.plugins.join("one/cli"), &restless("d", work));
    fs::write(scene.plugins.join("one/helper.py"), "x = 1").expect("a directory of ours");
    let server = Server::start(&scene.setup());
    let worker = scene.nth(1, "begin");
    // What came of all questions but the last was served before that was put.
    until("it is asked again and again", PATIENCE, || {
        let journal = scene.journal();
        let asked = journal.iter().filter(|line| *line == "asked");
        (asked.count() >= 5).then_some(())
    });
    let journal = scene.journal();
    let other = journal.iter().filter(|line| *line != "asked");
    assert_eq!(other.count(), 1, "{journal:?} {}", server.log());
    assert!(lives(worker));
}

#[test]
fn a_service_follows_the_modules_of_its_plugin_by_what_is_in_them() {
    let scene = Scene::new("stay");
    let inner = scene.plugins.join("one/inner");
    fs::create_dir(&inner).expect("a directory of ours");
    let helper = inner.join("helper.py");
    fs::write(&helper, "x = 1").expect("a directory of ours");
    let server = Server::start(&scene.setup());
    server.ready();
    let first = scene.nth(1, "begin");
    // The same again, under another inode, and data.
    fs::write(inner.join("new"), "x = 1").expect("a directory of ours");
    fs::rename(inner.join("new"), &helper).expect("a directory of ours");
    fs::write(inner.join("data.json"), "{}").expect("a directory of ours");
    server.signal(Signal::HUP);
    server.logs(&["reloaded"]);
    assert!(lives(first), "{}", server.log());
    // In one step: a file that is just being written has other contents for a moment.
    fs::write(scene.folder.path().join("other"), "x = 2").expect("a directory of ours");
    fs::rename(scene.folder.path().join("other"), &helper).expect("both are in one file system");
    let second = scene.nth(2, "begin");
    assert!(!lives(first) && lives(second));
    server.logs(&["the service is replaced", "inner/helper.py has changed"]);
    assert_eq!(scene.journal().len(), 3, "{:?}", scene.journal());
}

/// One that changes its own program would be replaced for ever.
#[test]
fn a_service_that_changes_its_own_program_is_replaced_ever_less() {
    let scene = Scene::new("stay");
    // Another answer each time, so that the question itself is put at once.
    let program = restless("$(date +%s%N)", "date +%s%N >state.py");
    write_program(&scene.plugins.join("one/cli"), &program);
    let server = Server::start(&scene.setup());
    server.logs(&["state.py has changed", "runs on for now"]);
    let begun = scene.journal();
    let begun = begun.iter().filter(|line| line.starts_with("begin"));
    assert_eq!(begun.count(), 6, "{:?}", scene.journal());
}

#[test]
fn a_service_ends_with_a_server_that_is_killed() {
    let scene = Scene::new("stay");
    let server = Server::start(&scene.setup());
    let worker = scene.nth(1, "begin");
    server.signal(Signal::KILL);
    until("the service ends", PATIENCE, || {
        (!lives(worker)).then_some(())
    });
    server.leaves_nothing_within(PATIENCE);
}

#[test]
fn a_service_may_print_without_end() {
    let scene = Scene::new("flood");
    let server = Server::start(&scene.setup());
    until("all is printed", PATIENCE, || {
        scene
            .journal()
            .contains(&"flooded".to_owned())
            .then_some(())
    });
    assert_eq!(services(&server)[0]["state"], "running");
    let answer = Session::ready(server.address()).call("one__run", json!({}));
    assert_eq!(answer["content"][0]["text"], "ran", "{answer}");
}

#[test]
fn a_program_whose_output_goes_elsewhere_has_time() {
    let scene = Scene::new("stay");
    let server = Server::start(&scene.setup().variable("MCP_TOOL_TIMEOUT", "1"));
    let worker = scene.nth(1, "begin");
    // A call of the same plugin is bounded; the service is no call.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(lives(worker), "{}", server.log());
}
