//! Frames and captures, written byte by byte, so that the reader is not tested against itself.

/// Byte order of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) const BOTH: [Self; 2] = [Self::Little, Self::Big];

    fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const SYN_ACK: u8 = 0x12;
pub(crate) const PUSH_ACK: u8 = 0x18;

/// An IPv4 packet with a TCP header.
pub(crate) fn tcp4(from: ([u8; 4], u16), to: ([u8; 4], u16), flags: u8) -> Vec<u8> {
    ipv4(6, from.0, to.0, &tcp(from.1, to.1, flags))
}

/// An IPv4 packet with a UDP header.
pub(crate) fn udp4(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
    let mut udp = Vec::new();
    udp.extend(from.1.to_be_bytes());
    udp.extend(to.1.to_be_bytes());
    udp.extend([0, 8, 0, 0]);
    ipv4(17, from.0, to.0, &udp)
}

/// An IPv6 packet with a TCP header.
pub(crate) fn tcp6(from: ([u8; 16], u16), to: ([u8; 16], u16), flags: u8) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
    packet.extend(from.0);
    packet.extend(to.0);
    packet.extend(tcp(from.1, to.1, flags));
    packet
}

fn ipv4(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![
        0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0,
    ];
    packet.extend(from);
    packet.extend(to);
    packet.extend(payload);
    packet
}

fn tcp(from: u16, to: u16, flags: u8) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(from.to_be_bytes());
    tcp.extend(to.to_be_bytes());
    tcp.extend([0; 8]);
    tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp
}

/// In an Ethernet frame.
pub(crate) fn ethernet(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    frame
}

/// Behind a VLAN tag, for the link layers that give an EtherType.
pub(crate) fn vlan(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut tagged = vec![0, 7];
    tagged.extend(ethertype.to_be_bytes());
    tagged.extend(packet);
    tagged
}

/// IPv4 in a PPPoE session.
pub(crate) fn pppoe(packet: &[u8]) -> Vec<u8> {
    let mut session = vec![0x11, 0, 0, 1, 0, 0, 0, 0x21];
    session.extend(packet);
    session
}

/// Linux cooked capture.
pub(crate) fn cooked(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    frame
}

/// Linux cooked capture, version 2.
pub(crate) fn cooked2(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = ethertype.to_be_bytes().to_vec();
    frame.extend([0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]);
    frame.extend(packet);
    frame
}

/// BSD loopback.
pub(crate) fn loopback(order: Order, family: u32, packet: &[u8]) -> Vec<u8> {
    let mut frame = order.u32(family).to_vec();
    frame.extend(packet);
    frame
}

/// A frame of a capture: nanoseconds since 1970, and what was kept.
pub(crate) type Timed<'a> = (u64, &'a [u8]);

/// A pcap file. Each frame is said to have been ten bytes longer than what was kept.
pub(crate) fn pcap(
    order: Order,
    nanoseconds: bool,
    link_type: u32,
    frames: &[Timed<'_>],
) -> Vec<u8> {
    let mut file = Vec::new();
    let (magic, unit) = if nanoseconds {
        (0xa1b2_3c4d, 1)
    } else {
        (0xa1b2_c3d4, 1_000)
    };
    file.extend(order.u32(magic));
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    for field in [0, 0, 262_144, link_type] {
        file.extend(order.u32(field));
    }
    for (time, frame) in frames {
        let kept = u32::try_from(frame.len()).unwrap();
        file.extend(order.u32(u32::try_from(time / SECOND).unwrap()));
        file.extend(order.u32(u32::try_from(time % SECOND / unit).unwrap()));
        file.extend(order.u32(kept));
        file.extend(order.u32(kept + 10));
        file.extend(*frame);
    }
    file
}

/// A pcapng file.
pub(crate) struct PcapNg {
    order: Order,
    pub(crate) bytes: Vec<u8>,
}

impl PcapNg {
    /// Begins with a section header.
    pub(crate) fn new(order: Order) -> Self {
        let mut file = Self {
            order,
            bytes: Vec::new(),
        };
        file.section(order);
        file
    }

    pub(crate) fn section(&mut self, order: Order) {
        self.order = order;
        let mut body = order.u32(0x1a2b_3c4d).to_vec();
        body.extend(order.u16(1));
        body.extend(order.u16(0));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body);
    }

    /// `resolution` and `offset` are the options `if_tsresol` and `if_tsoffset`.
    pub(crate) fn interface(
        &mut self,
        link_type: u16,
        snap: u32,
        resolution: Option<u8>,
        offset: Option<i64>,
    ) {
        let mut body = self.order.u16(link_type).to_vec();
        body.extend([0, 0]);
        body.extend(self.order.u32(snap));
        if let Some(resolution) = resolution {
            body.extend(self.order.u16(9));
            body.extend(self.order.u16(1));
            body.extend([resolution, 0, 0, 0]);
        }
        if let Some(offset) = offset {
            body.extend(self.order.u16(14));
            body.extend(self.order.u16(8));
            body.extend(match self.order {
                Order::Little => offset.to_le_bytes(),
                Order::Big => offset.to_be_bytes(),
            });
        }
        body.extend([0; 4]);
        self.block(1, &body);
    }

    /// With a comment as an option behind the packet.
    pub(crate) fn enhanced_packet(&mut self, interface: u32, units: u64, frame: &[u8]) {
        let mut body = self.order.u32(interface).to_vec();
        self.packet_fields(&mut body, units, frame);
        body.extend(self.order.u16(1));
        body.extend(self.order.u16(3));
        body.extend(*b"abc\0");
        body.extend([0; 4]);
        self.block(6, &body);
    }

    /// The packet block of old files.
    pub(crate) fn old_packet(&mut self, interface: u16, units: u64, frame: &[u8]) {
        let mut body = self.order.u16(interface).to_vec();
        body.extend(self.order.u16(0xffff));
        self.packet_fields(&mut body, units, frame);
        self.block(2, &body);
    }

    pub(crate) fn simple_packet(&mut self, wire_length: u32, kept: &[u8]) {
        let mut body = self.order.u32(wire_length).to_vec();
        body.extend(kept);
        self.block(3, &body);
    }

    fn packet_fields(&self, body: &mut Vec<u8>, units: u64, frame: &[u8]) {
        let kept = u32::try_from(frame.len()).unwrap();
        body.extend(self.order.u32(u32::try_from(units >> 32).unwrap()));
        body.extend(self.order.u32(u32::try_from(units & 0xffff_ffff).unwrap()));
        body.extend(self.order.u32(kept));
        body.extend(self.order.u32(kept + 10));
        body.extend(frame);
        body.resize(body.len().next_multiple_of(4), 0);
    }

    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let length = self.order.u32(u32::try_from(padded + 12).unwrap());
        self.bytes.extend(self.order.u32(kind));
        self.bytes.extend(length);
        self.bytes.extend(body);
        self.bytes.extend(vec![0; padded - body.len()]);
        self.bytes.extend(length);
    }
}
