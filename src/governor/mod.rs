//! The governor: which tools a client sees and may call.
