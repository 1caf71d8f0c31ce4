//! What one request allocates on its way through the server, counted: how often, and how many bytes in all.
//!
//!     cargo run --release --example allocations [SMCP]
//!
//! The same thread reads the message, serves it and writes the answer; a transport would add its own. Counts do not
//! depend on the machine, so two of them can be compared exactly.

mod inside;

use std::path::{Path, PathBuf};

use allocation_counter::measure;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use inside::{Inside, many_tools, message};

/// Requests of which the fewest allocations count: whatever grows now and then is left out.
const ROUNDS: usize = 20;

fn main() {
    let smcp = std::env::args_os()
        .nth(1)
        .map_or_else(beside, PathBuf::from);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let demos = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins");
    let demo = runtime.block_on(Inside::start(&smcp, &demos));
    let hundreds = many_tools(500);
    let many = runtime.block_on(Inside::start(&smcp, hundreds.path()));
    let sum = json!({"operation": "add", "a": 2, "b": 3});
    let call = json!({"name": "demo_math__calculate", "arguments": sum});
    let refused = json!({"name": "demo_math__calculate", "arguments": {"operation": "add"}});
    let rows = [
        ("ping", &demo, message("ping", json!({}))),
        (
            "tools/list, 9 tools",
            &demo,
            message("tools/list", json!({})),
        ),
        (
            "tools/list, 502 tools",
            &many,
            message("tools/list", json!({})),
        ),
        (
            "tools/call, arguments refused",
            &demo,
            message("tools/call", refused),
        ),
        ("tools/call, cold", &demo, message("tools/call", call)),
    ];
    let mut found = serde_json::Map::new();
    for (name, server, message) in rows {
        let (count, bytes) = allocated(&runtime, server, &message);
        found.insert(name.to_owned(), json!({"count": count, "bytes": bytes}));
    }
    println!("{}", serde_json::Value::Object(found));
}

fn allocated(runtime: &Runtime, server: &Inside, message: &[u8]) -> (u64, u64) {
    let rounds = (0..ROUNDS).map(|_| {
        let counted = measure(|| {
            let answered = runtime.block_on(server.answer(message));
            assert!(answered > 0, "an answer has bytes");
        });
        (counted.count_total, counted.bytes_total)
    });
    rounds.min().expect("there is a round")
}

/// The program beside the folder of this one.
fn beside() -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let folder = own.parent().and_then(Path::parent);
    folder.expect("examples are in a folder").join("smcp")
}
