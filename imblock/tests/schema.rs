//! The JSON Schema of policies: current, true of what is shipped, and no stricter than the reader.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use imblock::catalogue;
use imblock::policy::{self, PolicyErrorKind, Source};
use jsonschema::Validator;
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../docs/POLICY.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft7::new(schema).unwrap()
}

/// A text as editors see it.
fn data(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).unwrap_or_else(|error| panic!("{error}: {yaml}"))
}

#[track_caller]
fn assert_valid(schema: &Validator, what: &str, yaml: &str) {
    let value = data(yaml);
    let errors: Vec<String> = schema
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

#[test]
fn the_committed_schemas_are_current() {
    for (file, schema, command) in [
        ("policy.schema.json", policy::policy_schema(), "schema"),
        (
            "service.schema.json",
            policy::service_schema(),
            "schema --service",
        ),
    ] {
        let committed = fs::read_to_string(root().join("docs").join(file)).unwrap_or_default();
        assert!(
            committed == format!("{schema:#}\n"),
            "docs/{file} is not current: imblock policy {command} > docs/{file}"
        );
    }
}

#[test]
fn what_is_shipped_is_valid_and_says_so() {
    let (policies, services) = (
        validator(&policy::policy_schema()),
        validator(&policy::service_schema()),
    );
    let headed = |name: &str, text: &str, schema: &str| {
        let header = format!("# yaml-language-server: $schema={schema}\n");
        assert!(text.starts_with(&header), "{name} begins with {header}");
    };
    for (name, text) in catalogue::POLICIES {
        assert_valid(&policies, name, text);
        headed(name, text, "../docs/policy.schema.json");
    }
    for (name, text) in catalogue::SERVICES {
        assert_valid(&services, name, text);
        headed(name, text, "../../docs/service.schema.json");
    }
    // What the headers lead to.
    assert!(root().join("policies/../docs/policy.schema.json").exists());
    assert!(
        root()
            .join("policies/catalogue/../../docs/service.schema.json")
            .exists()
    );
}

#[test]
fn the_examples_of_the_documents_are_valid() {
    let (policies, services) = (
        validator(&policy::policy_schema()),
        validator(&policy::service_schema()),
    );
    let mut seen = 0;
    for block in DOCUMENT.split("\n```").skip(1).step_by(2) {
        let (info, text) = block.split_once('\n').unwrap();
        match info {
            "yaml" if text.contains("version:") => assert_valid(&policies, text, text),
            "yaml" => assert_valid(
                &policies,
                text,
                &format!("version: 1\nname: example\n{text}"),
            ),
            "yaml service" => assert_valid(&services, text, text),
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn what_is_wrong_is_refused() {
    let schema = validator(&policy::policy_schema());
    let base = "version: 1\nname: a\n";
    for wrong in [
        "rules: [{ services: [irc], action: dorp }]",
        "rules: [{ service: [irc], action: drop }]",
        "rules: [{ services: [irc] }]",
        "rules: { services: [irc], action: drop }",
        "rule: []",
        "interfaces: [{ name: br-lan, side: inside }]",
        "interfaces: [{ name: br lan, side: lan }]",
        "groups: [kids]",
        "groups: { kids: [the kitchen] }",
        "groups: { kids: ['02:00:00:aa:bb:zz'] }",
        "protect: { ports: ['22'] }",
        "quic: maybe",
        "hops: { within: 5 minutes }",
        "hops: { after: 17 }",
        "limits: { hosts: 0 }",
        "limits: { inside: ['2001:db8::/32'] }",
        "trust: [\"category:imm\"]",
        "services: [{ id: Acme, name: Acme, category: im }]",
        "services: [{ id: acme, name: Acme, category: im, markers: [{ bytes: '41' }] }]",
        "services: [{ id: acme, name: Acme, category: im, names: [acme] }]",
    ] {
        assert!(
            !schema.is_valid(&data(&format!("{base}{wrong}"))),
            "{wrong}"
        );
    }
    assert!(!schema.is_valid(&data("version: 2\nname: a")));
    assert!(!schema.is_valid(&data("name: a")));
}

/// Has every key of the language.
const ALL: &str = r#"
version: 1
name: all
interfaces: [{ name: br-lan, side: lan, mode: auto, egress: true }]
defaults: { action: count }
groups: { kids: ["02:00:00:aa:bb:cc", 10.0.9.0/24] }
protect: { ports: [tcp/22], hosts: [10.0.0.2] }
include: []
rules:
  - { services: [irc, "category:im"], groups: [kids, everyone], action: drop }
  - { services: [sip], action: limit, rate: 1 mbit/s, burst: 64 kbyte }
  - { services: [irc], action: allow, when: { days: [mon, sat-sun], hours: "21:30-07:00", timezone: UTC } }
tests: [{ from: 10.0.9.9, to: "192.0.2.1:6667/tcp", name: chat.acme.example, expect: drop, at: "2026-03-29T21:45 UTC" }]
services:
  - id: acme
    name: Acme
    category: im
    status: historic
    ended: "2019-03"
    ports: [tcp/7000]
    collateral:
      - { port: tcp/7000, breaks: a }
      - { name: chat.acme.example, breaks: b }
      - { prefix: 192.0.2.0/24, breaks: c }
    default: drop
    notes: one
    names: [chat.acme.example]
    prefixes: [192.0.2.0/24]
    calls: true
    opt_in: false
    markers:
      - transport: tcp
        from: client
        packet: first
        offset: 1
        text: "ACME"
        nocase: true
        length: { at: 4, size: 2, order: big, plus: 6, fits: true }
        payload: "10..100"
        last: "0d 0a"
        find: { text: "x", from: 4, within: 20, nocase: true }
        ports: ["1863"]
        use: with-port
      - { transport: udp, bytes: "41", find: { bytes: "42", within: 9 }, not_ports: ["53"] }
      - { transport: udp, bytes: "41", in: irc }
    alpn: [acme]
    stun: ["0x4001", { attribute: "0x4002", use: count-first }]
hops: { action: drop, within: 30s, for: 5m, after: 2 }
quic: inspect
trust: [irc]
limits: { hosts: 1000, prefixes: 1000, flows: 1000, inside: [10.0.0.0/16, 192.168.1.7] }
"#;

/// The places in a document: its keys and the items of its lists.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(keys) => keys
            .iter()
            .for_each(|(key, value)| places(value, &format!("{at}/{key}"), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(number, value)| places(value, &format!("{at}/{number}"), found)),
        _ => {}
    }
}

/// Everything that can be wrong with the form of a document, once at every place of it. A number for a
/// text is left out, and the other way round: quotes are all the same to the reader.
fn misshapen(all: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    places(all, "", &mut found);
    let mut wrong = Vec::new();
    for place in &found {
        let instead = [
            json!(null),
            json!(true),
            json!(3),
            json!(-3),
            json!(1.5),
            json!("3"),
            json!("some words"),
            json!([]),
            json!(["a"]),
            json!([[1]]),
            json!({}),
            json!({ "a": 1 }),
        ];
        let there = all.pointer(place).unwrap();
        let (text, number) = (there.is_string(), there.is_number());
        for value in instead {
            if text && (value.is_number() || value.is_boolean()) || number && value == "3" {
                continue;
            }
            let mut changed = all.clone();
            *changed.pointer_mut(place).unwrap() = value.clone();
            wrong.push((format!("{place} is {value}"), changed));
        }
        if let Some((parent, key)) = place.rsplit_once('/') {
            let mut changed = all.clone();
            if let Value::Object(keys) = changed.pointer_mut(parent).unwrap() {
                let value = keys.remove(key).unwrap();
                wrong.push((format!("{place} is missing"), changed.clone()));
                let keys = changed
                    .pointer_mut(parent)
                    .unwrap()
                    .as_object_mut()
                    .unwrap();
                keys.insert(format!("{key}x"), value);
                wrong.push((format!("{place}x is there"), changed));
            }
        }
    }
    wrong
}

/// Both directions: a form that only one of the two knows would be a key that an editor strikes out
/// though it is right, or offers though it is not there.
#[test]
fn schema_and_reader_know_the_same_form() {
    let schema = validator(&policy::policy_schema());
    let all = data(ALL);
    assert!(schema.is_valid(&all), "{:?}", schema.validate(&all));
    let read = |value: &Value| policy::parse(Source::new("a".to_owned(), value.to_string()));
    if let Err(errors) = read(&all) {
        panic!("{errors}");
    }
    let mut refused = 0;
    let misshapen = misshapen(&all);
    for (what, value) in &misshapen {
        let valid = schema.is_valid(value);
        match read(value) {
            Ok(_) => assert!(valid, "{what}: the reader takes it, the schema does not"),
            Err(errors) => {
                refused += 1;
                let of_form = |kind: &PolicyErrorKind| {
                    matches!(
                        kind,
                        PolicyErrorKind::UnknownKey { .. }
                            | PolicyErrorKind::MissingKey(_)
                            | PolicyErrorKind::WrongType(_)
                    )
                };
                let wrong = errors.iter().any(|error| of_form(error.kind()));
                assert!(!(wrong && valid), "{what}: the schema takes it: {errors}");
            }
        }
    }
    println!("{} misshapen documents, {refused} refused", misshapen.len());
    assert!(refused > 500);
}

/// Whether a key of the language is in the schema but not in [`ALL`], which then proves less than it
/// says.
#[test]
fn every_key_of_the_schema_is_tried() {
    let schema = policy::policy_schema();
    let mut keys = Vec::new();
    let mut waiting = vec![&schema];
    while let Some(value) = waiting.pop() {
        if let Some(Value::Object(properties)) = value.get("properties") {
            keys.extend(properties.keys().cloned());
        }
        match value {
            Value::Object(fields) => waiting.extend(fields.values()),
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
    let mut tried = Vec::new();
    places(&data(ALL), "", &mut tried);
    for key in keys {
        let last = |place: &String| place.rsplit_once('/').is_some_and(|(_, last)| last == key);
        assert!(tried.iter().any(last), "`{key}` is not in `ALL`");
    }
}
