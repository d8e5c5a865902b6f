//! The pinned links of an instance, and the interfaces that they are on.
//!
//! Invariant: a link is on the interface with an index. The name of its pin is what that was called when
//! it was attached, and anybody may have renamed it since.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::sys::SyscallError;
use imblock_common::Hook;

use super::netlink::Interface;
use super::pins::Pins;
use super::{KernelError, clsact};

/// A pinned link, as the kernel tells it.
#[derive(Clone, Debug)]
pub(super) struct Linked {
    /// The interface, by the name of the pin.
    pub(super) interface: String,
    /// The hook.
    pub(super) hook: Hook,
    /// The program's id in the kernel.
    pub(super) program: u32,
    /// The interface's index, 0 for one that is gone. None where the kernel can't be asked, for there is
    /// no `/proc`: then the name has to do.
    index: Option<u32>,
}

impl Linked {
    /// Whether it is on this interface. One that is called otherwise must have the program to be believed:
    /// an index is that of a network namespace, and this may be another one.
    pub(super) fn is_on(&self, interface: &Interface) -> bool {
        let is_called_so = self.interface == interface.name;
        match self.index {
            Some(index) if is_called_so || self.is_program_of(interface) => {
                index == interface.index
            }
            Some(_) => false,
            None => is_called_so,
        }
    }

    /// Whether it is why there is an XDP program on this interface.
    pub(super) fn has_xdp_on(&self, interface: &Interface) -> bool {
        self.is_on(interface) && self.is_program_of(interface)
    }

    fn is_program_of(&self, interface: &Interface) -> bool {
        let xdp = interface.xdp.filter(|_| self.hook == Hook::Ingress);
        xdp.is_some_and(|xdp| xdp.program == self.program)
    }
}

/// The links of an instance.
pub(super) fn linked(pins: &Pins) -> Result<Vec<Linked>, KernelError> {
    let mut open = Vec::new();
    for (interface, hook) in pins.links()? {
        let pin = pins.link(&interface, hook);
        // Without TCX, there is none at egress.
        if let Some(link) = open_link(&pin)? {
            let link = FdLink::from(link);
            let info = link.info().map_err(|error| open_error(&pin, error))?;
            open.push((interface, hook, info, link));
        }
    }
    let indices = indices_of_open_links();
    Ok(open
        .into_iter()
        .map(|(interface, hook, info, _)| Linked {
            interface,
            hook,
            program: info.program_id(),
            index: indices.get(&info.id()).copied(),
        })
        .collect())
}

/// Gives the pins of interfaces that were renamed the names that these have now. Who dies on the way
/// leaves pins of which the next one to come knows as much.
pub(super) fn follow_renamed(pins: &Pins, present: &[Interface]) -> Result<(), KernelError> {
    let links = linked(pins)?;
    let moves: Vec<(&str, &Interface)> = links
        .iter()
        .filter_map(|link| {
            let on = present.iter().find(|found| link.has_xdp_on(found))?;
            (on.name != link.interface).then_some((link.interface.as_str(), on))
        })
        .collect();
    // Two may have changed names with each other. No interface can have a space in its name.
    let aside = |interface: &Interface| format!("index {}", interface.index);
    for (pinned, interface) in &moves {
        rename(pins, pinned, &aside(interface))?;
    }
    moves
        .iter()
        .try_for_each(|(_, interface)| rename(pins, &aside(interface), &interface.name))
}

/// Moves the pins of an interface to another name. Those that lie there are of an interface that is gone.
fn rename(pins: &Pins, from: &str, to: &str) -> Result<(), KernelError> {
    if from == to {
        return Ok(());
    }
    for hook in [Hook::Ingress, Hook::Egress] {
        let (old, new) = (pins.link(from, hook), pins.link(to, hook));
        Pins::remove(&new)?;
        Pins::rename(&old, &new)?;
    }
    clsact::rename(pins, from, to)
}

/// The interfaces of all links that this process has open, by the link's id. The kernel tells it in the
/// descriptor's `/proc` file, since Linux 5.9 for XDP, and for TCX since there is TCX.
fn indices_of_open_links() -> HashMap<u32, u32> {
    let files = fs::read_dir("/proc/self/fdinfo").into_iter().flatten();
    files
        .flatten()
        .filter_map(|file| {
            // One that another thread closed meanwhile was none of ours.
            let text = fs::read_to_string(file.path()).ok()?;
            let number = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(key))?;
                line.trim().parse().ok()
            };
            Some((number("link_id:")?, number("ifindex:")?))
        })
        .collect()
}

/// The id of the program that a pinned link carries.
pub(super) fn linked_program(
    pins: &Pins,
    interface: &str,
    hook: Hook,
) -> Result<Option<u32>, KernelError> {
    let pin = pins.link(interface, hook);
    let Some(link) = open_link(&pin)? else {
        return Ok(None);
    };
    let info = FdLink::from(link)
        .info()
        .map_err(|error| open_error(&pin, error))?;
    Ok(Some(info.program_id()))
}

/// Opens a link; none where there is no such pin.
pub(super) fn open_link(pin: &Path) -> Result<Option<PinnedLink>, KernelError> {
    match PinnedLink::from_pin(pin) {
        Ok(link) => Ok(Some(link)),
        Err(LinkError::SyscallError(SyscallError { io_error, .. }))
            if io_error.kind() == io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(open_error(pin, error)),
    }
}

pub(super) fn open_error(pin: &Path, source: LinkError) -> KernelError {
    KernelError::OpenLink {
        path: pin.to_owned(),
        source: Box::new(source),
    }
}
