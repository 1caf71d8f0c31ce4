//! One line of a configuration, to be there or to go.

use serde::Serialize;

/// Whose configuration a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Program {
    Nginx,
    Caddy,
    /// The server's own: a variable or a flag.
    Smcp,
}

impl Program {
    /// Its name, as it stands before a line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "Caddy",
            Self::Smcp => "smcp",
        }
    }
}

/// One line of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// Whose.
    pub(super) program: Program,
    /// The line is to be taken out where it stands; otherwise it is to be there.
    pub(super) remove: bool,
    /// The line itself.
    pub(super) line: String,
}

/// A line of nginx that is to be there.
pub(super) fn nginx(line: impl Into<String>) -> Line {
    Line {
        program: Program::Nginx,
        remove: false,
        line: line.into(),
    }
}

/// The same of Caddy.
pub(super) fn caddy(line: impl Into<String>) -> Line {
    Line {
        program: Program::Caddy,
        ..nginx(line)
    }
}

/// The same of the server.
pub(super) fn smcp(line: impl Into<String>) -> Line {
    Line {
        program: Program::Smcp,
        ..nginx(line)
    }
}

/// The line is to go.
pub(super) fn without(line: Line) -> Line {
    Line {
        remove: true,
        ..line
    }
}
