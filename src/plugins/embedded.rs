//! The demo plugins that travel inside the binary.
