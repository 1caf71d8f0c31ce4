//! `smcp doctor`: plays clients through a server's public address, and says what is wrong on the way.

mod access;
mod address;
mod answer;
mod ask;
mod bodies;
mod browser;
mod endings;
mod fault;
mod finding;
mod handshake;
mod idle;
mod interrupt;
mod line;
mod reach;
mod refusal;
mod remedy;
mod report;
mod sessions;
mod site;
mod sse;
mod stateless;
mod stream;
mod streamable;

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use url::Host;

use crate::cli::DoctorArgs;
pub use address::{Address, address};
use fault::Fault;
use finding::{Checked, Finding};
use handshake::Server;
use interrupt::Interrupt;
use report::Report;
use site::Site;

/// So many times the limit of one answer may an examination take that has many of them.
const ANSWERS: u32 = 6;

/// How long a report may be written after a signal: its reader may have stopped reading.
const WRITING_LIMIT: Duration = Duration::from_secs(1);

/// Looks at the server at `address`, with its key, and prints what is found: whole, or as far as it was known when a
/// signal came.
///
/// # Errors
/// No request can be sent at all: the key fits into no header, or this system has no certificates.
pub(super) async fn run(
    address: &Address,
    key: Option<String>,
    args: &DoctorArgs,
) -> anyhow::Result<ExitCode> {
    let mut site = Site::new(address, key, Duration::from_secs(args.wait))?;
    let interrupt = Interrupt::listen()?;
    let mut report = Report::new(address);
    if examine(&mut site, &mut report, args, &interrupt)
        .await
        .is_none()
    {
        let rest = "what was left: the examination was interrupted".to_owned();
        report.checked.skipped.push(rest);
    }
    tokio::select! {
        () = streamable::end_what_is_left(&site) => {}
        () = interrupt.next() => {}
    }
    let by = interrupt.by();
    report.interrupted = by.map(|ending| ending.name);
    let code = match (by, report.is_fine()) {
        (Some(ending), _) => ExitCode::from(ending.status),
        (None, true) => ExitCode::SUCCESS,
        (None, false) => ExitCode::FAILURE,
    };
    let as_json = args.json;
    let writing = tokio::task::spawn_blocking(move || match as_json {
        true => report.print_json(),
        false => report.print(),
    });
    let stuck = async {
        interrupt.next().await;
        sleep(WRITING_LIMIT).await;
    };
    tokio::select! {
        written = writing => written?,
        () = stuck => return Ok(interrupt.by().map_or(code, |ending| ExitCode::from(ending.status))),
    }
    Ok(code)
}

/// `None` where a signal came before its end.
async fn examine(
    site: &mut Site,
    report: &mut Report,
    args: &DoctorArgs,
    interrupt: &Interrupt,
) -> Option<()> {
    let reached = interrupt.unless(reach::look(site)).await?;
    report.proxy = reached.proxy;
    report.proxy_name = reached.proxy_name;
    report.add(reached.checked);
    if !reached.is_there {
        return Some(());
    }
    let mut entering = Checked::default();
    let entered = interrupt.unless(access::enter(site, &mut entering)).await?;
    let Some(path) = entered else {
        report.add(worst(entering, reached.suspicion));
        return Some(());
    };
    report.add(entering);
    inside(site, path, report, args, interrupt).await
}

/// Nobody is let in: what the first answer was says it best where that was no server's.
fn worst(mut entering: Checked, suspicion: Option<Finding>) -> Checked {
    let vague = |finding: &Finding| {
        let is_vague = matches!(
            finding.fault,
            Fault::NotServed | Fault::NotMcp | Fault::Refused | Fault::MethodRefused
        );
        is_vague && !finding.is_of_another_path()
    };
    if !entering.findings.iter().all(vague) {
        return entering;
    }
    // A site that answers with pages of its own, whatever is asked.
    let page = suspicion
        .filter(|finding| finding.fault != Fault::NotServed || finding.is_of_another_path());
    let nothing = || {
        let first = entering.findings.first()?;
        let seen = format!("{}: there is no MCP server below this address", first.seen);
        Some(Finding::new(Fault::NotMcp, "", seen))
    };
    entering.findings = page.or_else(nothing).into_iter().collect();
    entering
}

