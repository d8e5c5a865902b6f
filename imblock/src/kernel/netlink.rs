//! Questions to the kernel's routing netlink: interfaces, the XDP programs on them, addresses.

use std::net::IpAddr;

use futures_util::TryStreamExt as _;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkInfo, LinkMessage, LinkXdp, XdpAttached,
};
use netlink_packet_route::tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption};
use rtnetlink::Handle;

use super::KernelError;

/// An interface of this network namespace.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    /// Its name.
    pub(super) name: String,
    /// Its index.
    pub(super) index: u32,
    /// The XDP program on it.
    pub(super) xdp: Option<AttachedXdp>,
    /// Whether it is a bridge.
    pub(super) is_bridge: bool,
    /// The index of the bridge (or bond) that it is a port of.
    pub(super) controller: Option<u32>,
}

/// The XDP program on an interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttachedXdp {
    /// Its id in the kernel; 0 when several are attached.
    pub(super) program: u32,
    /// `native`, `generic`, `offloaded`, or `several`.
    pub(super) mode: &'static str,
}

/// Every interface of this network namespace.
pub(super) fn interfaces() -> Result<Vec<Interface>, KernelError> {
    const WHAT: &str = "the list of interfaces";
    ask(WHAT, async |handle| {
        let mut links = handle.link().get().execute();
        let mut interfaces = Vec::new();
        while let Some(message) = links.try_next().await? {
            interfaces.push(interface(&message));
        }
        Ok(interfaces)
    })
}

/// The addresses of the box itself, in this network namespace.
pub fn own_addresses() -> Result<Vec<IpAddr>, KernelError> {
    ask("the box's own addresses", async |handle| {
        let mut messages = handle.address().get().execute();
        let mut addresses = Vec::new();
        while let Some(message) = messages.try_next().await? {
            addresses.extend(
                message
                    .attributes
                    .iter()
                    .filter_map(|attribute| match attribute {
                        AddressAttribute::Local(address) | AddressAttribute::Address(address) => {
                            Some(*address)
                        }
                        _ => None,
                    }),
            );
        }
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    })
}

/// A BPF program in a filter of an interface's clsact qdisc.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    /// Its id in the kernel.
    pub(super) program: u32,
    /// Lower ones are asked first.
    pub(super) priority: u16,
    /// Which of the filters of that priority it is.
    pub(super) handle: u32,
}

/// The BPF filters of what leaves by an interface; none where it has no clsact qdisc.
pub(super) fn egress_filters(index: u32) -> Result<Vec<Filter>, KernelError> {
    Ok(filters(index, true)?.iter().filter_map(filter).collect())
}

/// Whether there is any filter, of whatever kind, in the clsact qdisc of an interface.
pub(super) fn has_filters(index: u32) -> Result<bool, KernelError> {
    Ok(!filters(index, true)?.is_empty() || !filters(index, false)?.is_empty())
}

fn filters(index: u32, egress: bool) -> Result<Vec<TcMessage>, KernelError> {
    let index = index.cast_signed();
    ask("the filters of an interface", async |handle| {
        let request = handle.traffic_filter(index).get();
        let request = if egress {
            request.egress()
        } else {
            request.ingress()
        };
        request.execute().try_collect().await
    })
}

/// Removes the clsact qdisc of an interface, with all that is in it.
pub(super) fn remove_clsact(index: u32) -> Result<(), KernelError> {
    let index = index.cast_signed();
    ask("its clsact qdisc to be removed", async |handle| {
        let mut request = handle.qdisc().del(index);
        request.message_mut().header.parent = TcHandle::CLSACT;
        request.execute().await
    })
}

fn filter(message: &TcMessage) -> Option<Filter> {
    let program = message.attributes.iter().find_map(|attribute| {
        let TcAttribute::Options(options) = attribute else {
            return None;
        };
        options.iter().find_map(|option| match option {
            TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => Some(*id),
            _ => None,
        })
    })?;
    // The number of the network protocol is the lower half of the word.
    let priority = u16::try_from(message.header.info >> 16).ok()?;
    Some(Filter {
        program,
        priority,
        handle: message.header.handle.into(),
    })
}

/// Runs one conversation on a thread of its own, so that it works inside and outside of an
/// asynchronous runtime. A thread is born into the network namespace of the one that made it.
fn ask<T: Send>(
    what: &'static str,
    conversation: impl AsyncFnOnce(Handle) -> Result<T, rtnetlink::Error> + Send,
) -> Result<T, KernelError> {
    let error = |source| KernelError::Netlink { what, source };
    let talk = || -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            tokio::spawn(connection);
            Ok(conversation(handle).await?)
        })
    };
    std::thread::scope(|scope| match scope.spawn(talk).join() {
        Ok(result) => result.map_err(error),
        Err(_) => Err(error("the netlink thread ended early".into())),
    })
}

fn interface(message: &LinkMessage) -> Interface {
    let mut interface = Interface {
        name: String::new(),
        index: message.header.index,
        xdp: None,
        is_bridge: false,
        controller: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Controller(index) => interface.controller = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                interface.is_bridge = infos.contains(&LinkInfo::Kind(InfoKind::Bridge));
            }
            LinkAttribute::Xdp(attributes) => interface.xdp = attached_xdp(attributes),
            _ => {}
        }
    }
    interface
}

fn attached_xdp(attributes: &[LinkXdp]) -> Option<AttachedXdp> {
    let mode = attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::Attached(XdpAttached::Driver) => Some("native"),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some("generic"),
        LinkXdp::Attached(XdpAttached::Hardware) => Some("offloaded"),
        LinkXdp::Attached(XdpAttached::Multiple) => Some("several"),
        _ => None,
    })?;
    let program = attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id) => Some(*id),
        _ => None,
    });
    Some(AttachedXdp {
        program: program.unwrap_or(0),
        mode,
    })
}
