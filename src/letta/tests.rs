//! Letta's side played by a server on loopback that may be slow, lie, or be gone.

use std::io;
use std::sync::atomic::AtomicUsize;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

const CANARY: &str = "canary-5c1f";
const TOKEN: &str = "token-canary-5c1f";

/// What the stub does with one request.
enum Act {
    Json(Value),
    Text(&'static str),
    Status(&'static str),
    /// Says how much will come, and sends that much in small pieces.
    Declared(usize),
    /// Sends without end, and without saying how much.
    Endless,
    /// Sends a byte now and then.
    Trickle,
    Silence,
    HangUp,
}

/// A server that plays Letta, gone with the value.
struct Stub {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    /// `act` sees the request line's target; every request must bear the token and name no client.
    async fn start(act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let sent: Arc<AtomicUsize> = Arc::default();
        let act = Arc::new(act);
        let (seen, count) = (Arc::clone(&asked), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (act, seen, count) = (Arc::clone(&act), Arc::clone(&seen), Arc::clone(&count));
                tokio::spawn(async move {
                    let Some(head) = head_of(&mut stream).await else {
                        return;
                    };
                    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    seen.lock().unwrap().push(target.clone());
                    let head = head.to_lowercase();
                    let fits = head.contains(&format!("authorization: bearer {TOKEN}"))
                        && !head.contains("user-agent:");
                    let act = if fits {
                        act(&target)
                    } else {
                        Act::Status("400 Bad Request")
                    };
                    let _ = play(&mut stream, act, &count).await;
                });
            }
        });
        Self {
            url,
            asked,
            sent,
            task,
        }
    }

    fn settings(&self) -> Settings {
        settings_at(&self.url)
    }

