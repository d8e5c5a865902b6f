//! What is put into a namespace: cables, bridges, VLANs, addresses and routes, all over netlink.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::address::AddressHeaderFlags;
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage, State};
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, LinkVlan, RouteMessageBuilder};
use rustix::io::Errno;

use super::{LabError, Namespace};

/// How long a cable may take to carry, and how often it is asked.
const CARRIER_PATIENCE: Duration = Duration::from_secs(5);
const CARRIER_PAUSE: Duration = Duration::from_millis(1);

/// One end of a cable: a namespace and what its interface is called there.
pub type End<'a> = (&'a Namespace, &'a str);

/// Joins two namespaces by a veth pair, both ends up.
///
/// # Errors
///
/// A name that is taken or longer than 15 bytes.
pub fn cable(one: End<'_>, other: End<'_>) -> Result<(), LabError> {
    let (namespace, name) = one;
    let (far, far_name) = other;
    // The far end is born where it belongs: no name of this process's namespace is ever taken.
    let peer = LinkUnspec::new_with_name(far_name)
        .index(fresh_index())
        .setns_by_fd(far.as_fd().as_raw_fd())
        .build();
    let veth = LinkVeth::new(name, far_name)
        .index(fresh_index())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    let what = format!("make the cable {name} to {far_name} of `{}`", far.name());
    namespace.netlink(&what, async |handle| {
        handle.link().add(veth).execute().await
    })?;
    // Not in one go: the kernel would set the near end up before it knows the far one.
    namespace.up(name)?;
    far.up(far_name)?;
    namespace.await_carrier(name)?;
    far.await_carrier(far_name)
}

