//! Any bytes as `Host` or `Origin`: never a panic, and nothing but a loopback name or address counts as loopback.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smcp::http::authority::Authority;

fuzz_target!(|value: &[u8]| {
    for authority in [Authority::parse(value), Authority::of_origin(value)]
        .into_iter()
        .flatten()
    {
        if authority.is_loopback() {
            let text = String::from_utf8_lossy(value).to_ascii_lowercase();
            assert!(
                text.contains("localhost") || text.contains("127.") || text.contains("::1") || text.contains("7f"),
                "{text} counts as loopback"
            );
        }
    }
});
