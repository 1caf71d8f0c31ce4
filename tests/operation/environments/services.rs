//! Services of plugins whose environments are made meanwhile.

use serde_json::{Value, json};

use super::INSTALLED;
use super::kit::{self, LIBRARY, Place};
use crate::support::http::PATIENCE;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::until;

/// A plugin with a service that imports the library, and writes down which one it has found.
const WORKER: &str = "import json, os, sys, time\n\
    if sys.argv[1:] == ['--describe']:\n    \
    print(json.dumps({'contract_version': '1.1', 'commands': [{'name': 'run', 'description': 'Runs'}],\n        \
    'services': [{'name': 'worker', 'command': 'work'}]}))\n    sys.exit()\n\
    try:\n    from smcp_test_library import VERSION\nexcept ImportError:\n    VERSION = 'none'\n\
    with open(os.environ['JOURNAL'], 'a') as journal:\n    journal.write(VERSION + '\\n')\n\
    while True:\n    time.sleep(1)\n";

fn service(server: &Server) -> Value {
    let mut session = Session::ready(server.address());
    let answer = session.call("health", json!({}));
    let text = answer["content"][0]["text"].as_str();
    let health: Value = serde_json::from_str(text.expect("a text")).expect("JSON");
    health["services"][0].clone()
}

#[test]
fn a_service_waits_for_the_first_environment_of_its_plugin() {
    let place = Place::new();
    place.folder.add("one", WORKER);
    place.declare("one", "requirements.txt", &format!("{LIBRARY}==1.0\n"));
    let (begun, release) = place.held_installer();
    let journal = place.path("journal");
    let setup = place.setup().variable("PATH", place.path_with_programs());
    let server = Server::start(&setup.variable("JOURNAL", &journal));
    until("it is served without", PATIENCE, || {
        (begun.exists() && kit::is_served(&server, "one__run")).then_some(())
    });
    let waiting = until("its service waits", PATIENCE, || {
        let service = service(&server);
        (service["name"] == "worker").then_some(service)
    });
    assert_eq!(waiting["state"], "waiting", "{waiting}");
    let reason = waiting["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("environment"), "{waiting}");
    std::fs::write(release, "").expect("there is room");
    let running = until("it runs", INSTALLED, || {
        let service = service(&server);
        (service["state"] == "running").then_some(service)
    });
    assert_eq!(running["starts"], 1, "{running}");
    let found = until("it has begun", PATIENCE, || {
        std::fs::read_to_string(&journal)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    assert_eq!(found, "1.0\n", "{}", server.log());
}

#[test]
fn a_service_runs_without_an_environment_that_cannot_be_had() {
    let place = Place::new();
    place.folder.add("one", WORKER);
    place.declare("one", "requirements.txt", &format!("{LIBRARY}==9.9\n"));
    let journal = place.path("journal");
    let server = Server::start(&place.setup().variable("JOURNAL", &journal));
    until("it runs", INSTALLED, || {
        (service(&server)["state"] == "running").then_some(())
    });
    let found = until("it has begun", PATIENCE, || {
        std::fs::read_to_string(&journal)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    assert_eq!(found, "none\n", "{}", server.log());
}
