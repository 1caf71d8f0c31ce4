//! Reads single settings: by flag, variable or file, with a default and with what is allowed. Knows no layer.
//!
//! Faults, mistakes and notices are collected, so that everything that is wrong is reported together.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::file::Entries;
use super::given::{Given, Origin, name};
use super::settings::{self, by_variable};
use super::values::{switch_value, time_limit};
use crate::text::without_secrets;

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

/// The environment and the settings files, and what has been found in them so far.
#[derive(Debug, Default)]
pub struct Reader {
    values: BTreeMap<OsString, OsString>,
    /// What the settings files say.
    pub files: Entries,
    /// The settings files, the one that counts most at the end.
    pub read_files: Vec<Arc<Path>>,
    /// Every variable that was asked for.
    asked: BTreeSet<&'static str>,
    /// What counts whatever stands in the environment and the files: what flags say, what a value counts as that is
    /// not understood, what was found in another place.
    decided: BTreeMap<&'static str, (String, Origin)>,
    /// What counts where nothing is given, of the settings of which there is something to say.
    defaults: BTreeMap<&'static str, String>,
    /// Settings whose value does not count: refused without ending the start, or said in another way that counts more.
    without_effect: BTreeSet<&'static str>,
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
            ..Self::default()
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
        value.is_some_and(|value| is_blank(value))
    }

    /// Whether a variable is set, or stands in a file, to whatever it be.
    pub fn is_set(&mut self, name: &'static str) -> bool {
        self.asked.insert(name);
        self.values.contains_key(OsStr::new(name)) || self.files.contains_key(name)
    }

    /// The value of a variable, else the one in a file, with where it stands. An empty variable counts as unset, as
    /// environment files are written.
    fn find(&mut self, name: &'static str) -> Option<(OsString, Origin)> {
        self.asked.insert(name);
        let by_variable = self.values.get(OsStr::new(name));
        if let Some(value) = by_variable.filter(|value| !is_blank(value)) {
            return Some((value.clone(), Origin::Environment));
        }
        let entry = self.files.get(name)?;
        Some((entry.value.clone().into(), Origin::File(entry.line.clone())))
    }

    /// Where a variable or a file gives this setting; `None` where neither does.
    pub fn origin(&mut self, variable: &'static str) -> Option<Origin> {
        self.find(variable).map(|(_, origin)| origin)
    }

    /// Whether it is a file that gives this setting.
    pub fn is_by_file(&mut self, variable: &'static str) -> bool {
        matches!(self.origin(variable), Some(Origin::File(_)))
    }

    /// A setting as faults name it: the variable, or the line and the key of a file.
    pub fn name_of(&mut self, variable: &'static str) -> Cow<'static, str> {
        let origin = self.origin(variable).unwrap_or(Origin::Environment);
        name(variable, &origin)
    }

    /// A variable.
    pub fn variable(&mut self, variable: &'static str) -> Option<Given> {
        let (value, origin) = self.find(variable)?;
        let Some(text) = value.to_str() else {
            self.faults.push(format!("{variable} is not valid UTF-8"));
            return None;
        };
        let value = text.trim().to_owned();
        (!value.is_empty()).then_some(Given {
            variable,
            origin,
            value,
        })
    }

    /// A variable that is a path, which need not be UTF-8.
    pub fn path(&mut self, name: &'static str) -> Option<PathBuf> {
        let (value, _) = self.find(name)?;
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
    pub fn flag(&mut self, value: Option<&String>, variable: &'static str) -> Option<Given> {
        let given = self.variable(variable);
        let flag = by_variable(variable).and_then(|setting| setting.flag);
        match (value, flag) {
            (Some(value), Some(flag)) => {
                self.decide(variable, value, Origin::Flag(flag));
                Some(Given {
                    variable,
                    origin: Origin::Flag(flag),
                    value: value.clone(),
                })
            }
            _ => given,
        }
    }

    /// Notes that a flag without a value counts, which says the same as `value` of its setting.
    pub fn flag_alone(&mut self, variable: &'static str, value: &str) {
        let flag = by_variable(variable).and_then(|setting| setting.flag_alone);
        if let Some((flag, _)) = flag {
            self.decide(variable, value, Origin::Flag(flag));
        }
    }

    /// Notes what counts for a setting, and where that comes from. `in_force` says nothing else of it then.
    pub fn decide(&mut self, variable: &'static str, value: &str, origin: Origin) {
        self.decided.insert(variable, (value.to_owned(), origin));
    }

    /// Notes that what was given for a setting counts as `value`.
    pub fn counts_as(&mut self, variable: &'static str, value: &str) {
        // What is blank stands in the environment: a file has none.
        let origin = self.origin(variable).unwrap_or(Origin::Environment);
        self.decide(variable, value, origin);
    }

    /// Notes that a setting does not count, because the same is said in another way.
    pub fn overrule(&mut self, variable: &'static str) {
        self.without_effect.insert(variable);
    }

    /// Notes what counts where a setting is not given.
    pub fn note_default(&mut self, variable: &'static str, value: impl fmt::Display) {
        self.defaults.insert(variable, value.to_string());
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
        self.note_default(name, default);
        let given = self.variable(name);
        self.parsed(
            given,
            default,
            "1, true, yes, on, 0, false, no or off",
            switch_value,
        )
    }

    /// A whole number within `range`.
    pub fn whole(&mut self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.note_default(name, default);
        let given = self.variable(name);
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(given, default, &allowed, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    /// A number of things of which there is at least one.
    pub fn count(&mut self, name: &'static str, default: usize, most: usize) -> usize {
        let count = self.whole(name, default as u64, 1..=most as u64);
        usize::try_from(count).unwrap_or(most)
    }

    /// A time within `range`: seconds, or with a unit.
    pub fn duration(
        &mut self,
        name: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.note_default(name, format_args!("{default:?}"));
        let given = self.variable(name);
        let (least, most) = (range.start(), range.end());
        let examples = times_within(&range);
        let allowed = format!(
            "a time from {} to {}, such as {examples}",
            as_written(*least),
            as_written(*most)
        );
        self.parsed(given, default, &allowed, |text| {
            time_limit(text)?.filter(|time| range.contains(time))
        })
    }

    /// A time limit; 0 and less is none.
    pub fn time_limit(&mut self, given: Option<Given>) -> Option<Duration> {
        self.time_or_none(given, "limit")
    }

    /// A time of which 0 and less is none; `what` says of what there is none then.
    pub fn time_or_none(&mut self, given: Option<Given>, what: &str) -> Option<Duration> {
        let allowed = format!(
            "a number of seconds up to a year, or a time such as 500ms, 30s, 5m or 2h; 0 is no {what}"
        );
        self.parsed(given, None, &allowed, time_limit)
    }

    /// The entries of a list that is separated by commas; each that is not allowed is a fault of its own.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Some(given) = self.variable(name) else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        for entry in given.value.split(',').map(str::trim) {
            match parse(entry) {
                _ if entry.is_empty() => {}
                Some(entry) => entries.push(entry),
                None => self.refuse(
                    &Given {
                        value: entry.to_owned(),
                        ..given.clone()
                    },
                    allowed,
                ),
            }
        }
        entries
    }

    /// Notes that a setting has a value that is not allowed: a fault, or a mistake where version 3 let it pass.
    pub fn refuse(&mut self, given: &Given, allowed: &str) {
        let (name, value) = (given.name(), without_secrets(&given.value));
        let is_forgiven = by_variable(given.variable).is_some_and(|setting| setting.is_forgiven);
        // Version 3 had no settings files, and its flags were never ignored.
        if is_forgiven && given.origin == Origin::Environment {
            self.without_effect.insert(given.variable);
            self.mistakes.push(format!(
                "{name}: '{value}' is not understood and has no effect; use {allowed}"
            ));
        } else {
            self.faults
                .push(format!("{name}: '{value}' is not allowed; use {allowed}"));
        }
    }

    /// Notes that a setting cannot be used, in words that do not show it: a fault where a file gives it, for that file
    /// is for smcp alone, else a mistake.
    pub fn ignore(&mut self, variable: &'static str, what: &str) {
        let line = format!("{} {what}", self.name_of(variable));
        // Nor is it in force: nothing shows it.
        self.without_effect.insert(variable);
        if self.is_by_file(variable) {
            self.faults.push(line);
        } else {
            self.mistakes.push(line);
        }
    }

    /// Notes that a setting, where it is given, has no effect, and `why`: it would have one beside another.
    pub fn note_useless(&mut self, variable: &'static str, why: &str) {
        if self.origin(variable).is_some() {
            let line = format!("{} has no effect: {why}", self.name_of(variable));
            self.mistakes.push(line);
        }
    }

    /// Notes each variable that looks like a misspelled setting, with the setting that is most like it.
    pub fn note_misspelled(&mut self) {
        let unknown = self.values.keys().filter_map(|name| name.to_str());
        let unknown = unknown
            .filter(|name| by_variable(name).is_none() && !settings::SURROUNDINGS.contains(name));
        for name in unknown {
            if let Some(meant) = settings::variable_meant_by(name) {
                self.mistakes.push(format!(
                    "{name} is not a setting of smcp and has no effect; do you mean {meant}?"
                ));
            }
        }
    }

    /// The value of a setting that is in force, with where it comes from; no origin where it is the default, and no
    /// value where it is not set. To be asked when everything has been read.
    pub fn in_force(&mut self, variable: &'static str) -> (Option<String>, Option<Origin>) {
        if let Some((value, origin)) = self.decided.get(variable) {
            return (Some(value.clone()), Some(origin.clone()));
        }
        let given = self.find(variable);
        let is_used = !self.without_effect.contains(variable);
        match given.filter(|_| is_used) {
            Some((value, origin)) => {
                let value = value.to_string_lossy().trim().to_owned();
                (Some(value), Some(origin))
            }
            None => (self.defaults.get(variable).cloned(), None),
        }
    }

    /// Every variable that was asked for.
    #[cfg(test)]
    pub fn asked(&self) -> &BTreeSet<&'static str> {
        &self.asked
    }

    /// The settings that a flag or a variable gives, so that no file counts for them.
    pub fn overridden(&mut self) -> BTreeSet<&'static str> {
        let names = settings::SETTINGS.iter().map(|setting| setting.variable);
        let is_by_variable = |name: &&str| {
            self.values
                .get(OsStr::new(name))
                .is_some_and(|value| !is_blank(value))
        };
        let mut names: BTreeSet<_> = names.filter(is_by_variable).collect();
        let decided = self.decided.iter();
        names.extend(decided.filter_map(|(name, (_, origin))| {
            matches!(origin, Origin::Flag(_) | Origin::Environment).then_some(*name)
        }));
        names
    }
}

