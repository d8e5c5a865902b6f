//! The reader: formats, and damaged files.

use imblock::replay::capture::{Capture, CaptureError, Damage, NotACapture};
use proptest::prelude::*;

use crate::write::*;

/// Time, link type, bytes, length on the wire.
type Read = (u64, u16, Vec<u8>, u32);

/// What a capture yields, and how it ends: `None` whole, `Ok` cut with so many bytes missing.
fn read(bytes: &[u8]) -> (Vec<Read>, Option<Result<u64, CaptureError>>) {
    let mut capture = match Capture::new("test", bytes) {
        Ok(capture) => capture,
        Err(error) => return (Vec::new(), Some(Err(error))),
    };
    let mut frames = Vec::new();
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => frames.push((
                frame.timestamp,
                frame.link_type,
                frame.bytes.to_vec(),
                frame.wire_length,
            )),
            Ok(None) => return (frames, capture.cut().map(|cut| Ok(cut.missing))),
            Err(error) => return (frames, Some(Err(error))),
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

fn damage(end: Option<Result<u64, CaptureError>>) -> (u64, u64, Damage) {
    match end {
        Some(Err(CaptureError::Damaged {
            frames,
            offset,
            damage,
            ..
        })) => (frames, offset, damage),
        other => panic!("not damaged: {other:?}"),
    }
}

const FRAMES: [Timed<'static>; 3] = [
    (1_000_000_001_123_456_000, b"one"),
    (1_000_000_002_000_001_000, b""),
    (1_000_000_003_999_999_000, b"three"),
];

#[test]
fn pcap_of_both_orders_and_units() {
    for order in Order::BOTH {
        for nanoseconds in [false, true] {
            let (frames, end) = read(&pcap(order, nanoseconds, 1, &FRAMES));
            assert!(end.is_none());
            let expected: Vec<Read> = FRAMES
                .iter()
                .map(|(time, bytes)| (*time, 1, bytes.to_vec(), length(bytes) + 10))
                .collect();
            assert_eq!(frames, expected, "{order:?} {nanoseconds}");
        }
    }
}

#[test]
fn nanoseconds_are_kept() {
    let (frames, _) = read(&pcap(
        Order::Little,
        true,
        1,
        &[(7 * SECOND + 123_456_789, b"x")],
    ));
    assert_eq!(frames[0].0, 7 * SECOND + 123_456_789);
}

#[test]
fn modified_pcap_has_longer_records() {
    let mut file = pcap(Order::Little, false, 1, &[]);
    file[..4].copy_from_slice(&0xa1b2_cd34_u32.to_le_bytes());
    for field in [5_u32, 0, 3, 3, 9, 9] {
        file.extend(field.to_le_bytes());
    }
    file.extend(b"abc");
    let (frames, end) = read(&file);
    assert!(end.is_none());
    assert_eq!(frames, [(5 * SECOND, 1, b"abc".to_vec(), 3)]);
}

#[test]
fn the_length_of_a_check_sequence_is_no_link_type() {
    let (frames, _) = read(&pcap(Order::Big, false, 0x4000_0071, &[(0, b"x")]));
    assert_eq!(frames[0].1, 113);
}

#[test]
fn pcapng_with_two_interfaces_of_different_clocks() {
    for order in Order::BOTH {
        let mut file = PcapNg::new(order);
        file.interface(1, 0, None, None);
        file.interface(101, 0, Some(9), None);
        file.enhanced_packet(0, 1_500_000, b"ether");
        file.enhanced_packet(1, 2_000_000_007, b"raw");
        let (frames, end) = read(&file.bytes);
        assert!(end.is_none());
        let expected = [
            (1_500_000_000, 1, b"ether".to_vec(), 15),
            (2_000_000_007, 101, b"raw".to_vec(), 13),
        ];
        assert_eq!(frames, expected, "{order:?}");
    }
}

#[test]
fn pcapng_times_of_any_resolution_and_offset() {
    for (resolution, offset, units, nanoseconds) in [
        (Some(0), None, 3, 3 * SECOND),
        (Some(3), None, 3, 3_000_000),
        // A power of two: 1/1024 s.
        (Some(0x8a), None, 1536, SECOND + SECOND / 2),
        (Some(12), None, 7_000, 7),
        (Some(9), Some(10), 5, 10 * SECOND + 5),
        (Some(9), Some(-1), SECOND + 5, 5),
        (Some(9), Some(-2), SECOND, 0),
        (Some(0), None, u64::MAX, u64::MAX),
    ] {
        for order in Order::BOTH {
            let mut file = PcapNg::new(order);
            file.interface(1, 0, resolution, offset);
            file.enhanced_packet(0, units, b"x");
            let (frames, end) = read(&file.bytes);
            assert!(end.is_none(), "{end:?}");
            assert_eq!(frames[0].0, nanoseconds, "{resolution:?} {offset:?}");
        }
    }
}

#[test]
fn pcapng_with_packets_of_every_kind() {
    for order in Order::BOTH {
        let mut file = PcapNg::new(order);
        file.block(0xbad, b"a block of no known type");
        file.interface(1, 4, None, None);
        file.old_packet(0, 1, b"oldest");
        file.simple_packet(9, b"simp");
        file.simple_packet(3, b"abc");
        let (frames, end) = read(&file.bytes);
        assert!(end.is_none(), "{end:?}");
        let expected = [
            (1_000, 1, b"oldest".to_vec(), 16),
            // Cut at the interface's length; the time is that of the packet before.
            (1_000, 1, b"simp".to_vec(), 9),
            // The padding is no part of the packet.
            (1_000, 1, b"abc".to_vec(), 3),
        ];
        assert_eq!(frames, expected, "{order:?}");
    }
}

#[test]
fn a_section_has_its_own_order_and_interfaces() {
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 0, None, None);
    file.enhanced_packet(0, 0, b"a");
    file.section(Order::Big);
    file.interface(113, 0, None, None);
    file.enhanced_packet(0, 0, b"b");
    file.enhanced_packet(1, 0, b"c");
    let (frames, end) = read(&file.bytes);
    let links: Vec<u16> = frames.iter().map(|frame| frame.1).collect();
    assert_eq!(links, [1, 113]);
    let (frames, _, what) = damage(end);
    assert_eq!((frames, what), (2, Damage::Interface { id: 1, known: 1 }));
}

