//! What must be left of a call that the SDK's client no longer wants: nothing.

use rustix::process::Pid;
use serde_json::{Value, json};

use super::claims::expect_five;
use super::connection::{Era, PATIENCE, Served, Transport, eventually};
use crate::support::{processes, s};

/// Processes of a call that nobody wants are asked to go, and killed five seconds later. What is there after this long
/// stays, however busy the machine.
const GONE: std::time::Duration = s(15);

/// The two processes of one call of `slow__wait`.
struct Waiting {
    file: std::path::PathBuf,
}

impl Waiting {
    fn new(served: &Served) -> Self {
        Self {
            file: served.file("pids"),
        }
    }

    fn arguments(&self) -> Value {
        json!({"pid_file": self.file})
    }

    async fn started(&self) -> Vec<Pid> {
        let pids = eventually("the call runs", PATIENCE, || {
            let text = std::fs::read_to_string(&self.file).ok()?;
            text.split_whitespace()
                .map(|pid| Pid::from_raw(pid.parse().ok()?))
                .collect::<Option<Vec<_>>>()
        })
        .await;
        assert_eq!(pids.len(), 2, "the plugin and its child");
        assert!(pids.iter().all(|pid| processes::lives(*pid)));
        pids
    }
}

async fn gone(pids: &[Pid]) {
    eventually("both processes are gone", GONE, || {
        let over = !pids.iter().any(|pid| processes::lives(*pid));
        over.then_some(())
    })
    .await;
}

pub async fn a_cancelled_call_leaves_no_process_and_the_connection_goes_on(
    transport: Transport,
    era: Era,
) {
    let served = Served::new(transport, era, &["demo_math", "slow"]);
    let connection = served.connect().await;
    let waiting = Waiting::new(&served);
    let call = connection.begin("slow__wait", waiting.arguments()).await;
    let pids = waiting.started().await;
    let reason = Some("no longer wanted".to_owned());
    call.cancel(reason).await.expect("the connection is open");
    gone(&pids).await;
    expect_five(&connection).await;
    connection.end().await;
}

pub async fn an_abandoned_call_leaves_no_process(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &["demo_math", "slow"]);
    let connection = served.connect().await;
    let waiting = Waiting::new(&served);
    let pids = tokio::select! {
        result = connection.call("slow__wait", waiting.arguments()) => panic!("answered: {result:?}"),
        pids = waiting.started() => pids,
    };
    gone(&pids).await;
    expect_five(&connection).await;
    connection.end().await;
}

pub async fn a_client_that_leaves_takes_its_processes_with_it(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &["slow"]);
    let connection = served.connect().await;
    let waiting = Waiting::new(&served);
    let _call = connection.begin("slow__wait", waiting.arguments()).await;
    let pids = waiting.started().await;
    connection.end().await;
    gone(&pids).await;
}
