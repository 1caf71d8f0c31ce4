//! The sessions of Streamable HTTP that a server holds for the examination. The other transport's end with their streams.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

/// Those that are open. Each part of the examination has one at a time, so they are few.
#[derive(Debug, Default, Clone)]
pub(super) struct Sessions {
    open: Arc<Mutex<Vec<String>>>,
    opening: TaskTracker,
}

impl Sessions {
    /// Waits for an answer that may open a session, in a task of its own: where nobody waits for it any more, it is
    /// noted all the same. The task lasts as long as `asked`, which has to have a limit.
    ///
    /// `id` tells the session of an answer.
    pub(super) async fn opened<T: Send + 'static>(
        &self,
        asked: impl Future<Output = T> + Send + 'static,
        id: impl FnOnce(&T) -> Option<String> + Send + 'static,
    ) -> Option<T> {
        let open = Arc::clone(&self.open);
        let task = self.opening.spawn(async move {
            let answer = asked.await;
            locked(&open).extend(id(&answer));
            answer
        });
        task.await.ok()
    }

    /// The server has answered to the end of this one.
    pub(super) fn ended(&self, id: &str) {
        locked(&self.open).retain(|known| known != id);
    }

    /// Those that are open, once nothing is being opened.
    pub(super) async fn left(&self) -> Vec<String> {
        self.opening.close();
        self.opening.wait().await;
        locked(&self.open).clone()
    }
}

fn locked(open: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
