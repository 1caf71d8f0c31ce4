//! What a plugin prints when it is asked to describe itself: never a panic, and few faults however many there are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smcp::contract::{self, schema};

fuzz_target!(|printed: &[u8]| {
    let Some(payload) = contract::find_payload(printed) else {
        return;
    };
    match contract::read(&payload.json) {
        Ok(description) => {
            for command in &description.commands {
                let _ = schema::of_input(command);
                let _ = schema::of_output(command);
            }
        }
        Err(faults) => {
            let length = faults.to_string().len();
            assert!(length < 64 << 10, "faults of {length} bytes");
        }
    }
});
