//! The frame builder builds what it says, or every other test would prove nothing.
#![expect(clippy::indexing_slicing, reason = "tests")]

use imblock_common::parse;
use imblock_common::testkit::{End, Extension, Frame, Layer, flags, generate, generate_flow};

/// The sum over 16-bit words, with a correct checksum among them, is all ones.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(0)
}

#[test]
fn a_tcp_packet_is_the_one_in_the_rfcs() {
    let frame = Frame::eth()
        .vlan(5)
        .ipv4("10.0.0.5", "198.51.100.7")
        .options(2)
        .tcp(40_000, 6667)
        .flags(flags::SYN)
        .options(1)
        .payload(b"hello");
    let bytes = frame.build();
    assert_eq!(bytes.len(), 14 + 4 + 28 + 24 + 5);
    assert_eq!(bytes[12..18], [0x81, 0, 0, 5, 8, 0]);
    let packet = &bytes[18..];
    assert_eq!(packet[..4], [0x47, 0, 0, 57]);
    assert_eq!(packet[9], 6);
    assert_eq!(packet[12..20], [10, 0, 0, 5, 198, 51, 100, 7]);
    assert_eq!(sum(&packet[..28]), 0xffff);
    let segment = &packet[28..];
    assert_eq!(segment[..4], [0x9c, 0x40, 0x1a, 0x0b]);
    assert_eq!(segment[12..14], [0x60, 0x02]);
    assert_eq!(&segment[24..], b"hello");
    let mut pseudo = packet[12..20].to_vec();
    pseudo.extend([0, 6, 0, 29]);
    pseudo.extend(segment);
    assert_eq!(sum(&pseudo), 0xffff);
    assert_eq!(frame.offset(Layer::Transport), 46);
    assert_eq!(frame.offset(Layer::Payload), 70);
}

#[test]
fn a_udp_packet_with_extension_headers_is_the_one_in_the_rfcs() {
    let bytes = Frame::eth()
        .pppoe()
        .ipv6("2001:db8::5", "2001:db8::7")
        .extensions(&[Extension::hop_by_hop(1), Extension::authentication(4)])
        .fragment(0, true)
        .udp(5060, 5061)
        .payload(&[7; 3])
        .build();
    assert_eq!(bytes[12..14], [0x88, 0x64]);
    let packet = &bytes[22..];
    let length = packet.len();
    assert_eq!(length, 40 + 16 + 24 + 8 + 11);
    assert_eq!(usize::from(bytes[19]), length + 2);
    assert_eq!(bytes[20..22], [0, 0x57]);
    assert_eq!(usize::from(packet[5]), length - 40);
    // Hop-by-hop, authentication, fragment, UDP.
    assert_eq!(
        [packet[6], packet[40], packet[56], packet[80]],
        [0, 51, 44, 17]
    );
    assert_eq!([packet[41], packet[57]], [1, 4]);
    assert_eq!(packet[82..84], [0, 1]);
    let segment = &packet[88..];
    assert_eq!(segment[4..6], [0, 11]);
    let mut pseudo = packet[8..40].to_vec();
    pseudo.extend([0, 17, 0, 11]);
    pseudo.extend(segment);
    assert_eq!(sum(&pseudo), 0xffff);
}

#[test]
fn lies_cuts_and_padding_go_where_they_are_told() {
    let frame = Frame::eth().ipv4("10.0.0.5", "10.0.0.6").tcp(1, 2);
    let honest = frame.build();
    let liar = frame.clone().version(6).header_words(4).ip_length(9);
    assert_eq!(liar.build()[14..18], [0x64, 0, 0, 9]);
    assert_eq!(frame.clone().data_offset(3).build()[46], 0x30);
    assert_eq!(
        frame.clone().cut(Layer::Transport, 4).build(),
        honest[..38].to_vec()
    );
    let padded = frame.padded().build();
    assert_eq!(padded.len(), 60);
    assert_eq!(padded[..54], honest[..]);
}

#[test]
fn a_seed_and_an_index_name_a_frame() {
    let first: Vec<_> = (0..2000).map(|index| generate(7, index)).collect();
    let again: Vec<_> = (0..2000).map(|index| generate(7, index)).collect();
    assert_eq!(first, again);
    let other: Vec<_> = (0..2000).map(|index| generate(8, index)).collect();
    assert_ne!(first, other);
    let distinct: std::collections::HashSet<_> = first.iter().collect();
    assert!(distinct.len() > 1900, "{} of 2000", distinct.len());
}

#[test]
fn flows_follow_from_their_seed_and_have_two_ends() {
    let phrases = [b"NICK someone\r\n".to_vec()];
    let (mut frames, mut answers, mut parsed) = (0, 0, 0);
    for index in 0..500 {
        let flow = generate_flow(1, index, &phrases);
        assert_eq!(flow, generate_flow(1, index, &phrases));
        for (from, frame) in &flow {
            frames += 1;
            answers += usize::from(*from == End::Server);
            parsed += usize::from(parse::frame(&frame[..]).is_ok());
        }
    }
    assert!(answers * 10 > frames, "{answers} answers of {frames}");
    assert!(parsed * 10 > frames * 9, "{parsed} parsed of {frames}");
}
