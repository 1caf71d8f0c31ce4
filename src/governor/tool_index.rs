//! The tools there are at one moment, as the governor looks at them: found by name, likeness or intent.

use std::cell::OnceCell;
use std::collections::HashMap;

use serde_json::value::RawValue;

/// Names that are offered for one that is unknown.
const MAX_SUGGESTIONS: usize = 3;
/// Below this likeness (1 is equal) a name helps nobody.
const ALIKE: f64 = 0.75;
/// Words shorter than this are in every description.
const WORD: usize = 3;

/// One tool in the index.
#[derive(Debug, Clone, Copy)]
pub struct IndexedTool<'a> {
    /// The name it is called by.
    pub name: &'a str,
    /// Its `tools/list` entry.
    pub definition: &'a RawValue,
}

impl IndexedTool<'_> {
    /// Its description; empty where it has none.
    pub fn description(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Described {
            #[serde(default)]
            description: Option<String>,
        }
        serde_json::from_str::<Described>(self.definition.get())
            .ok()
            .and_then(|tool| tool.description)
            .unwrap_or_default()
    }
}

/// All tools of one moment, in catalogue order.
#[derive(Debug)]
pub struct ToolIndex<'a> {
    offers: Vec<IndexedTool<'a>>,
    by_name: HashMap<&'a str, usize>,
    /// By folded name; `None` where several tools fold alike. Made when a name is not found as it stands.
    by_folded: OnceCell<HashMap<String, Option<&'a str>>>,
}

impl<'a> ToolIndex<'a> {
    /// Indexes the tools.
    pub fn of(offers: impl IntoIterator<Item = IndexedTool<'a>>) -> Self {
        let offers: Vec<_> = offers.into_iter().collect();
        let by_name = offers
            .iter()
            .enumerate()
            .map(|(place, offer)| (offer.name, place))
            .collect();
        Self {
            offers,
            by_name,
            by_folded: OnceCell::new(),
        }
    }

    /// The names in catalogue order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.offers.iter().map(|offer| offer.name)
    }

    /// The name that is meant: itself, or the only one that differs in case, dots, hyphens and underscores alone.
    pub fn find(&self, name: &str) -> Option<&'a str> {
        if let Some(place) = self.by_name.get(name) {
            return Some(self.offers[*place].name);
        }
        let by_folded = self.by_folded.get_or_init(|| {
            let mut by_folded = HashMap::new();
            for known in self.names() {
                by_folded
                    .entry(folded(known))
                    .and_modify(|only| *only = None)
                    .or_insert(Some(known));
            }
            by_folded
        });
        by_folded.get(&folded(name)).copied().flatten()
    }

    /// Names that may have been meant, the likeliest first.
    pub fn like(&self, name: &str) -> Vec<&'a str> {
        like(name, self.names())
    }

    /// The tools that serve an intent, best first: by the words of their names, descriptions and hints.
    pub fn for_intent(&self, intent: &str, hinted: impl Fn(&str) -> bool) -> Vec<IndexedTool<'a>> {
        let words = words(intent);
        let mut found: Vec<(usize, IndexedTool<'a>)> = self
            .offers
            .iter()
            .filter_map(|offer| {
                let about = format!("{} {}", offer.name, offer.description()).to_lowercase();
                let said = words.iter().filter(|word| about.contains(*word)).count();
                // A hint was written by hand for this question: it beats any number of words.
                let hint = if hinted(offer.name) {
                    words.len() + 1
                } else {
                    0
                };
                (said + hint > 0).then_some((said + hint, *offer))
            })
            .collect();
        // Stable: equals keep the catalogue's order.
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        found.into_iter().map(|(_, offer)| offer).collect()
    }
}

/// Of `known`, the names most like `name`, the likeliest first.
pub fn like<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = folded(name);
    let mut alike: Vec<(f64, &str)> = known
        .map(|known| (likeness(&wanted, &folded(known)), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    alike.truncate(MAX_SUGGESTIONS);
    alike.into_iter().map(|(_, name)| name).collect()
}

/// A model that forgets the plugin's name says the command alone, so that counts as alike too.
fn likeness(wanted: &str, known: &str) -> f64 {
    let command = known.rsplit("__").next().unwrap_or(known);
    strsim::jaro_winkler(wanted, known).max(strsim::normalized_levenshtein(wanted, command))
}

fn folded(name: &str) -> String {
    name.replace('.', "__").replace('-', "_").to_lowercase()
}

/// The words of a text, in lower case; short ones only where there is no other.
pub fn words(text: &str) -> Vec<String> {
    let all: Vec<String> = text
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let long: Vec<String> = all
        .iter()
        .filter(|word| word.chars().count() >= WORD)
        .cloned()
        .collect();
    if long.is_empty() { all } else { long }
}
