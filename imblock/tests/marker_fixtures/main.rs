//! Every marker of the catalogue has a message that it hits, and some that it just misses.
//!
//! The messages are in `policies/tests/markers`, a file a service, in the order of its markers. Each
//! is said by a client of its own in a replay, so the whole way from frame to counter is tested, and
//! what is asserted is what a user sees: the client's services, and that markers told them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod conversation;
mod fixture;

use std::collections::BTreeSet;
use std::fs;

use imblock::catalogue;
use imblock::policy::{self, Plan, ServiceNumbers, Source, Surroundings};

use crate::conversation::{Conversation, End, replayed};
use crate::fixture::{CLIENT_PORT, Catalogued, Marker, SERVER_PORT, fixtures, folder};

#[test]
fn every_marker_hits_what_it_should() {
    let said = conversations();
    let hits: Vec<_> = said.iter().map(|said| said.hit.clone()).collect();
    let told = replayed(&hits, &plan());
    let mut wrong = Vec::new();
    for (said, services) in said.iter().zip(&told.services) {
        if !services.contains(said.service) {
            wrong.push(format!("{}: {services:?}", said.what));
        }
    }
    assert!(wrong.is_empty(), "not hit:\n{}", wrong.join("\n"));
    // Whatever was told there was told by a marker.
    for (service, evidence) in &told.evidence {
        assert_eq!(*evidence, BTreeSet::from(["marker"]), "{service}");
    }
    assert!(hits.len() > 200, "{} hits", hits.len());
}

#[test]
fn no_marker_hits_what_is_only_near() {
    let mut all = Vec::new();
    for said in conversations() {
        for (near, why) in &said.near {
            all.push((
                near.clone(),
                said.service,
                format!("{}, although {why}", said.what),
            ));
        }
    }
    let near: Vec<_> = all.iter().map(|(near, ..)| near.clone()).collect();
    let told = replayed(&near, &plan());
    let mut wrong = Vec::new();
    for ((_, service, what), services) in all.iter().zip(&told.services) {
        if services.contains(*service) {
            wrong.push(what.as_str());
        }
    }
    assert!(wrong.is_empty(), "hit:\n{}", wrong.join("\n"));
    assert!(near.len() > 250, "{} misses", near.len());
}

#[test]
fn no_marker_is_without_messages() {
    let mut wrong = Vec::new();
    for (id, text) in catalogue::SERVICES {
        let service: Catalogued = serde_yaml::from_str(text).unwrap();
        let fixtures = fixtures(id);
        let told: Vec<usize> = fixtures.iter().map(|fixture| fixture.marker).collect();
        let markers = service.markers.len();
        if told != (1..=markers).collect::<Vec<_>>() {
            wrong.push(format!("{id} has {markers} markers, messages for {told:?}"));
        }
        for fixture in fixtures.iter().filter(|fixture| fixture.near.is_empty()) {
            wrong.push(format!("{id} {}: nothing near", fixture.marker));
        }
    }
    let known: BTreeSet<&str> = catalogue::SERVICES.iter().map(|(id, _)| *id).collect();
    for file in fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        if !known.contains(path.file_stem().unwrap().to_str().unwrap()) {
            wrong.push(format!("{} is of no service", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Else it would not be the marker that tells.
#[test]
fn the_usual_ports_belong_to_nobody() {
    let plan = plan();
    for port in [SERVER_PORT, CLIENT_PORT] {
        assert_eq!(plan.port(imblock_common::Transport::Tcp, port).service(), 0);
        assert_eq!(plan.port(imblock_common::Transport::Udp, port).service(), 0);
    }
}

/// A marker's hit, and what it misses with the reasons.
struct Said {
    service: &'static str,
    /// The service, the number of the marker and the transport.
    what: String,
    hit: Conversation,
    near: Vec<(Conversation, String)>,
}

/// All there is to say.
fn conversations() -> Vec<Said> {
    let mut all = Vec::new();
    for (service, text) in catalogue::SERVICES {
        let catalogued: Catalogued = serde_yaml::from_str(text).unwrap();
        for fixture in fixtures(service) {
            // A number from nowhere is the other test's.
            let number = fixture.marker;
            let marker = number
                .checked_sub(1)
                .and_then(|n| catalogued.markers.get(n));
            let from = marker.map_or(End::Client, Marker::speaker);
            for transport in marker.map(Marker::transports).unwrap_or_default() {
                let hit = fixture.conversation(transport, from);
                let near = fixture.near.iter();
                all.push(Said {
                    service,
                    what: format!("{service} {number}, {transport:?}"),
                    near: near
                        .map(|near| (near.conversation(&hit), near.why.clone()))
                        .collect(),
                    hit,
                });
            }
        }
    }
    all
}

/// Everything is counted, nothing dropped.
fn plan() -> Plan {
    // Some services are told only where a rule names them.
    let services = catalogue::services().unwrap();
    let asked = services.iter().filter(|service| service.opt_in);
    let asked: Vec<&str> = asked.map(|service| service.id.as_str()).collect();
    let rule = format!("{{ services: [{}], action: count }}", asked.join(", "));
    let text = format!("version: 1\nname: markers\nlimits: {{ hosts: 4096 }}\nrules: [{rule}]\n");
    policy::parse(Source::new("markers.yaml".to_owned(), text))
        .and_then(|policy| policy.compile(&mut ServiceNumbers::default(), &Surroundings::default()))
        .unwrap_or_else(|errors| panic!("{}", errors.report(100, false)))
}
