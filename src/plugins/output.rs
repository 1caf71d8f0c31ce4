//! What a program printed and how it ended, to a tool result.
