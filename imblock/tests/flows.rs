//! What the flow table remembers, and what it forgets.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;

use imblock::catalogue;
use imblock::policy::{self, ServiceNumbers, Source, Surroundings};
use imblock::replay::MemoryTables;
use imblock_common::content::Answer;
use imblock_common::identify::{gate, identify, in_depth};
use imblock_common::testkit::{ClientHello, End, Frame, flags, generate_flow, rtp_packet};
use imblock_common::{Evidence, Judgement, Verdict, View, classify, decide, parse, sight};

const SENT: View = View::LAN_INGRESS;
const RECEIVED: View = View::LAN_EGRESS;
const SECOND: u64 = 1_000_000_000;

fn tables(text: &str) -> MemoryTables {
    let policy = policy::parse(Source::new("test.yaml".to_owned(), text.to_owned())).unwrap();
    let plan = policy.compile(&mut ServiceNumbers::default(), &Surroundings::default());
    MemoryTables::new(&plan.unwrap())
}

fn dropping_whatsapp(flows: u32) -> MemoryTables {
    tables(&format!(
        "version: 1\nname: test\nrules: [{{ services: [whatsapp], action: drop }}]\n\
         limits: {{ flows: {flows} }}"
    ))
}

fn tcp(client_port: u16, set: u8, payload: &[u8]) -> Vec<u8> {
    let frame = Frame::eth().ipv4("10.0.0.2", "192.0.2.7");
    frame
        .tcp(client_port, 443)
        .flags(set)
        .payload(payload)
        .build()
}

fn verdict(tables: &MemoryTables, frame: &[u8]) -> Verdict {
    classify(frame, SENT, tables).verdict
}

/// [`classify`], but that every packet is looked into, whatever is known of its flow; and whether the
/// gate would have spared it that.
fn classify_in_depth(frame: &[u8], view: View, tables: &MemoryTables) -> (Judgement, bool) {
    let Ok(segment) = parse::frame(frame) else {
        return (classify(frame, view, tables), false);
    };
    let about = sight(frame, &segment, view, tables);
    let spared = !about.is_later_part() && !gate::told(&about, tables).is(Answer::Look);
    let told = if spared {
        in_depth(frame, &about, tables)
    } else {
        identify(frame, &about, tables)
    };
    (decide(frame, &about, told, tables), spared)
}

#[test]
fn what_is_told_at_once_is_what_a_look_into_the_packet_tells() {
    let audit = catalogue::ready_policy("audit").unwrap();
    let (gated, open) = (tables(audit), tables(audit));
    let (mut spared_of_nobody, mut spared_of_services) = (0, 0);
    for index in 0..3_000 {
        let said = generate_flow(7, index, &[]);
        // Over and over, so that the flow grows old.
        for (end, frame) in said.iter().cycle().take(said.len() * 4) {
            let view = match end {
                End::Client => SENT,
                End::Server => RECEIVED,
            };
            let judged = classify(frame.as_slice(), view, &gated);
            let (looked_into, spared) = classify_in_depth(frame, view, &open);
            assert_eq!(judged, looked_into, "flow {index}");
            let count = match judged.service {
                0 => &mut spared_of_nobody,
                _ => &mut spared_of_services,
            };
            *count += u32::from(spared);
        }
        for tables in [&gated, &open] {
            tables.set_now(index * SECOND / 8);
        }
    }
    for (whose, spared) in [
        ("nobody", spared_of_nobody),
        ("services", spared_of_services),
    ] {
        assert!(
            spared > 5_000,
            "only {spared} packets of {whose} were spared a look"
        );
    }
}

#[test]
fn innocent_flows_push_out_no_flow_that_was_told() {
    // One bucket: whatever comes next wants a place in it.
    let tables = dropping_whatsapp(8);
    assert_eq!(
        verdict(&tables, &tcp(50_000, flags::SYN, &[])),
        Verdict::Allowed
    );
    let hello = ClientHello::new("web.whatsapp.com").build();
    let talk = flags::ACK | flags::PSH;
    assert_eq!(
        verdict(&tables, &tcp(50_000, talk, &hello)),
        Verdict::Dropped
    );
    for port in 51_000..51_200 {
        assert_eq!(
            verdict(&tables, &tcp(port, flags::SYN, &[])),
            Verdict::Allowed
        );
        for _ in 0..8 {
            assert_eq!(
                verdict(&tables, &tcp(port, talk, &[23; 90])),
                Verdict::Allowed
            );
        }
    }
    assert_eq!(
        verdict(&tables, &tcp(50_000, talk, &[23; 90])),
        Verdict::Dropped
    );
}

