//! A frame, said in the order of its headers. Lengths and checksums come out right unless a test
//! asks for wrong ones.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::alloc;
use super::headers::{
    Extension, Network, PROTOCOL_NONE, PROTOCOL_TCP, PROTOCOL_UDP, Transport, length16,
};
use crate::parse::ethertype;

/// TCP flags, RFC 9293 section 3.1.
pub mod flags {
    /// The sender has finished.
    pub const FIN: u8 = 0x01;
    /// A connection begins.
    pub const SYN: u8 = 0x02;
    /// A connection is refused or cut.
    pub const RST: u8 = 0x04;
    /// Data for the application, now.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// The shortest frame on a wire, without its checksum.
const SHORTEST: usize = 60;
/// Where a field lies that a test breaks, or a cut is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The Ethernet header, VLAN tags included.
    Link,
    /// The PPPoE header, the PPP protocol included.
    Pppoe,
    /// The IPv4 or IPv6 header, options and extension headers included.
    Network,
    /// The TCP or UDP header, TCP options included.
    Transport,
    /// What follows the last header.
    Payload,
}

/// A frame in the making. Headers come out in the order of the wire, whatever the order of calls.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Destination and source.
    stations: [[u8; 6]; 2],
    tags: Vec<(u16, u16)>,
    ethertype: Option<u16>,
    pppoe: bool,
    network: Option<Network>,
    protocol: Option<u8>,
    transport: Option<Transport>,
    payload: Vec<u8>,
    lies: Vec<Lie>,
    cut: Option<(Layer, usize)>,
    padded: bool,
}

/// Bits that are set against the truth, after the checksums.
#[derive(Clone, Copy, Debug)]
struct Lie {
    layer: Layer,
    at: usize,
    mask: u8,
    bits: u8,
}

impl Frame {
    /// An Ethernet frame between two made-up stations.
    pub const fn eth() -> Self {
        Self {
            stations: [[2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]],
            tags: Vec::new(),
            ethertype: None,
            pppoe: false,
            network: None,
            protocol: None,
            transport: None,
            payload: Vec::new(),
            lies: Vec::new(),
            cut: None,
            padded: false,
        }
    }

    /// The hardware addresses of who sends it, and of who is to get it on this link.
    #[must_use]
    pub const fn stations(mut self, source: [u8; 6], destination: [u8; 6]) -> Self {
        self.stations = [destination, source];
        self
    }

    /// Adds an 802.1Q tag inside those that are there.
    #[must_use]
    pub fn vlan(self, id: u16) -> Self {
        self.tag(ethertype::VLAN, id)
    }

    /// Adds an 802.1ad provider tag inside those that are there.
    #[must_use]
    pub fn provider_vlan(self, id: u16) -> Self {
        self.tag(ethertype::PROVIDER_VLAN, id)
    }

    /// Adds a tag of any tag protocol inside those that are there.
    #[must_use]
    pub fn tag(mut self, protocol: u16, control: u16) -> Self {
        self.tags.push((protocol, control));
        self
    }

    /// Puts what follows into a PPPoE session.
    #[must_use]
    pub const fn pppoe(mut self) -> Self {
        self.pppoe = true;
        self
    }

    /// Sets the EtherType, whatever comes behind it.
    #[must_use]
    pub const fn ethertype(mut self, ethertype: u16) -> Self {
        self.ethertype = Some(ethertype);
        self
    }

    /// IPv4, addresses as text.
    ///
    /// # Panics
    /// When a text is no IPv4 address.
    #[must_use]
    #[track_caller]
    pub fn ipv4(self, source: &str, destination: &str) -> Self {
        self.v4(address(source), address(destination))
    }

    /// IPv6, addresses as text.
    ///
    /// # Panics
    /// When a text is no IPv6 address.
    #[must_use]
    #[track_caller]
    pub fn ipv6(self, source: &str, destination: &str) -> Self {
        self.v6(address(source), address(destination))
    }

