//! A program of the Python package index as a plugin: a few lines that call it, and the version that was found.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;

use super::job::{Bench, Command};
use crate::catalog::environments::State;
use crate::catalog::prepare::Missing;
use crate::commands::diagnostics::warn;
use crate::discovery::scan::{Found, Program};
use crate::text::in_quotes;

/// The program of the plugin.
const PROGRAM: &str = include_str!("program.py");

/// What asks an environment for its package.
const QUESTION: &str = include_str!("package.py");

/// How many programs are named.
const MAX_NAMED: usize = 20;

/// A package as somebody names it: `httpie`, `httpie==3.2.4`, `name[extra]>=1`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Package<'a> {
    /// Without anything behind it.
    pub(super) name: &'a str,
    /// In square brackets, or nothing.
    extras: &'a str,
    /// The versions, or nothing.
    versions: &'a str,
}

/// What is installed.
#[derive(Debug, Deserialize)]
struct Installed {
    version: String,
    /// By name, with the function that each runs.
    programs: BTreeMap<String, String>,
}

impl<'a> Package<'a> {
    /// Reads what somebody wrote.
    ///
    /// # Errors
    /// It is no package.
    pub(super) fn read(text: &'a str) -> anyhow::Result<Self> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let end = text.find(|letter| !plain(letter)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let (extras, versions) = match rest.find(']') {
            Some(end) if rest.starts_with('[') => rest.split_at(end + 1),
            _ => ("", rest),
        };
        let is_edge =
            |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        let has_versions = versions.is_empty() || versions.starts_with(['=', '<', '>', '!', '~']);
        let is_line = versions
            .chars()
            .chain(extras.chars())
            .all(|letter| letter.is_ascii_alphanumeric() || "[]=<>!~.,*+_- ".contains(letter));
        ensure!(
            is_edge(name.chars().next()) && is_edge(name.chars().last()) && has_versions && is_line,
            "{} is neither a directory (./name), nor the address of a Git repository, nor a package such as httpie or \
             httpie==3.2.4",
            in_quotes(text)
        );
        Ok(Self {
            name,
            extras,
            versions,
        })
    }

    fn requirement(&self) -> String {
        format!("{}{}{}", self.name, self.extras, self.versions)
    }

    /// Makes the plugin in `directory`, which is empty, and installs the package. Returns where it comes from.
    ///
    /// # Errors
    /// It cannot be installed, or has no program that could be meant.
    pub(super) async fn make(
        &self,
        bench: &Bench<'_>,
        directory: &Path,
        script: Option<&str>,
    ) -> anyhow::Result<String> {
        let write = |file: &str, text: &str| {
            std::fs::write(directory.join(file), text)
                .with_context(|| format!("cannot write {file}"))
        };
        write("cli.py", "")?;
        write("requirements.txt", &format!("{}\n", self.requirement()))?;
        let installed = self.install(bench, directory).await?;
        let program = self.choose(&installed.programs, script)?;
        let text = PROGRAM
            .replace("PROGRAM", program)
            .replace("PACKAGE", self.name);
        write("cli.py", &text)?;
        // What works today works tomorrow: another version comes when somebody asks for it.
        let pinned = format!("{}{}=={}", self.name, self.extras, installed.version);
        if pinned != self.requirement() {
            let file = directory.join("requirements.txt");
            let change = move || {
                std::fs::write(&file, format!("{pinned}\n"))
                    .map_err(|fault| format!("cannot write {}: {fault}", file.display()))
            };
            let found = plugin(directory);
            let redeclared = bench.outfitter.redeclare(&found, change).await;
            redeclared.map_err(|fault| anyhow!("{fault}"))?;
            // There it is, unless others use the one without a version.
            self.install(bench, directory).await?;
        }
        Ok(format!("package {}=={}", self.name, installed.version))
    }

    async fn install(&self, bench: &Bench<'_>, directory: &Path) -> anyhow::Result<Installed> {
        let found = plugin(directory);
        let outfit = bench.outfitter.one(found.clone(), Missing::Make);
        let outfit = bench.workbench.unless_ended(outfit).await?;
        match outfit.state {
            Ok(State::Made { .. } | State::Met { .. }) => {}
            Ok(State::None { warning }) => {
                bail!(warning.unwrap_or_else(|| "it asks for nothing".to_owned()))
            }
            Ok(State::Missing) => bail!("{} could not be installed", self.requirement()),
            // The file that this is about goes with the plugin.
            Err(fault) => match bench.outfitter.give_up(&found).await {
                Some(reason) => bail!("{} could not be installed: {reason}", self.requirement()),
                None => bail!("{fault}"),
            },
        }
        let python = outfit
            .interpreter
            .ok_or_else(|| anyhow!("there is no interpreter for it"))?;
        let question = Command::new(&python).words(["-I", "-c", QUESTION, self.name]);
        let said = question
            .run(bench)
            .await
            .context("asking for its programs")?;
        serde_json::from_str(&said).context("asking for its programs")
    }

    /// The program that is meant: the one that was named, else the only one, else the one that goes by most names, else
    /// the one named as the package.
    fn choose<'b>(
        &self,
        programs: &'b BTreeMap<String, String>,
        script: Option<&str>,
    ) -> anyhow::Result<&'b str> {
        let names: Vec<&str> = programs.keys().map(String::as_str).collect();
        let named = || names[..names.len().min(MAX_NAMED)].join(", ");
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        ensure!(
            names.iter().all(|name| name.chars().all(plain)),
            "{} has programs with names that no shell takes: {}",
            self.name,
            crate::text::shown(&named(), 200)
        );
        ensure!(
            !names.is_empty(),
            "{} has no program, only modules for other programs",
            self.name
        );
        if let Some(script) = script {
            let found = names.iter().find(|known| **known == script);
            return found.copied().ok_or_else(|| {
                anyhow!(
                    "{} has no program {}; it has {}",
                    self.name,
                    in_quotes(script),
                    named()
                )
            });
        }
        if let [only] = names[..] {
            return Ok(only);
        }
        let own = self.own_of(&names);
        let Some(meant) = self.with_most_names(programs).or(own) else {
            bail!(
                "{} has several programs; choose one: --script NAME, of {}",
                self.name,
                named()
            );
        };
        warn([format_args!(
            "{} has several programs, and {meant} is taken; for another one: --script NAME, of {}",
            self.name,
            named()
        )]);
        Ok(meant)
    }

    /// The name that is the package's.
    fn own_of<'b>(&self, names: &[&'b str]) -> Option<&'b str> {
        let alike = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
        let mut names = names.iter();
        names
            .find(|known| alike(known) == alike(self.name))
            .copied()
    }

    /// The program that several names lead to, and to no other as many: what a package is for has variants of its name,
    /// and what only belongs to it has one. Of these names it has the package's, else the one that all begin with.
    fn with_most_names<'b>(&self, programs: &'b BTreeMap<String, String>) -> Option<&'b str> {
        let mut by_function: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, function) in programs {
            by_function.entry(function).or_default().push(name);
        }
        let most = by_function.values().max_by_key(|names| names.len())?;
        let is_one = |names: &&Vec<&str>| names.len() == most.len();
        if most.len() < 2 || by_function.values().filter(is_one).count() > 1 {
            return None;
        }
        let is_beginning = |name: &&&str| most.iter().all(|other| other.starts_with(**name));
        self.own_of(most)
            .or_else(|| most.iter().find(is_beginning).copied())
    }
}

