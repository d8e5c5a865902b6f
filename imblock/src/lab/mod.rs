//! A throw-away network: two hosts on a LAN, a router, and a server in the world.
//!
//! ```text
//!   alice ─┐
//!          ├─ switch ─ lan0 ┌────────┐ wan0 ─ server
//!   bob   ─┘                │ router │
//!                           └────────┘
//! ```
//!
//! Each is a network namespace of its own, joined by veth cables; real kernels' stacks talk over
//! them, and `imblock` runs in the router's. The demo shows itself here, and the tests prove it
//! here.
//!
//! Invariant: nothing outside changes. No interface, route or file of the machine is touched, and
//! nothing is left when the [`Lab`] is gone.

mod echo;
mod error;
mod namespace;
mod network;
mod probe;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::Path;

use caps::{CapSet, Capability};
use ipnet::IpNet;

pub use echo::EchoServer;
pub use error::LabError;
pub use namespace::Namespace;
pub use network::{End, cable};
pub use probe::{Answer, Probe, probe};

/// How the LAN reaches the router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wiring {
    /// Plain Ethernet: addresses are on `eth0` and `lan0`.
    #[default]
    Plain,
    /// IEEE 802.1Q with this VLAN id: addresses are on `eth0.ID` and `lan0.ID`.
    Vlan(u16),
}

/// The network.
#[derive(Debug)]
pub struct Lab {
    /// A host on the LAN.
    pub alice: Host,
    /// Another host on the LAN.
    pub bob: Host,
    /// Where `imblock` runs: [`Lab::LAN`] leads to the hosts, [`Lab::WAN`] to the server.
    pub router: Host,
    /// The rest of the world.
    pub server: Host,
    /// What joins the hosts to the router: a bridge, whose port [`Lab::SWITCH_UP`] leads to the
    /// router.
    pub switch: Namespace,
}

/// A machine of the network.
#[derive(Debug)]
pub struct Host {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its address. The router has one on each side; this is the LAN's.
    pub v4: Ipv4Addr,
    /// Its IPv6 address; none on a kernel without IPv6.
    pub v6: Option<Ipv6Addr>,
}

/// Addresses: host 1 is the router.
const LAN_V4: [u8; 3] = [10, 77, 0];
const LAN_V6: [u16; 4] = [0xfd77, 0, 0, 0];
/// TEST-NET-2 (RFC 5737) and the documentation prefix (RFC 3849): nobody's real servers.
const WAN_V4: [u8; 3] = [198, 51, 100];
const WAN_V6: [u16; 4] = [0x2001, 0xdb8, 0x77, 0];

/// Ports that clients call from, none of which the catalogue lists: one that it does would tell its service
/// where a client in the world draws it by chance and calls a server on the LAN.
const CLIENT_PORTS: RangeInclusive<u16> = 34_000..=60_999;

/// The last part of each machine's addresses.
const ROUTER: u8 = 1;
const ALICE: u8 = 2;
const BOB: u8 = 3;
const SERVER: u8 = 7;

impl Lab {
    /// The router's interface towards the LAN.
    pub const LAN: &'static str = "lan0";
    /// The router's interface towards the world.
    pub const WAN: &'static str = "wan0";
    /// The switch's interface towards the router.
    pub const SWITCH_UP: &'static str = "up";

    /// Builds the network; everything answers when this returns.
    ///
    /// # Errors
    ///
    /// [`LabError::NoPermission`] without `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`.
    pub fn new(wiring: Wiring) -> Result<Self, LabError> {
        check_rights()?;
        let switch = Namespace::new("switch")?;
        let lab = Self {
            alice: Host::new("alice", LAN_V4, LAN_V6, ALICE)?,
            bob: Host::new("bob", LAN_V4, LAN_V6, BOB)?,
            router: Host::new("router", LAN_V4, LAN_V6, ROUTER)?,
            server: Host::new("server", WAN_V4, WAN_V6, SERVER)?,
            switch,
        };
        lab.lay_cables()?;
        lab.join_lan(wiring)?;
        lab.join_wan()?;
        Ok(lab)
    }

    /// The hosts on the LAN.
    pub fn lan_hosts(&self) -> [&Host; 2] {
        [&self.alice, &self.bob]
    }

