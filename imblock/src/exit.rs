//! Exit codes: one number a kind of trouble, so that scripts can tell them apart.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Failed, for a reason that has no number of its own.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The policy was wrong.
    BadPolicy = 3,
    /// A capability or file permission is missing.
    NoPermission = 4,
    /// The kernel lacks something.
    KernelLacks = 5,
    /// An interface is unknown or refuses.
    Interface = 6,
    /// No controller of this instance is attached.
    NotRunning = 7,
    /// Somebody else's program is attached, or another controller is at work.
    Busy = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
