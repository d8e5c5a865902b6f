//! Which payloads of a flow are read.

use imblock_common::content::Answer;
use imblock_common::identify::at_once;
use imblock_common::testkit::{dns_query_tcp, flags};
use imblock_common::{Verdict, View, classify, parse, sight};

use super::{SENT, between, tables};

#[test]
fn a_packet_that_is_seen_on_both_sides_is_one_payload() {
    let tables = tables(
        "version: 1\nname: test\nrules: [{ services: [own], action: drop }]\n\
         services: [{ id: own, name: Own, category: im,\n\
         markers: [{ transport: tcp, packet: early, text: \"OWN CHAT\" }] }]",
    );
    let seen = |set, payload: &[u8]| {
        let frame = between(SENT, 50_000, 443, set, payload);
        let first = classify(frame.as_slice(), SENT, &tables).verdict;
        let second = classify(frame.as_slice(), View::WAN_EGRESS, &tables).verdict;
        (first, second)
    };
    let talk = flags::ACK | flags::PSH;
    let _ = seen(flags::SYN, &[]);
    for _ in 0..4 {
        let _ = seen(talk, &[7; 90]);
    }
    let told = seen(talk, b"OWN CHAT");
    assert_eq!(told, (Verdict::Dropped, Verdict::Dropped));
}

#[test]
fn payloads_that_a_lan_side_does_not_see_are_counted_where_they_are_seen() {
    let tables = tables("version: 1\nname: test\nrules: [{ services: [whatsapp], action: drop }]");
    let is_read = |view, set, payload: &[u8]| {
        let frame = between(view, 50_000, 443, set, payload);
        let segment = parse::frame(frame.as_slice()).unwrap();
        let about = sight(frame.as_slice(), &segment, view, &tables);
        let is_read = at_once(&about, &tables).is(Answer::Look);
        let _ = classify(frame.as_slice(), view, &tables);
        is_read
    };
    // What comes back goes to the host on another way.
    let _ = is_read(SENT, flags::SYN, &[]);
    let talk = flags::ACK | flags::PSH;
    let read = (0..20).filter(|_| is_read(View::WAN_INGRESS, talk, &[7; 90]));
    assert_eq!(read.count(), 6);
}

#[test]
fn each_question_of_a_connection_to_a_name_server_is_read() {
    let tables = tables("version: 1\nname: test\nrules: [{ services: [whatsapp], action: drop }]");
    let say = |set, payload: &[u8]| {
        let frame = between(SENT, 50_000, 53, set, payload);
        classify(frame.as_slice(), SENT, &tables).verdict
    };
    let _ = say(flags::SYN, &[]);
    for _ in 0..6 {
        let _ = say(flags::ACK | flags::PSH, &dns_query_tcp("www.example.org"));
    }
    assert_eq!(
        say(flags::ACK | flags::PSH, &dns_query_tcp("web.whatsapp.com")),
        Verdict::Dropped
    );
}
