//! What can end a command, and with which exit code.

use std::io;

use crate::exit::Exit;
use crate::kernel::KernelError;
use crate::policy::{PolicyErrors, SelectorError};
use crate::state::StateError;

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The policy is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyErrors),
    /// The policy could cut somebody off.
    #[error(transparent)]
    Guard(#[from] crate::guard::GuardError),
    /// A selector names nothing.
    #[error("{error}; {help}", error = .0, help = .0.help())]
    Selector(#[from] SelectorError),
    /// The kernel, its maps or its interfaces.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoError),
    /// A replay.
    #[error(transparent)]
    Replay(#[from] crate::replay::ReplayError),
    /// An interface is named more than once.
    #[error("the interface `{0}` is named twice: give it one side, `lan` or `wan`")]
    InterfaceTwice(String),
    /// A group that the policy in force doesn't have.
    #[error("the policy in force has no group `{name}`; its groups are {}", .known.join(", "))]
    UnknownGroup {
        /// As typed.
        name: String,
        /// The groups there are.
        known: Vec<String>,
    },
    /// A lease for one group over a toggle for all of them.
    #[error(
        "`{0}` is set by hand for all groups, and a lease for one group would end in what the policy \
         says: `imblock reset {0}` first, or set the groups one by one"
    )]
    LeaseOverToggle(String),
    /// A selector that should name one service names several, or none.
    #[error("`{selector}` names {found} services; name one")]
    NotOneService {
        /// As typed.
        selector: String,
        /// How many it names.
        found: usize,
    },
    /// The metrics address can't be used.
    #[error("could not listen on {address} for /metrics: choose another with --listen, or `none`")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The runtime or a signal handler could not be set up.
    #[error("could not {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Standard output can't be written.
    #[error("could not write the output")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// The exit code for this kind of trouble: one of [`Exit`], or 130 for an interrupted demo.
    pub fn exit_code(&self) -> u8 {
        let exit = match self {
            Self::Policy(_) | Self::Guard(_) => Exit::BadPolicy,
            Self::Selector(_)
            | Self::InterfaceTwice(_)
            | Self::UnknownGroup { .. }
            | Self::LeaseOverToggle(_)
            | Self::NotOneService { .. } => Exit::Usage,
            Self::Kernel(error) => error.exit(),
            Self::State(error) => error.exit(),
            Self::Demo(error) => return error.exit_code(),
            Self::Replay(_) | Self::Listen { .. } | Self::System { .. } | Self::Output(_) => {
                Exit::Failed
            }
        };
        exit as u8
    }

    /// Whether the reader of our output went away, which is no trouble of ours.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