/// All that a client does whom the server lets in. The parts do not wait for each other.
async fn inside(
    site: &Site,
    path: &str,
    report: &mut Report,
    args: &DoctorArgs,
    interrupt: &Interrupt,
) -> Option<()> {
    let (headers, arrived) = interrupt.unless(access::arrived(site, path)).await?;
    let is_local = is_of_this_machine(&site.address);
    let is_public = report.proxy_name.is_some() || arrived.is_forwarded || !is_local;
    let without_key = access::without_key(site, path, is_public);
    report.add(interrupt.unless(without_key).await?);
    report.add(headers);
    if site.key.is_some() && site.address.base.scheme() == "http" && !is_local {
        let seen = "the key was sent by http: whoever is on the way can read it";
        let mut checked = Checked::default();
        checked.add(Finding::new(Fault::Unencrypted, "", seen).warning());
        report.add(checked);
    }
    let part = Part { site, interrupt };
    let (sse, mcp, stateless, browser, bodies, idle) = tokio::join!(
        part.play("the handshakes at /sse", sse::look(site)),
        part.play("the handshakes at /mcp", streamable::look(site)),
        part.play("requests without a session", stateless::look(site)),
        part.play("a web page", browser::look(site, args.origin.as_deref())),
        part.play("large messages", bodies::look(site)),
        // Its time is what was asked for.
        idle::look(site, Duration::from_secs(args.idle), &arrived, interrupt),
    );
    let (sse, mcp) = (taken_apart(sse), taken_apart(mcp));
    report.server = sse.1.or(mcp.1);
    let is_other = report
        .server
        .as_ref()
        .is_some_and(|server| !server.is_current());
    for part in [sse.0, mcp.0, whole(stateless), whole(browser)] {
        report.add(match is_other {
            true => of_another_server(part),
            false => part,
        });
    }
    report.add(whole(bodies));
    report.add(idle);
    report.add(limits(site));
    Some(())
}

/// Another server, or an older one, need not have every path and method: that the proxy does not pass them on, cannot be
/// told.
fn of_another_server(mut part: Checked) -> Checked {
    let may_lack = |finding: &Finding| {
        let is_of_origin = finding.subject.as_deref() == Some("Origin");
        matches!(
            finding.fault,
            Fault::NotServed | Fault::MethodRefused | Fault::Cors
        ) || is_of_origin
    };
    let (lacking, findings) = part.findings.into_iter().partition(may_lack);
    part.findings = findings;
    let lacking: Vec<Finding> = lacking;
    part.skipped.extend(
        lacking
            .into_iter()
            .map(|finding| format!("what only smcp 4 is known to have: {}", finding.seen)),
    );
    part
}

/// What was refused for how many requests there were, or put off, and answered when it was asked again.
fn limits(site: &Site) -> Checked {
    let mut checked = Checked::default();
    let refused = site.refused_for_number();
    if refused > 0 {
        let seen = format!(
            "{} refused with status 429 or 503 for coming too quickly, and sent again later: a client that is as quick is refused too",
            match refused {
                1 => "a request of this examination was".to_owned(),
                more => format!("{more} requests of this examination were"),
            }
        );
        checked.add(Finding::new(Fault::Limited, "", seen).warning());
    }
    let put_off = site.put_off();
    if put_off > 0 {
        let seen = format!(
            "{} answered with status 408 or 503, or before the request was sent, and as it should be when it was sent again: there was too much to do, or it came too slowly",
            match put_off {
                1 => "a request of this examination was".to_owned(),
                more => format!("{more} requests of this examination were"),
            }
        );
        checked.add(Finding::new(Fault::Busy, "", seen).warning());
    }
    checked
}

type Played = (Checked, Option<Server>);

fn taken_apart(part: Result<Played, Checked>) -> Played {
    part.unwrap_or_else(|unfinished| (unfinished, None))
}

fn whole(part: Result<Checked, Checked>) -> Checked {
    part.unwrap_or_else(|unfinished| unfinished)
}

/// What the parts of an examination that do not wait for each other have in common.
struct Part<'a> {
    site: &'a Site,
    interrupt: &'a Interrupt,
}

impl Part<'_> {
    /// A part of the examination, or that it took too long, or was interrupted.
    async fn play<T>(&self, what: &str, part: impl Future<Output = T>) -> Result<T, Checked> {
        let limit = self.site.wait * ANSWERS;
        let mut checked = Checked::default();
        match self.interrupt.unless(timeout(limit, part)).await {
            Some(Ok(played)) => return Ok(played),
            None => checked.skipped.push(format!("{what}: interrupted")),
            Some(Err(_)) => {
                let seen = format!(
                    "{what} took more than {} s, and the rest of it was not looked at",
                    limit.as_secs()
                );
                checked.add(Finding::new(Fault::Unfinished, what, seen));
            }
        }
        Err(checked)
    }
}

/// Whether the address can be one that only this machine reaches.
fn is_of_this_machine(address: &Address) -> bool {
    match address.base.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}
