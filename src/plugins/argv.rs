//! Arguments to a command line; pure.
