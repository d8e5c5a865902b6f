//! The words of a policy that name ports and hosts.
//!
//! Invariant: a [`PortRange`] has at least one port and none is 0; a prefix has no bits behind its
//! length and is never an IPv4 address in IPv6.

use std::fmt;
use std::net::IpAddr;

use imblock_common::Transport;
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use strum::{IntoStaticStr, VariantNames};

use super::error_kind::PolicyErrorKind;
use super::mac::Mac;

const TRANSPORTS: [(&str, Transport); 2] = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];

/// Ports of one transport, `tcp/6660-6669`. The first is at least 1 and not above the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    transport: Transport,
    first: u16,
    last: u16,
}

impl PortRange {
    /// Reads `tcp/5050` or `udp/5000-5010`.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        Self::read(text).map_err(|fault| PolicyErrorKind::BadPort {
            text: text.to_owned(),
            fault,
        })
    }

    fn read(text: &str) -> Result<Self, PortFault> {
        let (transport, ports) = text.split_once('/').ok_or(PortFault::NoTransport)?;
        let known = TRANSPORTS.iter().find(|(name, _)| *name == transport);
        let (_, transport) = known.ok_or(PortFault::UnknownTransport)?;
        let number = |text: &str| match text.parse() {
            Ok(0) | Err(_) => Err(PortFault::OutOfRange),
            Ok(port) => Ok(port),
        };
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(ports)?, number(ports)?),
        };
        Self::new(*transport, first, last).ok_or(PortFault::Backwards)
    }

    /// `None` when the range is empty or begins at port 0.
    pub(super) fn new(transport: Transport, first: u16, last: u16) -> Option<Self> {
        (1..=last).contains(&first).then_some(Self {
            transport,
            first,
            last,
        })
    }

    /// TCP or UDP.
    pub const fn transport(self) -> Transport {
        self.transport
    }

    /// Every port.
    pub fn ports(self) -> impl Iterator<Item = u16> {
        self.first..=self.last
    }

    /// Takes in the port behind the last one; `false` when `port` is another.
    pub(super) fn extend(&mut self, transport: Transport, port: u16) -> bool {
        let next = self.transport == transport && self.last.checked_add(1) == Some(port);
        if next {
            self.last = port;
        }
        next
    }

    /// Whether the two have a port in common.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.transport == other.transport && self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        write!(f, "{transport}/{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Why a text is no port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
pub enum PortFault {
    /// `5050`.
    #[error("it does not say tcp or udp")]
    NoTransport,
    /// `sctp/5050`.
    #[error("the transport is neither tcp nor udp")]
    UnknownTransport,
    /// `tcp/0`, `tcp/70000`, `tcp/x`.
    #[error("ports are 1 to 65535")]
    OutOfRange,
    /// `tcp/20-10`.
    #[error("the range ends before it begins")]
    Backwards,
}

/// Reads a prefix; a bare address is a prefix of one host.
pub(super) fn prefix(text: &str) -> Result<IpNet, PolicyErrorKind> {
    read_prefix(text).map_err(|fault| PolicyErrorKind::BadPrefix {
        text: text.to_owned(),
        fault,
    })
}

/// Reads a prefix at which a service lives; not one that all the world lives in.
pub(super) fn service_prefix(text: &str) -> Result<IpNet, PolicyErrorKind> {
    match prefix(text)? {
        net if net.prefix_len() == 0 => Err(PolicyErrorKind::BadPrefix {
            text: text.to_owned(),
            fault: PrefixFault::Everything,
        }),
        net => Ok(net),
    }
}

/// Reads a prefix that was given on the command line; what is wrong with it, and what to write instead.
pub(crate) fn prefix_argument(text: &str) -> Result<IpNet, String> {
    read_prefix(text).map_err(|fault| format!("{fault}: {}", fault.help()))
}

fn read_prefix(text: &str) -> Result<IpNet, PrefixFault> {
    let net = match text.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => match text.parse::<IpAddr>() {
            Ok(addr) => IpNet::from(addr),
            Err(_) if Mac::parse(text).is_some() => return Err(PrefixFault::Mac),
            Err(_) if text.contains('%') => return Err(PrefixFault::Zone),
            Err(_) => return Err(PrefixFault::NotAnAddress),
        },
    };
    match net {
        _ if net.addr() != net.network() => Err(PrefixFault::HostBits(net)),
        IpNet::V6(v6) => match v6.addr().to_ipv4_mapped() {
            Some(_) if v6.prefix_len() >= 96 => Err(PrefixFault::Mapped),
            _ => Ok(net),
        },
        IpNet::V4(_) => Ok(net),
    }
}