/// A time as a setting has it: in the largest unit of which it is a whole number.
fn as_written(time: Duration) -> String {
    let (seconds, rest) = (time.as_secs(), time.subsec_nanos());
    match rest {
        0 if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        0 if seconds > 0 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        0 => format!("{seconds}s"),
        _ => format!("{time:?}"),
    }
}

/// One or two times in a range, as they are written.
fn times_within(range: &RangeInclusive<Duration>) -> String {
    const EXAMPLES: [&str; 5] = ["500ms", "30s", "5m", "2h", "2s"];
    let within = |text: &&str| {
        time_limit(text)
            .flatten()
            .is_some_and(|time| range.contains(&time))
    };
    let mut examples = EXAMPLES.into_iter().filter(within);
    match (examples.next(), examples.next()) {
        (Some(one), Some(two)) => format!("{one} or {two}"),
        (Some(one), None) => one.to_owned(),
        _ => as_written(*range.start()),
    }
}

fn is_blank(value: &OsStr) -> bool {
    // What is no text has something in it.
    value.to_str().is_some_and(|text| text.trim().is_empty())
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
    fn every_example_of_a_time_is_one_that_is_allowed() {
        let seconds = Duration::from_secs;
        for range in [
            seconds(60)..=seconds(2_592_000),
            seconds(1)..=seconds(3_600),
            Duration::ZERO..=Duration::MAX,
            seconds(3)..=seconds(4),
            seconds(7_200)..=seconds(7_200),
        ] {
            let mut told = reader(&[("T", "no time")]);
            told.duration("T", seconds(60), range.clone());
            let (bounds, examples) = told.faults[0].split_once(", such as ").expect("examples");
            let (_, bounds) = bounds.split_once("a time from ").expect("bounds");
            // No setting takes more than a year.
            let most = if range.end() == &Duration::MAX { 1 } else { 2 };
            let bounds = bounds
                .split(" to ")
                .take(most)
                .filter(|bound| *bound != "0s");
            for example in bounds.chain(examples.split(" or ")) {
                let mut reader = reader(&[("T", example)]);
                reader.duration("T", seconds(60), range.clone());
                assert!(reader.faults.is_empty(), "{examples}: {:?}", reader.faults);
            }
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
}
