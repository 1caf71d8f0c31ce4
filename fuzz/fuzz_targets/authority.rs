//! Any bytes as `Host` or `Origin`: never a panic, and nothing but a loopback name or address counts as loopback.

#![no_main]

use std::net::Ipv6Addr;

use libfuzzer_sys::fuzz_target;
use smcp::http::authority::Authority;

fuzz_target!(|value: &[u8]| {
    for authority in [Authority::parse(value), Authority::of_origin(value)]
        .into_iter()
        .flatten()
    {
        if authority.is_loopback() {
            let text = String::from_utf8_lossy(value).to_ascii_lowercase();
            let bracketed = text.split(['[', ']']).nth(1).unwrap_or_default();
            let in_brackets = bracketed
                .parse::<Ipv6Addr>()
                .is_ok_and(|address| address.to_canonical().is_loopback());
            assert!(
                text.contains("localhost") || text.contains("127.") || in_brackets,
                "{text} counts as loopback"
            );
        }
    }
});
