//! An instance: what `up` makes, what every other command opens, what `down` removes.

use imblock_common::layout::Stage;

use super::attach::{interface_status, is_attached_by, resolve};
use super::detach::detach_all;
use super::links::follow_renamed;
use super::maps::Maps;
use super::netlink::{Interface, interfaces};
use super::pins::{InstanceName, Pins};
use super::start::Start;
use super::{KernelError, features};
use crate::policy::plan::{InterfacePlan, Plan};
use crate::status::InterfaceStatus;

/// An attached instance: its pins and its maps.
pub struct Instance {
    pins: Pins,
    /// Policy tables and counters.
    pub maps: Maps,
}

impl Instance {
    /// Opens an instance that is up.
    pub fn open(name: &InstanceName) -> Result<Self, KernelError> {
        features::require_right()?;
        let pins = Pins::of(name);
        if !pins.exist() {
            return Err(KernelError::NotRunning(name.to_string()));
        }
        let maps = Maps::pinned(&pins)?;
        Ok(Self { pins, maps })
    }

    /// The same; `None` for one that is not up.
    pub fn open_if_up(name: &InstanceName) -> Result<Option<Self>, KernelError> {
        match Self::open(name) {
            Ok(instance) => Ok(Some(instance)),
            Err(KernelError::NotRunning(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Applies the plan and attaches to its interfaces, adopting what an earlier `up` left: maps
    /// and counters stay, links get the new programs without a gap, interfaces that the plan does
    /// not name any more are let go.
    ///
    /// An interface that was renamed is the one that it was.
    ///
    /// When this fails, the interfaces are attached as they were before and the old policy is in force;
    /// an instance that was not up before leaves nothing behind. [`KernelError::NotPutBack`] says where
    /// the kernel did not let that be done.
    pub fn up(name: &InstanceName, plan: &Plan) -> Result<Self, KernelError> {
        features::require_right()?;
        let pins = Pins::of(name);
        let interfaces = resolve(&plan.interfaces, &pins)?;
        let new = !pins.exist();
        // What was attached before goes on in programs that are there; what is attached for the first
        // time need not wait for those that take longest.
        let ahead: &[Stage] = if new { &[Stage::Reject] } else { &Stage::ALL };
        let started = Start::new(&plan.limits, &pins)
            .and_then(|start| start.carry_out(plan, &interfaces, ahead));
        match started {
            Ok(maps) => {
                let instance = Self { pins, maps };
                instance.let_go(&interfaces)?;
                Ok(instance)
            }
            Err(error) => {
                if new {
                    // The first error is the one to tell.
                    let _ = take_down(&pins);
                }
                Err(error)
            }
        }
    }

    /// Detaches from everything and removes all pins; the counters are gone with them. An instance
    /// that is not up is [`KernelError::NotRunning`].
    pub fn down(name: &InstanceName) -> Result<(), KernelError> {
        features::require_right()?;
        let pins = Pins::of(name);
        if !pins.exist() {
            return Err(KernelError::NotRunning(name.to_string()));
        }
        take_down(&pins)
    }

    pub(super) fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Where the instance is attached.
    pub fn interfaces(&self) -> Result<Vec<InterfaceStatus>, KernelError> {
        interface_status(&self.pins)
    }

    /// Whether [`Instance::up`] with these interfaces would attach as it is now. An interface that is not
    /// there, and a bridge without ports, is an error as it would be then.
    pub fn is_attached_by(&self, plan: &[InterfacePlan]) -> Result<bool, KernelError> {
        is_attached_by(plan, &self.pins)
    }

    /// Detaches from interfaces that are not wanted any more.
    fn let_go(&self, wanted: &[(InterfacePlan, Interface)]) -> Result<(), KernelError> {
        let mut links = self.pins.links()?;
        links.retain(|(interface, _)| !wanted.iter().any(|(plan, _)| plan.name == *interface));
        detach_all(&self.pins, links)
    }
}

/// Detaches first, so that nothing is judged by maps on their way out.
fn take_down(pins: &Pins) -> Result<(), KernelError> {
    // What is waited for, and the filters of clsact, are found by name.
    follow_renamed(pins, &interfaces()?)?;
    detach_all(pins, pins.links()?)?;
    pins.remove_all()
}