    fn lay_cables(&self) -> Result<(), LabError> {
        let switch = &self.switch;
        cable(
            (switch, Self::SWITCH_UP),
            (&self.router.namespace, Self::LAN),
        )?;
        cable((switch, "port1"), (&self.alice.namespace, "eth0"))?;
        cable((switch, "port2"), (&self.bob.namespace, "eth0"))?;
        switch.bridge("br0", &[Self::SWITCH_UP, "port1", "port2"])?;
        cable(
            (&self.router.namespace, Self::WAN),
            (&self.server.namespace, "eth0"),
        )
    }

    fn join_lan(&self, wiring: Wiring) -> Result<(), LabError> {
        for (host, port) in [
            (&self.router, Self::LAN),
            (&self.alice, "eth0"),
            (&self.bob, "eth0"),
        ] {
            let interface = match wiring {
                Wiring::Plain => port.to_owned(),
                Wiring::Vlan(id) => {
                    let tagged = format!("{port}.{id}");
                    host.namespace.vlan(&tagged, port, id)?;
                    tagged
                }
            };
            host.join(&interface, host.v4, host.v6)?;
        }
        for host in self.lan_hosts() {
            host.route_by(self.router.v4, self.router.v6)?;
        }
        Ok(())
    }

    fn join_wan(&self) -> Result<(), LabError> {
        let (v4, v6) = addresses(WAN_V4, WAN_V6, ROUTER);
        let v6 = self.router.v6.and(Some(v6));
        self.router.join(Self::WAN, v4, v6)?;
        self.router.forward()?;
        self.server.join("eth0", self.server.v4, self.server.v6)?;
        self.server.route_by(v4, v6)
    }
}

impl Host {
    fn new(name: &str, v4: [u8; 3], v6: [u16; 4], last: u8) -> Result<Self, LabError> {
        let namespace = Namespace::new(name)?;
        let ports = format!("{} {}", CLIENT_PORTS.start(), CLIENT_PORTS.end());
        namespace.sysctl("ipv4/ip_local_port_range", &ports)?;
        let has_v6 = namespace.run(|| Path::new("/proc/sys/net/ipv6/conf").exists())?;
        if has_v6 {
            // For link-local addresses, which the kernel makes and neighbour discovery needs.
            for which in ["all", "default"] {
                namespace.sysctl(&format!("ipv6/conf/{which}/accept_dad"), "0")?;
            }
        }
        let (v4, v6) = addresses(v4, v6, last);
        Ok(Self {
            namespace,
            v4,
            v6: has_v6.then_some(v6),
        })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Every address that [`Host::v4`] and [`Host::v6`] name.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        [Some(IpAddr::V4(self.v4)), self.v6.map(IpAddr::V6)]
            .into_iter()
            .flatten()
    }

    fn join(&self, interface: &str, v4: Ipv4Addr, v6: Option<Ipv6Addr>) -> Result<(), LabError> {
        self.namespace.address(interface, network(v4.into()))?;
        match v6 {
            Some(v6) => self.namespace.address(interface, network(v6.into())),
            None => Ok(()),
        }
    }

    fn route_by(&self, v4: Ipv4Addr, v6: Option<Ipv6Addr>) -> Result<(), LabError> {
        self.namespace.default_route(v4.into())?;
        match v6 {
            Some(v6) => self.namespace.default_route(v6.into()),
            None => Ok(()),
        }
    }

    fn forward(&self) -> Result<(), LabError> {
        self.namespace.sysctl("ipv4/ip_forward", "1")?;
        match self.v6 {
            Some(_) => self.namespace.sysctl("ipv6/conf/all/forwarding", "1"),
            None => Ok(()),
        }
    }
}

/// Says at once, and in words, what the kernel would say late and in numbers.
fn check_rights() -> Result<(), LabError> {
    let missing: Vec<String> = [Capability::CAP_SYS_ADMIN, Capability::CAP_NET_ADMIN]
        .into_iter()
        .filter(|right| !caps::has_cap(None, CapSet::Effective, *right).unwrap_or(false))
        .map(|right| right.to_string())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(LabError::NoPermission {
        missing: missing.join(" and "),
    })
}

fn addresses(v4: [u8; 3], v6: [u16; 4], last: u8) -> (Ipv4Addr, Ipv6Addr) {
    let [a, b, c] = v4;
    let [p, q, r, s] = v6;
    (
        Ipv4Addr::new(a, b, c, last),
        Ipv6Addr::new(p, q, r, s, 0, 0, 0, last.into()),
    )
}

/// The address with the length of its network: every network here is a /24 or a /64.
fn network(address: IpAddr) -> IpNet {
    let bits = if address.is_ipv4() { 24 } else { 64 };
    IpNet::new_assert(address, bits)
}

#[cfg(test)]
mod tests;
