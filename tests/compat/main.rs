//! What clients and plugins of older versions rely on. `docs/parity.md` names the test for each behaviour.

#[path = "../support/mod.rs"]
mod support;

mod older_names;
mod replay;
mod version_3;
