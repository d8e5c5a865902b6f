//! Egress where there is no TCX (before Linux 6.6): a filter of the interface's clsact qdisc.
//!
//! Invariant: a filter is ours if the program in it is one that is pinned in the folder of the
//! interface, and no other is touched. Such a filter has no link: it lives until it is removed,
//! whatever becomes of the process that made it. A qdisc that we made goes with our filter, unless
//! somebody else has put a filter into it.

use std::io;
use std::path::{Path, PathBuf};

use aya::programs::tc::{
    NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact,
};
use aya::programs::{ProgramError, ProgramInfo, SchedClassifier, TcAttachType};
use aya::sys::SyscallError;
use rustix::io::Errno;

use super::KernelError;
use super::netlink::{Filter, egress_filters, has_filters, interfaces, remove_clsact};
use super::pins::Pins;

/// Whether egress of an interface can be had by TCX. It came with Linux 6.6, and may be left out of a
/// kernel (`CONFIG_NET_XGRESS`).
pub(super) fn is_needed(interface: &str) -> bool {
    let answer = SchedClassifier::query_tcx(interface, TcAttachType::Egress);
    matches!(
        answer,
        Err(ProgramError::SyscallError(SyscallError { io_error, .. }))
            if io_error.raw_os_error() == Some(Errno::INVAL.raw_os_error())
    )
}

/// Puts a program into our filter, or makes one before all others. `true` if there was none to take
/// over. A packet is seen by the old program or by the new one.
pub(super) fn attach(
    program: &mut SchedClassifier,
    interface: &str,
    pins: &Pins,
) -> Result<bool, KernelError> {
    let folder = Folder::of(pins, interface);
    let found = ours(&folder, interface)?;
    folder.prepare(found.as_ref())?;
    // Known as ours before it is there: whoever dies here leaves nothing that nobody removes.
    let next = folder.next();
    program.pin(&next).map_err(|source| KernelError::PinLink {
        path: next.clone(),
        source: Box::new(source),
    })?;
    let fresh = found.is_none();
    let attached = match found {
        Some(filter) => replace(program, interface, &filter),
        None => insert(program, interface, &folder),
    };
    if let Err(source) = attached {
        if fresh {
            let _ = detach(pins, interface);
        }
        return Err(KernelError::Attach {
            interface: interface.to_owned(),
            hook: "egress, by a filter of clsact",
            source: Box::new(source),
        });
    }
    folder.settle()?;
    Ok(fresh)
}

fn replace(
    program: &mut SchedClassifier,
    interface: &str,
    filter: &Filter,
) -> Result<(), ProgramError> {
    let link = link_of(interface, filter)?;
    let link = program.attach_to_link(link)?;
    // Dropped, it would take the filter along.
    std::mem::forget(program.take_link(link)?);
    Ok(())
}

fn insert(
    program: &mut SchedClassifier,
    interface: &str,
    folder: &Folder,
) -> Result<(), ProgramError> {
    match qdisc_add_clsact(interface) {
        Ok(()) => std::fs::create_dir(folder.qdisc()).map_err(TcError::IoError)?,
        Err(TcError::NetlinkError(error))
            if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => {}
        Err(error) => return Err(error.into()),
    }
    // The kernel gives it a number before those that are there: what is dropped by us need not be
    // looked at by others.
    let options = TcAttachOptions::Netlink(NlOptions::default());
    let link = program.attach_with_options(interface, TcAttachType::Egress, options)?;
    std::mem::forget(program.take_link(link)?);
    Ok(())
}

fn link_of(interface: &str, filter: &Filter) -> Result<SchedClassifierLink, ProgramError> {
    let handle = TcHandle::from(filter.handle);
    SchedClassifierLink::attached(
        interface,
        TcAttachType::Egress,
        filter.priority,
        handle,
        None,
    )
    .map_err(|error| TcError::IoError(error).into())
}

