//! Attaching to interfaces by links that outlive the process, and knowing ours from others'.

use aya::programs::links::{FdLink, LinkError};
use aya::programs::tc::TcAttachOptions;
use aya::programs::xdp::XdpMode;
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, loaded_programs};
use imblock_common::{Hook, Side, View};

use super::detach::detach;
use super::links::{Linked, follow_renamed, linked, open_error, open_link};
use super::netlink::{Interface, interfaces};
use super::object::{Loaded, view_of_program};
use super::pins::Pins;
use super::{KernelError, clsact};
use crate::policy::plan::{InterfacePlan, XdpAttachMode};
use crate::status::InterfaceStatus;

/// A program on an interface.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The interface, as it was called when it was attached.
    pub interface: String,
    /// What it is called now; none for one that is gone.
    pub now: Option<String>,
    /// The hook.
    pub hook: Hook,
    /// The side that its program serves.
    pub side: Side,
    /// The program's id in the kernel.
    pub program: u32,
}

/// Finds the planned interfaces, a bridge's ports in the place of the bridge, and refuses any that
/// somebody else's program is on. Pins of interfaces that were renamed follow them. Nothing has been
/// touched when this fails.
pub(super) fn resolve(
    plan: &[InterfacePlan],
    pins: &Pins,
) -> Result<Vec<(InterfacePlan, Interface)>, KernelError> {
    if plan.is_empty() {
        return Err(KernelError::NoInterfaces);
    }
    let known = interfaces()?;
    let resolved = present(plan, &known)?;
    let links = linked(pins)?;
    for (_, interface) in &resolved {
        refuse_foreign(interface, &links)?;
    }
    follow_renamed(pins, &known)?;
    Ok(resolved)
}

/// Whether attaching by this plan would change nothing. A mode that is left open is any.
pub(super) fn is_attached_by(plan: &[InterfacePlan], pins: &Pins) -> Result<bool, KernelError> {
    let wanted = present(plan, &interfaces()?)?;
    let attached = interface_status(pins)?;
    let is_attached = |(wanted, _): &(InterfacePlan, Interface)| {
        attached.iter().any(|status| {
            let is = &status.plan;
            let open = [wanted.mode, is.mode].contains(&XdpAttachMode::Auto);
            let (name, side) = (status.name_now(), is.side);
            (name, side, is.egress) == (&wanted.name, wanted.side, wanted.egress)
                && (open || is.mode == wanted.mode)
        })
    };
    Ok(wanted.len() == attached.len() && wanted.iter().all(is_attached))
}

/// The planned interfaces as they are there, a bridge's ports in the place of the bridge.
fn present(
    plan: &[InterfacePlan],
    known: &[Interface],
) -> Result<Vec<(InterfacePlan, Interface)>, KernelError> {
    let mut resolved: Vec<(InterfacePlan, Interface)> = Vec::new();
    for wanted in plan {
        for interface in stand_ins(wanted, known)? {
            let own = InterfacePlan {
                name: interface.name.clone(),
                ..wanted.clone()
            };
            // A port that is also named by itself is what its own entry says.
            let named = plan.iter().any(|other| other.name == own.name);
            if !named || wanted.name == own.name {
                resolved.push((own, interface.clone()));
            }
        }
    }
    Ok(resolved)
}

/// The interfaces that an entry of the plan means: itself, or a bridge's ports, for XDP in the
/// driver attaches to no bridge.
fn stand_ins<'a>(
    wanted: &InterfacePlan,
    known: &'a [Interface],
) -> Result<Vec<&'a Interface>, KernelError> {
    let found = known.iter().find(|interface| interface.name == wanted.name);
    let found = found.ok_or_else(|| KernelError::NoInterface {
        name: wanted.name.clone(),
        known: known
            .iter()
            .map(|interface| interface.name.clone())
            .collect(),
    })?;
    if !found.is_bridge {
        return Ok(vec![found]);
    }
    let ports: Vec<&Interface> = known
        .iter()
        .filter(|port| port.controller == Some(found.index))
        .collect();
    if ports.is_empty() {
        return Err(KernelError::NoPorts {
            bridge: found.name.clone(),
        });
    }
    Ok(ports)
}

fn refuse_foreign(interface: &Interface, links: &[Linked]) -> Result<(), KernelError> {
    let Some(attached) = interface.xdp else {
        return Ok(());
    };
    if links.iter().any(|link| link.has_xdp_on(interface)) {
        return Ok(());
    }
    Err(KernelError::Foreign {
        interface: interface.name.clone(),
        program: program_name_of(attached.program).unwrap_or_else(|| "?".to_owned()),
        id: attached.program,
    })
}

