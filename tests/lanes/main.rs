//! Claims about warm interpreters: a call through one is the call that an executed program would have been.
//!
//! The supervisors are the real binary, the interpreter is the `python3` of `PATH`, or that of `SMCP_TEST_PYTHON`.

#[path = "../support/mod.rs"]
mod support;

mod asked;
mod bounds;
mod calls;
mod endings;
mod kills;
mod kit;
mod reuse;
mod rounds;
mod served;
mod stopped;
mod stuck;
