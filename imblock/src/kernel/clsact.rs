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

/// The program in our filter on the interface with this index, which may have been renamed since we knew
/// its name; none if the filter is gone.
pub(super) fn attached(
    pins: &Pins,
    interface: &str,
    index: u32,
) -> Result<Option<u32>, KernelError> {
    let filter = ours_on(&Folder::of(pins, interface), index)?;
    Ok(filter.map(|filter| filter.program))
}

/// Moves what we remember of an interface to another name. What lies there is of an interface that is gone.
pub(super) fn rename(pins: &Pins, from: &str, to: &str) -> Result<(), KernelError> {
    Folder::of(pins, to).remove()?;
    Pins::rename(&pins.filter(from), &pins.filter(to))
}

fn ours(folder: &Folder, interface: &str) -> Result<Option<Filter>, KernelError> {
    match index_of(interface)? {
        Some(index) => ours_on(folder, index),
        None => Ok(None),
    }
}

fn ours_on(folder: &Folder, index: u32) -> Result<Option<Filter>, KernelError> {
    let known = folder.programs()?;
    if known.is_empty() {
        return Ok(None);
    }
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use imblock_common::Side;
    use imblock_common::layout::Inside;

    use super::super::object::Loaded;
    use super::*;
    use crate::lab::{Lab, LabError, Wiring};
    use crate::policy::plan::Limits;
    use crate::testing;

    const LIMITS: Limits = Limits {
        hosts: 64,
        prefixes: 64,
        flows: 64,
        inside: Inside::NONE,
    };

    /// A router, and the pins of an instance that go with it.
    struct Rig {
        lab: Lab,
        pins: Pins,
    }

    impl Rig {
        fn new(test: &str) -> Option<Self> {
            if !testing::kernel_or_skip(test) {
                return None;
            }
            let lab = match Lab::new(Wiring::Plain) {
                Ok(lab) => lab,
                Err(error @ LabError::NoPermission { .. }) => {
                    testing::skip_for_kernel(test, error);
                    return None;
                }
                Err(error) => panic!("{error}: {error:?}"),
            };
            let name = format!("clsact-{}-{}", std::process::id(), test.len());
            let pins = Pins::of(&name.parse().unwrap());
            pins.create().unwrap();
            Some(Self { lab, pins })
        }

        /// Does something as if at the router.
        fn run(&self, work: impl FnOnce(&Pins) + Send) {
            self.lab.router.namespace.run(|| work(&self.pins)).unwrap();
        }
    }

    impl Drop for Rig {
        fn drop(&mut self) {
            let _ = self.lab.router.namespace.run(|| {
                for interface in [Lab::LAN, Lab::WAN] {
                    let _ = detach(&self.pins, interface);
                }
            });
            let _ = self.pins.remove_all();
        }
    }

    fn program(pins: &Pins) -> Loaded {
        // A program names its maps by descriptor: they must be open until it is loaded.
        let (mut loaded, _maps) = Loaded::beside(&LIMITS, pins, &[]).unwrap();
        loaded.classifier(Side::Lan).unwrap();
        loaded
    }

    /// What somebody else's loader does.
    fn attach_as_stranger(loaded: &mut Loaded, interface: &str) -> u32 {
        let stranger = loaded.classifier(Side::Lan).unwrap();
        let options = TcAttachOptions::Netlink(NlOptions::default());
        let link = stranger.attach_with_options(interface, TcAttachType::Egress, options);
        std::mem::forget(stranger.take_link(link.unwrap()).unwrap());
        stranger.info().unwrap().id()
    }

    fn attach_ours(loaded: &mut Loaded, interface: &str, pins: &Pins) -> (bool, u32) {
        let ours = loaded.classifier(Side::Lan).unwrap();
        let fresh = attach(ours, interface, pins).unwrap();
        (fresh, ours.info().unwrap().id())
    }

    fn seen(pins: &Pins, interface: &str) -> Option<u32> {
        let index = index_of(interface).unwrap()?;
        attached(pins, interface, index).unwrap()
    }

    fn filters_on(interface: &str) -> Vec<Filter> {
        egress_filters(index_of(interface).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn our_filter_is_first_is_replaced_in_place_and_leaves_others_alone() {
        let Some(rig) =
            Rig::new("our_filter_is_first_is_replaced_in_place_and_leaves_others_alone")
        else {
            return;
        };
        rig.run(|pins| {
            let (mut foreign, mut old, mut new) = (program(pins), program(pins), program(pins));
            qdisc_add_clsact(Lab::LAN).unwrap();
            let stranger = attach_as_stranger(&mut foreign, Lab::LAN);
            assert_eq!(seen(pins, Lab::LAN), None);

            let (fresh, first) = attach_ours(&mut old, Lab::LAN, pins);
            assert!(fresh);
            drop(old);
            assert_eq!(seen(pins, Lab::LAN), Some(first));
            let of = |program| {
                let filters = filters_on(Lab::LAN);
                assert_eq!(filters.len(), 2);
                *filters
                    .iter()
                    .find(|filter| filter.program == program)
                    .unwrap()
            };
            let before = of(first);
            assert!(before.priority < of(stranger).priority);

            let (fresh, second) = attach_ours(&mut new, Lab::LAN, pins);
            assert!(!fresh);
            let after = of(second);
            assert_eq!(
                (after.priority, after.handle),
                (before.priority, before.handle)
            );
            assert_eq!(seen(pins, Lab::LAN), Some(second));

            detach(pins, Lab::LAN).unwrap();
            assert_eq!(seen(pins, Lab::LAN), None);
            let left: Vec<u32> = filters_on(Lab::LAN)
                .iter()
                .map(|left| left.program)
                .collect();
            assert_eq!(left, [stranger]);
            assert!(pins.links().unwrap().is_empty());
        });
    }

    #[test]
    fn our_qdisc_goes_with_us_unless_somebody_uses_it() {
        let Some(rig) = Rig::new("our_qdisc_goes_with_us_unless_somebody_uses_it") else {
            return;
        };
        rig.run(|pins| {
            let (mut ours, mut foreign) = (program(pins), program(pins));
            attach_ours(&mut ours, Lab::LAN, pins);
            detach(pins, Lab::LAN).unwrap();
            // It can be made again: it was gone.
            qdisc_add_clsact(Lab::LAN).unwrap();

            attach_ours(&mut ours, Lab::WAN, pins);
            let stranger = attach_as_stranger(&mut foreign, Lab::WAN);
            detach(pins, Lab::WAN).unwrap();
            let left: Vec<u32> = filters_on(Lab::WAN)
                .iter()
                .map(|left| left.program)
                .collect();
            assert_eq!(left, [stranger]);
        });
    }

    #[test]
    fn a_filter_is_ours_whatever_its_interface_is_called() {
        let Some(rig) = Rig::new("a_filter_is_ours_whatever_its_interface_is_called") else {
            return;
        };
        let mut program_id = 0;
        rig.run(|pins| {
            let mut ours = program(pins);
            // One of that name was there, and is gone.
            attach_ours(&mut ours, Lab::WAN, pins);
            rename(pins, Lab::WAN, "lan9").unwrap();
            (_, program_id) = attach_ours(&mut ours, Lab::LAN, pins);
        });
        let router = &rig.lab.router.namespace;
        router.remove(Lab::WAN).unwrap();
        router.rename(Lab::LAN, "lan9").unwrap();
        rig.run(|pins| {
            let index = index_of("lan9").unwrap().unwrap();
            let known_as = |name| attached(pins, name, index).unwrap();
            assert_eq!(known_as(Lab::LAN), Some(program_id));
            rename(pins, Lab::LAN, "lan9").unwrap();
            assert_eq!(
                (known_as(Lab::LAN), known_as("lan9")),
                (None, Some(program_id))
            );
            detach(pins, "lan9").unwrap();
            assert!(filters_on("lan9").is_empty());
            assert!(pins.links().unwrap().is_empty());
        });
    }

    #[test]
    fn who_died_between_two_steps_left_nothing_unknown() {
        let Some(rig) = Rig::new("who_died_between_two_steps_left_nothing_unknown") else {
            return;
        };
        rig.run(|pins| {
            let (mut old, mut new) = (program(pins), program(pins));
            let (_, program) = attach_ours(&mut old, Lab::LAN, pins);
            // As if it had died before the last step.
            let folder = Folder::of(pins, Lab::LAN);
            std::fs::rename(folder.program(), folder.next()).unwrap();
            assert_eq!(seen(pins, Lab::LAN), Some(program));
            let (fresh, program) = attach_ours(&mut new, Lab::LAN, pins);
            assert!(!fresh);
            assert_eq!(seen(pins, Lab::LAN), Some(program));
            assert_eq!(filters_on(Lab::LAN).len(), 1);
        });
        rig.lab.router.namespace.remove(Lab::LAN).unwrap();
        rig.run(|pins| {
            assert_eq!(seen(pins, Lab::LAN), None);
            detach(pins, Lab::LAN).unwrap();
            assert!(pins.links().unwrap().is_empty());
        });
    }
}