#[test]
fn a_table_that_is_half_full_forgets_hardly_anybody() {
    let tables = dropping_whatsapp(2_048);
    let hello = ClientHello::new("web.whatsapp.com").build();
    let talk = flags::ACK | flags::PSH;
    let ports = 50_000..51_024;
    for port in ports.clone() {
        let _ = verdict(&tables, &tcp(port, flags::SYN, &[]));
        assert_eq!(verdict(&tables, &tcp(port, talk, &hello)), Verdict::Dropped);
    }
    let is_forgotten =
        |port: &u16| verdict(&tables, &tcp(*port, talk, &[23; 90])) != Verdict::Dropped;
    let forgotten = ports.filter(is_forgotten).count();
    assert!(forgotten <= 8, "{forgotten} of 1,024");
}

#[test]
fn a_flow_that_begins_anew_inherits_nothing() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [own], action: drop }]\n\
         services: [{ id: own, name: Own, category: im,\n\
         markers: [{ transport: udp, text: \"OWN CHAT\" }] }]",
    );
    let say = |payload: &[u8]| {
        let frame = Frame::eth()
            .ipv4("10.0.0.2", "192.0.2.7")
            .udp(50_000, 31_000);
        verdict(&tables, &frame.payload(payload).build())
    };
    tables.set_now(SECOND);
    assert_eq!(say(b"OWN CHAT"), Verdict::Dropped);
    assert_eq!(say(&[0; 40]), Verdict::Dropped);
    // Silent for so long that the flow is another one.
    tables.set_now(3_000 * SECOND);
    // What looks like RTP is watched, in the entry of the flow that was here before.
    assert_eq!(say(&rtp_packet(0, 1, 160, 9)), Verdict::Allowed);
    assert_eq!(say(&[0; 40]), Verdict::Allowed);
}

#[test]
fn hosts_behind_one_gate_do_not_share_a_flow() {
    let tables = dropping_whatsapp(1_024);
    let hello = ClientHello::new("web.whatsapp.com").build();
    let from = |host: &str, payload: &[u8]| {
        let (host, server): (IpAddr, IpAddr) =
            (host.parse().unwrap(), "192.0.2.7".parse().unwrap());
        let frame = Frame::eth().ip(host, server).tcp(50_000, 443);
        verdict(&tables, &frame.flags(flags::ACK).payload(payload).build())
    };
    assert_eq!(from("10.0.0.2", &hello), Verdict::Dropped);
    assert_eq!(from("10.0.0.3", &[23; 90]), Verdict::Allowed);
    assert_eq!(from("10.0.0.2", &[23; 90]), Verdict::Dropped);
}

#[test]
fn the_name_in_a_hello_tells_more_than_its_bytes() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [named], action: drop }]\n\
         services:\n\
         - { id: named, name: Named, category: im, names: [chat.example] }\n\
         - { id: marked, name: Marked, category: im,\n\
         markers: [{ transport: tcp, bytes: '16 03 ?? ?? ?? 01 00' }] }",
    );
    let talk = flags::ACK | flags::PSH;
    let judged = |port, name: &str| {
        let _ = verdict(&tables, &tcp(port, flags::SYN, &[]));
        let hello = ClientHello::new(name).build();
        let judgement = classify(tcp(port, talk, &hello).as_slice(), SENT, &tables);
        (judgement.evidence, judgement.verdict)
    };
    assert_eq!(
        judged(50_000, "www.chat.example"),
        (Evidence::Sni, Verdict::Dropped)
    );
    assert_eq!(
        judged(50_001, "www.example.org"),
        (Evidence::Marker, Verdict::Counted)
    );
}
