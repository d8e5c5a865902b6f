//! Every kind of mistake that a policy can have, each with what people are told: a snapshot a kind,
//! and no kind without one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod markers;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use imblock::policy::numbers::NumberError;
use imblock::policy::{
    self, MAX_BYTES, PolicyErrorKind, PolicyErrors, PolicySource, ServiceNumbers, Source,
    Surroundings,
};

use markers::MARKERS;

/// A kind, and what is written below `version` and `name`.
const MISTAKES: &[(&str, &str)] = &[
    ("Syntax", "rules: [}"),
    (
        "TooComplex",
        "rules: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    ),
    ("SecondDocument", "---\nname: again"),
    ("UnknownKey", "ruels: []"),
    ("MissingKey", "rules: [{ services: [irc] }]"),
    ("DuplicateKey", "quic: allow\nquic: block"),
    ("WrongType", "rules: all"),
    ("LimitOutsideOfRule", "defaults: { action: limit }"),
    ("NoRate", "rules: [{ services: [irc], action: limit }]"),
    (
        "StrayRate",
        "rules: [{ services: [irc], action: drop, rate: 1 mbit/s }]",
    ),
    (
        "BadRate",
        "rules: [{ services: [irc], action: limit, rate: fast }]",
    ),
    (
        "BadBurst",
        "rules: [{ services: [irc], action: limit, rate: 1 mbit/s, burst: 5 packets }]",
    ),
    (
        "When",
        "rules: [{ services: [irc], action: drop, when: {} }]",
    ),
    ("Include", "include: [other.yaml]"),
    ("Trial", "tests: [{ from: 10.0.0.1, expect: drop }]"),
    ("BadName/Empty", "groups: { '': [] }"),
    (
        "BadName/TooLong",
        "groups: { a-name-of-a-group-that-has-no-room: [] }",
    ),
    (
        "BadName/TooLongForInterface",
        "interfaces: [{ name: sixteen-letters-, side: lan }]",
    ),
    ("BadName/BadCharacter", "groups: { the kids: [] }"),
    ("BadName/Reserved", "groups: { everyone: [] }"),
    ("UnknownWord", "quic: maybe"),
    ("BadPort/NoTransport", "protect: { ports: [22] }"),
    ("BadPort/UnknownTransport", "protect: { ports: [sctp/22] }"),
    ("BadPort/OutOfRange", "protect: { ports: [tcp/70000] }"),
    ("BadPort/Backwards", "protect: { ports: [tcp/20-10] }"),
    ("BadPrefix/NotAnAddress", "groups: { kids: [kitchen] }"),
    ("BadPrefix/Mac", "protect: { hosts: ['02:00:00:aa:bb:cc'] }"),
    (
        "BadPrefix/NotOneDevice",
        "groups: { kids: ['ff:ff:ff:ff:ff:ff'] }",
    ),
    ("BadPrefix/Zone", "groups: { kids: ['fe80::1%eth0'] }"),
    ("BadPrefix/HostBits", "groups: { kids: [10.0.0.1/24] }"),
    ("BadPrefix/Mapped", "groups: { kids: ['::ffff:10.0.0.1'] }"),
    (
        "BadPrefix/Everything",
        "services: [{ id: acme, name: Acme, category: im, prefixes: [0.0.0.0/0] }]",
    ),
    (
        "BadDomain/Empty",
        "services: [{ id: acme, name: Acme, category: im, names: [''] }]",
    ),
    (
        "BadDomain/Url",
        "services: [{ id: acme, name: Acme, category: im, names: ['https://acme.example/'] }]",
    ),
    (
        "BadDomain/Address",
        "services: [{ id: acme, name: Acme, category: im, names: [192.0.2.1] }]",
    ),
    (
        "BadDomain/NotAscii",
        "services: [{ id: acme, name: Acme, category: im, names: [bücher.example] }]",
    ),
    (
        "BadDomain/Wildcard",
        "services: [{ id: acme, name: Acme, category: im, names: ['*.acme.example'] }]",
    ),
    (
        "BadDomain/OuterDot",
        "services: [{ id: acme, name: Acme, category: im, names: [acme.example.] }]",
    ),
    (
        "BadDomain/BadCharacter",
        "services: [{ id: acme, name: Acme, category: im, names: [acme chat.example] }]",
    ),
    (
        "BadDomain/TooLong",
        "services: [{ id: acme, name: Acme, category: im, names: [a-name-that-is-longer-than-any-that-there-is-room-for-in-the-tables.example] }]",
    ),
    (
        "BadDomain/EmptyLabel",
        "services: [{ id: acme, name: Acme, category: im, names: [acme..example] }]",
    ),
    (
        "BadDomain/TopLevel",
        "services: [{ id: acme, name: Acme, category: im, names: [example] }]",
    ),
    (
        "CollateralOf",
        "services: [{ id: acme, name: Acme, category: im, collateral: [{ breaks: all }] }]",
    ),
    (
        "BadDate",
        "services: [{ id: acme, name: Acme, category: im, ended: long ago }]",
    ),
    (
        "Selector/UnknownService",
        "rules: [{ services: [whatsap], action: drop }]",
    ),
    (
        "Selector/UnknownFamily",
        "rules: [{ services: ['family:metta'], action: drop }]",
    ),
    (
        "Selector/UnknownCategory",
        "rules: [{ services: ['category:imm'], action: drop }]",
    ),
    (
        "Selector/UnknownStatus",
        "rules: [{ services: ['status:dead'], action: drop }]",
    ),
    (
        "Selector/UnknownForm",
        "rules: [{ services: ['name:irc'], action: drop }]",
    ),
    (
        "UnknownGroup",
        "rules: [{ services: [irc], groups: [kids], action: drop }]",
    ),
    ("EmptyList", "rules: [{ services: [], action: drop }]"),
    (
        "Twice",
        "interfaces: [{ name: eth0, side: lan }, { name: eth0, side: wan }]",
    ),
    (
        "InCatalogue",
        "services: [{ id: irc, name: Mine, category: im }]",
    ),
    (
        "InTwoGroups",
        "groups: { kids: ['02:00:00:aa:bb:cc'], guests: [02-00-00-AA-BB-CC] }",
    ),
    ("LimitOutOfRange", "limits: { hosts: 0 }"),
    (
        "Inside/V6",
        "limits: { inside: [10.0.0.0/16, '2001:db8:5::/120'] }",
    ),
    (
        "Inside/TooMany",
        "limits: { inside: [10.0.0.0/24, 10.0.1.0/24, 10.0.2.0/24, 10.0.3.0/24, 10.0.4.0/24] }",
    ),
    (
        "Inside/Overlap",
        "limits: { inside: [10.0.5.0/24, 192.168.1.0/24, 10.0.0.0/16] }",
    ),
    (
        "Inside/TooLarge",
        "limits: { inside: [192.168.0.0/16, 10.0.0.0/8] }",
    ),
    ("BadDuration", "hops: { within: 2h }"),
    ("HopsAfter", "hops: { after: 17 }"),
];

/// Kinds that come of files, of the size of things, or of other callers; each has its maker.
const OTHERS: &[(&str, Maker)] = &[
    ("Unreadable", || file(None)),
    ("NotRegular", || {
        policy::load_at_once(&PolicySource::File("/dev/null".into())).unwrap_err()
    }),
    ("NotUtf8", || file(Some(b"name: \xff"))),
    ("NoSuchPolicy", || {
        policy::load(&PolicySource::Embedded("offise")).unwrap_err()
    }),
    ("TooLarge", || refused(&" ".repeat(MAX_BYTES + 1))),
    ("Empty", || refused("# nothing\n")),
    ("UnsupportedVersion", || {
        refused("version: 2\nname: office\n")
    }),
    ("TooManyRates", || {
        let rule = |n| {
            format!(
                "\n- {{ services: [irc], action: limit, rate: {} packets/s }}",
                n + 1
            )
        };
        refused(&below(&many("rules:", 256, rule)))
    }),
    ("TooManyGroups", || {
        refused(&below(&many("groups:", 256, |n| format!("\n  g{n}: []"))))
    }),
    ("TooManyPrefixes", || {
        let groups = many("groups:", 200, |n| format!("\n  g{n}: [10.0.{n}.0/24]"));
        refused(&below(&format!("{groups}\nlimits: {{ prefixes: 256 }}")))
    }),
    ("TooManyMacs", || {
        let device = |n: usize| format!("'02:00:00:00:{:02x}:{:02x}', ", n / 256, n % 256);
        refused(&below(&(many("groups: { kids: [", 8193, device) + "] }")))
    }),
    ("TooMuchEvidence", || {
        // As short as may be, or the file is too large first.
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
        let name = |n: usize| {
            let letters = [n, n / 26, n / 676, n / 17_576].map(letter);
            format!("{}.x,", String::from_iter(letters))
        };
        let names = many("", 131_073, name);
        refused(&format!(
            "version: 1\nname: office\nservices: [{{ id: a, name: A, category: im, names: [{names}] }}]"
        ))
    }),
    ("Marker/BadAttribute", || service("stun: [0x40-]")),
    ("Marker/AttributeWithPort", || {
        service("stun: [{ attribute: '0x4000', use: with-port }]")
    }),
    ("Marker/BadProtocol", || service("alpn: ['']")),
    ("Marker/TooWide", || {
        marker(
            "transport: tcp, bytes: '41 42 43 44 45 46 47 48 01..06 01..06 01..06 01..06 01..06 01..06'",
        )
    }),
    ("Marker/TooMany", || {
        let one =
            |n: usize| format!("{{ transport: tcp, bytes: 'fe {n:02x} fd 01 02 03 04 05' }}, ");
        service(&(many("markers: [", 257, |n| one(n % 256)) + "]"))
    }),
    ("Marker/TooMuchAtOnce", || {
        let one =
            |n: usize| format!("{{ transport: udp, find: {{ text: 'ACME{n}', within: 1024 }} }}, ");
        service(&(many("markers: [", 9, one) + "]"))
    }),
    ("Number/Full", || {
        let one = |n: usize| format!("\n  - {{ id: s{n}, name: S, category: im }}");
        refused(&below(&many("services:", 512, one)))
    }),
];

type Maker = fn() -> PolicyErrors;

/// No text leads there: an id of that length is no id to begin with.
const NOT_OF_A_POLICY: &str = "Number/TooLong";

fn below(text: &str) -> String {
    format!("version: 1\nname: office\n{text}\n")
}

fn service(keys: &str) -> PolicyErrors {
    refused(&below(&format!(
        "services: [{{ id: acme, name: Acme, category: im, {keys} }}]"
    )))
}

fn marker(keys: &str) -> PolicyErrors {
    service(&format!("markers: [{{ {keys} }}]"))
}

fn many(head: &str, count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).fold(head.to_owned(), |mut text, n| {
        write!(text, "{}", one(n)).unwrap();
        text
    })
}

