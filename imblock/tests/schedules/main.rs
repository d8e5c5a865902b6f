//! Rules with `when`: what holds when.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    reason = "tests"
)]

mod years;

use std::time::Duration;

use imblock::policy::{self, Plan, ServiceNumbers, Source, Surroundings};
use imblock::testing::worked;
use imblock_common::Action;
use imblock_common::layout::ActionCell;
use jiff::Timestamp;

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn plan_at(rules: &str, at: Timestamp) -> Plan {
    let text = format!(
        "version: 1
name: clock
groups: {{ lab: [10.1.0.0/16] }}
services:
  - {{ id: acme, name: Acme, category: im, ports: [tcp/7000] }}
  - {{ id: bolt, name: Bolt, category: im, ports: [tcp/7001] }}
rules:
{rules}"
    );
    let source = Source::new("clock.yaml".to_owned(), text);
    let policy = policy::parse(source).unwrap_or_else(|errors| panic!("{errors}"));
    let surroundings = Surroundings {
        at: Some(at),
        ..Surroundings::default()
    };
    policy
        .compile_with(&[], &mut ServiceNumbers::default(), &surroundings)
        .unwrap_or_else(|errors| panic!("{errors}"))
}

/// What is done with a service of everyone's, or of a group's.
fn action(plan: &Plan, at: Timestamp, group: &str, service: &str) -> Action {
    let group = usize::from(plan.group(group).unwrap());
    let service = usize::from(plan.service(service).unwrap().number);
    ActionCell(plan.cells_at(at)[group].0[service]).policy()
}

/// When a schedule changes, from an instant on.
fn changes(when: &str, from: &str, count: usize) -> Vec<String> {
    let rules = format!("  - {{ services: [acme], action: drop, when: {when} }}");
    let mut now = instant(from);
    let plan = plan_at(&rules, now);
    let mut changes = Vec::new();
    while let Some(next) = plan.timetable.next_change(now)
        && changes.len() < count
    {
        changes.push(format!(
            "{next} {:?}",
            action(&plan, next, "everyone", "acme")
        ));
        now = next;
    }
    changes
}

#[test]
fn a_range_that_begins_in_a_skipped_hour_begins_after_it() {
    // On 2026-03-29 the clock goes from 02:00 to 03:00.
    assert_eq!(
        changes(
            "{ days: sun, hours: \"02:30-04:00\", timezone: Europe/Berlin }",
            "2026-03-28T00:00:00Z",
            2
        ),
        ["2026-03-29T01:00:00Z Drop", "2026-03-29T02:00:00Z Count"]
    );
}

#[test]
fn a_range_within_a_skipped_hour_does_not_come() {
    assert_eq!(
        changes(
            "{ days: sun, hours: \"02:10-02:50\", timezone: Europe/Berlin }",
            "2026-03-28T00:00:00Z",
            1
        ),
        ["2026-04-05T00:10:00Z Drop"]
    );
}

#[test]
fn an_hour_that_is_told_twice_counts_twice() {
    // On 2026-10-25 the clock goes from 03:00 back to 02:00.
    assert_eq!(
        changes(
            "{ days: sun, hours: \"02:15-02:45\", timezone: Europe/Berlin }",
            "2026-10-24T00:00:00Z",
            4
        ),
        [
            "2026-10-25T00:15:00Z Drop",
            "2026-10-25T00:45:00Z Count",
            "2026-10-25T01:15:00Z Drop",
            "2026-10-25T01:45:00Z Count"
        ]
    );
}

#[test]
fn seconds_count() {
    assert_eq!(
        changes(
            "{ hours: [\"10:00:07-10:00:09\"], timezone: UTC }",
            "2026-01-01T10:00:00Z",
            3
        ),
        [
            "2026-01-01T10:00:07Z Drop",
            "2026-01-01T10:00:09Z Count",
            "2026-01-02T10:00:07Z Drop"
        ]
    );
}

#[test]
fn what_always_holds_never_changes() {
    assert_eq!(
        changes(
            "{ days: mon-sun, timezone: Europe/Berlin }",
            "2026-01-01T00:00:00Z",
            1
        ),
        Vec::<String>::new()
    );
    let split = "{ hours: [\"00:00-11:00\", \"11:00-24:00\"], timezone: Asia/Kathmandu }";
    assert_eq!(
        changes(split, "2026-01-01T00:00:00Z", 1),
        Vec::<String>::new()
    );
}

