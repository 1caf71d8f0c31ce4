//! What passes through reverse proxies in front of a server, and what does not. The proxies are run for real, with the
//! configurations that `docs/reverse-proxy.md` prints.

#[path = "../documents/pages.rs"]
#[allow(dead_code, reason = "the tests of the documents use the rest")]
mod pages;
#[path = "../documents/ports.rs"]
mod ports;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod behind;
mod curl;
mod doctor;
mod outages;
mod printed;
mod proxy;
mod said;
mod site;
mod sizes;
mod streams;
mod tls;
mod written;