#[test]
fn a_capture_without_frames_is_fine() {
    let (frames, end) = read(&pcap(Order::Little, false, 1, &[]));
    assert!(frames.is_empty() && end.is_none());
    let (frames, end) = read(&PcapNg::new(Order::Big).bytes);
    assert!(frames.is_empty() && end.is_none());
}

#[test]
fn a_long_record_is_read_and_an_absurd_one_refused() {
    let long = vec![7; 1_000_000];
    let mut file = pcap(Order::Little, false, 1, &[(0, b"x"), (0, &long), (0, b"y")]);
    let (frames, end) = read(&file);
    assert!(end.is_none());
    assert_eq!(frames[1].2, long);
    assert_eq!(frames[2].2, b"y");

    let at = file.len();
    file.extend([0; 8]);
    file.extend(u32::MAX.to_le_bytes());
    file.extend([0; 4]);
    let (frames, end) = read(&file);
    assert_eq!(frames.len(), 3);
    assert_eq!(
        damage(end),
        (3, at as u64, Damage::TooLong(u64::from(u32::MAX) + 16))
    );
}

/// The longest record that is read, its header included.
const LONGEST: usize = 16 << 20;

/// Reads a capture of one record, which is so long.
fn read_one(file: &[u8], record: usize, frame: usize) {
    let at = (file.len() - record) as u64;
    let (frames, end) = read(file);
    match record <= LONGEST {
        true => {
            assert!(end.is_none(), "{record}: {end:?}");
            assert_eq!(frames[0].2.len(), frame, "{record}");
        }
        false => {
            let damage = damage(end);
            assert_eq!(damage, (0, at, Damage::TooLong(record as u64)));
        }
    }
}

#[test]
fn the_longest_record_is_read_and_a_longer_one_refused() {
    for record in [LONGEST - 1, LONGEST, LONGEST + 1] {
        let frame = vec![7; record - 16];
        let file = pcap(Order::Little, false, 1, &[(0, &frame)]);
        read_one(&file, record, frame.len());

        // Kuznetzov's records have eight bytes more in their headers.
        let mut file = pcap(Order::Little, false, 1, &[(0, &frame[8..])]);
        file[..4].copy_from_slice(&0xa1b2_cd34_u32.to_le_bytes());
        file.splice(40..40, [0; 8]);
        read_one(&file, record, frame.len() - 8);
    }
    // Blocks are multiples of four.
    for record in [LONGEST - 4, LONGEST, LONGEST + 4] {
        let mut file = PcapNg::new(Order::Big);
        file.interface(1, 0, None, None);
        let kept = vec![7; record - 16];
        file.simple_packet(u32::try_from(kept.len()).unwrap(), &kept);
        read_one(&file.bytes, record, kept.len());
    }
}

