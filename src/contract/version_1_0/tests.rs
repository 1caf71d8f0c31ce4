//! Nothing that is read is forgotten where version 1.0 is told from later ones.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::contract::described;
use crate::contract::members::{Findings, Members};

/// The members that are looked for in a description, in a command and in a parameter.
fn looked_for() -> [BTreeSet<String>; 3] {
    let payload = json!({"commands": [{"name": "a", "parameters": [
        {"name": "b"}, {"name": "c", "type": "boolean"},
    ]}]});
    let findings = Findings::of(false);
    let members = Members::of(&payload, String::new(), &findings).expect("an object");
    described(&members);
    let mut found: [BTreeSet<String>; 3] = Default::default();
    for address in findings.looked_for.take() {
        let (parent, name) = address.rsplit_once('.').unwrap_or(("", &address));
        found[parent.matches('[').count()].insert(name.to_owned());
    }
    found
}

#[test]
fn every_member_that_is_read_is_one_of_version_1_0_or_of_a_later_one() {
    // They say how version 1.0 writes a boolean.
    let of_style = ["action", "arg_style", "takes_value"];
    let listed: [Vec<&str>; 3] = [
        [&KNOWN_OF_DESCRIPTION[..], &OF_DESCRIPTION].concat(),
        [&KNOWN_OF_COMMAND[..], &OF_COMMAND].concat(),
        [&KNOWN_OF_PARAMETER[..], &OF_PARAMETER, &of_style].concat(),
    ];
    // What goes through as part of the schema is not looked for by its name.
    let of_schema = |name: &str| SHOWN.contains(&name) || name.starts_with("x-");
    for (place, (read, listed)) in looked_for().iter().zip(listed).enumerate() {
        let is_schema = |name: &str| place == 2 && of_schema(name);
        let read: BTreeSet<&str> = read.iter().map(String::as_str).collect();
        let named: BTreeSet<&str> = listed.into_iter().collect();
        let differ = read.symmetric_difference(&named);
        let differ: Vec<_> = differ.filter(|name| !is_schema(name)).collect();
        assert!(differ.is_empty(), "read or listed alone: {differ:?}");
    }
}
