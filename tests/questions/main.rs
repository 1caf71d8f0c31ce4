//! What programs ask while they run, against the real binary, under revisions with a session and under 2026-07-28:
//! of whom they may ask it, what is taken as an answer, and that nothing of them runs after a question that ends them.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod client;
mod endings;
mod limits;
mod meanwhile;
