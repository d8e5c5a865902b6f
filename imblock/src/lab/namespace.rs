//! A network namespace without a name on disk.
//!
//! Invariant: nothing but the descriptor keeps the namespace alive. The kernel frees it, with every
//! interface in it, when the last descriptor, socket and process are gone: after a drop, after a
//! Ctrl-C, and after a `kill -9` alike.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Output};
use std::{io, thread};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::LabError;

/// The network namespace of the thread that opens it.
const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";

/// A network namespace that lives as long as this value, the sockets made in it and the processes
/// started in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    fd: OwnedFd,
}

impl Namespace {
    /// Makes an empty namespace with its loopback interface up. `name` serves messages only, and
    /// need not be unique.
    ///
    /// # Errors
    ///
    /// Needs `CAP_SYS_ADMIN`.
    pub fn new(name: &str) -> Result<Self, LabError> {
        // A thread of its own: the caller stays in the namespace where it was.
        let made: io::Result<OwnedFd> = on_a_thread(|| {
            unshare_network()?;
            Ok(File::open(OWN_NAMESPACE)?.into())
        });
        let fd = made.map_err(|source| LabError::Namespace {
            what: "make",
            namespace: name.to_owned(),
            source,
        })?;
        let namespace = Self {
            name: name.to_owned(),
            fd,
        };
        namespace.up("lo")?;
        Ok(namespace)
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does some work on a thread inside the namespace, and waits for it. Sockets that the work
    /// makes belong to the namespace for good, wherever they are used later. Mounts stay those of
    /// the caller, so a bpffs is the same inside and outside. A panic goes on in the caller.
    ///
    /// # Errors
    ///
    /// Needs `CAP_SYS_ADMIN`.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        on_a_thread(|| {
            self.enter()?;
            Ok(work())
        })
    }

    /// Starts a program inside the namespace.
    ///
    /// # Errors
    ///
    /// Needs `CAP_SYS_ADMIN`; fails if the program does not start.
    pub fn spawn(&self, command: &mut Command) -> Result<Child, LabError> {
        // A child inherits the namespace of the thread that forks.
        self.run(|| {
            command
                .spawn()
                .map_err(|source| self.no_start(command, source))
        })?
    }

    /// Runs a program inside the namespace to its end, and gives its output.
    ///
    /// # Errors
    ///
    /// As [`Namespace::spawn`].
    pub fn output(&self, command: &mut Command) -> Result<Output, LabError> {
        self.run(|| {
            command
                .output()
                .map_err(|source| self.no_start(command, source))
        })?
    }

    /// Moves the calling thread into the namespace, for good. For a thread that lives there, such
    /// as a server's.
    pub(super) fn enter(&self) -> Result<(), LabError> {
        move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network)).map_err(
            |source| LabError::Namespace {
                what: "enter",
                namespace: self.name.clone(),
                source: source.into(),
            },
        )
    }

    fn no_start(&self, command: &Command, source: io::Error) -> LabError {
        LabError::Command {
            namespace: self.name.clone(),
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        }
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Gives the calling thread a new, empty network namespace.
#[expect(
    unsafe_code,
    reason = "unshare is unsafe for the sake of one flag that is not used here"
)]
fn unshare_network() -> io::Result<()> {
    // SAFETY: only FILES is unsafe, which would part the thread's descriptors from the process's.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}

/// Runs `work` on a thread that ends with it, so that no later work finds itself in a namespace.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
