//! Programs that stop what has forked them: a process of the same user, which they can send any signal.

use rustix::process::Signal;
use serde_json::json;
use smcp::process::Ending;

use crate::kit::{
    BEGINS_WITHIN, Plugin, in_a_process_of_its_own, launcher, lives, noted, nothing_is_left,
    parent_of, run, told, until, warm,
};
use crate::served::{GONE, call, metrics, setup, warm_up};
use crate::support::alone::test_name;
use crate::support::http::PATIENCE;
use crate::support::server::Server;
use crate::support::session::text_of;

/// Calls the command with these words, after it has stopped its forker, and another one.
async fn calls_end(plugin: &Plugin, endings: &[(&str, Ending)]) {
    let hot = launcher();
    plugin.warm_up(&hot).await;
    for (how, ending) in endings {
        hot.idle().await;
        let before = warm(&hot).hits;
        let done = run(&hot, plugin.job(["stop", "--", "ends", how])).await;
        let output = ("before\n".to_owned(), String::new());
        assert_eq!(told(&done), (*ending, output.0, output.1), "{how}");
        // Its place is free again.
        hot.idle().await;
        let next = run(&hot, plugin.job(["fill", "5"])).await;
        assert_eq!(next.stdout, b"xxxxx", "{how}");
        assert_eq!(warm(&hot).hits, before + 2, "{how}");
    }
    assert_eq!(warm(&hot).fallbacks, 0);
    nothing_is_left(&hot, plugin).await;
}

#[test]
fn a_program_that_stops_its_forker_ends_as_it_does() {
    let name = test_name!(a_program_that_stops_its_forker_ends_as_it_does);
    in_a_process_of_its_own(name, || async {
        let endings = [
            ("0", Ending::Exited(0)),
            ("3", Ending::Exited(3)),
            ("-9", Ending::Signalled(9)),
        ];
        calls_end(&Plugin::new("stop"), &endings).await;
    });
}

#[test]
fn a_process_of_many_calls_that_stops_its_forker_ends_as_it_does() {
    let name = test_name!(a_process_of_many_calls_that_stops_its_forker_ends_as_it_does);
    in_a_process_of_its_own(name, || async {
        let plugin = Plugin::new("stop-reused").reused();
        calls_end(&plugin, &[("-9", Ending::Signalled(9))]).await;
    });
}

#[test]
fn the_time_limit_ends_a_program_whose_forker_is_stopped() {
    let name = test_name!(the_time_limit_ends_a_program_whose_forker_is_stopped);
    in_a_process_of_its_own(name, || async {
        let (plugin, hot) = (Plugin::new("stop-time"), launcher());
        plugin.warm_up(&hot).await;
        for command in ["hang", "deaf"] {
            let note = plugin.note();
            let words = ["stop".as_ref(), command.as_ref(), note.as_os_str()];
            let mut job = plugin.job(words);
            job.time_limit = Some(BEGINS_WITHIN);
            let place = async {
                let program = noted(&note).await;
                let forker = parent_of(program);
                [program, forker, parent_of(forker)]
            };
            let (done, place) = tokio::join!(run(&hot, job), place);
            assert_eq!(done.ending, Ending::TimedOut, "{command}");
            assert_eq!(done.stdout, b"begun\n", "{command}");
            until("program, forker and supervisor are gone", || {
                !place.into_iter().any(lives)
            })
            .await;
            hot.idle().await;
        }
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn a_server_outlives_programs_that_stop_their_forkers_and_ends_when_it_is_asked_to() {
    let mut server = Server::start(&setup().variable("MCP_PLUGIN_TIMEOUT", "3"));
    warm_up(&server);
    let idle = server.others().len();
    let answer = call(&server, "stop");
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    let said: serde_json::Value =
        serde_json::from_str(text_of(&answer["result"])).expect("it prints JSON");
    assert_eq!(said, json!({"ran": "stop"}));
    let answer = call(&server, "stop-hang");
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let said = text_of(&answer["result"]);
    assert!(said.contains("was ended after 3 s"), "{said}");
    crate::support::until("the calls are over", PATIENCE, || {
        let is_idle = metrics(&server).contains("smcp_calls_in_progress 0\n");
        (is_idle && server.others().len() <= idle).then_some(())
    });
    assert_eq!(call(&server, "short")["result"]["isError"], false);
    server.signal(Signal::TERM);
    let status = server.ends_within(GONE);
    assert!(status.success(), "{status}");
    server.leaves_nothing_within(GONE);
}