/// A number for an interface that none in this process has had. By itself the kernel would give
/// both ends of a cable the same number, in their two namespaces; it then takes a change of carrier
/// for one that is in no hurry, and the cable is dead for up to a second.
fn fresh_index() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Namespace {
    /// Sets an interface up.
    ///
    /// # Errors
    ///
    /// An interface that is not there.
    pub fn up(&self, interface: &str) -> Result<(), LabError> {
        let link = LinkUnspec::new_with_name(interface).up().build();
        self.netlink(&format!("set {interface} up"), async |handle| {
            handle.link().set(link).execute().await
        })
    }

    /// Waits until an interface that is up can send: what is sent before is lost.
    fn await_carrier(&self, interface: &str) -> Result<(), LabError> {
        let deadline = Instant::now() + CARRIER_PATIENCE;
        while self.link(interface)?.state != Some(State::Up) {
            if Instant::now() > deadline {
                return Err(LabError::NoCarrier {
                    namespace: self.name().to_owned(),
                    interface: interface.to_owned(),
                    patience: CARRIER_PATIENCE,
                });
            }
            thread::sleep(CARRIER_PAUSE);
        }
        Ok(())
    }

    /// Takes an interface away; of a cable, both ends.
    ///
    /// # Errors
    ///
    /// An interface that is not there.
    pub fn remove(&self, interface: &str) -> Result<(), LabError> {
        let index = self.index(interface)?;
        self.netlink(&format!("remove {interface}"), async |handle| {
            handle.link().del(index).execute().await
        })
    }

    /// Gives an interface another name. It may be up since Linux 6.2.
    ///
    /// # Errors
    ///
    /// An interface that is not there, and a name that is taken.
    pub fn rename(&self, interface: &str, name: &str) -> Result<(), LabError> {
        let index = self.index(interface)?;
        let link = LinkUnspec::new_with_index(index)
            .name(name.to_owned())
            .build();
        self.netlink(&format!("rename {interface} to {name}"), async |handle| {
            handle.link().set(link).execute().await
        })
    }

    /// Makes a bridge of interfaces. It forwards at once: there is no spanning tree.
    ///
    /// # Errors
    ///
    /// An interface that is not there.
    pub fn bridge(&self, name: &str, ports: &[&str]) -> Result<(), LabError> {
        let bridge = LinkBridge::new(name).up().build();
        self.netlink(&format!("make the bridge {name}"), async |handle| {
            handle.link().add(bridge).execute().await
        })?;
        let index = self.index(name)?;
        for port in ports {
            let link = LinkUnspec::new_with_name(port).controller(index).build();
            self.netlink(&format!("put {port} into {name}"), async |handle| {
                handle.link().set(link).execute().await
            })?;
        }
        Ok(())
    }

    /// Makes a VLAN interface on top of another one.
    ///
    /// # Errors
    ///
    /// [`LabError::KernelLacks`] where the kernel was built without VLANs; a parent that is not
    /// there.
    pub fn vlan(&self, name: &str, parent: &str, id: u16) -> Result<(), LabError> {
        let vlan = LinkVlan::new(name, self.index(parent)?, id).up().build();
        let made = self.netlink(&format!("make VLAN {id} on {parent}"), async |handle| {
            handle.link().add(vlan).execute().await
        });
        match made {
            Err(LabError::Netlink { ref source, .. }) if is(source, Errno::OPNOTSUPP) => {
                Err(LabError::KernelLacks {
                    what: "VLAN interfaces (CONFIG_VLAN_8021Q; try `modprobe 8021q`)",
                })
            }
            made => made,
        }
    }

    /// Gives an interface an address.
    ///
    /// # Errors
    ///
    /// An interface that is not there.
    pub fn address(&self, interface: &str, net: IpNet) -> Result<(), LabError> {
        let index = self.index(interface)?;
        self.netlink(&format!("give {interface} {net}"), async |handle| {
            let mut add = handle.address().add(index, net.addr(), net.prefix_len());
            // Nobody else is here: the address may be bound at once, instead of after the second
            // that duplicate address detection (RFC 4862) listens. IPv4 does not know the flag.
            add.message_mut().header.flags |= AddressHeaderFlags::Nodad;
            add.execute().await
        })
    }

    /// Sends everything else to a router.
    ///
    /// # Errors
    ///
    /// A router that is in no network of the namespace.
    pub fn default_route(&self, via: IpAddr) -> Result<(), LabError> {
        let route = match via {
            IpAddr::V4(via) => RouteMessageBuilder::<Ipv4Addr>::new().gateway(via).build(),
            IpAddr::V6(via) => RouteMessageBuilder::<Ipv6Addr>::new().gateway(via).build(),
        };
        self.netlink(&format!("route by {via}"), async |handle| {
            handle.route().add(route).execute().await
        })
    }

    /// The number of an interface.
    ///
    /// # Errors
    ///
    /// An interface that is not there.
    pub fn index(&self, interface: &str) -> Result<u32, LabError> {
        Ok(self.link(interface)?.index)
    }

    fn link(&self, interface: &str) -> Result<Link, LabError> {
        // Among all, because netlink answers the question for one that is not there by an error.
        let links: Vec<LinkMessage> = self.netlink("list the interfaces", async |handle| {
            handle.link().get().execute().try_collect().await
        })?;
        links
            .into_iter()
            .find_map(|link| Link::named(interface, &link))
            .ok_or_else(|| LabError::NoInterface {
                namespace: self.name().to_owned(),
                interface: interface.to_owned(),
            })
    }

    /// Sets a switch of the kernel's network, by its path under `/proc/sys/net`.
    ///
    /// # Errors
    ///
    /// A switch that is not there.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<(), LabError> {
        let path = format!("/proc/sys/net/{path}");
        self.run(|| fs::write(&path, value))?
            .map_err(|source| LabError::Sysctl {
                namespace: self.name().to_owned(),
                path,
                source,
            })
    }

    /// Talks to the namespace's netlink. The socket is made inside, hence speaks of the inside.
    fn netlink<T: Send>(
        &self,
        what: &str,
        talk: impl AsyncFnOnce(Handle) -> Result<T, rtnetlink::Error> + Send,
    ) -> Result<T, LabError> {
        self.run(|| {
            self.runtime()?.block_on(async {
                let (connection, handle, _) =
                    rtnetlink::new_connection().map_err(|source| LabError::Socket {
                        namespace: self.name().to_owned(),
                        what: "open a netlink socket".to_owned(),
                        source,
                    })?;
                tokio::spawn(connection);
                talk(handle).await.map_err(|source| LabError::Netlink {
                    namespace: self.name().to_owned(),
                    what: what.to_owned(),
                    source,
                })
            })
        })?
    }

    /// An event loop. Sockets that it makes belong to the namespace that its thread is in.
    pub(super) fn runtime(&self) -> Result<tokio::runtime::Runtime, LabError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| LabError::Socket {
                namespace: self.name().to_owned(),
                what: "start an event loop".to_owned(),
                source,
            })
    }
}

/// An interface, as far as it matters here.
struct Link {
    index: u32,
    state: Option<State>,
}

impl Link {
    /// The link, if that is its name.
    fn named(name: &str, message: &LinkMessage) -> Option<Self> {
        let attributes = &message.attributes;
        let is_it = |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::IfName(found) if found == name);
        attributes.iter().any(is_it).then(|| Self {
            index: message.header.index,
            state: attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::OperState(state) => Some(*state),
                _ => None,
            }),
        })
    }
}

/// Whether the kernel's answer was this error.
fn is(error: &rtnetlink::Error, errno: Errno) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message)
        if message.to_io().raw_os_error() == Some(errno.raw_os_error()))
}
