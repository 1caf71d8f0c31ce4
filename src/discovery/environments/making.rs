//! Environments made one after the other: the lock, the installer, the mark.

use std::path::Path;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::super::question::Asker;
use super::declared::Reader;
use super::install::{Failure, Installer, LIMIT};
use super::need::{Need, in_short};
use super::place::{About, Making, Place};
use super::probe::Probed;
use super::underway::Stage;
use crate::text::{cleaned, shown};

/// How many environments are made at the same time.
const MAX_INSTALLS: usize = 2;

/// How often it is looked whether another server has made an environment.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long that is waited for: as long as that one may take, and its turn.
const MAX_WAIT: Duration = Duration::from_secs(2 * LIMIT.as_secs());

/// How many lines of an installer wait to be told.
const LINES: usize = 64;

/// How many of them are told of one environment: builds may say anything.
const MAX_TOLD: usize = 200;

/// What may be said of a plugin's environment while it is made: the plugin, and a line.
pub type Tell = fn(&str, &str);

/// Makes environments.
#[derive(Debug)]
pub(super) struct Maker {
    installs: Semaphore,
    reader: Reader,
    tell: Tell,
}

impl Maker {
    /// With what reads declarations, and what gets to know what happens.
    pub(super) fn new(reader: Reader, tell: Tell) -> Self {
        Self {
            installs: Semaphore::new(MAX_INSTALLS),
            reader,
            tell,
        }
    }

    /// Makes one in `place`, unless another server does, with an interpreter that `lacks` something, and is none of those
    /// that are asked for where that says so. `stage` gets how far it has come. False where the plugin declares something
    /// else by now, whatever came of it.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn make(
        &self,
        need: &Need,
        place: &Place,
        lacks: (&Probed, Option<&str>),
        asker: &Asker,
        stage: &watch::Sender<Stage>,
    ) -> Result<bool, Failure> {
        let (probed, unfit) = lacks;
        let _turn = self.installs.acquire().await;
        let since = Instant::now();
        stage.send_replace(Stage::Begun { since });
        let Some(making) = taken(place, need).await? else {
            return Ok(true); // another server has made it
        };
        let began = Instant::now();
        self.tell_beginning(need, probed);
        // What an earlier attempt has left stands in nobody's way.
        let making = aside(move || {
            let _ = making.sweep();
            Ok(making)
        })
        .await?;
        let installed = self.install(need, &making, probed, asker, stage).await;
        let about = About {
            requirements: need.declared.lines.clone(),
            kin: need.names.kin.clone(),
            warning: unfit.map(str::to_owned),
            ..About::default()
        };
        if !self.is_declared(need).await {
            // What an installer says of files that were taken from below it counts no more than what it has made of them.
            aside(move || Ok(making.sweep())).await?.ok();
            let line = format!("its {} is another one by now", need.declared.file);
            (self.tell)(&need.plugin.name, &line);
            return Ok(false);
        }
        let finishing = aside(move || {
            let finished = installed.and_then(|()| finish(&making, about));
            // What is left of a failure says nothing, the reason is in that; and no more does what was there before, unless
            // somebody holds it.
            let _ = making.sweep();
            Ok(finished)
        });
        finishing.await??;
        let seconds = began.elapsed().as_secs_f64();
        let line = format!("its environment is ready, after {seconds:.1} s");
        (self.tell)(&need.plugin.name, &line);
        Ok(true)
    }

    fn tell_beginning(&self, need: &Need, probed: &Probed) {
        let (begins, instead) = match need.earlier() {
            Some(_) if need.is_damaged() => (
                format!("its environment is made anew, for {}", need.why_anew()),
                "; it stays in use meanwhile",
            ),
            Some(_) => (
                "its environment is made".to_owned(),
                "; the one that was made before that interpreter was changed stays in use meanwhile",
            ),
            None => ("its environment is made".to_owned(), ""),
        };
        (self.tell)(
            &need.plugin.name,
            &format!(
                "{begins}: {} asks for {}, and {} {} lacks {}{instead}",
                need.declared.file,
                in_short(&need.declared.lines),
                need.base.display(),
                probed.python,
                in_short(&probed.missing)
            ),
        );
    }

    /// Whether the plugin still declares what was installed.
    async fn is_declared(&self, need: &Need) -> bool {
        let (reader, plugin) = (self.reader.clone(), need.plugin.clone());
        let reading = spawn_blocking(move || reader.read(&plugin));
        let declared = reading.await.ok().and_then(|reading| reading.declared);
        declared.is_some_and(|declared| declared.digest == need.declared.digest)
    }

    async fn install(
        &self,
        need: &Need,
        making: &Making,
        probed: &Probed,
        asker: &Asker,
        stage: &watch::Sender<Stage>,
    ) -> Result<(), Failure> {
        let (lines, mut said) = mpsc::channel::<String>(LINES);
        let tell = |line: &str| {
            let line = need.declared.named.hidden_in(line.trim());
            (self.tell)(&need.plugin.name, &shown(&line, 160));
        };
        let installer = Installer {
            asker,
            base: &need.base,
            probed,
            declared: &need.declared,
            plugin: &need.plugin.directory,
            lines,
            tell: &tell,
        };
        let telling = async {
            let mut left = MAX_TOLD;
            while let Some(line) = said.recv().await {
                let line = cleaned(&line);
                if !is_progress(&line) || left == 0 {
                    continue;
                }
                left -= 1;
                stage.send_replace(Stage::Coming);
                tell(&line);
            }
        };
        let installing = async {
            let installed = installer.install(making).await;
            drop(installer);
            installed
        };
        let (installed, ()) = tokio::join!(installing, telling);
        installed
    }
}

/// The lock of an environment, as soon as it can be had. `None` where another server has made the environment; one that
/// has lost something does not count.
async fn taken(place: &Place, need: &Need) -> Result<Option<Making>, Failure> {
    let until = Instant::now() + MAX_WAIT;
    loop {
        let (at, name) = (place.clone(), need.names.key.clone());
        let damaged = need.damaged().map(Path::to_owned);
        let looked = aside(move || {
            let making = at.begin(&name)?;
            let there = at.interpreter(&name);
            let is_there = there.is_some() && there != damaged;
            Ok((making, is_there))
        });
        match looked.await? {
            (_, true) => return Ok(None),
            (Some(making), false) => return Ok(Some(making)),
            (None, false) if Instant::now() >= until => {
                return Err(Failure::of_system(
                    "another server takes too long to make it",
                ));
            }
            (None, false) => sleep(LOOK_AGAIN).await,
        }
    }
}

/// Says that it is whole, if it is.
fn finish(making: &Making, about: About) -> Result<(), Failure> {
    making.finish(about).map_err(Failure::of_system)?;
    match making.is_whole() {
        true => Ok(()),
        false => {
            let _ = making.clear();
            Err(Failure::of_system(format!(
                "the installer said that it is done, and there is no interpreter in {}",
                making.directory().display()
            )))
        }
    }
}

/// Work with files where it holds up nobody. What is wrong with them may pass.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Failure> {
    let working = spawn_blocking(work).await;
    let done = working.map_err(|fault| Failure::of_system(fault.to_string()))?;
    done.map_err(Failure::of_system)
}

/// Whether a line of an installer says how far it has come.
fn is_progress(line: &str) -> bool {
    let line = line.trim();
    [
        "Downloading ",
        "Building ",
        "Installing collected",
        "Resolved ",
        "Prepared ",
        "Installed ",
    ]
    .iter()
    .any(|beginning| line.starts_with(beginning))
}