/// Whether a program that is on an interface is there in a mode that is wanted.
pub(super) fn fits(wanted: XdpAttachMode, interface: &Interface) -> bool {
    interface.xdp.is_some_and(|xdp| match wanted {
        XdpAttachMode::Auto => true,
        XdpAttachMode::Native => xdp.mode == "native",
        XdpAttachMode::Generic => xdp.mode == "generic",
    })
}

impl Loaded {
    /// Attaches what the plan asks of what enters by an interface. A link that is there gets the new
    /// program without a gap, unless its mode is another.
    pub(super) fn attach_ingress(
        &mut self,
        plan: &InterfacePlan,
        interface: &Interface,
        pins: &Pins,
    ) -> Result<(), KernelError> {
        let pin = pins.link(&plan.name, Hook::Ingress);
        let program = self.xdp(plan.side)?;
        if fits(plan.mode, interface)
            && let Some(old) = open_link(&pin)?
        {
            let link = FdLink::from(old)
                .try_into()
                .map_err(|e| open_error(&pin, e))?;
            program
                .attach_to_link(link)
                .map_err(attach_error(plan, Hook::Ingress))?;
            return Ok(());
        }
        // A link that is left over from an interface that was deleted, or of the other mode.
        detach(pins, &plan.name, Hook::Ingress)?;
        let program = self.xdp(plan.side)?;
        attach_xdp(program, plan, interface.index)?
            .pin(&pin)
            .map_err(|source| KernelError::PinLink {
                path: pin.clone(),
                source: Box::new(source),
            })?;
        Ok(())
    }

    /// Attaches what the plan asks of what leaves by an interface, or lets go of it. What is there gets
    /// the new program without a gap.
    pub(super) fn attach_egress(
        &mut self,
        plan: &InterfacePlan,
        pins: &Pins,
    ) -> Result<(), KernelError> {
        if !plan.egress {
            return detach(pins, &plan.name, Hook::Egress);
        }
        let program: &mut SchedClassifier = self.classifier(plan.side)?;
        if clsact::is_needed(&plan.name) {
            return clsact::attach(program, &plan.name, pins).map(drop);
        }
        let pin = pins.link(&plan.name, Hook::Egress);
        if let Some(old) = open_link(&pin)? {
            let link = FdLink::from(old)
                .try_into()
                .map_err(|e| open_error(&pin, e))?;
            // Fails when the interface was deleted meanwhile; then a new link is made.
            if program.attach_to_link(link).is_ok() {
                return Ok(());
            }
            Pins::remove(&pin)?;
        }
        // Ours first: what is dropped here need not be looked at by others.
        let order = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = program
            .attach_with_options(&plan.name, TcAttachType::Egress, order)
            .map_err(attach_error(plan, Hook::Egress))?;
        let link = program
            .take_link(id)
            .map_err(attach_error(plan, Hook::Egress))?;
        let link: FdLink = link.try_into().map_err(|e| open_error(&pin, e))?;
        link.pin(&pin).map_err(|source| KernelError::PinLink {
            path: pin.clone(),
            source: Box::new(source),
        })?;
        Ok(())
    }
}

/// Attaches in the driver if the plan lets it and the driver can, else in the stack.
fn attach_xdp(program: &mut Xdp, plan: &InterfacePlan, index: u32) -> Result<FdLink, KernelError> {
    let mut native = || program.attach_to_if_index(index, XdpMode::Driver);
    let attached = match plan.mode {
        XdpAttachMode::Native => native().map_err(|source| KernelError::NotNative {
            interface: plan.name.clone(),
            source: Box::new(source),
        })?,
        XdpAttachMode::Generic => program
            .attach_to_if_index(index, XdpMode::Skb)
            .map_err(attach_error(plan, Hook::Ingress))?,
        XdpAttachMode::Auto => match native() {
            Ok(id) => id,
            Err(_) => program
                .attach_to_if_index(index, XdpMode::Skb)
                .map_err(attach_error(plan, Hook::Ingress))?,
        },
    };
    let link = program
        .take_link(attached)
        .map_err(attach_error(plan, Hook::Ingress))?;
    link.try_into().map_err(|_: LinkError| KernelError::Lacks {
        what: "BPF links for XDP",
        hint: "they came with Linux 5.9; without them an attachment would die with its process",
    })
}