#[test]
fn blocks_that_contradict_themselves_are_refused() {
    let mut good = PcapNg::new(Order::Little);
    good.interface(1, 0, None, None);
    good.enhanced_packet(0, 0, b"good");
    let at = good.bytes.len();
    let cases: [(&str, Vec<u8>); 4] = [
        (
            "too short",
            [6_u32, 8, 8]
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect(),
        ),
        (
            "two lengths",
            [6_u32, 12, 16]
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect(),
        ),
        (
            "no fields",
            [6_u32, 12, 12]
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect(),
        ),
        // Says that a thousand bytes were kept.
        (
            "too long a packet",
            [6_u32, 32, 0, 0, 0, 1000, 1000, 32]
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect(),
        ),
    ];
    for (what, block) in cases {
        let mut file = good.bytes.clone();
        file.extend(block);
        let (frames, end) = read(&file);
        assert_eq!(frames.len(), 1, "{what}");
        let (frames, offset, _) = damage(end);
        assert_eq!((frames, offset), (1, at as u64), "{what}");
    }
}

#[test]
fn other_files_are_named_for_what_they_are() {
    for (bytes, what) in [
        (&b""[..], NotACapture::Empty),
        (b"abc", NotACapture::Empty),
        (b"\x1f\x8b\x08\x00more", NotACapture::Compressed("gzip")),
        (b"\x28\xb5\x2f\xfdmore", NotACapture::Compressed("zstd")),
        (b"%PDF-1.4", NotACapture::Unknown(*b"%PDF")),
    ] {
        match Capture::new("test", bytes) {
            Err(CaptureError::NotACapture { start, .. }) => assert_eq!(start, what),
            other => panic!("{other:?}"),
        }
    }
}

/// At every byte: what comes before is read, and the cut is told exactly where there is one.
fn cut_everywhere(file: &[u8], ends: &[usize], starts_of_blocks: &[usize]) {
    for length in 4..=file.len() {
        let (frames, end) = read(&file[..length]);
        let whole = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(frames.len(), whole, "cut at {length}");
        let at_a_boundary = starts_of_blocks.contains(&length);
        match end {
            None => assert!(at_a_boundary, "cut at {length} not noticed"),
            Some(Ok(missing)) => assert!(missing > 0 && !at_a_boundary, "cut at {length}"),
            Some(Err(error)) => panic!("cut at {length}: {error}"),
        }
    }
}

#[test]
fn a_pcap_cut_anywhere_yields_what_is_whole() {
    for order in Order::BOTH {
        let file = pcap(order, false, 1, &FRAMES);
        let ends = [24 + 16 + 3, 24 + 32 + 3, 24 + 48 + 8];
        cut_everywhere(&file, &ends, &[24, ends[0], ends[1], ends[2]]);
    }
}

#[test]
fn a_pcapng_cut_anywhere_yields_what_is_whole() {
    for order in Order::BOTH {
        let mut file = PcapNg::new(order);
        let mut starts = vec![file.bytes.len()];
        let mut ends = Vec::new();
        file.interface(1, 0, Some(9), None);
        starts.push(file.bytes.len());
        file.enhanced_packet(0, 1, b"one");
        ends.push(file.bytes.len());
        file.block(0xbad, b"passed over");
        starts.push(file.bytes.len());
        file.old_packet(0, 2, b"two");
        ends.push(file.bytes.len());
        file.simple_packet(5, b"three");
        ends.push(file.bytes.len());
        starts.extend(&ends);
        cut_everywhere(&file.bytes, &ends, &starts);
    }
}

/// A reader that gives one byte at a time, as a slow pipe does.
struct Trickle<'a>(&'a [u8]);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut first = &self.0[..self.0.len().min(1)];
        let read = first.read(buffer)?;
        self.0 = &self.0[read..];
        Ok(read)
    }
}

#[test]
fn a_slow_pipe_gives_the_same_frames() {
    let file = pcap(Order::Big, true, 1, &FRAMES);
    let mut capture = Capture::new("-", Trickle(&file)).unwrap();
    let mut frames = 0;
    while capture.next_frame().unwrap().is_some() {
        frames += 1;
    }
    assert_eq!(frames, FRAMES.len());
    assert_eq!(capture.position(), file.len() as u64);
}

proptest! {
    /// Whatever follows a magic number, and wherever a good file is damaged.
    #[test]
    fn garbage_never_panics(
        start in prop::sample::select(vec![
            vec![], vec![0xd4, 0xc3, 0xb2, 0xa1], vec![0xa1, 0xb2, 0x3c, 0x4d],
            vec![0x34, 0xcd, 0xb2, 0xa1], PcapNg::new(Order::Little).bytes,
            PcapNg::new(Order::Big).bytes,
        ]),
        garbage in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let _ = read(&[start, garbage].concat());
    }

    #[test]
    fn a_damaged_byte_never_panics(at in 0..400_usize, byte: u8, big: bool) {
        let order = if big { Order::Big } else { Order::Little };
        let mut file = PcapNg::new(order);
        file.interface(1, 64, Some(9), Some(1));
        file.enhanced_packet(0, 1, b"one");
        file.old_packet(0, 2, b"two");
        file.simple_packet(5, b"three");
        let at = at % file.bytes.len();
        file.bytes[at] = byte;
        let _ = read(&file.bytes);
    }
}
