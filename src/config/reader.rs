//! Reads single settings: by flag or variable, with a default and with what is allowed. Knows no layer.
//!
//! Faults, mistakes and notices are collected, so that everything that is wrong is reported together.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// The longest time that a setting may give: a year. Clocks and timers have a limit of their own beyond it.
const MAX_SECONDS: f64 = 365.0 * 24.0 * 60.0 * 60.0;

/// Settings of version 3 and of its guides, which took any value or never looked at it. A value that cannot be used
/// must not end a start that went well before: it has no effect, and a warning says so.
const FORGIVEN: [&str; 8] = [
    "MCP_AUTH_DISABLED",
    "MCP_DISABLE_FILE_LOG",
    "MCP_LOG_BACKUP_COUNT",
    "MCP_LOG_JSON",
    "MCP_LOG_LEVEL",
    "MCP_LOG_MAX_BYTES",
    "MCP_LOG_ROTATION",
    "MCP_PLUGIN_TIMEOUT",
];

/// Flags that have no variable of their name.
const FLAGS_ALONE: [&str; 2] = ["--require-auth", "--allow-external"];

/// What the settings are read for. What a command has no use for is not looked at, so that it cannot be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Serving over HTTP.
    Http,
    /// Serving one client over standard input and output.
    Stdio,
    /// A command that runs once and prints.
    Once,
}

/// One setting as it was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The flag or the variable, as faults name it.
    pub name: &'static str,
    /// Its value, without white space around it. Never empty.
    pub value: String,
}

/// The environment, and what has been found in it so far.
#[derive(Debug)]
pub struct Reader {
    values: BTreeMap<OsString, OsString>,
    /// Every variable that was asked for: the names that a misspelled one may mean.
    asked: BTreeSet<&'static str>,
    /// What ends the start, one line each.
    pub faults: Vec<String>,
    /// Settings that have no effect: misspelled names, values that cannot be used. One line each.
    pub mistakes: Vec<String>,
    /// What a person should read at the start, one line each.
    pub notices: Vec<String>,
}

impl Reader {
    /// Reads from this environment.
    pub fn new(environment: &[(OsString, OsString)]) -> Self {
        Self {
            values: environment.iter().cloned().collect(),
            asked: BTreeSet::new(),
            faults: Vec::new(),
            mistakes: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Reads what a command has no use for: as if none of it was set. The names count as known all the same.
    pub fn unused<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let mut empty = Self::new(&[]);
        let value = read(&mut empty);
        self.asked.append(&mut empty.asked);
        value
    }

    /// Whether a variable is set, but to nothing or white space.
    pub fn is_blank(&mut self, name: &'static str) -> bool {
        self.asked.insert(name);
        let value = self.values.get(OsStr::new(name));
        value.is_some_and(|value| value.as_encoded_bytes().trim_ascii().is_empty())
    }

    /// Whether a variable is set, to whatever it be.
    pub fn is_set(&mut self, name: &'static str) -> bool {
        self.asked.insert(name);
        self.values.contains_key(OsStr::new(name))
    }

    /// A variable. An empty one counts as unset, as environment files are written.
    pub fn variable(&mut self, name: &'static str) -> Option<Given> {
        self.asked.insert(name);
        let value = self.values.get(OsStr::new(name))?;
        let Some(text) = value.to_str() else {
            self.faults.push(format!("{name} is not valid UTF-8"));
            return None;
        };
        let value = text.trim().to_owned();
        (!value.is_empty()).then_some(Given { name, value })
    }

    /// A variable that is a path, which need not be UTF-8.
    pub fn path(&mut self, name: &'static str) -> Option<PathBuf> {
        self.asked.insert(name);
        let value = self.values.get(OsStr::new(name))?;
        let path = value
            .to_str()
            .map_or(value.as_os_str(), |text| OsStr::new(text.trim()));
        (!path.is_empty()).then(|| path.into())
    }

    /// The text of a variable.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.variable(name).map(|given| given.value)
    }

