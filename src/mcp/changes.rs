//! Distributes change notifications to sessions and subscriptions. Knows neither.

use tokio::sync::broadcast;

use crate::call::types::Listed;
use crate::governor::Client;

/// Changes that a slow listener may lag behind; a list that is notified of twice has changed once.
const WAITING_CHANGES: usize = 256;

/// Something that clients may want to be notified of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A list is another one in the catalogue of now, since this generation of it.
    Catalogue(Listed, u64),
    /// The tools of one client are others now.
    ToolsOf(Client),
    /// A resource has new contents.
    Resource(String),
}

impl Change {
    /// The notification's method.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Catalogue(Listed::Tools, _) | Self::ToolsOf(_) => {
                "notifications/tools/list_changed"
            }
            Self::Catalogue(Listed::Prompts, _) => "notifications/prompts/list_changed",
            Self::Catalogue(Listed::Resources, _) => "notifications/resources/list_changed",
            Self::Resource(_) => "notifications/resources/updated",
        }
    }

    /// The notification's params.
    pub fn params(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut params = serde_json::Map::new();
        if let Self::Resource(uri) = self {
            params.insert("uri".to_owned(), uri.clone().into());
        }
        params
    }
}

/// Distributes notices of change.
#[derive(Debug, Clone)]
pub struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING_CHANGES))
    }
}

impl Changes {
    /// Tells everyone who listens at this moment.
    pub fn notify(&self, change: Change) {
        // Without a listener there is nobody to tell.
        let _ = self.0.send(change);
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> ChangeReceiver {
        ChangeReceiver(self.0.subscribe())
    }
}

/// One listener.
#[derive(Debug)]
pub struct ChangeReceiver(broadcast::Receiver<Change>);

impl ChangeReceiver {
    /// The next change; `None` when nobody can tell of one any more.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            match self.0.recv().await {
                Ok(change) => return Some(change),
                // What was missed is repeated by asking for the list, which the next change causes.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