    /// IPv4 or IPv6, as the source says. A destination of the other family becomes the unspecified
    /// address.
    #[must_use]
    pub fn ip(self, source: IpAddr, destination: IpAddr) -> Self {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self.v4(source, destination),
            (IpAddr::V6(source), IpAddr::V6(destination)) => self.v6(source, destination),
            (IpAddr::V4(source), IpAddr::V6(_)) => self.v4(source, Ipv4Addr::UNSPECIFIED),
            (IpAddr::V6(source), IpAddr::V4(_)) => self.v6(source, Ipv6Addr::UNSPECIFIED),
        }
    }

    fn v4(mut self, source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        self.network = Some(Network::V4 {
            source,
            destination,
            options: 0,
            fragment: 0,
        });
        self
    }

    fn v6(mut self, source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        self.network = Some(Network::V6 {
            source,
            destination,
            extensions: Vec::new(),
        });
        self
    }

    /// Words of options: of the TCP header if there is one already, else of the IPv4 header.
    #[must_use]
    pub fn options(self, words: usize) -> Self {
        match self.transport {
            Some(_) => self.tcp_options(words),
            None => self.ip_options(words),
        }
    }

    /// Words of IPv4 options, at most ten. IPv6 has none.
    #[must_use]
    pub fn ip_options(mut self, words: usize) -> Self {
        if let Some(Network::V4 { options, .. }) = &mut self.network {
            *options = words.min(10);
        }
        self
    }

    /// Words of TCP options, at most ten. UDP has none.
    #[must_use]
    pub fn tcp_options(mut self, words: usize) -> Self {
        if let Some(Transport::Tcp { options, .. }) = &mut self.transport {
            *options = words.min(10);
        }
        self
    }

    /// Adds IPv6 extension headers behind those that are there. IPv4 has none.
    #[must_use]
    pub fn extensions(mut self, more: &[Extension]) -> Self {
        if let Some(Network::V6 { extensions, .. }) = &mut self.network {
            extensions.extend_from_slice(more);
        }
        self
    }

    /// Makes it a fragment: `offset` in units of eight bytes, and whether more follow. What is
    /// called transport then is what the fragment carries at its start.
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        match &mut self.network {
            Some(Network::V4 { fragment, .. }) => {
                *fragment = u16::from(more) << 13 | offset & 0x1fff;
            }
            Some(Network::V6 { extensions, .. }) => {
                extensions.push(Extension::fragment(offset, more));
            }
            None => {}
        }
        self
    }

    /// Sets the IP protocol number, whatever comes behind the header.
    #[must_use]
    pub const fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// TCP, with [`flags::ACK`] alone.
    #[must_use]
    pub const fn tcp(mut self, source: u16, destination: u16) -> Self {
        self.transport = Some(Transport::Tcp {
            source,
            destination,
            flags: flags::ACK,
            options: 0,
        });
        self
    }

    /// UDP.
    #[must_use]
    pub const fn udp(mut self, source: u16, destination: u16) -> Self {
        self.transport = Some(Transport::Udp {
            source,
            destination,
        });
        self
    }

    /// Sets the TCP flags, see [`flags`].
    #[must_use]
    pub const fn flags(mut self, set: u8) -> Self {
        if let Some(Transport::Tcp { flags, .. }) = &mut self.transport {
            *flags = set;
        }
        self
    }

    /// Sets what follows the last header.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// Overwrites bytes of a header, after lengths and checksums were made.
    #[must_use]
    pub fn patch(mut self, layer: Layer, at: usize, bytes: &[u8]) -> Self {
        for (index, byte) in bytes.iter().enumerate() {
            self.lies.push(Lie {
                layer,
                at: at + index,
                mask: 0xff,
                bits: *byte,
            });
        }
        self
    }

    /// Overwrites the version field of the IP header.
    #[must_use]
    pub fn version(self, version: u8) -> Self {
        self.lie(Layer::Network, 0, 0xf0, version << 4)
    }

    /// Overwrites the header length of the IPv4 header, in words.
    #[must_use]
    pub fn header_words(self, words: u8) -> Self {
        self.lie(Layer::Network, 0, 0x0f, words)
    }

    /// Overwrites the header length of the TCP header, in words.
    #[must_use]
    pub fn data_offset(self, words: u8) -> Self {
        self.lie(Layer::Transport, 12, 0xf0, words << 4)
    }

    /// Overwrites the length field of the IP header: IPv4's total, IPv6's payload length.
    #[must_use]
    pub fn ip_length(self, length: u16) -> Self {
        let at = match self.network {
            Some(Network::V6 { .. }) => 4,
            _ => 2,
        };
        self.patch(Layer::Network, at, &length.to_be_bytes())
    }

    /// Overwrites the length field of the UDP header.
    #[must_use]
    pub fn udp_length(self, length: u16) -> Self {
        self.patch(Layer::Transport, 4, &length.to_be_bytes())
    }

    fn lie(mut self, layer: Layer, at: usize, mask: u8, bits: u8) -> Self {
        self.lies.push(Lie {
            layer,
            at,
            mask,
            bits: bits & mask,
        });
        self
    }

    /// Pads with zeros to the 60 bytes that a wire wants.
    #[must_use]
    pub const fn padded(mut self) -> Self {
        self.padded = true;
        self
    }

    /// Keeps `bytes` of a layer and nothing behind them.
    #[must_use]
    pub const fn cut(mut self, layer: Layer, bytes: usize) -> Self {
        self.cut = Some((layer, bytes));
        self
    }

    /// Where a layer begins, in bytes from the start of the frame. A layer that is not there begins
    /// where the next one does.
    pub fn offset(&self, layer: Layer) -> usize {
        let pppoe = 14 + 4 * self.tags.len();
        let network = pppoe + if self.pppoe { 8 } else { 0 };
        let transport = network + self.network.as_ref().map_or(0, Network::length);
        match layer {
            Layer::Link => 0,
            Layer::Pppoe => pppoe,
            Layer::Network => network,
            Layer::Transport => transport,
            Layer::Payload => transport + self.transport.map_or(0, Transport::length),
        }
    }

    /// The bytes.
    pub fn build(&self) -> Vec<u8> {
        let mut bytes = self.link();
        bytes.extend(self.packet());
        for lie in &self.lies {
            if let Some(byte) = bytes.get_mut(self.offset(lie.layer) + lie.at) {
                *byte = *byte & !lie.mask | lie.bits;
            }
        }
        if let Some((layer, kept)) = self.cut {
            bytes.truncate(self.offset(layer) + kept);
        }
        if self.padded && bytes.len() < SHORTEST {
            bytes.resize(SHORTEST, 0);
        }
        bytes
    }

    /// The Ethernet header, tags, and the PPPoE header.
    fn link(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.stations.concat();
        for (protocol, control) in &self.tags {
            bytes.extend(protocol.to_be_bytes());
            bytes.extend(control.to_be_bytes());
        }
        let (ethertype, ppp) = match self.network {
            Some(Network::V4 { .. }) => (ethertype::IPV4, 0x0021_u16),
            Some(Network::V6 { .. }) => (ethertype::IPV6, 0x0057),
            None => (0x0806, 0xc021),
        };
        let outer = if self.pppoe {
            ethertype::PPPOE_SESSION
        } else {
            ethertype
        };
        bytes.extend(self.ethertype.unwrap_or(outer).to_be_bytes());
        if self.pppoe {
            // Version 1, type 1, session data, session 1; the length includes the PPP protocol.
            bytes.extend([0x11, 0, 0, 1]);
            bytes.extend(length16(self.packet().len() + 2).to_be_bytes());
            bytes.extend(ppp.to_be_bytes());
        }
        bytes
    }

    /// The IP packet, or the bare payload where there is no IP header.
    fn packet(&self) -> Vec<u8> {
        let protocol = self.protocol.unwrap_or(match self.transport {
            Some(Transport::Tcp { .. }) => PROTOCOL_TCP,
            Some(Transport::Udp { .. }) => PROTOCOL_UDP,
            None => PROTOCOL_NONE,
        });
        let Some(network) = &self.network else {
            return self.payload.clone();
        };
        let segment = match self.transport {
            Some(transport) => transport.bytes(&self.payload, network),
            None => self.payload.clone(),
        };
        let mut bytes = network.bytes(protocol, segment.len());
        bytes.extend(segment);
        bytes
    }
}

#[track_caller]
#[expect(
    clippy::panic,
    reason = "an address that the test's author mistyped is no input to be handled"
)]
fn address<A: core::str::FromStr>(text: &str) -> A {
    text.parse()
        .unwrap_or_else(|_| panic!("`{text}` is not an address of this family"))
}
