//! Hardware addresses of hosts, as groups name them.
//!
//! Invariant: a [`Mac`] is that of one device: neither multicast nor all zeros.

use std::fmt;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::error_kind::PolicyErrorKind;
use super::net::{self, PrefixFault};

/// The hardware address of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    /// Reads `02:00:00:aa:bb:cc`, or the same with `-`. `None` for a text that is nothing of the
    /// kind.
    pub(super) fn parse(text: &str) -> Option<Result<Self, PrefixFault>> {
        let octets = [':', '-']
            .into_iter()
            .find_map(|between| octets(text, between))?;
        Some(Self::new(octets).ok_or(PrefixFault::NotOneDevice))
    }

    /// `None` for an address that is no single device's.
    pub const fn new(octets: [u8; 6]) -> Option<Self> {
        match octets {
            [0, 0, 0, 0, 0, 0] => None,
            [first, ..] if first & 1 == 1 => None,
            _ => Some(Self(octets)),
        }
    }

    /// In the order of the wire.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

fn octets(text: &str, between: char) -> Option<[u8; 6]> {
    let mut parts = text.split(between);
    let mut octets = [0; 6];
    for octet in &mut octets {
        let part = parts.next()?;
        let hex = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        *octet = u8::from_str_radix(part, 16).ok().filter(|_| hex)?;
    }
    parts.next().is_none().then_some(octets)
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What a group can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Member {
    /// Hosts by address.
    Net(IpNet),
    /// A host by its device.
    Mac(Mac),
}

impl Member {
    /// Reads a prefix, an address or a hardware address.
    pub(super) fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        match Mac::parse(text) {
            Some(Ok(mac)) => Ok(Self::Mac(mac)),
            Some(Err(fault)) => Err(PolicyErrorKind::BadPrefix {
                text: text.to_owned(),
                fault,
            }),
            None => net::prefix(text).map(Self::Net),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_six_octets_of_one_device() {
        let read = |text| Mac::parse(text).map(|mac| mac.map(|mac| mac.to_string()));
        let known = Some(Ok("02:00:00:aa:bb:cc".to_owned()));
        assert_eq!(read("02:00:00:aa:bb:cc"), known);
        assert_eq!(read("02-00-00-AA-BB-CC"), known);
        for several in [
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
        ] {
            assert_eq!(
                read(several),
                Some(Err(PrefixFault::NotOneDevice)),
                "{several}"
            );
        }
        for other in [
            "",
            "02:00:00:aa:bb",
            "02:00:00:aa:bb:cc:dd",
            "02:00:00:aa:bb:c",
            "02:00:00:aa:bb:+c",
            "02:00:00-aa:bb:cc",
            "020000aabbcc",
            "2001:db8::1",
            "02:00:00:aa:bb:cg",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
