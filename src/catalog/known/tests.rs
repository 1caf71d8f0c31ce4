//! What is asked after looks that nobody asked for.

use std::path::PathBuf;

use super::*;
use crate::discovery::scan::Program;

/// A directory that is looked at again and again, as fast as a look that finds something asks for.
struct Looks {
    known: Known,
    now: Instant,
}

impl Looks {
    fn new() -> Self {
        Self {
            known: Known::default(),
            now: Instant::now(),
        }
    }

    /// A look that finds these plugins, each looking so. The names of those that are asked.
    fn find(&mut self, plugins: &[(&str, u8)]) -> Vec<String> {
        let found = plugins.iter().map(|(name, _)| Found {
            name: (*name).to_owned(),
            directory: PathBuf::from(name),
            program: Program::Executable(PathBuf::from(name)),
        });
        let sights = plugins
            .iter()
            .map(|(name, number)| ((*name).to_owned(), Sight::numbered(*number)));
        let look = Look {
            found: found.collect(),
            ..Look::default()
        };
        self.now += steady::REST;
        let sights: HashMap<String, Sight> = sights.collect();
        let to_do = self
            .known
            .notice(Ok(look), "plugins".to_owned(), sights.clone(), self.now);
        let asked = to_do.ask.into_iter().map(|plugin| plugin.name);
        let asked: Vec<String> = asked.collect();
        for name in &asked {
            let fault = Unserved::Plugin("it never says anything".to_owned());
            self.note(name, sights[name].clone(), fault);
        }
        asked
    }

    /// What came of asking a plugin that looked so.
    fn note(&mut self, name: &str, sight: Sight, fault: Unserved) {
        self.known.note(
            Outcome {
                name: name.to_owned(),
                plugin: Err(fault),
                recalled: None,
                sight: Some(sight),
                answer: None,
                is_own: false,
                beside: None,
            },
            false,
        );
    }

    fn names(&self) -> Vec<&str> {
        let found = self.known.found.iter();
        found.map(|plugin| plugin.name.as_str()).collect()
    }
}

const NOBODY: [&str; 0] = [];

#[test]
fn a_plugin_that_was_late_is_left_to_be_asked_once() {
    let mut looks = Looks::new();
    looks.find(&[("one", 1)]);
    looks.find(&[("one", 1)]);
    let mut left_after = |fault: fn(String) -> Unserved| {
        let fault = fault("no answer within 10 s".to_owned());
        looks.note("one", Sight::numbered(1), fault);
        let left = looks.known.left(|_| false).expect("nobody is blind");
        assert_eq!(looks.known.may_pass(), !left.is_empty());
        left.len()
    };
    assert_eq!(left_after(Unserved::Late), 1);
    assert_eq!(left_after(Unserved::Late), 0);
    assert_eq!(left_after(Unserved::Late), 0);
    assert_eq!(left_after(Unserved::Shortage), 1);
    assert_eq!(left_after(Unserved::Late), 1);
}

#[test]
fn a_plugin_is_asked_once_when_it_is_new_and_once_when_it_has_changed_and_no_other_is() {
    let mut looks = Looks::new();
    assert_eq!(looks.find(&[("one", 1)]), NOBODY);
    assert_eq!(looks.find(&[("one", 1)]), ["one"]);
    assert_eq!(looks.find(&[("one", 1)]), NOBODY);
    let changed = [("one", 1), ("two", 1)];
    assert_eq!(looks.find(&changed), NOBODY);
    assert_eq!(looks.find(&changed), ["two"]);
    let changed = [("one", 2), ("two", 1)];
    assert_eq!(looks.find(&changed), NOBODY);
    assert_eq!(looks.find(&changed), ["one"]);
    assert_eq!(looks.find(&changed), NOBODY);
}

#[test]
fn what_is_being_copied_is_not_asked_before_it_is_there() {
    for begin in [&[][..], &[("one", 0), ("one", 0)]] {
        let mut looks = Looks::new();
        for plugin in begin {
            looks.find(&[*plugin]);
        }
        for number in 1..9 {
            assert_eq!(looks.find(&[("one", number)]), NOBODY, "{number}");
        }
        assert_eq!(looks.find(&[("one", 8)]), ["one"]);
    }
}

#[test]
fn what_never_comes_to_rest_is_asked_after_a_while_all_the_same() {
    let mut looks = Looks::new();
    let asked = (0..60).filter(|number| !looks.find(&[("one", *number)]).is_empty());
    let asked = asked.count();
    assert!((2..=5).contains(&asked), "asked {asked} times in 24 s");
}

#[test]
fn a_plugin_that_is_replaced_is_never_gone_and_one_that_is_gone_stays_so() {
    let mut looks = Looks::new();
    looks.find(&[("one", 1)]);
    looks.find(&[("one", 1)]);
    looks.find(&[]);
    assert_eq!(looks.names(), ["one"]);
    looks.find(&[("one", 2)]);
    assert_eq!(looks.find(&[("one", 2)]), ["one"]);
    looks.find(&[]);
    looks.find(&[]);
    assert_eq!(looks.names(), NOBODY);
}