const OVERLAID: &str = "
  - { services: [acme], groups: [lab], action: allow }
  - { services: [\"category:im\"], action: drop, when: { hours: \"08:00-12:00\", timezone: UTC } }
  - { services: [bolt], action: allow }
";

#[test]
fn the_first_rule_that_holds_wins_and_the_hash_stays() {
    let (night, morning) = (
        instant("2026-01-01T03:00:00Z"),
        instant("2026-01-01T09:00:00Z"),
    );
    let plan = plan_at(OVERLAID, night);
    for (group, service, at_night, in_the_morning) in [
        ("everyone", "acme", Action::Count, Action::Drop),
        ("everyone", "bolt", Action::Allow, Action::Drop),
        ("lab", "acme", Action::Allow, Action::Allow),
        ("lab", "bolt", Action::Allow, Action::Drop),
    ] {
        assert_eq!(action(&plan, night, group, service), at_night);
        assert_eq!(action(&plan, morning, group, service), in_the_morning);
    }
    let later = plan_at(OVERLAID, morning);
    assert_ne!(plan.actions, later.actions);
    assert_eq!(plan.hash(), later.hash());
    let mut moved = plan.clone();
    moved.move_to(morning);
    assert_eq!(moved, later);
    moved.move_to(night);
    assert_eq!(moved, plan);
    // Who says so is of the instant, too.
    let says = |plan: &Plan| {
        let bolt = plan.service("bolt").unwrap().number;
        let origin = plan
            .origins
            .iter()
            .find(|o| (o.group, o.service) == (0, bolt));
        origin.unwrap().rule
    };
    assert_eq!((says(&plan), says(&later)), (3, 2));
}

#[test]
fn the_hash_knows_schedules_and_their_place() {
    let at = instant("2026-01-01T03:00:00Z");
    let hash = |rules: &str| plan_at(rules, at).hash();
    let hashes = [
        hash(OVERLAID),
        hash(&OVERLAID.replace("08:00", "08:01")),
        hash(&OVERLAID.replace("UTC", "Europe/Berlin")),
        hash(&OVERLAID.replace("hours:", "days: mon-fri, hours:")),
        hash(&OVERLAID.replace("action: drop", "action: allow")),
        hash(&OVERLAID.replace("[lab]", "[lab, everyone]")),
        // Whatever the clock says, `allow` comes first now.
        hash(
            "
  - { services: [acme], groups: [lab], action: allow }
  - { services: [bolt], action: allow }
  - { services: [\"category:im\"], action: drop, when: { hours: \"08:00-12:00\", timezone: UTC } }
",
        ),
    ];
    for (place, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..place].contains(hash), "{place}");
    }
    // Another way to say the same.
    assert_eq!(
        hash(OVERLAID),
        hash(&OVERLAID.replace("[lab]", "[lab, lab]"))
    );
}

/// Slow by day, slower in the lab, and as fast as at all times else.
const RATES: &str = "
  - { services: [acme], groups: [lab], action: limit, rate: 1 mbit/s, when: { hours: \"08:00-12:00\", timezone: UTC } }
  - { services: [acme], action: limit, rate: 2 mbit/s, when: { hours: \"08:00-18:00\", timezone: UTC } }
  - { services: [acme], groups: [lab], action: drop }
  - { services: [acme], action: limit, rate: 9 mbit/s }
";

#[test]
fn a_rate_may_depend_on_the_clock() {
    let at = |hour: u8| instant(&format!("2026-01-01T{hour:02}:00:00Z"));
    // In megabits a second.
    let rate = |plan: &Plan, group: &str| {
        let group = usize::from(plan.group(group).unwrap());
        let service = usize::from(plan.service("acme").unwrap().number);
        match ActionCell(plan.actions[group].0[service]).policy() {
            Action::Limit => {
                let rate = plan.rates[usize::from(plan.rate_rows[group].0[service])];
                // A byte takes so many nanoseconds, in units of 2^-16.
                let bytes = (1_000_000_000_u64 << 16) / rate.time;
                Some((bytes * 8).div_ceil(1_000_000))
            }
            _ => None,
        }
    };
    let by_night = plan_at(RATES, at(3));
    // Whether it was compiled then or came to it by the clock.
    let mut moved = by_night.clone();
    for (hour, everyone, lab) in [
        (3, Some(9), None),
        (9, Some(2), Some(1)),
        (13, Some(2), Some(2)),
        (19, Some(9), None),
        (8, Some(2), Some(1)),
    ] {
        moved.move_to(at(hour));
        for plan in [&plan_at(RATES, at(hour)), &moved] {
            assert_eq!(rate(plan, "everyone"), everyone, "at {hour}");
            assert_eq!(rate(plan, "lab"), lab, "at {hour}");
            assert_eq!(plan.hash(), by_night.hash(), "at {hour}");
        }
    }
    let faster = plan_at(&RATES.replace("2 mbit/s", "3 mbit/s"), at(3));
    assert_ne!(faster.hash(), by_night.hash());
    let exchanged = RATES
        .replace("1 mbit/s", "x")
        .replace("2 mbit/s", "1 mbit/s");
    let exchanged = plan_at(&exchanged.replace("rate: x", "rate: 2 mbit/s"), at(3));
    assert_ne!(exchanged.hash(), by_night.hash());
}

#[test]
fn schedules_survive_the_state() {
    let rules = format!("{OVERLAID}{RATES}");
    let plan = plan_at(&rules, instant("2026-01-01T03:00:00Z"));
    let text = serde_json::to_string(&plan.timetable).unwrap();
    let read: policy::Timetable = serde_json::from_str(&text).unwrap();
    assert_eq!(read, plan.timetable);
}

#[test]
fn a_port_that_a_schedule_contests_is_contested_at_all_times() {
    use imblock_common::Transport;
    let contested = |rules: &str, at: &str| {
        let rules = format!(
            "{rules}
defaults: {{ action: count }}"
        );
        let text = format!(
            "version: 1
name: ports
services:
  - {{ id: acme, name: Acme, category: im, ports: [tcp/7000] }}
  - {{ id: bolt, name: Bolt, category: im, ports: [tcp/7000] }}
rules:
{rules}
"
        );
        let policy = policy::parse(Source::new("ports.yaml".to_owned(), text)).unwrap();
        let surroundings = Surroundings {
            at: Some(instant(at)),
            ..Surroundings::default()
        };
        let plan = policy
            .compile_with(&[], &mut ServiceNumbers::default(), &surroundings)
            .unwrap();
        plan.port(Transport::Tcp, 7000).is_contested()
    };
    let one =
        "  - { services: [acme], action: drop, when: { hours: \"08:00-12:00\", timezone: UTC } }";
    let both =
        "  - { services: [all], action: drop, when: { hours: \"08:00-12:00\", timezone: UTC } }";
    for at in ["2026-01-01T03:00:00Z", "2026-01-01T09:00:00Z"] {
        assert!(contested(one, at), "{at}");
        assert!(!contested(both, at), "{at}");
    }
}

/// Ten thousand rules over the whole catalogue and 200 groups, each its own schedule in turn of some.
#[test]
fn ten_thousand_rules_compile_in_a_second() {
    let mut text = "version: 1\nname: many\ngroups:\n".to_owned();
    for group in 0..200 {
        text += &format!("  g{group}: [10.{group}.0.0/16]\n");
    }
    text += "rules:\n";
    let services = [
        "irc",
        "xmpp",
        "telegram",
        "whatsapp",
        "\"category:im\"",
        "\"category:p2p\"",
        "all",
    ];
    for rule in 0..10_000 {
        let service = services[rule % services.len()];
        let group = rule % 199;
        let when = match rule % 4 {
            0 => String::new(),
            _ => format!(
                ", when: {{ hours: {:02}:{:02}-23:00 }}",
                rule % 23,
                rule % 60
            ),
        };
        text += &format!("- {{ services: [{service}], groups: [g{group}], action: drop{when} }}\n");
    }
    assert!(text.len() < policy::MAX_BYTES, "{}", text.len());
    let begin = worked();
    let policy = policy::parse(Source::new("many.yaml".to_owned(), text)).unwrap();
    let read = worked() - begin;
    assert_eq!(policy.rules().len(), 10_000);
    let numbers = &mut ServiceNumbers::default();
    let plan = policy.compile(numbers, &Surroundings::default()).unwrap();
    let compiled = worked() - begin - read;
    let now = instant("2026-01-05T12:00:00Z");
    let cells = plan.timetable.cells_at(now);
    let next = plan.timetable.next_change(now);
    let looked_at = worked() - begin - read - compiled;
    println!("read in {read:?}, compiled in {compiled:?}, cells and next change in {looked_at:?}");
    assert!(cells.len() > 1_000 && next.is_some());
    // One cell for each group and service, whatever the rules: a packet asks no more.
    assert_eq!(plan.actions.len(), 201);
    // In a build without optimisation.
    let second = Duration::from_secs(1);
    assert!(
        compiled < second && looked_at < second,
        "{compiled:?}, {looked_at:?}"
    );
}
