//! A load generator for MCP servers on this machine: a closed loop over HTTP+SSE or Streamable HTTP.
//!
//!     cargo run --release --example load -- requests --url http://127.0.0.1:8000/sse --clients 8 --method ping
//!
//! Prints one JSON object. Every measurement is bounded in time. `benches/run` calls it.

mod closed_loop;
mod events;
mod figures;
mod http;
mod overhead;
mod resident;
mod session;
mod startup;
mod usage;

#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use serde_json::Value;

use closed_loop::Plan;
use session::{Target, Transport};

#[derive(Debug, Parser)]
#[command(about = "A closed loop of MCP requests, measured")]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Clients on sessions that stay: each asks, waits for the answer, and asks again
    Requests(Common),
    /// Clients that connect, shake hands and leave, again and again
    Churn(Common),
    /// Sessions that only stay, in steps, and one client beside them
    Idle {
        #[command(flatten)]
        common: Common,
        /// How many sessions, one number for each step
        #[arg(long, value_delimiter = ',', default_value = "1000")]
        sessions: Vec<usize>,
    },
    /// Clients that each start a call and go before its answer
    Abandon(Common),
    /// Waits until a client sees so many tools
    Ready {
        #[command(flatten)]
        common: Common,
        /// How many
        #[arg(long, default_value_t = 1)]
        tools: usize,
    },
    /// A call, and the bare spawn of its command line, in turn
    Overhead {
        #[command(flatten)]
        common: Common,
        /// The command line
        #[arg(last = true, required = true)]
        argv: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// The event stream (…/sse) or the endpoint (…/mcp) of a server on this machine
    #[arg(long)]
    url: String,
    /// How to speak there
    #[arg(long, value_enum, default_value = "sse")]
    transport: Transport,
    /// Clients at once
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// The method to ask for
    #[arg(long, default_value = "ping")]
    method: String,
    /// Its parameters, a JSON object
    #[arg(long, default_value = "{}")]
    params: String,
    /// Text that every answer must have; others count as errors
    #[arg(long)]
    expect: Option<String>,
    /// Seconds before the measurement
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// Seconds of the measurement; for `abandon`, how long a call runs before its client goes
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Seconds for one request
    #[arg(long, default_value_t = 20.0)]
    limit: f64,
    /// The server's process, to see what it and its children use
    #[arg(long, default_value_t = 0)]
    pid: u32,
    /// Threads of this generator
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

impl Common {
    fn plan(&self) -> anyhow::Result<Plan> {
        let url = url::Url::parse(&self.url).context("--url")?;
        let address = url.socket_addrs(|| Some(80)).context("--url")?;
        Ok(Plan {
            target: Target {
                address: *address.first().context("--url names no address")?,
                path: url.path().to_owned(),
                transport: self.transport,
            },
            clients: self.clients,
            method: self.method.clone(),
            params: serde_json::from_str::<Value>(&self.params).context("--params")?,
            expect: self.expect.clone(),
            warmup: Duration::try_from_secs_f64(self.warmup).context("--warmup")?,
            window: Duration::try_from_secs_f64(self.seconds).context("--seconds")?,
            limit: Duration::try_from_secs_f64(self.limit).context("--limit")?,
            server: self.pid,
        })
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    allow_many_connections();
    let (Scenario::Requests(common)
    | Scenario::Churn(common)
    | Scenario::Abandon(common)
    | Scenario::Idle { common, .. }
    | Scenario::Ready { common, .. }
    | Scenario::Overhead { common, .. }) = &arguments.scenario;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(common.threads.max(1))
        .enable_all()
        .build()?
        .block_on(run(&arguments.scenario, common.plan()?))
}

async fn run(scenario: &Scenario, plan: Plan) -> anyhow::Result<()> {
    match scenario {
        Scenario::Requests(_) => print(&closed_loop::requests(plan).await?),
        Scenario::Churn(_) => print(&closed_loop::churn(plan).await?),
        Scenario::Idle { sessions, .. } => print(&resident::idle(plan, sessions).await?),
        Scenario::Abandon(_) => {
            resident::abandon(
                &plan.target,
                plan.clients,
                &plan.method,
                &plan.params,
                plan.window,
            )
            .await?;
            print(&serde_json::json!({"clients": plan.clients}))
        }
        Scenario::Ready { tools, .. } => {
            let ms = startup::until_ready(&plan.target, *tools, plan.limit).await?;
            print(&serde_json::json!({"ms": ms}))
        }
        Scenario::Overhead { argv, .. } => {
            // On a worker thread, where the server's calls are.
            let (plan, argv) = (plan, argv.clone());
            let compared = tokio::spawn(async move { overhead::compare(&plan, &argv).await });
            print(&compared.await??)
        }
    }
}

fn print(figures: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}

/// A connection is a descriptor; what the system allows is taken.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it is refused, connecting fails with the reason.
    let _ = setrlimit(Resource::Nofile, raised);
}