    /// A flag, else its variable.
    pub fn flag(
        &mut self,
        value: Option<&String>,
        flag: &'static str,
        variable: &'static str,
    ) -> Option<Given> {
        let given = self.variable(variable);
        match value {
            Some(value) => Some(Given {
                name: flag,
                value: value.clone(),
            }),
            None => given,
        }
    }

    /// What `parse` makes of a setting; `default` where it is not given, or where it is a fault.
    pub fn parsed<T>(
        &mut self,
        given: Option<Given>,
        default: T,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(given) = given else { return default };
        parse(&given.value).unwrap_or_else(|| {
            self.refuse(&given, allowed);
            default
        })
    }

    /// A switch: `1`, `true`, `yes`, `on` or their opposites, in any case.
    pub fn switch(&mut self, name: &'static str, default: bool) -> bool {
        let given = self.variable(name);
        self.parsed(
            given,
            default,
            "1, true, yes, on, 0, false, no or off",
            switch_value,
        )
    }

    /// A whole number within `range`.
    pub fn whole(&mut self, given: Option<Given>, default: u64, range: RangeInclusive<u64>) -> u64 {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(given, default, &allowed, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// A number of things of which there is at least one.
    pub fn count(&mut self, name: &'static str, default: usize, most: usize) -> usize {
        let given = self.variable(name);
        let count = self.whole(given, default as u64, 1..=most as u64);
        usize::try_from(count).unwrap_or(most)
    }

    /// A time within `range`: seconds, or with a unit.
    pub fn duration(
        &mut self,
        given: Option<Given>,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let (least, most) = (range.start(), range.end());
        let allowed = format!("a time from {least:?} to {most:?}, such as 500ms or 30s");
        self.parsed(given, default, &allowed, |text| {
            time_limit(text)?.filter(|time| range.contains(time))
        })
    }

    /// A time limit; 0 and less is none.
    pub fn time_limit(&mut self, given: Option<Given>) -> Option<Duration> {
        let allowed = "a number of seconds up to a year, or a time such as 500ms, 30s, 5m or 2h; 0 is no limit";
        self.parsed(given, None, allowed, time_limit)
    }

    /// The entries of a list that is separated by commas; each that is not allowed is a fault of its own.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let value = self.text(name).unwrap_or_default();
        let mut entries = Vec::new();
        for entry in value.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            match parse(entry) {
                Some(entry) => entries.push(entry),
                None => self.refuse(
                    &Given {
                        name,
                        value: entry.to_owned(),
                    },
                    allowed,
                ),
            }
        }
        entries
    }

    /// Notes that a setting has a value that is not allowed: a fault, or a mistake where version 3 let it pass.
    pub fn refuse(&mut self, given: &Given, allowed: &str) {
        let Given { name, value } = given;
        if FORGIVEN.contains(name) {
            self.mistakes.push(format!(
                "{name}: '{value}' is not understood and has no effect; use {allowed}"
            ));
        } else {
            self.faults
                .push(format!("{name}: '{value}' is not allowed; use {allowed}"));
        }
    }

    /// Notes each variable that looks like a misspelled setting, with the setting that is most like it. To be
    /// called when every setting has been asked for.
    pub fn note_misspelled(&mut self) {
        let unknown = self.values.keys().filter_map(|name| name.to_str());
        for name in unknown.filter(|name| !self.asked.contains(name)) {
            let flag = FLAGS_ALONE
                .into_iter()
                .find(|flag| name == as_variable(flag));
            let meant = flag.or_else(|| meant_by(name, &self.asked));
            if let Some(meant) = meant {
                self.mistakes.push(format!(
                    "{name} is not a setting of smcp and has no effect; do you mean {meant}?"
                ));
            }
        }
    }
}

/// The variable that somebody may expect beside a flag.
fn as_variable(flag: &str) -> String {
    let words = flag.trim_start_matches('-').replace('-', "_");
    format!("MCP_{}", words.to_ascii_uppercase())
}

