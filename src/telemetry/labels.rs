//! Values of labels, so many and no more: whatever clients and plugins are called, no scraper is flooded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Tools that get time series of their own.
pub(super) const MAX_TOOLS: usize = 1_000;
/// Plugins that get time series of their own, in every family.
pub(super) const MAX_PLUGINS: usize = 200;
/// Keys that get time series of their own.
pub(super) const MAX_KEYS: usize = 100;
/// The label of all that get none of their own.
pub(super) const OTHER: &str = "other";

/// Why something was turned away before it became a request. All of them are exposed from the start: a counter that
/// begins with its first event has no increase that anybody could see.
pub(super) const REFUSALS: [&str; 27] = [
    "bad_body",
    "bad_request",
    "body_too_large",
    "body_too_slow",
    "client_gone",
    "connection_limit",
    "head_too_slow",
    "header_mismatch",
    "headers_too_large",
    "host_not_allowed",
    "internal_error",
    "invalid_message",
    "invalid_request",
    "line_too_large",
    "method_not_allowed",
    "not_acceptable",
    "not_found",
    "origin_not_allowed",
    "overloaded",
    "parse_error",
    "stream_gone",
    "stream_open",
    "unauthorized",
    "unavailable",
    "unknown_session",
    "unsupported_media_type",
    "uri_too_long",
];
/// The transports whose sessions a server that can be scraped has.
pub(super) const TRANSPORTS: [&str; 2] = ["mcp", "sse"];

/// The plugins that have time series of their own: the first that were seen, and the same ones in every family. None
/// makes room for another, for what is counted must not move from one label to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct PluginNames(BTreeSet<String>);

impl PluginNames {
    /// The label of a plugin: its name, or that of all others where there is no room for one more.
    pub(super) fn label<'a>(&mut self, plugin: &'a str) -> &'a str {
        if self.0.contains(plugin) {
            return plugin;
        }
        if self.0.len() >= MAX_PLUGINS {
            return OTHER;
        }
        self.0.insert(plugin.to_owned());
        plugin
    }
}

/// One entry for each of the first `MAX` values of a label, and one for all later ones together. An entry stays until
/// the process ends: a counter must not go back, and what was removed may return.
#[derive(Clone, Debug)]
pub(super) struct Labelled<K, V, const MAX: usize> {
    entries: BTreeMap<K, V>,
    other: Option<V>,
}

impl<K, V, const MAX: usize> Default for Labelled<K, V, MAX> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            other: None,
        }
    }
}

impl<K: Ord + Clone, V: Default, const MAX: usize> Labelled<K, V, MAX> {
    /// The entry of `key`, or that of all others where there is no room for one more.
    pub(super) fn entry<Q>(&mut self, key: &Q) -> &mut V
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        let is_known = self.entries.contains_key(key);
        if !is_known && self.entries.len() >= MAX {
            return self.other.get_or_insert_default();
        }
        self.entries.entry(key.to_owned()).or_default()
    }
}

impl<K: fmt::Display, V, const MAX: usize> Labelled<K, V, MAX> {
    /// Every entry with its label.
    pub(super) fn iter(&self) -> impl Iterator<Item = (String, &V)> + Clone {
        let own = self.entries.iter();
        let own = own.map(|(key, value)| (key.to_string(), value));
        own.chain(self.other.iter().map(|value| (OTHER.to_owned(), value)))
    }
}

impl<K, V, const MAX: usize> Labelled<K, V, MAX> {
    /// Every entry.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.entries.values().chain(&self.other)
    }
}

/// A key as metrics name it: the first four bytes of its digest, as the log does. `None` stands for no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyLabel(pub Option<[u8; 4]>);

impl fmt::Display for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_the_first_few_is_counted_together_and_nothing_is_lost() {
        let mut table: Labelled<String, u64, 3> = Labelled::default();
        for name in ["a", "b", "c", "d", "a", "e", "d"] {
            *table.entry(name) += 1;
        }
        let shown: Vec<(String, u64)> = table.iter().map(|(name, n)| (name, *n)).collect();
        let expected = [("a", 2), ("b", 1), ("c", 1), ("other", 3)];
        assert_eq!(shown, expected.map(|(name, n)| (name.to_owned(), n)));
        assert_eq!(table.values().sum::<u64>(), 7);
    }

    #[test]
    fn a_key_is_named_by_the_beginning_of_its_digest_and_no_key_by_a_word() {
        assert_eq!(KeyLabel(Some([0x0a, 0xff, 0, 1])).to_string(), "0aff0001");
        assert_eq!(KeyLabel::default().to_string(), "none");
    }
}
