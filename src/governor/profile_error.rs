//! What can be wrong with profiles. Each text names the file, the member and its value, and what is allowed.

use std::path::PathBuf;

/// A profile file is written by hand; anything larger is the wrong file, in bytes.
pub const MAX_FILE: u64 = 4 * 1024 * 1024;

/// What is wrong with the profiles. Any of these stops the start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path is neither a file nor a directory that can be read.
    #[error("profiles at {path}: {reason}; SMCP_PROFILES names a JSON file or a directory of them")]
    Unreadable {
        /// The path that was tried.
        path: PathBuf,
        /// Why.
        #[source]
        reason: Unreadable,
    },
    /// A file that is not what a profile file must be.
    #[error("profile file {path}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        reason: Invalid,
    },
    /// The start profile is not defined.
    #[error("{setting} names the profile '{name}', which is not defined; there are: {known}")]
    UnknownStart {
        /// The setting that names it.
        setting: String,
        /// The profile it names.
        name: String,
        /// The profiles there are, separated by commas.
        known: String,
    },
}

/// Why a path gives no profile files.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system refused it.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// A directory of other things.
    #[error("the directory has no *.json file")]
    Empty,
}

/// What is wrong with a profile file. `at` is the member, such as `profiles.chatter.mode`.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// The system refused it.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// A pipe, a device or a directory.
    #[error("it is not a regular file")]
    NoFile,
    /// It has too many bytes.
    #[error("it has {0} bytes; at most {MAX_FILE} are read")]
    TooLarge(u64),
    /// It cannot be parsed.
    #[error("it is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// A profile without a name.
    #[error("profiles has an empty name; give the profile one")]
    NoName,
    /// A value of a wrong type.
    #[error("{at} is {found}, but must be {expected}")]
    WrongType {
        /// The member.
        at: String,
        /// The beginning of its value.
        found: String,
        /// The type that it must have, with its article.
        expected: &'static str,
    },
    /// The mode needs a member that is not there.
    #[error("{at} is missing; mode '{mode}' needs it")]
    Missing {
        /// The member.
        at: String,
        /// The mode.
        mode: String,
    },
    /// The mode needs a member that says something.
    #[error("{at} is empty; mode '{mode}' needs it")]
    Empty {
        /// The member.
        at: String,
        /// The mode.
        mode: String,
    },
    /// A mode that does not exist.
    #[error("{at} '{mode}' is not one of all, explicit, glob, prefix")]
    UnknownMode {
        /// The member.
        at: String,
        /// Its value.
        mode: String,
    },
    /// A pattern that no name can be held against.
    #[error("{at} '{pattern}' is no glob pattern: {error}")]
    NoPattern {
        /// The member.
        at: String,
        /// Its value.
        pattern: String,
        /// What the pattern's parser says.
        #[source]
        error: glob::PatternError,
    },
}
