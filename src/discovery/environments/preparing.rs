//! Environments prepared: the interpreter asked whether one is needed, one made in the background, its end told.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::super::question::Asker;
use super::failures::Failed;
use super::install::Failure;
use super::need::{Need, in_short};
use super::place::Place;
use super::probe::{Probed, Probes};
use super::underway::{Stage, Underway};
use super::{Environments, MAX_REMEMBERED, Prepared};

impl Environments {
    /// Asks whether an environment is needed, once for all that `probes` are asked for, and has it made in the background
    /// if so.
    pub async fn prepare(&self, need: &Need, probes: &Probes, asker: &Asker) -> Prepared {
        let (underway, failed) = {
            let known = self.known();
            let failed = known.failed.standing(&need.names.key, Instant::now());
            (
                known.underway.get(&need.names.key).cloned(),
                failed.cloned(),
            )
        };
        match underway {
            Some(underway) if underway.is_forsaken() => {
                self.known().underway.remove(&need.names.key);
            }
            Some(underway) => return Prepared::Underway(underway),
            None => {}
        }
        if let Some(failed) = failed {
            return told(&failed, need);
        }
        let probed = match probes.of(need, asker).await {
            Ok(probed) => probed,
            Err(why) => {
                let failed = self.fail(need, Failure::of_system(why), Vec::new(), None);
                return told(&failed, need);
            }
        };
        let unfit = probed
            .is_unfit
            .then(|| need.unfit(&probed.python))
            .flatten();
        if probed.missing.is_empty() {
            self.note_met(need, unfit.as_deref()).await;
            return Prepared::Met { warning: unfit };
        }
        let Some(place) = self.0.place.clone() else {
            let failure = Failure::of_system(
                "there is no directory for it; set MCP_CACHE_DIR to one that this user can write to",
            );
            let failed = self.fail(need, failure, probed.missing, unfit);
            return told(&failed, need);
        };
        self.begin(need, place, (probed, unfit), asker)
    }

    /// What comes of one that is being made: not waited for any longer where the installer has found nothing yet after
    /// `patience`, if there is one.
    pub async fn outcome(
        &self,
        need: &Need,
        underway: Underway,
        patience: Option<Duration>,
    ) -> Prepared {
        if !underway.over(patience).await {
            return Prepared::Underway(underway);
        }
        if underway.is_made() {
            return Prepared::Ready;
        }
        let failed = self.known().failed.last(&need.names.key).cloned();
        match failed {
            Some(failed) => told(&failed, need),
            None if underway.is_forsaken() => {
                Prepared::Unavailable("its environment was not made".to_owned())
            }
            // It was of no use by then, or is to be tried again.
            None => Prepared::Ready,
        }
    }

    /// Whether it is known that the environment of this key cannot be made, and not to be tried again yet.
    pub fn failure_stands(&self, key: &str) -> bool {
        let known = self.known();
        known.failed.standing(key, Instant::now()).is_some()
    }

    /// Done when an environment that was being made is there, or will not be, or when it is time to try one again.
    pub async fn decided(&self) {
        let next = self.known().failed.next();
        let due = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.0.decided.notified() => {}
            () = due => self.known().failed.fall_due(Instant::now()),
        }
    }

    /// Forgets what has failed: the next to need it tries again.
    pub fn forget_failures(&self) {
        self.known().failed.forget_all();
    }

    /// Begins to make it; `lacks` is what the interpreter lacks, and why it is none of those that are asked for.
    fn begin(
        &self,
        need: &Need,
        place: Place,
        lacks: (Probed, Option<String>),
        asker: &Asker,
    ) -> Prepared {
        let (probed, unfit) = lacks;
        let mut known = self.known();
        // Another plugin with the same declaration may have come before.
        if let Some(underway) = known.underway.get(&need.names.key) {
            return Prepared::Underway(underway.clone());
        }
        if let Some(failed) = known.failed.standing(&need.names.key, Instant::now()) {
            return told(failed, need);
        }
        let (sender, stage) = watch::channel(Stage::Queued);
        let why = format!(
            "its environment is being made: {} asks for {}",
            need.declared.file,
            in_short(&need.declared.lines)
        );
        let is_first = known.failed.last(&need.names.key).is_none();
        let underway = Underway::new(why, stage, is_first);
        known
            .underway
            .insert(need.names.key.clone(), underway.clone());
        drop(known);
        let (environments, need, asker) = (self.clone(), need.clone(), asker.clone());
        // Ends with the asker's token, and after its own limits at the latest.
        tokio::spawn(async move {
            let made = tokio::select! {
                made = environments.0.maker.make(&need, &place, (&probed, unfit.as_deref()), &asker, &sender) => made,
                () = asker.stop.cancelled() => Err(Failure::of_system("the server stops")),
            };
            match &made {
                Ok(_) => environments.known().failed.forget(&need.names.key),
                Err(failure) => {
                    environments.fail(&need, failure.clone(), probed.missing, unfit);
                }
            }
            environments.known().underway.remove(&need.names.key);
            sender.send_replace(Stage::Over {
                is_made: matches!(made, Ok(true)),
            });
            environments.0.decided.notify_one();
        });
        Prepared::Underway(underway)
    }

    async fn note_met(&self, need: &Need, warning: Option<&str>) {
        let (note, warning) = (need.note.clone(), warning.map(str::to_owned));
        {
            let mut known = self.known();
            if known.met.len() >= MAX_REMEMBERED {
                known.met.clear();
            }
            known.met.insert(note.clone(), warning.clone());
        }
        if let Some(place) = self.0.place.clone() {
            let _ = spawn_blocking(move || place.note_met(&note, warning.as_deref())).await;
        }
    }

    fn fail(
        &self,
        need: &Need,
        failure: Failure,
        missing: Vec<String>,
        unfit: Option<String>,
    ) -> Failed {
        let (mut known, now) = (self.known(), Instant::now());
        known
            .failed
            .note(&need.names.key, failure, missing, unfit, now)
    }
}

/// What is said of a failure.
fn told(failed: &Failed, need: &Need) -> Prepared {
    let reason = &failed.failure.reason;
    let (file, base) = (need.declared.file, need.base.display());
    let unfit = failed.unfit.as_ref();
    let unfit = unfit.map(|unfit| format!("; {unfit}")).unwrap_or_default();
    if failed.missing.is_empty() {
        return Prepared::Unavailable(format!(
            "it is not known whether {base} has what its {file} asks for: {reason}{unfit}"
        ));
    }
    let what = in_short(&failed.missing);
    let what_for = format!("what its {file} asks for could not be installed");
    let what_for = match need.is_damaged() {
        true => format!("{}, and {what_for} anew", need.why_anew()),
        false => what_for,
    };
    match failed.failure.passes {
        true => Prepared::Unavailable(format!("{what_for}: {reason}; {base} lacks {what}{unfit}")),
        false => Prepared::Failed(format!(
            "{what_for}: {reason}; correct {file}, then: smcp plugins sync{unfit}"
        )),
    }
}