/// The address as the tables see it: IPv4 in IPv6 is IPv4.
pub(super) fn host_prefix(addr: IpAddr) -> IpNet {
    match addr {
        IpAddr::V6(v6) => IpNet::from(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)),
        IpAddr::V4(_) => IpNet::from(addr),
    }
}

/// Why a text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
pub enum PrefixFault {
    /// Something else altogether.
    #[error("it is no IPv4 or IPv6 address")]
    NotAnAddress,
    /// A hardware address where none can be.
    #[error("MAC addresses can only be in `groups`")]
    Mac,
    /// A hardware address that is nobody's, or that of many.
    #[error("it is the MAC address of no single device")]
    NotOneDevice,
    /// `fe80::1%eth0`.
    #[error("a prefix has no zone")]
    Zone,
    /// `10.0.5.1/24`.
    #[error("the address has bits behind the prefix length")]
    HostBits(IpNet),
    /// `::ffff:10.0.0.1`.
    #[error("it is an IPv4 address in the clothes of IPv6, which no packet carries")]
    Mapped,
    /// `0.0.0.0/0` as the home of a service.
    #[error("it would match every address")]
    Everything,
}

impl PrefixFault {
    pub(super) fn help(self) -> String {
        match self {
            Self::NotAnAddress => {
                "write 10.0.5.0/24, 10.0.5.9, 2001:db8:5::/64 or 2001:db8::9".into()
            }
            Self::Mac => "give the hosts fixed addresses and name those".into(),
            Self::NotOneDevice => {
                "with an odd first byte it is one of multicast; all zeros are nobody's".into()
            }
            Self::Zone => "leave out the % and what follows".into(),
            Self::HostBits(net) => {
                format!(
                    "for the network write {}, for the host {}",
                    net.trunc(),
                    net.addr()
                )
            }
            Self::Mapped => "write it as IPv4".into(),
            Self::Everything => "name the addresses that the service alone lives at".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_print_as_they_are_written() {
        for text in ["tcp/1", "udp/65535", "tcp/6660-6669"] {
            assert_eq!(
                PortRange::parse(text).map(|range| range.to_string()).ok(),
                Some(text.into())
            );
        }
        assert_eq!(
            PortRange::parse("tcp/5-5").ok(),
            PortRange::parse("tcp/5").ok()
        );
        for text in [
            "",
            "/",
            "tcp",
            "tcp/",
            "tcp/-",
            "tcp/1-",
            "tcp/-1",
            "tcp/0-1",
            "TCP/1",
            "tcp/65536",
            "tcp/1-2-3",
            "tcp/ 1",
        ] {
            assert!(PortRange::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_overlap_within_a_transport() {
        let range = |text| PortRange::parse(text).ok();
        let overlap = |a, b| range(a).zip(range(b)).is_some_and(|(a, b)| a.overlaps(b));
        assert!(overlap("tcp/5-9", "tcp/9-12"));
        assert!(overlap("tcp/5-9", "tcp/6"));
        assert!(!overlap("tcp/5-9", "tcp/10"));
        assert!(!overlap("tcp/5", "udp/5"));
    }

    #[test]
    fn a_prefix_is_a_network() {
        let read = |text| read_prefix(text).map(|net| net.to_string());
        assert_eq!(read("10.0.0.9"), Ok("10.0.0.9/32".into()));
        assert_eq!(read("2001:db8::9"), Ok("2001:db8::9/128".into()));
        assert_eq!(read("0.0.0.0/0"), Ok("0.0.0.0/0".into()));
        assert_eq!(read("::/0"), Ok("::/0".into()));
        assert_eq!(read("02-00-00-AA-BB-CC"), Err(PrefixFault::Mac));
        assert_eq!(read("::ffff:10.0.0.0/104"), Err(PrefixFault::Mapped));
        assert_eq!(read("10.0.0.0/33"), Err(PrefixFault::NotAnAddress));
        assert!(matches!(
            read("2001:db8::1/64"),
            Err(PrefixFault::HostBits(_))
        ));
    }
}
