//! A description and arguments, separated by a NUL: never a panic, and no value ever becomes an option.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use smcp::call::{arguments, argv};
use smcp::contract::{self, Input, schema};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some((description, given)) = text.split_once('\0') else {
        return;
    };
    let Ok(description) = serde_json::from_str(description) else {
        return;
    };
    let Ok(given) = serde_json::from_str::<Box<RawValue>>(given) else {
        return;
    };
    let Ok(description) = contract::read(&description) else {
        return;
    };
    for command in &description.commands {
        let Ok(schema) = schema::of_input(command) else {
            continue;
        };
        let Ok(arguments) = arguments::check(command, &schema, Some(&given)) else {
            continue;
        };
        let Ok(line) = argv::write(command, &arguments) else {
            continue;
        };
        assert!(line.words.iter().all(|word| !word.contains('\0')));
        if command.input == Input::Stdin {
            let stdin = line.stdin.expect("arguments on stdin are there");
            assert!(serde_json::from_slice::<Box<RawValue>>(&stdin).is_ok());
        }
    }
});
