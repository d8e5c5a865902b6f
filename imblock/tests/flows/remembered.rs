//! What the flow table remembers, and what it forgets.

use std::net::IpAddr;

use imblock::catalogue;
use imblock::replay::MemoryTables;
use imblock_common::content::Answer;
use imblock_common::flows::{flow_clock_shift, flow_idle};
use imblock_common::identify::{at_once, gate, in_depth};
use imblock_common::testkit::{
    ClientHello, End, Frame, Layer, flags, generate_flow, rtp_packet, stun_message,
};
use imblock_common::{Evidence, Judgement, Reply, Verdict, View, classify, decide, parse, sight};

use super::{RECEIVED, SECOND, SENT, tables};

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
    let at_once = at_once(&about, tables);
    let told = if spared || at_once.is(Answer::Look) {
        // As if the gate had found out nothing of the flow.
        in_depth(frame, &about, Reply::UNASKED, tables)
    } else {
        at_once
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
fn a_silent_flow_is_known_for_five_minutes_however_the_kernel_ticks() {
    for ticks_per_second in [100, 250, 300, 1000, 1024] {
        let unit = f64::from(1_u32 << flow_clock_shift(ticks_per_second));
        let idle = f64::from(flow_idle(ticks_per_second)) * unit / f64::from(ticks_per_second);
        assert!(
            (299.0..=300.0).contains(&idle),
            "{idle} s at {ticks_per_second}"
        );
    }
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

#[test]
fn what_comes_with_a_syn_is_looked_at() {
    // TCP Fast Open (RFC 7413): all that the client will ever say of itself may be in its first packet.
    let hello = ClientHello::new("web.whatsapp.com").build();
    let (talk, first) = (flags::ACK | flags::PSH, 1_000_u32);
    let segment = |port, set, sequence: u32, payload: &[u8]| {
        let frame = Frame::eth().ipv4("10.0.0.2", "192.0.2.7").tcp(port, 443);
        let frame = frame.flags(set).payload(payload);
        let frame = frame.patch(Layer::Transport, 4, &sequence.to_be_bytes());
        frame.build()
    };
    let tables = dropping_whatsapp(1_024);
    let syn = segment(50_000, flags::SYN, first, &hello);
    assert_eq!(verdict(&tables, &syn), Verdict::Dropped);
    let more = segment(50_000, talk, first + 1, &[23; 90]);
    assert_eq!(verdict(&tables, &more), Verdict::Dropped);
    // Cut, so that the rest must find its place behind what the SYN had.
    for cut in [1, 43, 60] {
        let port = 51_000 + u16::try_from(cut).unwrap();
        let (head, rest) = hello.split_at(cut);
        let syn = segment(port, flags::SYN, first, head);
        assert_eq!(verdict(&tables, &syn), Verdict::Allowed);
        let at = first + 1 + u32::try_from(cut).unwrap();
        let behind = segment(port, talk, at, rest);
        assert_eq!(verdict(&tables, &behind), Verdict::Dropped, "cut at {cut}");
    }
}

#[test]
fn a_syn_that_says_something_on_a_listed_port_is_told_by_what_it_says() {
    let tables = tables(
        "version: 1\nname: test\n\
         rules: [{ services: [listed], action: count }, { services: [named], action: drop }]\n\
         services:\n\
         - { id: listed, name: Listed, category: im, ports: [tcp/443] }\n\
         - { id: named, name: Named, category: im, names: [chat.example] }",
    );
    let hello = ClientHello::new("www.chat.example").build();
    let judged = |port, payload: &[u8]| {
        let judgement = classify(tcp(port, flags::SYN, payload).as_slice(), SENT, &tables);
        (judgement.evidence, judgement.verdict)
    };
    assert_eq!(judged(50_000, &[]), (Evidence::Port, Verdict::Counted));
    assert_eq!(judged(50_001, &hello), (Evidence::Sni, Verdict::Dropped));
    assert_eq!(judged(50_002, &[0; 40]), (Evidence::Port, Verdict::Counted));
}

#[test]
fn a_syn_that_says_something_is_a_hop_too() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [listed], action: drop }]\n\
         services: [{ id: listed, name: Listed, category: im, ports: [tcp/15050] }]",
    );
    let judged = |port, payload: &[u8]| {
        let frame = Frame::eth().ipv4("10.0.0.2", "192.0.2.7").tcp(50_000, port);
        let frame = frame.flags(flags::SYN).payload(payload).build();
        let judgement = classify(frame.as_slice(), SENT, &tables);
        (judgement.evidence, judgement.verdict)
    };
    assert_eq!(judged(15050, &[0; 40]), (Evidence::Port, Verdict::Dropped));
    assert_eq!(judged(443, &[0; 40]), (Evidence::Hop, Verdict::Counted));
}

