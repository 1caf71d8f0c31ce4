//! Finds plugin directories and asks each for its description, side by side.
