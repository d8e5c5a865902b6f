//! Rejected frames: what the kernel makes of them, to the byte, and how many of them it answers.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use bytemuck::Zeroable as _;
use imblock::kernel::TestRun;
use imblock::testing::{self, kernel_or_skip};
use imblock_common::reject::{
    Fate, HostDesk, Letter, REPLIES_PER_SECOND, ReplyFrame, answer, part,
};
use imblock_common::testkit::{Frame, Random, World, dns_query, flags, generate};
use imblock_common::{Action, Direction, Verdict, View, classify};

use crate::counters::stay_on_this_cpu;
use crate::plan::{ROOMY, plan_of};
use crate::twins::{Sighting, Twins};

const LAN_INGRESS: View = View::ALL[0];
const XDP_DROP: u32 = 1;
const XDP_TX: u32 = 3;
const TC_ACT_OK: u32 = 0;
const TC_ACT_SHOT: u32 = 2;

fn twins() -> Twins {
    Twins::new(&plan_of(&World::uniform(Action::Reject), ROOMY), 0)
}

/// What the library makes of a rejected frame: the program's word, and the frame if anybody gets it.
fn expected(sighting: &Sighting) -> (u32, Option<Vec<u8>>) {
    let Sighting { frame, view, .. } = sighting;
    let mut to = ReplyFrame::to(frame, true);
    let letter = &mut Letter::zeroed();
    let desk = HostDesk {
        packet: frame.as_slice(),
        to: &mut to,
        letter,
    };
    let sent = view.direction() == Direction::Sent;
    let (fate, drop) = match view.index() {
        0 => (answer(desk), XDP_DROP),
        2 => (Fate::Silent, XDP_DROP),
        _ => (part(desk, sent), TC_ACT_SHOT),
    };
    let action = match (fate, view.index()) {
        (Fate::Reset | Fate::Unreachable | Fate::NoSuchName, 0) => XDP_TX,
        (Fate::Cut, _) => TC_ACT_OK,
        _ => return (drop, None),
    };
    (action, Some(to.bytes().to_vec()))
}

fn run(twins: &Twins, sighting: &Sighting) -> TestRun {
    let run = twins
        .kernel
        .test_run_on(sighting.view, &sighting.frame, None);
    run.unwrap_or_else(|error| panic!("{sighting:02x?}: {error:?}"))
}

/// Shows a rejected frame to the kernel. When that has nothing left to answer with, again a second
/// later.
#[track_caller]
fn assert_same(twins: &Twins, sighting: &Sighting) -> u32 {
    let (action, frame) = expected(sighting);
    let mut run_now = run(twins, sighting);
    if frame.is_some() && run_now.action != action {
        thread::sleep(Duration::from_millis(1100));
        run_now = run(twins, sighting);
    }
    let TestRun {
        action: kernel,
        frame: made,
        passed,
    } = run_now;
    assert!(!passed, "{sighting:02x?}");
    assert_eq!(kernel, action, "{sighting:02x?}");
    if let Some(frame) = frame {
        assert_eq!(made, frame, "{sighting:02x?}");
    }
    kernel
}

/// Carriers of both families, with and without tags.
fn carriers() -> Vec<Frame> {
    let plain = [Frame::eth(), Frame::eth().vlan(42)];
    let tagged = Frame::eth().provider_vlan(7).vlan(42);
    let links = plain.into_iter().chain([tagged]);
    let over = |link: Frame| {
        let v4 = link.clone().ipv4("10.0.0.5", "192.0.2.7");
        [v4, link.ipv6("2001:db8::5", "2001:db8:1::7")]
    };
    links.flat_map(over).collect()
}

#[test]
fn answers_are_the_librarys_to_the_byte() {
    if !kernel_or_skip("answers_are_the_librarys_to_the_byte") {
        return;
    }
    let twins = twins();
    for carrier in carriers() {
        let mut query = dns_query("web.whatsapp.com");
        if let Some(additional) = query.get_mut(11) {
            *additional = 1;
        }
        // EDNS (RFC 6891).
        query.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
        let frames = [
            (carrier.clone().tcp(40_000, 6667).flags(flags::SYN), XDP_TX),
            (
                carrier.clone().tcp(40_000, 6667).payload(&[7; 1000]),
                XDP_TX,
            ),
            (carrier.clone().udp(40_000, 5060), XDP_TX),
            (carrier.clone().udp(40_000, 5060).payload(&[7; 900]), XDP_TX),
            (carrier.clone().udp(40_000, 53).payload(&query), XDP_TX),
            (
                carrier.clone().udp(40_000, 5060).fragment(0, true),
                XDP_DROP,
            ),
        ];
        for (frame, action) in frames {
            let sighting = Sighting {
                frame: frame.build(),
                view: LAN_INGRESS,
                segments: 1,
            };
            assert_eq!(assert_same(&twins, &sighting), action);
        }
        for view in [View::ALL[1], View::ALL[3]] {
            let frame = match view.direction() {
                Direction::Sent => carrier.clone().tcp(40_000, 6667),
                Direction::Received => carrier.clone().tcp(6667, 40_000),
            };
            let sighting = Sighting {
                frame: frame.payload(&[7; 300]).build(),
                view,
                segments: 1,
            };
            assert_eq!(assert_same(&twins, &sighting), TC_ACT_OK);
        }
    }
}