#[test]
fn a_guess_tells_less_than_a_port_or_an_address() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [listed, placed], action: drop }]\n\
         services:\n\
         - { id: listed, name: Listed, category: voip, ports: [udp/40478] }\n\
         - { id: placed, name: Placed, category: im, prefixes: [198.51.100.0/24] }\n\
         - { id: guessed, name: Guessed, category: im,\n\
         markers: [{ transport: udp, text: \"GUESS\", use: count-first }] }",
    );
    let judged = |client, to: &str, port, payload: &[u8]| {
        let frame = Frame::eth().ipv4("10.0.0.2", to).udp(client, port);
        let frame = frame.payload(payload).build();
        let judgement = classify(frame.as_slice(), SENT, &tables);
        (judgement.evidence, judgement.verdict)
    };
    let (stun, guess) = (stun_message(1, &[]), b"GUESS");
    let media: Vec<_> = (0..5).map(|number| rtp_packet(0, number, 160, 9)).collect();
    for (client, said) in [
        (50_000, vec![stun.as_slice(), &[1; 50]]),
        (50_001, vec![guess, &[1; 50]]),
        (50_002, media.iter().map(Vec::as_slice).collect()),
    ] {
        for payload in said {
            assert_eq!(
                judged(client, "192.0.2.7", 40_478, payload),
                (Evidence::Port, Verdict::Dropped)
            );
            assert_eq!(
                judged(client, "198.51.100.7", 31_000, payload),
                (Evidence::Prefix, Verdict::Dropped)
            );
        }
    }
    assert_eq!(
        judged(50_001, "192.0.2.7", 31_000, guess),
        (Evidence::Marker, Verdict::Counted)
    );
}

#[test]
fn a_client_that_insists_on_quic_is_refused_each_time() {
    let tables = tables("version: 1\nname: test\nquic: block");
    let mut initial = vec![0x5a; 1_250];
    initial[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
    let frame = Frame::eth()
        .ipv4("10.0.0.2", "192.0.2.7")
        .udp(50_000, 443)
        .payload(&initial)
        .build();
    for second in 1..20 {
        tables.set_now(second * SECOND);
        assert_eq!(verdict(&tables, &frame), Verdict::Dropped, "{second}");
    }
}

#[test]
fn a_connection_that_was_told_is_known_however_long_it_is_silent() {
    let hello = ClientHello::new("web.whatsapp.com").build();
    let talk = flags::ACK | flags::PSH;
    let tables = dropping_whatsapp(1_024);
    let after = |second, set, payload: &[u8]| {
        tables.set_now(second * SECOND);
        verdict(&tables, &tcp(50_000, set, payload))
    };
    assert_eq!(after(1, flags::SYN, &[]), Verdict::Allowed);
    assert_eq!(after(1, talk, &hello), Verdict::Dropped);
    assert_eq!(after(5_000, talk, &[23; 90]), Verdict::Dropped);
    // Another one from the same port.
    assert_eq!(after(9_000, flags::SYN, &[]), Verdict::Allowed);
    assert_eq!(after(9_001, talk, &[23; 90]), Verdict::Allowed);
}