/// Every link of an instance, and every filter that is still there. `present` are the interfaces.
pub(super) fn attachments(
    pins: &Pins,
    present: &[Interface],
) -> Result<Vec<Attachment>, KernelError> {
    let links = linked(pins)?;
    let mut attachments = Vec::new();
    for (interface, hook) in pins.links()? {
        let of = |hook: Hook| {
            let is_it = |link: &&Linked| link.interface == interface && link.hook == hook;
            links.iter().find(is_it)
        };
        let (own, ingress) = (of(hook), of(Hook::Ingress));
        let by_link = |found: &&Interface| {
            let mut links = [ingress, own].into_iter().flatten();
            links.any(|link| link.is_on(found))
        };
        // A filter of clsact has no link.
        let by_name = |found: &&Interface| own.is_none() && found.name == interface;
        let on = present.iter().find(by_link);
        let on = on.or_else(|| present.iter().find(by_name));
        let program = match (own, on) {
            (Some(link), _) => Some(link.program),
            (None, Some(on)) => clsact::attached(pins, &interface, on.index)?,
            (None, None) => None,
        };
        let Some(program) = program else {
            continue;
        };
        let view = program_name_of(program).and_then(|name| view_of_program(&name));
        let side = view.map_or(Side::Lan, |view: View| view.side);
        attachments.push(Attachment {
            interface,
            now: on.map(|on| on.name.clone()),
            hook,
            side,
            program,
        });
    }
    Ok(attachments)
}

/// The attachments by interface, held against what is really on the interfaces.
pub(super) fn interface_status(pins: &Pins) -> Result<Vec<InterfaceStatus>, KernelError> {
    let present = interfaces()?;
    let attachments = attachments(pins, &present)?;
    let links = pins.links()?;
    let ingress = attachments
        .iter()
        .filter(|attachment| attachment.hook == Hook::Ingress);
    Ok(ingress
        .map(|attachment| {
            let name = &attachment.interface;
            let is_its =
                |other: &&Attachment| other.interface == *name && other.hook == Hook::Egress;
            let egress_by = attachments.iter().find(is_its).and_then(egress_by(pins));
            let interface = present
                .iter()
                .find(|found| attachment.now.as_ref() == Some(&found.name));
            let attached = interface
                .and_then(|interface| interface.xdp)
                .filter(|xdp| xdp.program == attachment.program);
            let mode = match attached.map(|xdp| xdp.mode) {
                Some("native") => XdpAttachMode::Native,
                Some(_) => XdpAttachMode::Generic,
                None => XdpAttachMode::Auto,
            };
            let wants_egress = links.contains(&(name.clone(), Hook::Egress));
            InterfaceStatus {
                plan: InterfacePlan {
                    name: name.clone(),
                    side: attachment.side,
                    mode,
                    egress: wants_egress,
                },
                renamed_to: attachment.now.clone().filter(|now| now != name),
                xdp: attached.map_or("none", |xdp| xdp.mode),
                egress: egress_by.is_some(),
                egress_by,
            }
        })
        .collect())
}

/// By what an egress program is attached; none if it is not there any more.
fn egress_by(pins: &Pins) -> impl Fn(&Attachment) -> Option<&'static str> {
    move |attachment| {
        let now = attachment.now.as_ref()?;
        let pin = pins.link(&attachment.interface, Hook::Egress);
        match pin.exists() {
            true => has_tcx_program(now, attachment.program).then_some("tcx"),
            // A filter was found on the interface itself.
            false => Some("clsact"),
        }
    }
}

/// Whether an interface's egress has a program: its link may be there and lead nowhere, when somebody
/// detached it or the interface is another one of the same name.
pub(super) fn has_tcx_program(interface: &str, program: u32) -> bool {
    // An interface that is gone has no programs.
    SchedClassifier::query_tcx(interface, TcAttachType::Egress)
        .is_ok_and(|(_, programs)| programs.iter().any(|found| found.id() == program))
}

fn attach_error(plan: &InterfacePlan, hook: Hook) -> impl Fn(ProgramError) -> KernelError {
    let hook = match hook {
        Hook::Ingress => "XDP ingress",
        Hook::Egress => "TCX egress",
    };
    let interface = plan.name.clone();
    move |source| KernelError::Attach {
        interface: interface.clone(),
        hook,
        source: Box::new(source),
    }
}

/// The name of a program in the kernel, by its id.
fn program_name_of(id: u32) -> Option<String> {
    loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(ToOwned::to_owned))
}
