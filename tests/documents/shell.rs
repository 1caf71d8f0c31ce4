//! The commands of each page, run one after the other in one shell, as a reader would type them.
//!
//! A page has an empty directory of its own, as its reader has, and free ports for those that it names.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::compare::{json_matches, line_matches, text_matches};
use super::pages::{self, Block, Mark, Page, root};
use super::ports::free_ports;
use super::support::s;

/// What the script of a page can do.
const STEPS: &str = include_str!("steps.sh");

/// How many pages are run at once. A plugin that is asked what it can do has ten seconds: more pages would only take them
/// from each other.
const AT_ONCE: usize = 8;

/// The ports that pages name.
const PORTS: [&str; 2] = ["8000", "8001"];

#[test]
fn what_the_pages_run_is_what_they_show() {
    let mut pages: Vec<Page> = pages::for_users()
        .into_iter()
        .filter(|page| page.blocks.iter().any(is_run))
        .collect();
    assert!(pages.len() > 5, "only {} pages run anything", pages.len());
    // The longest first, so that none of them is left over at the end.
    pages.sort_by_key(|page| {
        std::cmp::Reverse(page.blocks.iter().filter(|block| is_run(block)).count())
    });
    let next = AtomicUsize::new(0);
    let walk = || {
        let mut faults = Vec::new();
        while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
            faults.extend(Walk::of(page).faults(page));
        }
        faults
    };
    let faults: Vec<String> = std::thread::scope(|scope| {
        let walkers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(walk)).collect();
        walkers
            .into_iter()
            .flat_map(|walker| walker.join().expect("a walk collects faults"))
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
        let ports = free_ports(PORTS.len());
        let ports = ports.iter().map(u16::to_string).collect();
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
        // The plugins of an older server, which had the demos.
        for plugin in ["demo_math", "demo_text"] {
            let to = self.path("older").join(plugin);
            fs::create_dir_all(&to).expect("a new directory");
            let from = root().join("plugins").join(plugin).join("cli.py");
            fs::copy(from, to.join("cli.py")).expect("the plugin can be copied");
        }
        // The page about the other ones copies them from there.
        std::os::unix::fs::symlink(root().join("plugins"), self.path("bundled"))
            .expect("a new link");
    }

    /// One script for the whole page: variables live on from block to block.
    fn script(&self, page: &Page) -> String {
        let mut script = format!(
            "page_steps='{}'\npage_processes='{}'\n{STEPS}\nprovide '{}' '{}'\n",
            self.path("steps").display(),
            self.path("processes").display(),
            self.path("bin/smcp").display(),
            env!("CARGO_BIN_EXE_smcp")
        );
        for (at, block) in page.blocks.iter().enumerate() {
            let commands = || self.with_own_ports(&block.text);
            let (line, content) = match &block.mark {
                Some(Mark::Run(0) | Mark::Setup) => (format!("run {at}"), commands()),
                Some(Mark::Run(_)) => (format!("fail {at}"), commands()),
                Some(Mark::Serve) => (self.serving(page, at), commands()),
                Some(Mark::File(path)) => (format!("place {at} '{path}'"), commands()),
                Some(Mark::LinesOf(file, _)) => (format!("keep {at} '{file}'"), String::new()),
                _ => continue,
            };
            write_file(&self.path("steps").join(at.to_string()), &content);
            script += &format!("{line}\n");
        }
        script
    }

    /// The server's port, and how many lines of its start the page shows.
    fn serving(&self, page: &Page, at: usize) -> String {
        let second = page.blocks[at].text.contains(PORTS[1]);
        let port = &self.ports[usize::from(second)];
        let shown = match page.blocks.get(at + 1) {
            Some(next) if matches!(next.mark, Some(Mark::Output(_))) => next.text.lines().count(),
            _ => 0,
        };
        format!("serve {at} {port} {shown}")
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
            // For pages whose readers have plugins of an older server; hidden preparations put them there.
            .env("OLDER_PLUGINS", self.path("older"))
            // What programs of the system print is shown in English.
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path("script.err")).expect("a new file"))
            .process_group(0)
            .spawn()
            .expect("bash is installed");
        let deadline = Instant::now() + s(300);
        while shell.try_wait().expect("a child of ours").is_none() {
            if Instant::now() > deadline {
                let id = pid(shell.id()).expect("a child has a number");
                let _ = kill_process_group(id, Signal::KILL);
                let _ = shell.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What is not as the page says.
    fn faults(&self, page: &Page) -> Vec<String> {
        let mut faults = Vec::new();
        // The block that was run last, and the status with which it should end.
        let mut last = None;
        for (at, block) in page.blocks.iter().enumerate() {
            let fault = match &block.mark {
                Some(Mark::Run(_) | Mark::Serve | Mark::Setup) => {
                    let wanted = match block.mark {
                        Some(Mark::Run(status)) => status,
                        _ => 0,
                    };
                    last = Some((at, wanted));
                    self.ended_otherwise(at, wanted, block)
                }
                Some(Mark::Output(varies)) => match last {
                    Some(run) => self.printed_otherwise(run, block, varies),
                    None => Some("shows the output of nothing".to_owned()),
                },
                Some(Mark::LinesOf(file, varies)) => {
                    let content = self.printed(at, "out");
                    let real =
                        |line: &&str| content.lines().any(|real| line_matches(line, real, varies));
                    let missing = block.text.lines().find(|line| !real(line));
                    missing.map(|line| {
                        format!("no line of {file} is like\n{line}\nIt has:\n{content}")
                    })
                }
                _ => None,
            };
            faults.extend(fault.map(|fault| format!("{}:{}: {fault}", page.name, block.line)));
        }
        faults
    }

    fn ended_otherwise(&self, at: usize, wanted: i32, block: &Block) -> Option<String> {
        let [status, out, err] = ["status", "out", "err"].map(|kind| self.printed(at, kind));
        (status.trim() != wanted.to_string()).then(|| {
            let (status, text) = (status.trim(), &block.text);
            format!("did not end with {wanted} ({status}):\n{text}\nIt printed:\n{out}{err}")
        })
    }

    fn printed_otherwise(
        &self,
        (run, status): (usize, i32),
        block: &Block,
        varies: &[String],
    ) -> Option<String> {
        let mut printed = self.printed(run, "out");
        if status != 0 {
            printed += &self.printed(run, "err");
        }
        (!shows(block, &printed, varies))
            .then(|| format!("shows\n{}\nand this was printed:\n{printed}", block.text))
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

/// Writes a file that can be executed where it begins with `#!`.
fn write_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
}
