//! The commands of each page, run one after the other in one shell, as a reader would type them.
//!
//! A page has a directory of its own with the bundled plugins in `plugins/`, and free ports for those that it names.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::compare::{json_matches, line_matches, text_matches};
use super::pages::{self, Block, Mark, Page, root};
use super::support::{s, until};

/// The ports that pages name.
const PORTS: [&str; 2] = ["8000", "8001"];

#[test]
fn what_the_pages_run_is_what_they_show() {
    let pages: Vec<Page> = pages::for_users()
        .into_iter()
        .filter(|page| page.blocks.iter().any(is_run))
        .collect();
    assert!(!pages.is_empty(), "only {} pages run anything", pages.len());
    let faults: Vec<String> = std::thread::scope(|scope| {
        let walks: Vec<_> = pages
            .iter()
            .map(|page| scope.spawn(|| Walk::of(page).faults(page)))
            .collect();
        walks
            .into_iter()
            .flat_map(|walk| walk.join().expect("a walk collects faults"))
            .collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn a_page_that_shows_something_else_is_noticed() {
    let page = pages::parse(
        "page",
        "<!-- run -->\n```sh\necho a\n```\n<!-- output -->\n```text\nb\n```\n<!-- run -->\n```sh\nfalse\ntrue\n```\n",
    );
    let faults = Walk::of(&page).faults(&page);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("page:6: shows"), "{faults:?}");
    assert!(faults[1].starts_with("page:10: did not end"), "{faults:?}");
}

fn is_run(block: &Block) -> bool {
    matches!(block.mark, Some(Mark::Run(_) | Mark::Serve))
}

/// A page whose commands have been run. Dropping it ends what they left behind.
struct Walk {
    directory: tempfile::TempDir,
    ports: Vec<String>,
}

impl Walk {
    fn of(page: &Page) -> Self {
        let directory = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a directory for temporary files");
        let ports = free_ports();
        let walk = Self { directory, ports };
        walk.lay_out();
        walk.run(&walk.script(page));
        walk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn lay_out(&self) {
        for name in ["bin", "home", "work", "steps"] {
            fs::create_dir(self.path(name)).expect("a new directory");
        }
        for plugin in ["demo_math", "demo_text"] {
            let to = self.path("work/plugins").join(plugin);
            fs::create_dir_all(&to).expect("a new directory");
            let from = root().join("plugins").join(plugin).join("cli.py");
            fs::copy(from, to.join("cli.py")).expect("the plugin can be copied");
        }
        // Its process keeps this number when it becomes the server.
        let wrapper = format!(
            "#!/bin/sh\necho $$ >>'{}'\nexec '{}' \"$@\"\n",
            self.path("processes").display(),
            env!("CARGO_BIN_EXE_smcp")
        );
        write_file(&self.path("bin/smcp"), &wrapper);
    }

    /// One script for the whole page: variables live on from block to block.
    fn script(&self, page: &Page) -> String {
        let mut script = String::from(
            "server=\nstop() { [ -z \"$server\" ] || { kill \"$server\"; wait \"$started\"; server=; } 2>/dev/null; }\ntrap stop EXIT\n",
        );
        for (at, block) in page.blocks.iter().enumerate() {
            let step = self.path("steps").join(at.to_string());
            let step = step.display();
            match &block.mark {
                Some(Mark::Run(_) | Mark::Serve | Mark::Setup) => {
                    write_file(
                        Path::new(&step.to_string()),
                        &self.with_own_ports(&block.text),
                    );
                }
                Some(Mark::File(path)) => {
                    write_file(Path::new(&step.to_string()), &block.text);
                    script +=
                        &format!("mkdir -p \"$(dirname '{path}')\"; cp -p '{step}' '{path}'\n");
                }
                _ => {}
            }
            match &block.mark {
                Some(Mark::Run(0) | Mark::Setup) => {
                    script += &format!(
                        "set -e; . '{step}' >'{step}.out' 2>'{step}.err'; set +e; echo 0 >'{step}.status'\n"
                    );
                }
                Some(Mark::Run(_)) => {
                    script += &format!(
                        ". '{step}' >'{step}.out' 2>'{step}.err'; echo $? >'{step}.status'\n"
                    );
                }
                Some(Mark::Serve) => script += &self.serving(page, at),
                Some(Mark::LinesOf(file, _)) => {
                    script += &format!(
                        "cp '{file}' '{step}.out'
"
                    )
                }
                _ => {}
            }
        }
        script
    }

    /// Starts a server and waits until it is ready and has said as much as the page shows.
    fn serving(&self, page: &Page, at: usize) -> String {
        let step = self.path("steps").join(at.to_string());
        let step = step.display();
        let port = match page.blocks[at].text.contains(PORTS[1]) {
            false => &self.ports[0],
            true => &self.ports[1],
        };
        let shown = match page
            .blocks
            .get(at + 1)
            .map(|block| (&block.mark, &block.text))
        {
            Some((Some(Mark::Output(_)), text)) => text.lines().count(),
            _ => 0,
        };
        let processes = self.path("processes");
        let processes = processes.display();
        // On a machine that is busy the start lists only the plugins that have answered by then.
        format!(
            "for attempt in 1 2 3 4 5; do stop\n( . '{step}' ) >'{step}.out' 2>'{step}.err' & started=$!\n\
             until curl -fs -o /dev/null http://127.0.0.1:{port}/readyz; do kill -0 $started || exit; sleep 0.05; done\n\
             server=$(tail -n 1 '{processes}')\n\
             for wait in $(seq 100); do [ \"$(wc -l <'{step}.out')\" -ge {shown} ] && break; sleep 0.05; done\n\
             grep -q 'not answered yet' '{step}.out' || break; done\necho 0 >'{step}.status'\n"
        )
    }

    fn run(&self, script: &str) {
        let file = self.path("script");
        write_file(&file, script);
        let search = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        let settings = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            let name = name.to_string_lossy();
            ["MCP_", "SMCP_", "LETTA_"]
                .iter()
                .any(|start| name.starts_with(start))
        });
        for name in settings {
            command.env_remove(name);
        }
        let mut shell = command
            .arg(&file)
            .current_dir(self.path("work"))
            .env("HOME", self.path("home"))
            .env("PATH", format!("{}:{search}", self.path("bin").display()))
            .env("MCP_PORT", &self.ports[0])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path("script.err")).expect("a new file"))
            .process_group(0)
            .spawn()
            .expect("bash is installed");
        let id = pid(shell.id()).expect("a child has a number");
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("a page's commands end", s(120), || {
                shell.try_wait().expect("a child of ours")
            })
        }));
        if ended.is_err() {
            let _ = kill_process_group(id, Signal::KILL);
            let _ = shell.wait();
        }
    }

    fn faults(&self, page: &Page) -> Vec<String> {
        let mut faults = Vec::new();
        let mut last = None;
        for (at, block) in page.blocks.iter().enumerate() {
            let place = format!("{}:{}:", page.name, block.line);
            let printed = |kind: &str| self.printed(at, kind);
            match &block.mark {
                Some(Mark::Run(_) | Mark::Serve | Mark::Setup) => {
                    let wanted = match block.mark {
                        Some(Mark::Run(status)) => status,
                        _ => 0,
                    };
                    if printed("status").trim() != wanted.to_string() {
                        let (text, out, err) = (&block.text, printed("out"), printed("err"));
                        let ended = printed("status");
                        faults.push(format!(
                            "{place} did not end with {wanted} ({}):\n{text}\nIt printed:\n{out}{err}",
                            ended.trim()
                        ));
                    }
                    last = Some((at, wanted));
                }
                Some(Mark::Output(varies)) => {
                    let Some((run, status)) = last else {
                        faults.push(format!("{place} shows the output of nothing"));
                        continue;
                    };
                    let mut printed = self.printed(run, "out");
                    if status != 0 {
                        printed += &self.printed(run, "err");
                    }
                    if !shows(block, &printed, varies) {
                        faults.push(format!(
                            "{place} shows\n{}\nand this was printed:\n{printed}",
                            block.text
                        ));
                    }
                }
                Some(Mark::LinesOf(file, varies)) => {
                    let content = self.printed(at, "out");
                    for line in block.text.lines() {
                        if !content.lines().any(|real| line_matches(line, real, varies)) {
                            faults.push(format!(
                                "{place} no line of {file} is like\n{line}\nIt has:\n{content}"
                            ));
                        }
                    }
                }
                _ => {}
            }
        }
        faults
    }

    /// What a step printed, with the ports that the page names.
    fn printed(&self, step: usize, kind: &str) -> String {
        let file = self.path("steps").join(format!("{step}.{kind}"));
        let mut text = fs::read_to_string(file).unwrap_or_default();
        for (own, named) in self.ports.iter().zip(PORTS) {
            text = text.replace(own.as_str(), named);
        }
        text
    }

    fn with_own_ports(&self, text: &str) -> String {
        PORTS
            .iter()
            .zip(&self.ports)
            .fold(text.to_owned(), |text, (named, own)| {
                text.replace(named, own)
            })
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        let started = fs::read_to_string(self.path("processes")).unwrap_or_default();
        for number in started.lines().filter_map(|line| line.parse().ok()) {
            let program = fs::read_link(format!("/proc/{number}/exe"));
            if program.is_ok_and(|program| program == Path::new(env!("CARGO_BIN_EXE_smcp")))
                && let Some(id) = pid(number)
            {
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }
}

fn shows(block: &Block, printed: &str, varies: &[String]) -> bool {
    if block.language != "json" {
        return text_matches(&block.text, printed, varies);
    }
    let shown = serde_json::from_str(&block.text);
    let printed = serde_json::from_str(printed);
    matches!((shown, printed), (Ok(shown), Ok(printed)) if json_matches(&shown, &printed, varies))
}

fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(number.try_into().ok()?)
}

/// A free port for each that pages name, from below the range that the system gives to outgoing connections.
fn free_ports() -> Vec<String> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let free = std::iter::repeat_with(|| {
        let at = std::process::id().wrapping_mul(61) + GIVEN.fetch_add(1, Ordering::Relaxed);
        20_000 + at % 10_000
    })
    .filter(|port| TcpListener::bind(format!("0.0.0.0:{port}")).is_ok());
    free.take(PORTS.len())
        .map(|port| port.to_string())
        .collect()
}

/// Writes a file that can be executed where it begins with `#!`.
fn write_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
}
