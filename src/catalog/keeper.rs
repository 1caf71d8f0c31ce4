//! The task that keeps the catalogue loaded: at the start, when a reload is asked for, and after a shortage.

use std::sync::Arc;
use std::time::Duration;

use super::known::Known;
use super::load::Loader;
use super::state::State;

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
        state.begin();
        keep(&state, &loader).await;
    };
    tokio::select! {
        () = keeping => {}
        () = state.stopped() => {}
    }
}

async fn keep(state: &State, loader: &Loader) {
    let mut wanted = state.wanted();
    let mut known = Known::default();
    let mut pause = FIRST_PAUSE;
    let mut is_retry = false;
    loop {
        let target = *wanted.borrow_and_update();
        // Whoever asks for a reload wants to know what plugins say now.
        let may_recall = target == 1;
        let publish = |snapshot| state.publish(snapshot);
        if is_retry {
            loader.retry(&mut known, may_recall, publish).await;
        } else {
            loader.load(&mut known, may_recall, publish).await;
            state.have_loaded(target);
        }
        let mut is_checked = false;
        is_retry = loop {
            let is_short = known.has_passing_faults();
            let wait = async {
                if !is_short {
                    pause = FIRST_PAUSE;
                    return std::future::pending().await;
                }
                tokio::time::sleep(pause).await;
                pause = MAX_PAUSE.min(pause * 2);
            };
            tokio::select! {
                changed = wanted.changed() => match changed {
                    Ok(()) => break false,
                    Err(_) => return,
                },
                () = wait => break true,
                () = loader.check_recalled(&mut known, publish), if !is_checked => is_checked = true,
            }
        };
    }
}
