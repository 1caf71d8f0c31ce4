//! Any bytes as a body: never a panic, never something that is no JSON taken for a message, ids kept as they came.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use smcp::jsonrpc::{self, Body, Message};

fuzz_target!(|body: &[u8]| {
    let messages = match jsonrpc::parse(body) {
        Body::Single(message) => vec![message],
        Body::Batch(messages) => messages,
    };
    for message in messages {
        match message {
            Ok(Message::Request(request)) => {
                assert!(serde_json::from_slice::<&RawValue>(body).is_ok());
                let id = request.id.raw().get();
                assert!(id.len() <= jsonrpc::MAX_ID_BYTES);
                // What is echoed must be read as the same id again.
                let answer = jsonrpc::encode_result(&request.id, &jsonrpc::to_raw(&1));
                assert!(!answer.contains(&b'\n'));
                match jsonrpc::parse(&answer) {
                    Body::Single(Ok(Message::Response(response))) => {
                        assert_eq!(response.id.raw().get(), id);
                        assert_eq!(response.id.key(), request.id.key());
                    }
                    other => panic!("{id} was answered with {other:?}"),
                }
            }
            Ok(_) => assert!(serde_json::from_slice::<&RawValue>(body).is_ok()),
            Err(fault) => {
                let told = fault.to_bytes();
                assert!(told.len() < 16 << 10, "an error of {} bytes", told.len());
                assert!(serde_json::from_slice::<&RawValue>(&told).is_ok());
            }
        }
    }
});
