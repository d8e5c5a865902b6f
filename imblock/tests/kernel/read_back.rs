//! What was written to the maps can be read back: the plan that is live is the plan that was applied.

use std::collections::HashSet;

use imblock::catalogue;
use imblock::kernel::{KernelError, Loaded};
use imblock::policy::plan::{Limits, NameKind, NamePlan, RemotePlan, stun_table};
use imblock::policy::{self, Plan, PolicySource, ServiceNumbers, Surroundings};
use imblock::testing::kernel_or_skip;
use imblock_common::Action;
use imblock_common::layout::{ActionCell, Inside, Stage};

const LIMITS: Limits = Limits {
    hosts: 64,
    prefixes: 16_384,
    flows: 64,
    inside: Inside::NONE,
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

/// As many names and addresses, each in its place in the order of reading.
fn with_lists(mut plan: Plan, count: u32, service: u16) -> Plan {
    plan.remotes = (0..count)
        .map(|number| RemotePlan {
            net: format!("{}/32", std::net::Ipv4Addr::from(0x1400_0000 + number))
                .parse()
                .unwrap(),
            // Of each two lists one in three entries differs.
            service: service + u16::from(number % 3 == 0),
        })
        .collect();
    plan.names = (0..count)
        .map(|number| NamePlan {
            kind: NameKind::Host,
            suffix: format!("n{number:06}.example"),
            service: service + u16::from(number % 3 == 0),
        })
        .collect();
    plan
}

#[test]
fn lists_of_any_length_are_written_and_read_whole() {
    if !kernel_or_skip("lists_of_any_length_are_written_and_read_whole") {
        return;
    }
    let roomy = std::thread::Builder::new().stack_size(64 << 20);
    roomy.spawn(apply_lists).unwrap().join().unwrap();
}

fn apply_lists() {
    /// Entries that the kernel is asked for at a time.
    const BATCH: u32 = 4096;
    let base = compile(
        &PolicySource::parse("audit"),
        &mut ServiceNumbers::default(),
    );
    let (_loaded, mut maps) = Loaded::unpinned(&LIMITS, &Stage::ALL).unwrap();
    // Longer and shorter than before, into either half; a list as long as a batch, and none.
    let counts = [
        9_000,
        BATCH,
        5_000,
        7_000,
        2 * BATCH,
        BATCH + 1,
        0,
        1,
        BATCH - 1,
    ];
    for (service, count) in (1..).zip(counts) {
        let plan = with_lists(base.clone(), count, service);
        maps.apply(&plan).unwrap();
        let (read, _) = maps.plan().unwrap();
        assert!(read.names == plan.names, "names, {count}");
        assert!(read.remotes == plan.remotes, "addresses, {count}");
    }
    // What does not fit is refused, and the policy before it stays.
    let before = maps.plan().unwrap().0;
    let plan = with_lists(base, LIMITS.prefixes, 1);
    let refused = maps.apply(&plan);
    assert!(
        matches!(refused, Err(KernelError::TooManyPrefixes { .. })),
        "{refused:?}"
    );
    assert!(maps.plan().unwrap().0 == before);
}

#[test]
fn what_the_clock_changes_is_what_another_instant_compiles() {
    if !kernel_or_skip("what_the_clock_changes_is_what_another_instant_compiles") {
        return;
    }
    let roomy = std::thread::Builder::new().stack_size(64 << 20);
    roomy.spawn(apply_and_reschedule).unwrap().join().unwrap();
}

fn apply_and_reschedule() {
    /// Drops, limits and limits to something else, as the day goes by.
    const CLOCK: &str = "
version: 1
name: clock
groups: { lab: [10.1.0.0/16] }
rules:
- { services: [irc], groups: [lab], action: drop, when: { hours: '12:00-13:00', timezone: UTC } }
- { services: [irc], action: limit, rate: 1 mbit/s, when: { hours: '08:00-14:00', timezone: UTC } }
- { services: [irc], groups: [lab], action: limit, rate: 9 mbit/s }
limits: { hosts: 64, prefixes: 16384, flows: 64 }
";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clock.yaml");
    std::fs::write(&file, CLOCK).unwrap();
    let mut plan = compile(&PolicySource::File(file), &mut ServiceNumbers::default());
    let (_loaded, mut maps) = Loaded::unpinned(&LIMITS, &Stage::ALL).unwrap();
    let irc = usize::from(plan.service("irc").unwrap().number);
    // What is done with it, and how fast where it is limited, by group.
    let cells = |plan: &Plan| {
        let rows = plan.actions.iter().zip(&plan.rate_rows);
        let cells = rows.map(|(actions, rates)| {
            let action = ActionCell(*actions.0.get(irc).unwrap()).policy();
            let rate = usize::from(*rates.0.get(irc).unwrap());
            let limits = action == Action::Limit;
            (action, limits.then(|| *plan.rates.get(rate).unwrap()))
        });
        cells.collect::<Vec<_>>()
    };
    let mut seen = HashSet::new();
    plan.move_to("2026-01-01T03:00:00Z".parse().unwrap());
    maps.apply(&plan).unwrap();
    for hour in [9, 12, 13, 14, 12, 3] {
        let now = format!("2026-01-01T{hour:02}:00:00Z").parse().unwrap();
        let timed = plan.timetable.cells_at(now);
        maps.reschedule(&timed, &HashSet::new()).unwrap();
        plan.move_to(now);
        let wanted = cells(&plan);
        assert_eq!(cells(&maps.plan().unwrap().0), wanted, "at {hour}");
        seen.insert(format!("{wanted:?}"));
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

fn apply_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let busy = dir.path().join("busy.yaml");
    std::fs::write(&busy, BUSY).unwrap();
    let (_loaded, mut maps) = Loaded::unpinned(&LIMITS, &Stage::ALL).unwrap();
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
