//! What a start changes in the kernel, and how it is undone when it fails half-way.
//!
//! Invariant: what may fail without harm is tried first, and what can be replaced only by letting go of it
//! comes last: the kernel takes no second XDP program in another mode.

use imblock_common::layout::{Control, Stage};
use imblock_common::{Hook, Side, View};

use super::KernelError;
use super::attach::{fits, interface_status};
use super::detach::detach;
use super::maps::Maps;
use super::netlink::{Interface, interfaces};
use super::object::Loaded;
use super::pins::Pins;
use crate::policy::plan::{InterfacePlan, Limits, Plan};
use crate::status::InterfaceStatus;

/// A start that is on its way.
pub(super) struct Start<'a> {
    pins: &'a Pins,
    loaded: Loaded,
    maps: Maps,
    /// What was attached before.
    before: Vec<InterfaceStatus>,
    /// The control word before the policy was applied, once it was.
    control: Option<Control>,
    /// The interfaces at which something may have been changed.
    touched: Vec<String>,
}

impl<'a> Start<'a> {
    /// Makes the maps, or adopts those that are there. Nothing that is in force is touched.
    pub(super) fn new(limits: &Limits, pins: &'a Pins) -> Result<Self, KernelError> {
        let (loaded, maps) = Loaded::pinned(limits, pins)?;
        Ok(Self {
            pins,
            loaded,
            maps,
            before: interface_status(pins)?,
            control: None,
            touched: Vec::new(),
        })
    }

    /// Applies the plan and attaches. `ahead` are the stages that must be there before that.
    ///
    /// When this fails, all is as it was before; [`KernelError::NotPutBack`] where it can't be.
    pub(super) fn carry_out(
        mut self,
        plan: &Plan,
        interfaces: &[(InterfacePlan, Interface)],
        ahead: &[Stage],
    ) -> Result<Maps, KernelError> {
        match self.attempt(plan, interfaces, ahead) {
            Ok(()) => Ok(self.maps),
            Err(error) => Err(self.undo(error)),
        }
    }

    fn attempt(
        &mut self,
        plan: &Plan,
        interfaces: &[(InterfacePlan, Interface)],
        ahead: &[Stage],
    ) -> Result<(), KernelError> {
        let views = views(interfaces);
        self.loaded.verify(&views, ahead)?;
        let (generation, control) = (self.maps.generation()?, self.maps.control()?);
        self.maps.apply(plan)?;
        self.control = Some(Control {
            generation,
            ..control
        });
        self.maps.set_flags(counting_flags(interfaces))?;
        let mut order: Vec<_> = interfaces.iter().collect();
        order.sort_by_key(|(wanted, interface)| Risk::of(wanted, interface));
        for (wanted, interface) in order {
            self.touched.push(wanted.name.clone());
            self.loaded.attach_ingress(wanted, interface, self.pins)?;
            self.loaded.attach_egress(wanted, self.pins)?;
        }
        self.loaded.verify(&views, &Stage::ALL)
    }

    /// Goes back to what was before. The error to tell is the first one, unless there is worse.
    fn undo(mut self, error: KernelError) -> KernelError {
        if let Some(control) = self.control {
            // Who can't write a word into an array of its own can't do anything.
            let _ = self.maps.go_back_to(control.generation);
            let _ = self.maps.set_flags(control.flags);
        }
        let mut left = Vec::new();
        let mut reason = None;
        for interface in std::mem::take(&mut self.touched) {
            if let Err(error) = self.put_back(&interface) {
                left.push(interface);
                reason.get_or_insert(error);
            }
        }
        match reason {
            None => error,
            Some(reason) => KernelError::NotPutBack {
                interfaces: left,
                reason: Box::new(reason),
                error: Box::new(error),
            },
        }
    }

    /// Brings an interface back to what was attached to it, by the programs that are there now.
    fn put_back(&mut self, name: &str) -> Result<(), KernelError> {
        let before = self.before.iter().find(|status| status.plan.name == name);
        let before = before.cloned();
        let present = interfaces()?;
        let Some(interface) = present.iter().find(|found| found.name == name) else {
            // It went away, and what was attached with it.
            return Ok(());
        };
        let ingress = match before.as_ref().filter(|before| before.xdp != "none") {
            Some(before) => self
                .loaded
                .attach_ingress(&before.plan, interface, self.pins),
            // What can't be let go shows in `status`.
            None => detach(self.pins, name, Hook::Ingress).or(Ok(())),
        };
        let egress = match before.as_ref().filter(|before| before.egress) {
            Some(before) => self.loaded.attach_egress(&before.plan, self.pins),
            None => detach(self.pins, name, Hook::Egress).or(Ok(())),
        };
        ingress.and(egress)
    }
}

/// What is at stake when attaching to an interface fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Risk {
    /// Nothing is attached there yet.
    Nothing,
    /// What is there stays until it is replaced.
    Replaced,
    /// What is there must be let go first: for some milliseconds there is nothing.
    LetGo,
}

impl Risk {
    fn of(wanted: &InterfacePlan, interface: &Interface) -> Self {
        match interface.xdp {
            None => Self::Nothing,
            Some(_) if fits(wanted.mode, interface) => Self::Replaced,
            Some(_) => Self::LetGo,
        }
    }
}

/// The views that the interfaces need.
fn views(interfaces: &[(InterfacePlan, Interface)]) -> Vec<View> {
    let needed = |view: &View| {
        interfaces.iter().any(|(interface, _)| {
            interface.side == view.side && (view.hook == Hook::Ingress || interface.egress)
        })
    };
    View::ALL.into_iter().filter(needed).collect()
}

/// Which passing packets WAN sides count: those that no LAN side sees as well.
fn counting_flags(interfaces: &[(InterfacePlan, Interface)]) -> u32 {
    let lan = |hook: Hook| {
        interfaces.iter().any(|(interface, _)| {
            interface.side == Side::Lan && (hook == Hook::Ingress || interface.egress)
        })
    };
    let mut flags = 0;
    if !lan(Hook::Egress) {
        flags |= Control::WAN_COUNTS_RECEIVED;
    }
    if !lan(Hook::Ingress) {
        flags |= Control::WAN_COUNTS_SENT;
    }
    flags
}
