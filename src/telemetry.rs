//! Console, rotating file, audit line, counters.
