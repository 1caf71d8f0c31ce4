//! The documents: what they link to and name, and whether what they show is what happens.
//!
//! CONTRIBUTING.md describes the marks that stand before code in a document.

#[path = "../support/mod.rs"]
mod support;

mod api;
mod benchmarks;
mod book;
mod clients;
mod compare;
mod contract_1_0;
mod examples;
mod marks;
mod metrics;
mod package;
mod pages;
mod ports;
mod proxies;
mod references;
mod shell;
mod variables;
