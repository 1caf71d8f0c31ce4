//! The tour of the README, walked: what it shows is what the program answers.
//!
//! Knows the README only as blocks: a `sh` block with a request is followed by the `json` it gets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long the server may take to say where it listens, and then to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// One step of the tour: the body that curl sends and the answer that is shown for it.
struct Step {
    request: String,
    shown: String,
}

#[tokio::test]
async fn every_request_of_the_tour_gets_the_answer_that_is_shown() {
    let page = read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("README.md")
            .as_path(),
    );
    let steps = steps(&page);
    assert!(
        steps.len() >= 4,
        "the tour has {} requests with an answer",
        steps.len()
    );
    let folder = tempfile::tempdir().expect("the system has a directory for temporary files");
    lay_out_plugins(folder.path(), &page);
    let server = Server::start(folder.path());
    let client = reqwest::Client::new();
    server.ready(&client).await;
    for Step { request, shown } in steps {
        let answer = client
            .post(format!("{}/messages/", server.address))
            .header("Content-Type", "application/json")
            .body(request.clone())
            .send()
            .await
            .unwrap_or_else(|error| panic!("{request}: {error}"));
        let answer = answer
            .text()
            .await
            .unwrap_or_else(|error| panic!("{request}: {error}"));
        let value = |text: &str| {
            serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        assert_eq!(
            value(&answer),
            value(&shown),
            "{request} is answered with\n{answer}"
        );
    }
}

#[test]
fn a_step_is_a_request_and_the_block_after_it() {
    let page = "```sh\ncurl -d '{\"id\":1}'\n```\n\ntext\n\n```json\n{\"a\": 1}\n```\n```sh\nls\n```\n```json\n2\n```\n";
    let steps = steps(page);
    assert_eq!(steps.len(), 1);
    assert_eq!(
        (steps[0].request.as_str(), steps[0].shown.as_str()),
        ("{\"id\":1}", "{\"a\": 1}")
    );
}

/// The bundled plugins and the one that the tour writes.
fn lay_out_plugins(folder: &Path, page: &str) {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins");
    for plugin in ["demo_math", "demo_text"] {
        std::os::unix::fs::symlink(bundled.join(plugin), folder.join(plugin))
            .expect("the directory is new and ours");
    }
    let (_, program) = page
        .split_once("<<'PY'\n")
        .expect("the tour writes a plugin");
    let (program, _) = program.split_once("\nPY\n").expect("the plugin has an end");
    std::fs::create_dir(folder.join("greet")).expect("the directory is new and ours");
    std::fs::write(folder.join("greet/cli.py"), program).expect("the directory is new and ours");
}

fn steps(page: &str) -> Vec<Step> {
    let blocks = blocks(page);
    let pairs = blocks
        .windows(2)
        .filter(|pair| pair[0].0 == "sh" && pair[1].0 == "json");
    pairs
        .filter_map(|pair| {
            let (_, body) = pair[0].1.split_once("-d '")?;
            Some(Step {
                request: body.trim_end().trim_end_matches('\'').to_owned(),
                shown: pair[1].1.trim().to_owned(),
            })
        })
        .collect()
}

/// The fenced blocks of the page: language and text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, text))) => text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    blocks
}

/// The real program on a port of its own, ended with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(plugins: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_smcp"))
            .args(["--host", "127.0.0.1", "--port", "0", "--plugins-dir"])
            .arg(plugins)
            .env("MCP_DISABLE_FILE_LOG", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo has built the program");
        let (found, address) = std::sync::mpsc::channel();
        let stdout = child.stdout.take().expect("it was piped");
        let stderr = child.stderr.take().expect("it was piped");
        // Both are read to their end: a full pipe would block the server.
        std::thread::spawn({
            let found = found.clone();
            move || {
                BufReader::new(stdout)
                    .lines()
                    .map_while(Result::ok)
                    .filter_map(address_in)
                    .for_each(|at| drop(found.send(at)))
            }
        });
        std::thread::spawn(move || {
            BufReader::new(stderr)
                .lines()
                .map_while(Result::ok)
                .filter_map(address_in)
                .for_each(|at| drop(found.send(at)));
        });
        let address = address
            .recv_timeout(PATIENCE)
            .expect("the server says where it listens");
        Self { child, address }
    }

    async fn ready(&self, client: &reqwest::Client) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let answer = client.get(format!("{}/readyz", self.address)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not ready after {PATIENCE:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_in(line: String) -> Option<String> {
    let (_, rest) = line.split_once("http://127.0.0.1:")?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty()).then(|| format!("http://127.0.0.1:{port}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