#[test]
fn answers_to_frames_that_nobody_thought_of_are_the_librarys() {
    const FRAMES: u64 = 10_000;
    if !kernel_or_skip("answers_to_frames_that_nobody_thought_of_are_the_librarys") {
        return;
    }
    let twins = twins();
    let world = World::uniform(Action::Reject);
    let seed = u64::from(std::process::id());
    let mut answered = BTreeMap::new();
    for index in 0..FRAMES {
        let view = Random::new(seed ^ index).pick(&View::ALL, LAN_INGRESS);
        let frame = generate(seed, index);
        let judgement = classify(frame.as_slice(), view, &world);
        let sighting = Sighting {
            frame,
            view,
            segments: 1,
        };
        if judgement.verdict != Verdict::Rejected || !sighting.fits() {
            continue;
        }
        let kernel = run(&twins, &sighting);
        // The flow table may know more than a look at one frame.
        if kernel.passed {
            continue;
        }
        let action = assert_same(&twins, &sighting);
        if action != XDP_DROP && action != TC_ACT_SHOT {
            *answered.entry(view.index()).or_insert(0) += 1;
        }
    }
    println!("seed {seed}: answered by view {answered:?}");
    let enough = |view| answered.get(&view).is_some_and(|answered| *answered > 20);
    assert!(enough(0) && enough(1) && enough(3), "{answered:?}");
    assert_eq!(answered.get(&2), None, "nothing that enters from the world");
}

#[test]
fn a_flood_is_answered_only_so_often() {
    const FRAMES: u32 = 20_000;
    if !kernel_or_skip("a_flood_is_answered_only_so_often") {
        return;
    }
    stay_on_this_cpu();
    let twins = twins();
    let frame = carriers().swap_remove(0).tcp(40_000, 6667).build();
    let sighting = Sighting {
        frame,
        view: LAN_INGRESS,
        segments: 1,
    };
    let begin = Instant::now();
    let mut answered = 0;
    for _ in 0..FRAMES {
        let run = run(&twins, &sighting);
        match run.action {
            XDP_TX => answered += 1,
            action => assert_eq!((action, run.frame), (XDP_DROP, sighting.frame.clone())),
        }
    }
    // A tick more, which is at most 10 ms long.
    let most = begin.elapsed().as_millis() + 10 + u128::from(REPLIES_PER_SECOND);
    println!("{answered} of {FRAMES} answered in {:?}", begin.elapsed());
    assert!(
        (REPLIES_PER_SECOND..FRAMES).contains(&answered),
        "{answered}"
    );
    assert!(u128::from(answered) <= most, "{answered} of at most {most}");
    let counted = twins.maps.snapshot().unwrap().rejections;
    assert_eq!(counted.get(Fate::Reset), u64::from(answered));
    assert_eq!(counted.get(Fate::Limited), u64::from(FRAMES - answered));
}

/// Wireshark's opinion of the answers, which owes nothing to this project.
#[test]
fn tshark_finds_no_fault_with_the_answers() {
    const TEST: &str = "tshark_finds_no_fault_with_the_answers";
    if !kernel_or_skip(TEST) {
        return;
    }
    if Command::new("tshark").arg("-v").output().is_err() {
        testing::skip(TEST, "`tshark` is not installed");
        return;
    }
    let twins = twins();
    let mut answers = Vec::new();
    for carrier in carriers() {
        let query = dns_query("web.whatsapp.com");
        let syn = carrier.clone().tcp(40_000, 6667).flags(flags::SYN);
        let said = carrier.clone().tcp(40_000, 6667).payload(b"NICK alice");
        let datagram = carrier.clone().udp(40_000, 5060).payload(&[7; 100]);
        let question = carrier.clone().udp(40_000, 53).payload(&query);
        let entering = [syn, said.clone(), datagram, question].map(|frame| (frame, LAN_INGRESS));
        for (frame, view) in entering.into_iter().chain([(said, View::ALL[3])]) {
            let sighting = Sighting {
                frame: frame.build(),
                view,
                segments: 1,
            };
            assert_same(&twins, &sighting);
            answers.push(run(&twins, &sighting).frame);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("answers.pcap");
    fs::write(&capture, pcap(&answers)).unwrap();
    let mut tshark = Command::new("tshark");
    for layer in ["ip", "tcp", "udp"] {
        tshark.args(["-o", &format!("{layer}.check_checksum:TRUE")]);
    }
    let fields =
        ["ip", "tcp", "udp", "icmp", "icmpv6"].map(|layer| format!("{layer}.checksum.status"));
    tshark
        .arg("-r")
        .arg(&capture)
        .args(["-T", "fields", "-E", "occurrence=f"]);
    for field in fields
        .iter()
        .map(String::as_str)
        .chain(["_ws.malformed", "dns.flags.rcode"])
    {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), answers.len(), "{lines}");
    let mut good = [0; 5];
    for line in lines.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        // 1 is good, 0 bad; the others were not checked. Quoted headers come after the answer's own.
        for (good, status) in good.iter_mut().zip(&fields) {
            assert_ne!(*status, "0", "a bad checksum: {line}");
            *good += u32::from(*status == "1");
        }
        assert_eq!(fields.get(5), Some(&""), "malformed: {line}");
    }
    println!(
        "{} answers; good checksums of IP, TCP, UDP, ICMP, ICMPv6: {good:?}",
        answers.len()
    );
    assert!(good.iter().all(|good| *good > 0), "{good:?}");
    let no_names = lines.lines().filter(|line| line.ends_with("\t3")).count();
    assert_eq!(no_names, carriers().len(), "{lines}");
}

/// A capture file of Ethernet frames (libpcap's format, as `pcap-savefile` has it).
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    let header: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1];
    file.extend(header.iter().flat_map(|word| word.to_ne_bytes()));
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        file.extend(
            [0, 0, length, length]
                .iter()
                .flat_map(|word| word.to_ne_bytes()),
        );
        file.extend(frame);
    }
    file
}
