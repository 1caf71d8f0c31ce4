//! The words of one command line, and what the system or the program cannot take of them.

use std::collections::HashSet;

use crate::contract::{Command, Faults};
use crate::text::{in_quotes, shown};

/// The longest word that Linux passes to a program, its closing NUL not counted.
pub const MAX_WORD: usize = 131_071;

/// The words that are written so far. One that no program can be given is a fault of its argument.
pub struct Words<'a> {
    /// All of them, in their order.
    pub all: Vec<String>,
    /// The faults of all arguments.
    pub faults: Faults,
    /// What is said of the first word that is larger than the system passes on.
    pub too_large: Option<String>,
    /// Values that the program's parser loses.
    refused: HashSet<&'a str>,
}

impl<'a> Words<'a> {
    /// No words yet, for `command`.
    pub fn new(command: &'a Command) -> Self {
        Self {
            all: Vec::new(),
            faults: Faults::default(),
            too_large: None,
            refused: command.refuse_words.iter().map(String::as_str).collect(),
        }
    }

    /// Refuses a value that the program's parser would lose.
    pub fn refuse_lost(&mut self, name: &str, text: &str) {
        if self.refused.contains(text) {
            self.faults.add(&format!(
                "{} cannot be {}: the program's parser would lose it",
                in_quotes(name),
                shown(text, 60)
            ));
        }
    }

    /// Adds a word of the argument `name`.
    pub fn push(&mut self, name: &str, word: String) {
        self.check(name, &word);
        self.all.push(word);
    }

    /// Notes what keeps a word from being passed to a program.
    pub fn check(&mut self, name: &str, word: &str) {
        if word.contains('\0') {
            self.faults.add(&format!(
                "{} contains a NUL character, which no program can be given",
                in_quotes(name)
            ));
        }
        if word.len() > MAX_WORD {
            self.too_large.get_or_insert_with(|| {
                format!(
                    "{} takes {} bytes on the command line; the system passes at most {MAX_WORD} in one argument",
                    in_quotes(name),
                    word.len()
                )
            });
        }
    }
}