/// What is said of a text that can't be read or compiled.
#[track_caller]
fn refused(text: &str) -> PolicyErrors {
    let policy = policy::parse(Source::new("office.yaml".to_owned(), text.to_owned()));
    let plan = policy.and_then(|policy| {
        policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())
    });
    match plan {
        Err(errors) => errors,
        Ok(_) => panic!("nothing is wrong with {}", text.get(..300).unwrap_or(text)),
    }
}

/// What is said of a file of these bytes, or of one that is not there.
fn file(bytes: Option<&[u8]>) -> PolicyErrors {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("office.yaml");
    if let Some(bytes) = bytes {
        fs::write(&path, bytes).unwrap();
    }
    policy::load(&PolicySource::File(path)).unwrap_err()
}

/// What people read, with long lines cut and without folders that differ by machine.
fn shown(errors: &PolicyErrors) -> String {
    let report = errors.report(80, false);
    let mut shown = String::new();
    for line in report.lines() {
        let short: String = line.chars().take(100).collect();
        let folder = std::env::temp_dir();
        match line.contains(&*folder.to_string_lossy()) {
            true => shown += "(a path of this machine)\n",
            false => shown += &format!("{short}\n"),
        }
    }
    shown
}

#[test]
fn every_kind_of_mistake_is_told() {
    let mut told = BTreeSet::new();
    let mut all: Vec<(&str, PolicyErrors)> = Vec::new();
    all.extend(
        MISTAKES
            .iter()
            .map(|(class, text)| (*class, refused(&below(text)))),
    );
    all.extend(MARKERS.iter().map(|(class, keys)| (*class, marker(keys))));
    all.extend(OTHERS.iter().map(|(class, make)| (*class, make())));
    let mut others = Vec::new();
    for (class, errors) in &all {
        let found: Vec<String> = errors.iter().map(|error| error.kind().class()).collect();
        if found.iter().any(|found| found != class) {
            others.push(format!("{class}: {found:?}: {errors}"));
            continue;
        }
        assert!(told.insert((*class).to_owned()), "{class} is there twice");
        insta::assert_snapshot!(class.replace('/', "-"), shown(errors));
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
    let full = NumberError::TooLong("a".repeat(33));
    insta::assert_snapshot!("Number-TooLong", full.to_string());
    told.insert(NOT_OF_A_POLICY.to_owned());

    let classes: BTreeSet<String> = PolicyErrorKind::classes().into_iter().collect();
    let silent: Vec<_> = classes.difference(&told).collect();
    assert!(
        silent.is_empty(),
        "nobody was ever told {silent:?}: add a mistake here"
    );
    let unknown: Vec<_> = told.difference(&classes).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
