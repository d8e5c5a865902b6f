//! Options of pcapng interfaces, well-formed and otherwise.

use imblock::replay::capture::{Capture, CaptureError, Damage};

use crate::write::*;

/// A resolution of nanoseconds, as an option.
fn nanoseconds(order: Order) -> Vec<u8> {
    let head = [9, 1].map(|word: u16| match order {
        Order::Little => word.to_le_bytes(),
        Order::Big => word.to_be_bytes(),
    });
    [head.as_flattened(), &[9, 0, 0, 0]].concat()
}

/// The time of a frame of 5,000 units, of an Ethernet interface with these options.
fn time_with(order: Order, options: &[u8]) -> u64 {
    let mut file = PcapNg::new(order);
    let link_type = match order {
        Order::Little => [1, 0],
        Order::Big => [0, 1],
    };
    file.block(1, &[&link_type[..], &[0; 6], options].concat());
    file.enhanced_packet(0, 5_000, b"x");
    let mut capture = Capture::new("options.pcapng", file.bytes.as_slice()).unwrap();
    let frame = capture.next_frame().unwrap().unwrap();
    assert_eq!(frame.link_type, 1);
    frame.timestamp
}

#[test]
fn options_are_read_up_to_their_end() {
    for order in Order::BOTH {
        let option = nanoseconds(order);
        let end = [0; 4];
        assert_eq!(time_with(order, &[]), 5_000_000);
        assert_eq!(time_with(order, &option), 5_000);
        assert_eq!(time_with(order, &[&option[..], &end].concat()), 5_000);
        // What is behind the end means nothing.
        assert_eq!(time_with(order, &[&end[..], &option].concat()), 5_000_000);
        // One that is longer than the block, whatever it is, and one of no length.
        let cut = [0xff; 4];
        assert_eq!(time_with(order, &[&option[..], &cut].concat()), 5_000);
        assert_eq!(time_with(order, &[&cut[..], &option].concat()), 5_000_000);
        let empty = [&option[..2], &[0, 0]].concat();
        assert_eq!(time_with(order, &empty), 5_000_000);
    }
}

#[test]
fn blocks_that_are_too_short_for_their_fields_are_named() {
    let mut packet = PcapNg::new(Order::Little);
    packet.interface(1, 0, None, None);
    packet.block(3, b"");
    let mut interface = PcapNg::new(Order::Little);
    interface.block(1, &[1, 0, 0, 0]);
    for (file, name) in [
        (packet, "simple packet"),
        (interface, "interface description"),
    ] {
        let mut capture = Capture::new("short.pcapng", file.bytes.as_slice()).unwrap();
        let Err(CaptureError::Damaged { damage, .. }) = capture.next_frame() else {
            panic!("{name} is not damaged");
        };
        assert_eq!(damage, Damage::Block(name));
    }
}
