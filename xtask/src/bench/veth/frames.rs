//! The frames that are sent: the same to every candidate.

use imblock_common::testkit;

use super::generator::HEAD;

/// Where hosts are: the last 16 bits are the generator's to choose.
const CLIENT: &str = "10.1.0.0";
/// All that it can choose.
pub(super) const CLIENTS: &str = "10.1.0.0/16";
/// Whom they talk to.
pub(super) const SERVER: &str = "198.51.100.7";
/// Their port, unless it varies.
const CLIENT_PORT: u16 = 49_152;
/// A port that nobody lists, and no service of the catalogue has.
pub(super) const OTHER_PORT: u16 = 8443;
/// Ethernet, IPv4 without options, and UDP.
const HEADERS: usize = 14 + 20 + 8;

/// Where the header of IPv4 begins, and fields of it.
const IPV4_AT: usize = 14;
const IDENTIFICATION_AT: usize = 18;
const CHECKSUM_AT: usize = 24;
const IPV4_END: usize = 34;
const UDP_CHECKSUM_AT: usize = 40;

/// Frames of one kind.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    /// How many hosts they come from, at random; 0 for one that never changes.
    pub(super) hosts: u32,
    /// From how many ports of each; likewise.
    pub(super) ports: u32,
}

impl Frame {
    /// UDP to a port, so many bytes long without the checksum of Ethernet.
    pub(super) fn udp(port: u16, length: usize) -> Self {
        Self::with_payload(port, &text(length.saturating_sub(HEADERS)))
    }

    fn with_payload(port: u16, payload: &[u8]) -> Self {
        let frame = testkit::Frame::eth().ipv4(CLIENT, SERVER);
        let mut bytes = frame.udp(CLIENT_PORT, port).payload(payload).build();
        bytes.resize(bytes.len().max(HEAD), 0);
        // None, which UDP allows: the port may vary.
        set(&mut bytes, UDP_CHECKSUM_AT, [0, 0]);
        // The host and the complement of it, which add up to nothing, whichever host it is.
        set(&mut bytes, IDENTIFICATION_AT, [0xff, 0xff]);
        set(&mut bytes, CHECKSUM_AT, [0, 0]);
        let header = bytes.get(IPV4_AT..IPV4_END).unwrap_or_default();
        let checksum = !sum(header);
        set(&mut bytes, CHECKSUM_AT, checksum.to_be_bytes());
        Self {
            bytes,
            hosts: 0,
            ports: 0,
        }
    }

    pub(super) fn of_hosts(self, hosts: u32) -> Self {
        Self { hosts, ..self }
    }

    /// So many hosts and ports that each frame begins a flow.
    pub(super) fn of_new_flows(self) -> Self {
        Self {
            hosts: 0xffff,
            ports: 0x7fff,
            ..self
        }
    }

    /// With a wrong checksum in the IPv4 header, for which the stack throws it away first of all.
    pub(super) fn unwelcome(mut self) -> Self {
        if let Some(byte) = self.bytes.get_mut(CHECKSUM_AT) {
            *byte ^= 0x55;
        }
        self
    }
}

/// Small letters that make no sense, the same ones each time.
fn text(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let letters = (0..length).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [top, ..] = state.to_be_bytes();
        b'a' + top % 26
    });
    letters.collect()
}

fn set(bytes: &mut [u8], at: usize, value: [u8; 2]) {
    for (byte, value) in bytes.iter_mut().skip(at).zip(value) {
        *byte = value;
    }
}

/// The ones' complement sum of RFC 1071.
fn sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, pair| {
        let word = match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            [high] => u16::from_be_bytes([*high, 0]),
            _ => 0,
        };
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]

    use super::*;

    const HOST_AT: usize = 28;

    #[test]
    fn the_header_is_right_whichever_host_the_generator_chooses() {
        for host in [0_u16, 1, 0x1234, 59_999, 0xffff] {
            let mut frame = Frame::udp(OTHER_PORT, 60).bytes;
            set(&mut frame, IDENTIFICATION_AT, (!host).to_be_bytes());
            set(&mut frame, HOST_AT, host.to_be_bytes());
            assert_eq!(sum(&frame[IPV4_AT..IPV4_END]), 0xffff, "{host}");
        }
    }

    #[test]
    fn frames_are_as_long_as_they_say() {
        for length in [60, 300, 1_400] {
            assert_eq!(Frame::udp(OTHER_PORT, length).bytes.len(), length);
        }
    }

    #[test]
    fn an_unwelcome_frame_has_a_wrong_header() {
        let frame = Frame::udp(OTHER_PORT, 60).unwelcome();
        assert_ne!(sum(&frame.bytes[IPV4_AT..IPV4_END]), 0xffff);
    }

    #[test]
    fn the_payload_is_letters_and_not_one_of_them() {
        let payload = text(300);
        assert!(payload.iter().all(u8::is_ascii_lowercase));
        assert_ne!(payload[0], payload[1]);
    }
}
