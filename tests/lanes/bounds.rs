//! How many warm interpreters there are, for how long, and why a plugin has none.

use std::time::Duration;

use smcp::process::{Ending, WarmSettings};
use smcp::telemetry::WarmState;

use crate::kit::{
    Plugin, cold_launcher, in_a_process_of_its_own, launcher, nothing_is_left, run, until, warm,
};
use crate::support::alone::test_name;

#[test]
fn one_that_needs_more_memory_than_all_may_take_gives_way() {
    let name = test_name!(one_that_needs_more_memory_than_all_may_take_gives_way);
    in_a_process_of_its_own(name, || async {
        let hot = cold_launcher().with_warm(WarmSettings { max_bytes: 1 });
        let plugin = Plugin::new("memory");
        run(&hot, plugin.job(["fill", "1"])).await;
        until("it has been learned", || {
            warm(&hot).state != WarmState::Learning
        })
        .await;
        until("it gives way", || warm(&hot).state == WarmState::Cold).await;
        assert_eq!(warm(&hot).reason, None, "it was made");
        until("its processes end", || plugin.processes().is_empty()).await;
        assert_eq!(run(&hot, plugin.job(["fill", "2"])).await.stdout, b"xx");
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn a_program_that_crashes_makes_its_plugin_cold_until_it_changes() {
    let name = test_name!(a_program_that_crashes_makes_its_plugin_cold_until_it_changes);
    in_a_process_of_its_own(name, || async {
        let (plugin, hot) = (Plugin::new("crash"), launcher());
        plugin.warm_up(&hot).await;
        let crashed = run(&hot, plugin.job(["ends", "--", "-11"])).await;
        assert_eq!(crashed.ending, Ending::Signalled(11));
        until("the plugin is cold", || {
            let now = warm(&hot);
            now.state == WarmState::Cold && now.reason.is_some_and(|why| why.contains("signal 11"))
        })
        .await;
        std::fs::write(plugin.path("another.py"), "").expect("there is room");
        let deadline = std::time::Instant::now() + crate::kit::LIMIT;
        while warm(&hot).state != WarmState::Warm {
            assert!(std::time::Instant::now() < deadline, "{:?}", warm(&hot));
            run(&hot, plugin.job(["fill", "1"])).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn a_program_whose_answers_differ_stays_cold_and_says_why() {
    let name = test_name!(a_program_whose_answers_differ_stays_cold_and_says_why);
    in_a_process_of_its_own(name, || async {
        let program = "import os\nprint(os.getpid())\n";
        let (plugin, hot) = (Plugin::with("differs", program), launcher());
        run(&hot, plugin.job(["x"])).await;
        until("it is known", || warm(&hot).reason.is_some()).await;
        let why = warm(&hot).reason.unwrap_or_default();
        assert!(
            why.contains("--help") && why.contains("another output"),
            "{why}"
        );
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn a_module_of_the_plugin_that_is_new_makes_a_new_interpreter() {
    let name = test_name!(a_module_of_the_plugin_that_is_new_makes_a_new_interpreter);
    in_a_process_of_its_own(name, || async {
        let program =
            "import argparse\nargparse.ArgumentParser().parse_known_args()\nprint('ran')\n";
        let (plugin, hot) = (Plugin::with("shadow", program), launcher());
        plugin.warm_up(&hot).await;
        let text = "raise SystemExit('the plugin has its own')\n";
        std::fs::write(plugin.path("argparse.py"), text).expect("there is room");
        let deadline = std::time::Instant::now() + crate::kit::LIMIT;
        loop {
            let done = run(&hot, plugin.job(["x"])).await;
            if done.ending == Ending::Exited(1) {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{:?}", done.ending);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        nothing_is_left(&hot, &plugin).await;
    });
}