/// Removes our filter, our qdisc if nobody else uses it, and what we remember of them.
pub(super) fn detach(pins: &Pins, interface: &str) -> Result<(), KernelError> {
    let folder = Folder::of(pins, interface);
    if !folder.0.is_dir() {
        return Ok(());
    }
    if let Some(filter) = ours(&folder, interface)? {
        use aya::programs::links::Link as _;
        link_of(interface, &filter)
            .and_then(SchedClassifierLink::detach)
            .map_err(|source| KernelError::Attach {
                interface: interface.to_owned(),
                hook: "egress, whose filter of clsact could not be removed",
                source: Box::new(source),
            })?;
    }
    if folder.qdisc().is_dir()
        && let Some(index) = index_of(interface)?
        && !has_filters(index)?
    {
        remove_clsact(index)?;
    }
    folder.remove()
}

/// The program in our filter; none if the filter is gone.
pub(super) fn attached(pins: &Pins, interface: &str) -> Result<Option<u32>, KernelError> {
    let filter = ours(&Folder::of(pins, interface), interface)?;
    Ok(filter.map(|filter| filter.program))
}

fn ours(folder: &Folder, interface: &str) -> Result<Option<Filter>, KernelError> {
    let known = folder.programs()?;
    let Some(index) = index_of(interface)?.filter(|_| !known.is_empty()) else {
        return Ok(None);
    };
    let filters = egress_filters(index)?;
    Ok(filters
        .into_iter()
        .find(|filter| known.contains(&filter.program)))
}

fn index_of(interface: &str) -> Result<Option<u32>, KernelError> {
    let present = interfaces()?;
    let found = present.into_iter().find(|found| found.name == interface);
    Ok(found.map(|found| found.index))
}

/// What we remember of an interface: the program in its filter, the one that is to be there next, and
/// that its qdisc is ours (an empty folder: the BPF file system has no other files).
struct Folder(PathBuf);

impl Folder {
    fn of(pins: &Pins, interface: &str) -> Self {
        Self(pins.filter(interface))
    }

    fn program(&self) -> PathBuf {
        self.0.join("program")
    }

    fn next(&self) -> PathBuf {
        self.0.join("next")
    }

    fn qdisc(&self) -> PathBuf {
        self.0.join("qdisc")
    }

    /// The ids of the pinned programs.
    fn programs(&self) -> Result<Vec<u32>, KernelError> {
        let mut programs = Vec::new();
        for pin in [self.program(), self.next()] {
            match ProgramInfo::from_pin(&pin) {
                Ok(info) => programs.push(info.id()),
                Err(ProgramError::SyscallError(SyscallError { io_error, .. }))
                    if io_error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(KernelError::OpenProgram {
                        path: pin,
                        source: Box::new(source),
                    });
                }
            }
        }
        Ok(programs)
    }

    /// Room for the next program. One that an earlier attempt left there stays known if the filter
    /// has it already.
    fn prepare(&self, found: Option<&Filter>) -> Result<(), KernelError> {
        std::fs::create_dir_all(&self.0).map_err(|e| trouble(&self.0, "could not be made", e))?;
        let next = self.next();
        if next.exists() {
            let left = ProgramInfo::from_pin(&next).map(|info| info.id()).ok();
            if left.is_some() && left == found.map(|filter| filter.program) {
                return self.settle();
            }
        }
        Pins::remove(&next)
    }

    fn settle(&self) -> Result<(), KernelError> {
        let (next, program) = (self.next(), self.program());
        std::fs::rename(&next, program).map_err(|e| trouble(&next, "could not be renamed", e))
    }

    fn remove(&self) -> Result<(), KernelError> {
        for pin in [self.program(), self.next()] {
            Pins::remove(&pin)?;
        }
        for folder in [&self.qdisc(), &self.0] {
            match std::fs::remove_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(trouble(folder, "could not be removed", error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn trouble(path: &Path, what: &'static str, source: io::Error) -> KernelError {
    KernelError::Pins {
        path: path.to_owned(),
        what,
        source,
    }
}
