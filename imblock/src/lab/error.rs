//! What can go wrong while a throw-away network is made or used.

use std::io;
use std::time::Duration;

/// Why a throw-away network could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A right is missing.
    #[error(
        "a throw-away network needs {missing}, which this process lacks; run it as root (sudo)"
    )]
    NoPermission {
        /// The capabilities that are missing.
        missing: String,
    },
    /// The kernel did not make a network namespace, or did not let a thread enter it.
    #[error("cannot {what} the network namespace `{namespace}`")]
    Namespace {
        /// The verb.
        what: &'static str,
        /// The namespace.
        namespace: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel was built without something.
    #[error("this kernel has no {what}")]
    KernelLacks {
        /// What it lacks, and what may bring it.
        what: &'static str,
    },
    /// Netlink refused.
    #[error("in the network namespace `{namespace}`: cannot {what}")]
    Netlink {
        /// The namespace.
        namespace: String,
        /// What was asked for.
        what: String,
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
    /// A kernel switch under `/proc/sys/net` could not be set.
    #[error("in the network namespace `{namespace}`: cannot write {path}")]
    Sysctl {
        /// The namespace.
        namespace: String,
        /// The file.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A program did not start.
    #[error("in the network namespace `{namespace}`: cannot start `{program}`")]
    Command {
        /// The namespace.
        namespace: String,
        /// The program.
        program: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A socket could not be made, or a runtime for sockets.
    #[error("in the network namespace `{namespace}`: cannot {what}")]
    Socket {
        /// The namespace.
        namespace: String,
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The topology has no such interface.
    #[error("the network namespace `{namespace}` has no interface `{interface}`")]
    NoInterface {
        /// The namespace.
        namespace: String,
        /// The interface that was asked for.
        interface: String,
    },
    /// A cable stays dead.
    #[error(
        "`{interface}` of the network namespace `{namespace}` has no carrier after {patience:?}"
    )]
    NoCarrier {
        /// The namespace.
        namespace: String,
        /// The interface.
        interface: String,
        /// How long it was waited for.
        patience: Duration,
    },
}
