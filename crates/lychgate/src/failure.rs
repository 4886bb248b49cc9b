//! Why a command failed: the message for the user, and the exit code. Never a backtrace.

use std::fmt;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Invalid usage: bad options, bad configuration. Exit code 2.
    Usage(String),
    /// Valid usage, but the command failed. Exit code 1.
    Failed(String),
    /// The reader of our output is gone (`… | head`). Not an error: exit code 0.
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

/// The result of most functions of the binary.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;
