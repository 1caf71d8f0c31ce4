//! What keeps the catalogue right while the world around it changes: shortages that pass, answers that come late, programs and interpreters
//! that go, descriptions that are kept, descriptions too large to read, the directory of the demo plugins.

mod cache;
mod changes;
mod demos;
mod kit;
mod large;
mod late;
mod shortage;
