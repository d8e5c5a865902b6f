//! Pairs of policies, and what is told of them.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::{PlanDiff, Reasoned};
use crate::policy::{self, Plan, ServiceNumbers, Source, Surroundings};

const HEAD: &str = "version: 1\nname: x\n";

fn plan(text: &str, numbers: &mut ServiceNumbers) -> Plan {
    let source = Source::new("x.yaml".to_owned(), format!("{HEAD}{text}"));
    let policy = policy::parse(source).unwrap();
    policy.compile(numbers, &Surroundings::default()).unwrap()
}

/// The differences as lines.
fn diff(old: &str, new: &str) -> Vec<String> {
    let mut numbers = ServiceNumbers::default();
    let (old, new) = (plan(old, &mut numbers), plan(new, &mut numbers));
    let reason = |plan: &Plan| {
        let origins = plan.origins.clone();
        move |group, service| {
            let mut origins = origins.iter();
            let origin = origins.find(|at| (at.group, at.service) == (group, service));
            Some(origin.map_or("defaults".to_owned(), |origin| origin.place.clone()))
        }
    };
    let (old_from, new_from) = (reason(&old), reason(&new));
    let diff = PlanDiff::between(
        Reasoned {
            plan: &old,
            from: &old_from,
        },
        Reasoned {
            plan: &new,
            from: &new_from,
        },
    );
    let word = |text: Option<String>| text.unwrap_or("-".to_owned());
    let cells = diff.cells.into_iter().map(|cell| {
        let action = |action: Option<imblock_common::Action>| action.map_or("-", |a| a.name());
        format!(
            "{} {}: {} -> {} ({} -> {})",
            cell.service,
            cell.group,
            action(cell.old),
            action(cell.new),
            word(cell.old_from),
            word(cell.new_from)
        )
    });
    let tables = diff.tables.into_iter().flat_map(|table| {
        table.entries.into_iter().map(move |entry| {
            let (old, new) = (word(entry.old), word(entry.new));
            format!("{} {}: {old} -> {new}", table.table, entry.entry)
        })
    });
    cells.chain(tables).collect()
}

#[test]
fn the_same_is_no_difference() {
    let text = "rules: [{ services: [irc], action: drop }]\n";
    assert_eq!(diff(text, text), [""; 0]);
    // Where in the text a rule stands is no difference either.
    assert_eq!(diff(text, &format!("# a comment\n{text}")), [""; 0]);
}

#[test]
fn cells_are_told_with_their_rules() {
    assert_eq!(
        diff(
            "rules: [{ services: [msn], action: drop }]\n",
            "rules:\n- { services: [msn], action: drop }\n- { services: [icq], action: allow }\n"
        ),
        ["icq everyone: count -> allow (defaults -> x.yaml:5)"]
    );
}

#[test]
fn of_a_new_group_only_what_is_special_is_told() {
    let old = "rules: [{ services: [msn], action: drop }]\n";
    let new = "groups: { kids: [10.0.0.0/8] }\nrules: [{ services: [icq], groups: [kids], action: drop }, { services: [msn], action: drop }]\n";
    assert_eq!(
        diff(old, new),
        [
            "icq kids: - -> drop (- -> x.yaml:4)",
            "hosts 10.0.0.0/8: - -> kids"
        ]
    );
    assert_eq!(
        diff(new, old),
        [
            "icq kids: drop -> - (x.yaml:4 -> -)",
            "hosts 10.0.0.0/8: kids -> -"
        ]
    );
}

#[test]
fn every_table_has_its_words() {
    let service = |port: &str, name: &str| {
        format!(
            "services: [{{ id: acme, name: Acme, category: im, ports: [{port}], names: [{name}], prefixes: [192.0.2.0/24], stun: [\"0xc101-0xc103\"], markers: [{{ transport: udp, text: ACME }}] }}]\n"
        )
    };
    assert_eq!(
        diff(
            &service("tcp/7000-7002", "a.example"),
            &service("tcp/7001-7002", "b.example")
        ),
        [
            "ports tcp/7000: acme, content may say otherwise -> -",
            "names a.example: acme -> -",
            "names b.example: - -> acme"
        ]
    );
    let without = diff(&service("tcp/7000", "a.example"), "");
    for told in [
        "acme everyone: count -> - (defaults -> -)",
        "names a.example: acme -> -",
        "addresses 192.0.2.0/24: acme -> -",
        "markers udp acme: 1 -> -",
        "stun 0xc101-0xc103: acme -> -",
    ] {
        assert!(without.contains(&told.to_owned()), "{without:#?}");
    }
    assert_eq!(
        diff(
            "quic: block\nprotect: { ports: [tcp/22], hosts: [10.0.0.1] }\n",
            "hops: { action: drop, within: 20s, for: 1m, after: 1 }\nlimits: { hosts: 5000, inside: [10.0.0.0/16, 10.7.0.9] }\n"
        ),
        [
            "settings hops: count, within 30 s, for 300 s, after 2 -> drop, within 20 s, for 60 s, after 1",
            "settings limits.hosts: 16384 -> 5000",
            "settings limits.inside: none -> 10.0.0.0/16, 10.7.0.9/32",
            "settings quic: block -> inspect",
            "hosts 10.0.0.1/32: everyone, protected -> -",
            "ports tcp/22: protected -> -"
        ]
    );
}

#[test]
fn other_markers_of_a_service_are_a_difference() {
    let service = |text: &str| {
        format!(
            "services: [{{ id: acme, name: Acme, category: im, markers: [{{ transport: tcp, text: {text}, use: count-first }}] }}]\n"
        )
    };
    assert_eq!(
        diff(&service("ACME/1"), &service("ACME/2")),
        ["markers tcp acme: 1, of which 1 may only count -> 1, of which 1 may only count, others"]
    );
    let trusted = format!("{}trust: [acme]\n", service("ACME/1"));
    assert_eq!(
        diff(&service("ACME/1"), &trusted),
        ["markers tcp acme: 1, of which 1 may only count -> 1"]
    );
}

#[test]
fn schedules_differ_although_the_cells_of_now_do_not() {
    let at = |hours: &str| {
        format!(
            "rules: [{{ services: [irc], action: count, when: {{ hours: \"{hours}\", timezone: UTC }} }}]\n"
        )
    };
    let told = diff(&at("08:00-12:00"), &at("08:00-13:00"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told.iter().all(|line| line.contains("08:00-13:00")),
        "{told:?}"
    );
    assert!(diff(&at("08:00-12:00"), &at("08:00-12:00")).is_empty());
}
