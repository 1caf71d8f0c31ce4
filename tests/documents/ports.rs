//! Ports that nothing listens on.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Free ports, none of them given twice. They are below the range that the system gives to outgoing connections, so
/// that none of those takes one before a server does.
pub fn free_ports(count: usize) -> Vec<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let candidates = std::iter::repeat_with(|| {
        let nth = GIVEN.fetch_add(1, Ordering::Relaxed);
        20_000 + (std::process::id().wrapping_mul(61).wrapping_add(nth) % 10_000) as u16
    });
    candidates
        .filter(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .take(count)
        .collect()
}
