//! Distributes change notifications to sessions and subscriptions. Knows neither.

use tokio::sync::broadcast;

use crate::call::types::Listed;
use crate::governor::Client;

/// Changes that a slow listener may lag behind, of lists and of resources each.
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

/// Distributes notices of change. Resources may change all the time, and lists hardly ever: each have a channel of their
/// own, so that no flood of the one displaces the other.
#[derive(Debug, Clone)]
pub struct Changes {
    lists: broadcast::Sender<Change>,
    resources: broadcast::Sender<Change>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            lists: broadcast::Sender::new(WAITING_CHANGES),
            resources: broadcast::Sender::new(WAITING_CHANGES),
        }
    }
}

impl Changes {
    /// Tells everyone who listens at this moment.
    pub fn notify(&self, change: Change) {
        let channel = match change {
            Change::Resource(_) => &self.resources,
            Change::Catalogue(..) | Change::ToolsOf(_) => &self.lists,
        };
        // Without a listener there is nobody to tell.
        let _ = channel.send(change);
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> ChangeReceiver {
        ChangeReceiver {
            lists: self.lists.subscribe(),
            resources: self.resources.subscribe(),
        }
    }
}

/// One listener.
#[derive(Debug)]
pub struct ChangeReceiver {
    lists: broadcast::Receiver<Change>,
    resources: broadcast::Receiver<Change>,
}

impl ChangeReceiver {
    /// The next change; `None` when nobody can tell of one any more.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            let received = tokio::select! {
                biased;
                change = self.lists.recv() => change,
                change = self.resources.recv() => change,
            };
            match received {
                Ok(change) => return Some(change),
                // Whoever lags so far behind is told of the changes that are still there.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_of_changed_resources_displaces_no_changed_list() {
        let changes = Changes::default();
        let mut listener = changes.subscribe();
        changes.notify(Change::Catalogue(Listed::Prompts, 1));
        for number in 0..2 * WAITING_CHANGES {
            changes.notify(Change::Resource(format!("r:{number}")));
        }
        let first = listener.next().await;
        assert_eq!(first, Some(Change::Catalogue(Listed::Prompts, 1)));
        let last = format!("r:{}", 2 * WAITING_CHANGES - 1);
        for _ in 1..WAITING_CHANGES {
            listener.next().await;
        }
        assert_eq!(listener.next().await, Some(Change::Resource(last)));
    }
}
