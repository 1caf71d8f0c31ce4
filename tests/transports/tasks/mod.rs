//! Calls whose results outlive the connection: tasks of clients that know them, calls that are kept for those that do
//! not, and what is left of both when the server is killed.

mod bounds;
mod handshake;
mod kept;
mod keys;
mod kit;
mod newest;
mod off;
mod restart;