/// What a switch says, where it is understood.
pub fn switch_value(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The setting that a name most likely stands for, if any is like it.
fn meant_by(name: &str, known: &BTreeSet<&'static str>) -> Option<&'static str> {
    // What an outer smcp says to the program that started this one; `SMCP_PLUGIN_DIR` is like a setting.
    if name == "SMCP_PLUGIN_DIR" {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    // Other programs have variables too: only what begins as ours do can be meant for us.
    if !upper.starts_with("MCP_") && !upper.starts_with("SMCP_") {
        return None;
    }
    let bare = |name: &str| name.trim_start_matches('S').to_owned();
    known
        .iter()
        .map(|setting| {
            (
                strsim::damerau_levenshtein(&bare(&upper), &bare(setting)),
                *setting,
            )
        })
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, setting)| setting)
}

/// `Some(None)` is no limit, `None` is not allowed.
fn time_limit(text: &str) -> Option<Option<Duration>> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let text = text.to_ascii_lowercase();
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), *unit)))
        .unwrap_or((&text, 1.0));
    let seconds = number.parse::<f64>().ok()? * unit;
    // Version 3 read its times as Python does, where an infinite one is a number.
    if seconds <= 0.0 || seconds == f64::INFINITY {
        return Some(None);
    }
    // Not a number is not within it either.
    (seconds <= MAX_SECONDS).then(|| Some(Duration::from_secs_f64(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(variables: &[(&str, &str)]) -> Reader {
        let environment: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Reader::new(&environment)
    }

    #[test]
    fn times_are_seconds_or_have_a_unit_and_are_bounded() {
        let ms = |ms| Some(Some(Duration::from_millis(ms)));
        for (text, expected) in [
            ("0", Some(None)),
            ("-1", Some(None)),
            ("1.5", ms(1500)),
            ("5s", ms(5000)),
            ("2m", ms(120_000)),
            ("1 h", ms(3_600_000)),
            ("250ms", ms(250)),
            ("31536000", ms(31_536_000_000)),
            ("31536001", None),
            ("1e19", None),
            ("inf", Some(None)),
            ("-inf", Some(None)),
            ("nan", None),
            ("5d", None),
            ("", None),
            ("s", None),
        ] {
            assert_eq!(time_limit(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_number_beyond_its_bounds_is_a_fault() {
        for value in ["0", "-1", "1.5", "11", "18446744073709551616", "many"] {
            let mut reader = reader(&[("N", value)]);
            assert_eq!(reader.count("N", 7, 10), 7, "{value}");
            assert_eq!(
                reader.faults,
                [format!(
                    "N: '{value}' is not allowed; use a whole number from 1 to 10"
                )]
            );
        }
        assert_eq!(reader(&[("N", "10")]).count("N", 7, 10), 10);
    }

    #[test]
    fn a_switch_is_read_as_people_write_it() {
        for (text, expected) in [("1", true), ("YES", true), ("On", true), ("off", false)] {
            assert_eq!(reader(&[("S", text)]).switch("S", !expected), expected);
        }
        for text in ["", "  "] {
            assert!(
                reader(&[("S", text)]).switch("S", true),
                "an empty value counts as unset"
            );
        }
        let mut reader = reader(&[("S", "perhaps")]);
        assert!(!reader.switch("S", false));
        assert_eq!(reader.faults.len(), 1);
    }

    #[test]
    fn a_misspelled_name_is_noted_with_the_likely_one() {
        let known = ["MCP_PLUGINS_DIR", "MCP_PORT", "SMCP_PROFILES"];
        let known = BTreeSet::from(known);
        for (name, meant) in [
            ("MCP_PLUGIN_DIR", Some("MCP_PLUGINS_DIR")),
            ("SMCP_PLUGINS_DIR", Some("MCP_PLUGINS_DIR")),
            ("MCP_PROT", Some("MCP_PORT")),
            ("mcp_port", Some("MCP_PORT")),
            ("MCP_PROFILE", Some("SMCP_PROFILES")),
            ("MCP_WEATHER_TOKEN", None),
            ("PORT", None),
            ("SMCP_PLUGIN_DIR", None),
        ] {
            assert_eq!(meant_by(name, &known), meant, "{name}");
        }
    }
}
