//! What was written to the maps can be read back: the plan that is live is the plan that was applied.

use imblock::catalogue;
use imblock::kernel::Loaded;
use imblock::policy::plan::{Limits, stun_table};
use imblock::policy::{self, Plan, PolicySource, ServiceNumbers, Surroundings};
use imblock::testing::kernel_or_skip;

const LIMITS: Limits = Limits {
    hosts: 64,
    prefixes: 16_384,
    flows: 64,
};

/// A policy with something in every table.
const BUSY: &str = r#"
version: 1
name: busy
groups: { support: [10.0.5.0/24, "2001:db8:5::/64"], kids: [10.0.7.1] }
protect: { ports: [tcp/22, udp/5000-5010], hosts: [10.0.0.2] }
rules:
  - { services: [irc], groups: [support], action: allow }
  - { services: ["category:im"], groups: [kids], action: drop }
services:
  - id: acme-chat
    name: Acme Chat
    category: im
    ports: [tcp/7000-7010]
    names: [chat.acme.example]
    prefixes: [192.0.2.0/24, "2001:db8:9::/48"]
    stun: ["0xc001-0xc007"]
    markers:
      - { transport: tcp, from: client, packet: first, text: "ACME/1 " }
      - { transport: udp, from: server, bytes: "2a 01..05 ?? 0?", ports: ["7000"], payload: "24.." }
hops: { action: drop, within: 20s, for: 1m, after: 1 }
quic: block
trust: [acme-chat]
limits: { hosts: 64, prefixes: 16384, flows: 64 }
"#;

fn compile(source: &PolicySource, numbers: &mut ServiceNumbers) -> Plan {
    let surroundings = Surroundings {
        own: vec!["10.0.0.1".parse().unwrap()],
        ..Surroundings::default()
    };
    let policy = policy::load(source).unwrap();
    policy.compile(numbers, &surroundings).unwrap()
}

/// What the maps hold of a plan, in the order in which it is read.
fn held(mut plan: Plan, limits: Limits) -> Plan {
    for service in &mut plan.services {
        service.name.clone_from(&service.id);
        service.category.clear();
        service.historic = false;
    }
    plan.interfaces.clear();
    plan.origins.clear();
    plan.sources.clear();
    plan.warnings.clear();
    plan.limits = limits;
    plan.remotes.sort_by_key(|remote| remote.net);
    plan.names
        .sort_by(|a, b| (a.kind, &a.suffix).cmp(&(b.kind, &b.suffix)));
    plan
}

#[test]
fn the_live_plan_is_the_one_that_was_applied() {
    if !kernel_or_skip("the_live_plan_is_the_one_that_was_applied") {
        return;
    }
    // The tables are bigger than the stack of a test without optimisation likes.
    let roomy = std::thread::Builder::new().stack_size(64 << 20);
    roomy.spawn(apply_and_read).unwrap().join().unwrap();
}

fn apply_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let busy = dir.path().join("busy.yaml");
    std::fs::write(&busy, BUSY).unwrap();
    let (_loaded, mut maps) = Loaded::unpinned(&LIMITS).unwrap();
    let ready = catalogue::POLICIES
        .iter()
        .map(|(name, _)| PolicySource::parse(name));
    let mut numbers = ServiceNumbers::default();
    // Each into the half that the one before the last was in.
    for source in [PolicySource::File(busy)].into_iter().chain(ready) {
        let plan = compile(&source, &mut numbers);
        maps.apply(&plan).unwrap();
        let (read, header) = maps.plan().unwrap();
        assert_eq!(header.hash, plan.hash());
        let mut expected = held(plan, maps.limits().unwrap());
        // The table has no order of precedence any more.
        assert!(stun_table(&read.stun_attributes) == stun_table(&expected.stun_attributes));
        expected.stun_attributes.clone_from(&read.stun_attributes);
        // Services of earlier policies keep their numbers.
        let known = |service| read.services.contains(service);
        assert!(expected.services.iter().all(known));
        expected.services.clone_from(&read.services);
        assert_eq!(read.flags(), expected.flags());
        assert!(read == expected, "{} is read as something else", read.name);
    }
}
