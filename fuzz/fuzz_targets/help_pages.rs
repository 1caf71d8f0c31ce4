//! Any text as a help page: never a panic, and what is read from it is a description that the contract accepts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smcp::contract;
use smcp::discovery::introspect;

fuzz_target!(|page: &str| {
    let Ok(mut payload) = introspect::parse_help("fuzzed", page) else {
        return;
    };
    for command in introspect::pages_to_ask(&payload) {
        introspect::CommandPage::read(page).add_to(&mut payload, &command);
    }
    if let Err(faults) = contract::read(&payload) {
        panic!("{faults:?} in {payload}");
    }
});