    fn letta(&self) -> Letta {
        Letta::from_settings(Some(self.settings()))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn settings_at(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        token: Secret::new(TOKEN),
        agent: None,
        scope: Scope::Merged,
    }
}

/// For servers that never answer.
fn impatient() -> Limits {
    Limits {
        request: Duration::from_millis(400),
        ..Limits::default()
    }
}

async fn head_of(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

async fn play(stream: &mut TcpStream, act: Act, sent: &AtomicUsize) -> io::Result<()> {
    const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n";
    match act {
        Act::Json(value) => text(stream, OK, &value.to_string()).await,
        Act::Text(body) => text(stream, OK, body).await,
        Act::Status(status) => {
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
            text(stream, &head, &format!("{{\"detail\":\"{CANARY}\"}}")).await
        }
        Act::Declared(length) => {
            let head = format!("{OK}content-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            flood(stream, sent, length).await
        }
        Act::Endless => {
            stream.write_all(format!("{OK}\r\n[\"").as_bytes()).await?;
            flood(stream, sent, usize::MAX).await
        }
        Act::Trickle => {
            stream.write_all(format!("{OK}\r\n[").as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Act::Silence => std::future::pending().await,
        Act::HangUp => Ok(()),
    }
}

async fn text(stream: &mut TcpStream, head: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let whole = format!("{head}content-length: {length}\r\n\r\n{body}");
    stream.write_all(whole.as_bytes()).await
}

async fn flood(stream: &mut TcpStream, sent: &AtomicUsize, length: usize) -> io::Result<()> {
    let chunk = [b'x'; 64 * 1024];
    while sent.load(Ordering::Relaxed) < length {
        stream.write_all(&chunk).await?;
        sent.fetch_add(chunk.len(), Ordering::Relaxed);
    }
    Ok(())
}

/// An agent as Letta's API gives it, shortened.
fn agent(id: &str, secrets: &[(&str, &str)]) -> Value {
    let list: Vec<_> = secrets
        .iter()
        .map(
            |(key, value)| json!({"id": "agent-env-1", "key": key, "value": value, "agent_id": id}),
        )
        .collect();
    json!({"id": id, "name": "n", "tool_exec_environment_variables": list, "secrets": list})
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(own).collect()
}

/// A Letta with these agents, newest first, that pages as Letta does.
fn paging(agents: Vec<Value>) -> impl Fn(&str) -> Act {
    move |target| {
        let url = reqwest::Url::parse("http://x")
            .unwrap()
            .join(target)
            .unwrap();
        let find = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        if find("include").as_deref() != Some("agent.secrets") {
            return Act::Status("500 No Include");
        }
        if let Some(id) = url
            .path()
            .strip_prefix("/v1/agents/")
            .filter(|id| !id.is_empty())
        {
            let found = agents.iter().find(|agent| agent["id"] == *id);
            return found.map_or(Act::Status("404 Not Found"), |agent| {
                Act::Json(agent.clone())
            });
        }
        if url.path() != "/v1/agents/" {
            return Act::Status("307 Temporary Redirect");
        }
        let start = match find("after") {
            None => 0,
            Some(id) => 1 + agents.iter().position(|agent| agent["id"] == *id).unwrap(),
        };
        let length: usize = find("limit").unwrap().parse().unwrap();
        let end = agents.len().min(start + length);
        Act::Json(json!(agents[start..end]))
    }
}

/// Log lines of this thread, down to the libraries' own.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn warnings(&self) -> Vec<String> {
        let text = self.text();
        let warnings = text.lines().filter(|line| line.contains(" WARN "));
        warnings.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn without_settings_nobody_is_asked_and_nothing_comes() {
    let letta = Letta::from_settings(None);
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await, []);
    assert_eq!(letta.environment_for(Some("agent-1")).await, []);
}

#[tokio::test]
async fn all_pages_are_loaded_and_each_agent_gets_its_own() {
    let agents = (0..230).map(|n| {
        let (id, name) = (format!("agent-{n}"), format!("KEY_{n}"));
        agent(&id, &[(&name, "v"), ("SHARED", "same")])
    });
    let stub = Stub::start(paging(agents.collect())).await;
    let letta = stub.letta();
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await.len(), 231);
    let own = letta.environment_for(Some("agent-229")).await;
    assert_eq!(own, pairs(&[("KEY_229", "v"), ("SHARED", "same")]));
    let asked = stub.asked();
    assert_eq!(asked[0], "/v1/agents/?limit=100&include=agent.secrets");
    assert_eq!(
        asked[1],
        "/v1/agents/?limit=100&include=agent.secrets&after=agent-99"
    );
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn a_server_that_has_the_list_without_a_slash_is_asked_there() {
    let stub = Stub::start(|target| match target.split('?').next() {
        Some("/letta/v1/agents") => Act::Json(json!([agent("agent-1", &[("A", "1")])])),
        _ => Act::Status("404 Not Found"),
    })
    .await;
    let letta = Letta::from_settings(Some(settings_at(&format!("{}/letta", stub.url))));
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await, pairs(&[("A", "1")]));
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let long = "x".repeat(60_000);
    let agents = (0..120).map(|n| agent(&format!("agent-{n}"), &[(&format!("K{n}"), &long)]));
    let stub = Stub::start(paging(agents.collect())).await;
    let letta = stub.letta();
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    drop(guard);
    assert_eq!(letta.environment_for(Some("agent-119")).await.len(), 1);
    assert!(stub.asked()[1].contains("limit=25"), "{:?}", stub.asked());
}

#[tokio::test]
async fn a_conflict_is_settled_by_the_order_of_letta_and_said() {
    let stub = Stub::start(paging(vec![
        agent("agent-b", &[("K", CANARY), ("ONLY_B", "b")]),
        agent("agent-a", &[("K", "a")]),
    ]))
    .await;
    let letta = stub.letta();
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    drop(guard);
    assert_eq!(
        letta.environment_for(None).await,
        pairs(&[("K", "a"), ("ONLY_B", "b")])
    );
    let own = letta.environment_for(Some("agent-b")).await;
    assert_eq!(own, pairs(&[("K", CANARY), ("ONLY_B", "b")]));
    let warnings = lines.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("agents differ in K:"), "{warnings:?}");
}

#[tokio::test]
async fn scope_agent_gives_a_call_without_an_agent_nothing() {
    let stub = Stub::start(paging(vec![agent("agent-a", &[("K", "a")])])).await;
    let letta = Letta::from_settings(Some(Settings {
        scope: Scope::Agent,
        ..stub.settings()
    }));
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await, []);
    assert_eq!(
        letta.environment_for(Some("agent-a")).await,
        pairs(&[("K", "a")])
    );
}

#[tokio::test]
async fn agents_may_differ_where_no_call_gets_the_variables_of_several() {
    let stub = Stub::start(paging(vec![
        agent("agent-a", &[("K", "a"), ("PATH", "/a")]),
        agent("agent-b", &[("K", "b")]),
    ]))
    .await;
    let letta = Letta::from_settings(Some(Settings {
        scope: Scope::Agent,
        ..stub.settings()
    }));
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    drop(guard);
    let warnings = lines.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("refused: PATH"), "{warnings:?}");
}

