//! How a command ends badly: what is told to the user, and the exit code. Nothing here ever prints a backtrace.

use std::fmt;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was called wrongly: bad flags, bad configuration. Exit code 2.
    Usage(String),
    /// It was called rightly and failed. Exit code 1.
    Failed(String),
    /// Whoever read our output has gone (`… | head`). Not an error: exit code 0.
    OutputClosed,
}

impl Failure {
    /// A failure with the exit code 1.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// The process's exit code.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Failed(message) => f.write_str(message),
            Self::OutputClosed => f.write_str("the output was closed"),
        }
    }
}

/// What most functions of the binary give back.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;
