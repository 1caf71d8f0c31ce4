//! Calls that run one after the other in one process.

use smcp::process::Ending;

use crate::kit::{Plugin, in_a_process_of_its_own, launcher, nothing_is_left, run, warm};
use crate::support::alone::test_name;

/// The number of the call in its process, and the process.
fn counted(stdout: &[u8]) -> (u32, u32) {
    let text = std::str::from_utf8(stdout).expect("it prints text");
    let (count, pid) = text.trim().split_once(' ').expect("two numbers");
    (
        count.parse().expect("a number"),
        pid.parse().expect("a number"),
    )
}

#[test]
fn a_process_runs_one_call_after_the_other_and_ends_with_one_that_is_ended() {
    let name = test_name!(a_process_runs_one_call_after_the_other_and_ends_with_one_that_is_ended);
    in_a_process_of_its_own(name, || async {
        let (plugin, hot) = (Plugin::new("reuse").reused(), launcher());
        plugin.warm_up(&hot).await;
        let count = || async {
            // A lane is free again a moment after the answer of its call.
            hot.idle().await;
            counted(&run(&hot, plugin.job(["count"])).await.stdout)
        };
        let (_, process) = count().await;
        for _ in 0..5 {
            assert_eq!(count().await.1, process, "another process");
        }
        hot.idle().await;
        let failed = run(&hot, plugin.job(["ends", "3"])).await;
        assert_eq!(failed.ending, Ending::Exited(3));
        assert_eq!(count().await.1, process, "an exit status ends no worker");
        hot.idle().await;
        let mut job = plugin.job(["hang".as_ref(), plugin.note().as_os_str()]);
        job.time_limit = Some(std::time::Duration::from_secs(1));
        assert_eq!(run(&hot, job).await.ending, Ending::TimedOut);
        hot.idle().await;
        assert_ne!(count().await.1, process, "it was ended");
        assert_eq!(warm(&hot).fallbacks, 0);
        nothing_is_left(&hot, &plugin).await;
    });
}

#[test]
fn a_program_that_closes_what_is_not_its_own_ends_as_it_does() {
    let name = test_name!(a_program_that_closes_what_is_not_its_own_ends_as_it_does);
    in_a_process_of_its_own(name, || async {
        let (plugin, hot) = (Plugin::new("closes").reused(), launcher());
        plugin.warm_up(&hot).await;
        for _ in 0..3 {
            hot.idle().await;
            let closed = run(&hot, plugin.job(["closes"])).await;
            assert_eq!(closed.ending, Ending::Exited(0));
            assert_eq!(closed.stdout, b"before\n");
        }
        nothing_is_left(&hot, &plugin).await;
    });
}
