//! What can end a command, and with which exit code.

use std::io;

use crate::exit::Exit;
use crate::kernel::KernelError;
use crate::policy::{PolicyErrors, SelectorError};
use crate::state::StateError;
use crate::why::capture::NoFrame;

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
    /// What was to be done could not be written down, and was not done for that.
    #[error("nothing was changed: {0}")]
    NotWritable(#[source] StateError),
    /// What was done could not be written down.
    #[error(
        "it is in force now, but could not be written down: {0}; what is set by hand and which services \
         there are is told as it was before"
    )]
    NotWrittenDown(#[source] StateError),
    /// What the schedules say was done, and could not be written down.
    #[error(
        "what the schedules say is done, but could not be written down: {0}; until it can be, `imblock \
         status` may call them frozen"
    )]
    ScheduleNotWrittenDown(#[source] StateError),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoError),
    /// A replay.
    #[error(transparent)]
    Replay(#[from] crate::replay::ReplayError),
    /// Captures that were to tell what a policy does can't be read.
    #[error(
        "{failed} of the captures could not be read to the end: what they would tell is not known"
    )]
    CapturesFailed {
        /// How many.
        failed: u64,
    },
    /// What captures hold was not all held against the policy.
    #[error(
        "not applied: of {frames} frames of the captures it is not known whether they would newly be \
         dropped; leave out captures of other link types, and cut up those with too many flows"
    )]
    NotAllCompared {
        /// How many.
        frames: u64,
    },
    /// A policy would drop more than the operator wants to.
    #[error(
        "not applied: {found} flows of the captures would newly be dropped, and at most {most} may; \
         `imblock policy diff {file} --all --replay CAPTURE` shows all of them"
    )]
    TooManyNewDrops {
        /// How many flows.
        found: u64,
        /// How many may be.
        most: u64,
        /// The policy.
        file: String,
    },
    /// The frame that is asked about is not there.
    #[error(transparent)]
    NoFrame(#[from] NoFrame),
    /// Nothing was asked.
    #[error("say from where to where, or which frame of which capture")]
    NoQuestion,
    /// Names over UDP are questions, or encrypted.
    #[error(
        "a name over UDP is a DNS question (--dns), or stands in a QUIC handshake, which --pcap and \
         --frame can ask about"
    )]
    NameOverUdp,
    /// An IPv4 address and an IPv6 address don't talk to each other.
    #[error("one address is IPv4 and the other IPv6: no packet goes from one to the other")]
    TwoFamilies,
    /// The programs at work are of another build.
    #[error(
        "the program {view} on `{interface}` is of another build of imblock: what this one would \
         answer is not what that one does; `imblock up` or `imblock run` of this build takes over"
    )]
    OtherProgram {
        /// Where it is attached.
        interface: String,
        /// Which program it is.
        view: &'static str,
    },
    /// A comparison failed, for whose exit code 1 means something else.
    #[error(transparent)]
    NotCompared(Box<CommandError>),
    /// The standard input is to be read more than once.
    #[error("`-` is there more than once, and the standard input can be read once: name a file")]
    StdinTwice,
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
            | Self::StdinTwice
            | Self::UnknownGroup { .. }
            | Self::LeaseOverToggle(_)
            | Self::NotOneService { .. } => Exit::Usage,
            Self::Kernel(error) => error.exit(),
            Self::State(error)
            | Self::NotWritable(error)
            | Self::NotWrittenDown(error)
            | Self::ScheduleNotWrittenDown(error) => error.exit(),
            Self::Demo(error) => return error.exit_code(),
            Self::NoFrame(NoFrame::OnlyOnce { .. })
            | Self::NoQuestion
            | Self::NameOverUdp
            | Self::TwoFamilies => Exit::Usage,
            // As diff(1): 1 is a difference, and trouble is more.
            Self::NotCompared(error) => return error.exit_code().max(Exit::Usage as u8),
            Self::NoFrame(_)
            | Self::OtherProgram { .. }
            | Self::CapturesFailed { .. }
            | Self::NotAllCompared { .. }
            | Self::TooManyNewDrops { .. } => Exit::Failed,
            Self::Replay(_) | Self::Listen { .. } | Self::System { .. } | Self::Output(_) => {
                Exit::Failed
            }
        };
        exit as u8
    }

    /// Whether the command was carried out all the same.
    pub(super) fn is_done(&self) -> bool {
        matches!(
            self,
            Self::NotWrittenDown(_) | Self::ScheduleNotWrittenDown(_)
        )
    }

    /// Whether the reader of our output went away, which is no trouble of ours.
    pub fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::NotCompared(error) => error.is_broken_pipe(),
            _ => false,
        }
    }
}