/// The plugin that is made in `directory`.
pub(super) fn plugin(directory: &Path) -> Found {
    let name = directory.file_name().unwrap_or_default();
    Found {
        name: name.to_string_lossy().into_owned(),
        directory: directory.to_owned(),
        program: Program::Python(directory.join("cli.py")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_told_from_what_is_none() {
        let read = |text| {
            Package::read(text).map(|package| (package.name, package.extras, package.versions))
        };
        for (text, expected) in [
            ("httpie", ("httpie", "", "")),
            ("httpie==3.2.4", ("httpie", "", "==3.2.4")),
            ("a.b-c_d[x,y]>=1,<2", ("a.b-c_d", "[x,y]", ">=1,<2")),
        ] {
            assert_eq!(read(text).expect(text), expected);
        }
        for bad in [
            "", "-r", "--help", "a;b", "a b", "a@b", "a\n--pre", "a==1\nb", "a'", ".", "..", "a-",
            "a[x", "ü",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_program_is_the_one_that_is_meant() {
        let package = Package::read("some-tool").expect("it is one");
        let choose = |programs: &[(&str, &str)], script: Option<&str>| {
            let programs = programs.iter();
            let programs = programs.map(|&(name, function)| (name.to_owned(), function.to_owned()));
            package
                .choose(&programs.collect(), script)
                .map(str::to_owned)
                .map_err(|fault| fault.to_string())
        };
        for (programs, script, expected) in [
            (&[("other", "x")][..], None, "other"),
            (&[("a", "x"), ("some_tool", "y")], None, "some_tool"),
            (&[("a", "x"), ("some_tool", "x")], None, "some_tool"),
            (&[("a", "x"), ("b", "y")], Some("b"), "b"),
            // One program under two names, and another that manages it.
            (&[("do", "x"), ("dos", "x"), ("some-tool", "y")], None, "do"),
            (
                &[("do", "x"), ("dos", "x"), ("some-tool", "y"), ("st", "y")],
                None,
                "some-tool",
            ),
        ] {
            assert_eq!(choose(programs, script).as_deref(), Ok(expected));
        }
        for (programs, script, told) in [
            (&[][..], None, "no program"),
            (&[("a", "x"), ("b", "x")], None, "--script NAME, of a, b"),
            (
                &[("a", "x"), ("b", "y")],
                Some("c"),
                "no program 'c'; it has a, b",
            ),
        ] {
            let fault = choose(programs, script).expect_err(told);
            assert!(fault.contains(told), "{fault}");
        }
    }
}