/// Letta with two agents that have a variable of one name.
async fn two_agents() -> Stub {
    let agents = vec![
        agent("agent-a", &[("K", "a")]),
        agent("agent-b", &[("K", "b")]),
    ];
    Stub::start(paging(agents)).await
}

#[tokio::test]
async fn the_agent_that_is_set_is_the_only_one_loaded() {
    let stub = two_agents().await;
    let letta = Letta::from_settings(Some(Settings {
        agent: Some("agent-b".into()),
        ..stub.settings()
    }));
    letta.load_at_start().await;
    for caller in [None, Some("agent-b"), Some("agent-a")] {
        let variables = letta.environment_for(caller).await;
        assert_eq!(variables, pairs(&[("K", "b")]), "{caller:?}");
    }
    assert_eq!(stub.asked(), ["/v1/agents/agent-b?include=agent.secrets"]);
}

#[tokio::test]
async fn under_scope_agent_the_agent_that_is_set_alone_gets_its_variables() {
    let stub = two_agents().await;
    let letta = Letta::from_settings(Some(Settings {
        agent: Some("agent-b".into()),
        scope: Scope::Agent,
        ..stub.settings()
    }));
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await, []);
    assert_eq!(letta.environment_for(Some("agent-a")).await, []);
    let own = letta.environment_for(Some("agent-b")).await;
    assert_eq!(own, pairs(&[("K", "b")]));
    assert_eq!(stub.asked().len(), 1, "no other agent is asked for");
}

#[tokio::test]
async fn scope_all_gives_every_call_everything() {
    let stub = Stub::start(paging(vec![
        agent("agent-a", &[("A", "a")]),
        agent("agent-b", &[("B", "b")]),
    ]))
    .await;
    let letta = Letta::from_settings(Some(Settings {
        scope: Scope::All,
        ..stub.settings()
    }));
    letta.load_at_start().await;
    for caller in [None, Some("agent-a"), Some("agent-new")] {
        let variables = letta.environment_for(caller).await;
        assert_eq!(variables, pairs(&[("A", "a"), ("B", "b")]), "{caller:?}");
    }
    assert_eq!(stub.asked().len(), 2, "only the pages of the start");
}

#[tokio::test]
async fn a_call_that_stops_waiting_for_letta_ends_at_once_and_spoils_nothing() {
    let slow = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let stub = Stub::start({
        let slow = Arc::clone(&slow);
        move |target| match target.split('?').next() {
            Some("/v1/agents/agent-new") if slow.load(Ordering::Relaxed) => Act::Silence,
            Some("/v1/agents/agent-new") => Act::Json(agent("agent-new", &[("N", "1")])),
            _ => Act::Json(json!([])),
        }
    })
    .await;
    let letta = stub.letta();
    letta.load_at_start().await;
    let waiting = letta.environment_for(Some("agent-new"));
    let given_up = tokio::time::timeout(Duration::from_millis(100), waiting).await;
    assert!(given_up.is_err(), "Letta does not answer");
    slow.store(false, Ordering::Relaxed);
    let variables = letta.environment_for(Some("agent-new")).await;
    assert_eq!(variables, pairs(&[("N", "1")]));
}

