//! The task that keeps the catalogue loaded: at the start, when a reload is asked for, after a shortage, when a plugin
//! was late, and when plugins have changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::check::Check;
use super::known::Known;
use super::load::Loader;
use super::snapshot::Snapshot;
use super::state::State;
use crate::discovery::watch::Watch;

/// The first pause before plugins are asked again that could not be asked.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest; each is twice the one before.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Loads, as soon as the `variables` for plugins are there, until the catalogue is stopped, and publishes to it
/// alone.
pub async fn keep_loaded(
    state: Arc<State>,
    mut loader: Loader,
    variables: impl Future<Output = Vec<(String, String)>>,
) {
    let keeping = async {
        loader.asker.variables = variables.await.into();
        state.begin(Arc::clone(&loader.asker.variables));
        keep(&state, &loader).await;
    };
    tokio::select! {
        () = keeping => {}
        () = state.stopped() => {}
    }
}

/// What the keeper does next.
enum Next {
    /// Asks all plugins: at the start, or because somebody has asked for it.
    Load,
    /// Asks those that could not be asked, and those whose environment is there.
    Retry,
    /// Looks whether plugins have changed.
    Look,
    /// Asks one that is known only by what it said at an earlier start.
    Check,
}

/// Those that are known only by what they said at an earlier start.
enum Checking {
    ToBegin,
    Underway(Check),
    Done,
}

async fn keep(state: &State, loader: &Loader) {
    let publish = |snapshot| state.publish(snapshot);
    let mut wanted = state.wanted();
    let mut is_first = true;
    let mut known = Known::default();
    let mut watch = None;
    let mut checking = Checking::Done;
    let mut retries = Retries::default();
    let mut next = Next::Load;
    loop {
        match next {
            Next::Load => {
                let target = *wanted.borrow_and_update();
                // Whoever asks for a reload wants to know what plugins say now.
                is_first = target == 1;
                let is_anew = state.takes_anew();
                loader.load(&mut known, is_first, is_anew, publish).await;
                state.have_loaded(target);
                checking = Checking::ToBegin;
                if loader.watch && watch.is_none() {
                    watch = Some(Watch::begin());
                }
            }
            Next::Retry => {
                retries.begin();
                tokio::select! {
                    () = loader.retry(&mut known, is_first, publish) => {}
                    _ = wanted.changed() => wanted.mark_changed(),
                }
            }
            // A load asks all plugins, so it does not wait for one.
            Next::Look => tokio::select! {
                () = look(loader, &mut known, watch.as_mut(), publish) => {}
                _ = wanted.changed() => wanted.mark_changed(),
            },
            Next::Check => tokio::select! {
                now = check(loader, &mut known, checking, publish) => checking = now,
                _ = wanted.changed() => {
                    wanted.mark_changed();
                    checking = Checking::Done;
                }
            },
        }
        retries.plan(known.may_pass());
        next = tokio::select! {
            biased;
            changed = wanted.changed() => match changed {
                Ok(()) => Next::Load,
                Err(_) => return,
            },
            () = retries.due() => Next::Retry,
            () = decided(loader, &known) => Next::Retry,
            () = due(watch.as_mut()) => Next::Look,
            () = checking.due() => Next::Check,
        };
    }
}

/// Done when the environment of a plugin that waits for it is there, or will not be.
async fn decided(loader: &Loader, known: &Known) {
    match &loader.environments {
        Some(environments) if known.waits() => environments.decided().await,
        _ => std::future::pending().await,
    }
}

async fn due(watch: Option<&mut Watch>) {
    match watch {
        Some(watch) => watch.due().await,
        None => std::future::pending().await,
    }
}

async fn look(
    loader: &Loader,
    known: &mut Known,
    watch: Option<&mut Watch>,
    publish: impl FnMut(Snapshot),
) {
    if let Some(watch) = watch {
        loader.refresh(known, watch, publish).await;
    }
}

async fn check(
    loader: &Loader,
    known: &mut Known,
    checking: Checking,
    publish: impl FnMut(Snapshot),
) -> Checking {
    let underway = match checking {
        Checking::ToBegin => Check::begin(loader, known, publish).await,
        Checking::Underway(mut check) => {
            let is_left = check.step(known, publish).await;
            is_left.then_some(check)
        }
        Checking::Done => None,
    };
    underway.map_or(Checking::Done, Checking::Underway)
}

impl Checking {
    async fn due(&self) {
        match self {
            Self::ToBegin => {}
            Self::Underway(check) => check.pause().await,
            Self::Done => std::future::pending().await,
        }
    }
}

/// When plugins are asked again that could not be asked.
#[derive(Debug, Default)]
struct Retries {
    at: Option<Instant>,
    /// The pause before the last.
    pause: Option<Duration>,
}

impl Retries {
    /// Plans the next where one may help, and forgets about all where none may.
    fn plan(&mut self, may_help: bool) {
        if !may_help {
            *self = Self::default();
        } else if self.at.is_none() {
            let pause = self
                .pause
                .map_or(FIRST_PAUSE, |pause| MAX_PAUSE.min(pause * 2));
            self.pause = Some(pause);
            self.at = Some(Instant::now() + pause);
        }
    }

    fn begin(&mut self) {
        self.at = None;
    }

    async fn due(&self) {
        match self.at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}