#[tokio::test]
async fn both_lists_count_and_the_one_that_says_more_wins() {
    let stub = Stub::start(|_| {
        Act::Json(json!([{
            "id": "agent-a",
            "tool_exec_environment_variables": [
                {"key": " OLD ", "value": "1"}, {"key": "BOTH", "value": "old"},
                {"key": "HALF", "value": "known"}, {"key": "EMPTIED", "value": "known"},
            ],
            "secrets": [
                {"key": "BOTH", "value": "new"}, {"key": "HALF", "value": "<encrypted>"},
                {"key": "HIDDEN", "value": "<encrypted>"}, {"key": "EMPTIED", "value": null},
                {"key": "NULL", "value": null}, {"key": "NUMBER", "value": 5}, {"key": 7}, "noise",
            ],
        }, {"id": "agent-b", "secrets": {"not": "a list"}}, {"no": "id"}]))
    })
    .await;
    let letta = stub.letta();
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    drop(guard);
    let expected = [
        ("BOTH", "new"),
        ("EMPTIED", "known"),
        ("HALF", "known"),
        ("NULL", ""),
        ("OLD", "1"),
    ];
    assert_eq!(
        letta.environment_for(Some("agent-a")).await,
        pairs(&expected)
    );
    assert_eq!(letta.environment_for(Some("agent-b")).await, []);
    let warnings = lines.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("HIDDEN: Letta did not decrypt"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn refused_names_are_named_in_a_warning_and_reach_no_plugin() {
    let stub = Stub::start(paging(vec![agent(
        "agent-a",
        &[
            ("PATH", CANARY),
            ("LD_PRELOAD", CANARY),
            ("SMCP_TOOL", CANARY),
            ("A\u{1b}[2J", CANARY),
            ("OK", "1"),
        ],
    )]))
    .await;
    let letta = stub.letta();
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    drop(guard);
    assert_eq!(letta.environment_for(None).await, pairs(&[("OK", "1")]));
    assert_eq!(
        letta.environment_for(Some("agent-a")).await,
        pairs(&[("OK", "1")])
    );
    let text = lines.text();
    assert!(
        text.contains("LD_PRELOAD, PATH, SMCP_TOOL: it would change"),
        "{text}"
    );
    assert!(!text.contains(CANARY) && !text.contains('\u{1b}'), "{text}");
}

#[tokio::test]
async fn whatever_letta_does_is_one_warning_and_the_start_goes_on() {
    type Play = fn(&str) -> Act;
    let cases: [(&str, Play, &str); 12] = [
        ("silence", |_| Act::Silence, "did not answer within 0.4 s"),
        ("trickle", |_| Act::Trickle, "did not answer within"),
        ("hangs up", |_| Act::HangUp, "cannot be reached"),
        (
            "no JSON",
            |_| Act::Text("canary-5c1f"),
            "answered what is no JSON",
        ),
        (
            "half a JSON",
            |_| Act::Text(r#"[{"id":"canary-5c1f"#),
            "no JSON",
        ),
        ("deep", |_| Act::Json(nested()), "no JSON"),
        (
            "object",
            |_| Act::Json(json!({"agents": []})),
            "no array of agents",
        ),
        (
            "strings",
            |_| Act::Json(json!(["canary-5c1f"])),
            "something else than agents",
        ),
        (
            "401",
            |_| Act::Status("401 Unauthorized"),
            "check LETTA_SERVER_PASSWORD",
        ),
        (
            "500",
            |_| Act::Status("500 Internal Server Error"),
            "answered 500",
        ),
        (
            "redirect",
            |_| Act::Status("302 Found\r\nlocation: /v1/elsewhere"),
            "answered 302 Found, which is not followed",
        ),
        ("204", |_| Act::Status("204 No Content"), "answered 204"),
    ];
    for (name, act, expected) in cases {
        let stub = Stub::start(act).await;
        let limits = if expected.contains("did not answer") {
            impatient()
        } else {
            Limits::default()
        };
        let letta = Letta::with(Some(stub.settings()), limits, RETRY_AFTER);
        let lines = Lines::default();
        let guard = lines.capture();
        letta.load_at_start().await;
        assert_eq!(letta.environment_for(None).await, [], "{name}");
        assert_eq!(letta.environment_for(Some("agent-a")).await, [], "{name}");
        drop(guard);
        let warnings = lines.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains(expected),
            "{name}: {warnings:?}"
        );
        assert!(!lines.text().contains(CANARY), "{name}: {}", lines.text());
        assert!(
            !stub
                .asked()
                .iter()
                .any(|target| target.contains("elsewhere")),
            "{name}"
        );
    }
}

fn nested() -> Value {
    (0..200).fold(json!(1), |inside, _| json!([inside]))
}

#[tokio::test]
async fn a_hundred_megabytes_are_not_taken() {
    const MEGABYTES_100: usize = 100 * 1024 * 1024;
    type Play = fn(&str) -> Act;
    let cases: [(Play, usize); 2] = [
        // Refused at the declared length: nothing but what fits into the sockets' buffers is sent.
        (|_| Act::Declared(MEGABYTES_100), 32 * 1024 * 1024),
        (|_| Act::Endless, 64 * 1024 * 1024),
    ];
    for (act, most) in cases {
        let stub = Stub::start(act).await;
        let letta = stub.letta();
        let lines = Lines::default();
        let guard = lines.capture();
        letta.load_at_start().await;
        drop(guard);
        let warnings = lines.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains("more than 4194304 bytes"),
            "{warnings:?}"
        );
        let sent = stub.sent.load(Ordering::Relaxed);
        assert!(sent < most, "{sent} bytes were sent");
    }
}

#[tokio::test]
async fn a_letta_that_is_down_is_one_warning() {
    let stub = Stub::start(|_| Act::HangUp).await;
    let url = stub.url.clone();
    stub.task.abort();
    while !stub.task.is_finished() {
        tokio::task::yield_now().await;
    }
    let letta = Letta::from_settings(Some(settings_at(&url)));
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    drop(guard);
    let warnings = lines.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].to_lowercase().contains("connection refused"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_url_that_cannot_be_asked_is_one_warning_that_shows_no_password() {
    for url in [
        "not a url",
        "ftp://letta",
        "http://user:token-canary-5c1f@127.0.0.1:1",
        "/v1",
    ] {
        let letta = Letta::from_settings(Some(settings_at(url)));
        let lines = Lines::default();
        let guard = lines.capture();
        letta.load_at_start().await;
        assert_eq!(letta.environment_for(Some("agent-a")).await, []);
        drop(guard);
        let warnings = lines.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains("LETTA_SERVER_URL"),
            "{url}: {warnings:?}"
        );
        let shown = format!("{} {letta:?}", lines.text());
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}

#[tokio::test]
async fn what_was_loaded_before_a_page_failed_is_kept() {
    let stub = Stub::start(|target| {
        if target.contains("after=") {
            Act::Status("500 Internal Server Error")
        } else {
            Act::Json(json!([agent("agent-1", &[("A", "1")])]))
        }
    })
    .await;
    let letta = stub.letta();
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    drop(guard);
    assert_eq!(
        letta.environment_for(Some("agent-1")).await,
        pairs(&[("A", "1")])
    );
    assert_eq!(lines.warnings().len(), 1);
}

#[tokio::test]
async fn a_server_that_gives_its_first_page_for_ever_is_asked_twice() {
    let stub = Stub::start(|_| Act::Json(json!([agent("agent-1", &[("A", "1")])]))).await;
    stub.letta().load_at_start().await;
    assert_eq!(stub.asked().len(), 2);
}

#[tokio::test]
async fn a_server_that_invents_agents_for_ever_is_stopped_at_the_limit() {
    let next = AtomicUsize::new(0);
    let stub = Stub::start(move |_| {
        let n = next.fetch_add(1, Ordering::Relaxed);
        Act::Json(json!([agent(&format!("agent-{n}"), &[("A", "1")])]))
    })
    .await;
    let limits = Limits {
        agents: 20,
        ..Limits::default()
    };
    let letta = Letta::with(Some(stub.settings()), limits, RETRY_AFTER);
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    drop(guard);
    assert_eq!(stub.asked().len(), 21);
    assert!(lines.warnings()[0].contains("only 20 agents were loaded"));
    assert_eq!(letta.environment_for(Some("agent-3")).await.len(), 1);
}

#[tokio::test]
async fn an_agent_that_came_later_is_fetched_once_for_all_who_call() {
    let stub = Stub::start(|target| match target {
        "/v1/agents/agent-new?include=agent.secrets" => {
            Act::Json(agent("agent-new", &[("N", "1")]))
        }
        _ => Act::Json(json!([])),
    })
    .await;
    let letta = stub.letta();
    letta.load_at_start().await;
    let calls = (0..20).map(|_| letta.environment_for(Some("agent-new")));
    for variables in futures_util::future::join_all(calls).await {
        assert_eq!(variables, pairs(&[("N", "1")]));
    }
    letta.environment_for(Some("agent-new")).await;
    assert_eq!(stub.asked().len(), 2);
    // Without an agent, a call gets what was there at the start.
    assert_eq!(letta.environment_for(None).await, []);
}

#[tokio::test]
async fn an_agent_that_letta_does_not_know_is_asked_for_again_only_after_a_while() {
    let stub = Stub::start(|target| match target.contains("agent-gone") {
        true => Act::Status("404 Not Found"),
        false => Act::Json(json!([])),
    })
    .await;
    let lines = Lines::default();
    let guard = lines.capture();
    for (retry_after, requests) in [(Duration::from_secs(3600), 1), (Duration::ZERO, 3)] {
        let letta = Letta::with(Some(stub.settings()), Limits::default(), retry_after);
        letta.load_at_start().await;
        let before = stub.asked().len();
        for _ in 0..3 {
            assert_eq!(letta.environment_for(Some("agent-gone")).await, []);
        }
        assert_eq!(stub.asked().len(), before + requests);
    }
    drop(guard);
    assert_eq!(lines.warnings(), [""; 0]);
}

#[tokio::test]
async fn ids_that_are_no_path_segment_are_never_asked_for() {
    let stub = Stub::start(|_| Act::Json(json!([]))).await;
    let letta = stub.letta();
    letta.load_at_start().await;
    let before = stub.asked().len();
    let long = "a".repeat(1000);
    for id in [
        "", "..", "../tools", "a/b", "a?b=c", "a#b", "a%2fb", "a b", "ü", &long,
    ] {
        assert_eq!(letta.environment_for(Some(id)).await, [], "{id}");
    }
    assert_eq!(stub.asked().len(), before);
}

#[tokio::test]
async fn another_agent_than_the_one_asked_for_is_not_taken() {
    let stub = Stub::start(|target| match target.contains("agent-a?") {
        true => Act::Json(agent("agent-b", &[("K", CANARY)])),
        false => Act::Json(json!([])),
    })
    .await;
    let letta = stub.letta();
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(Some("agent-a")).await, []);
}

#[tokio::test]
async fn many_failing_agents_are_one_warning() {
    let stub = Stub::start(|target| match target.contains("limit=") {
        true => Act::Json(json!([])),
        false => Act::Status("500 Internal Server Error"),
    })
    .await;
    let letta = stub.letta();
    letta.load_at_start().await;
    let lines = Lines::default();
    let guard = lines.capture();
    for n in 0..20 {
        letta.environment_for(Some(&format!("agent-{n}"))).await;
    }
    drop(guard);
    assert_eq!(lines.warnings().len(), 1);
}

#[tokio::test]
async fn calls_wait_for_the_load_that_is_under_way() {
    let stub = Stub::start(paging(vec![agent("agent-a", &[("K", "a")])])).await;
    let letta = stub.letta();
    // The load is polled first and holds its place before the call looks.
    let ((), variables) = tokio::join!(letta.load_at_start(), letta.environment_for(None));
    assert_eq!(variables, pairs(&[("K", "a")]));
}

#[tokio::test]
async fn no_value_and_no_password_is_in_any_log_line_or_debug_output() {
    let stub = Stub::start(paging(vec![
        agent("agent-a", &[("K", CANARY), ("PATH", CANARY)]),
        agent("agent-b", &[("K", "other-canary-5c1f")]),
    ]))
    .await;
    let letta = stub.letta();
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    let own = letta.environment_for(Some("agent-a")).await;
    tracing::info!(?letta, settings = ?stub.settings(), "shown");
    drop(guard);
    assert_eq!(own, pairs(&[("K", CANARY)]));
    let shown = lines.text();
    assert!(
        shown.contains("loaded the agents' variables") && shown.contains("agent-b"),
        "{shown}"
    );
    // The libraries speak too at this level, so that what they say is looked at as well.
    assert!(
        shown.contains("TRACE") || shown.contains("DEBUG"),
        "{shown}"
    );
    assert!(!shown.contains("canary-5c1f"), "{shown}");
}
