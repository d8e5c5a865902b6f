//! What the catalogue and the ready policies say, and what policies compile to.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use imblock::catalogue;
use imblock::policy::plan::{EVERYONE, Plan, ports_by_service};
use imblock::policy::{self, Claim, Policy, PolicySource, ServiceNumbers, Source, Surroundings};
use imblock::testing::worked;
use imblock_common::layout::{ActionCell, Control, HopRule, HostEntry};
use imblock_common::{Action, Transport};
use proptest::prelude::*;

fn load(text: &str) -> Policy {
    let source = Source::new("office.yaml".to_owned(), text.to_owned());
    policy::parse(source).unwrap_or_else(|errors| panic!("{}", errors.report(100, false)))
}

fn compile_in(policy: &Policy, surroundings: &Surroundings) -> Plan {
    policy
        .compile(&mut ServiceNumbers::default(), surroundings)
        .unwrap_or_else(|errors| panic!("{}", errors.report(100, false)))
}

fn compile(text: &str) -> Plan {
    compile_in(&load(text), &Surroundings::default())
}

fn ready(name: &str) -> Plan {
    let policy = policy::load(&PolicySource::parse(name)).unwrap();
    compile_in(&policy, &Surroundings::default())
}

/// What a plan does, by the names of group and service.
fn action(plan: &Plan, group: &str, service: &str) -> Action {
    let row = &plan.actions[usize::from(plan.group(group).unwrap())];
    let number = plan.service(service).unwrap().number;
    let cell = ActionCell(row.0[usize::from(number)]);
    assert_eq!(
        cell.action(),
        cell.policy(),
        "nothing is overridden in a plan"
    );
    cell.policy()
}

/// Group and flags of the entry that a prefix has.
fn entry(plan: &Plan, net: &str) -> (String, u16) {
    let net = net.parse().unwrap();
    let prefix = plan.prefixes.iter().find(|prefix| prefix.net == net);
    let HostEntry { group, flags } = prefix.unwrap_or_else(|| panic!("no entry for {net}")).entry;
    (plan.groups[usize::from(group)].clone(), flags)
}

fn names_of_files(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder);
    let yaml = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    };
    fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| yaml(path))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn no_file_under_policies_is_forgotten() {
    let carried = |list: &[(&str, &str)]| -> BTreeSet<String> {
        list.iter().map(|(name, _)| (*name).to_owned()).collect()
    };
    assert_eq!(carried(catalogue::POLICIES), names_of_files("policies"));
    assert_eq!(
        carried(catalogue::SERVICES)
            .into_iter()
            .chain(["families".to_owned()])
            .collect::<BTreeSet<_>>(),
        names_of_files("policies/catalogue")
    );
}

#[test]
fn a_file_is_named_after_what_is_in_it() {
    let services = catalogue::services().unwrap();
    for ((file, _), service) in catalogue::SERVICES.iter().zip(services) {
        assert_eq!(*file, service.id.as_str());
    }
    for (file, _) in catalogue::POLICIES {
        assert_eq!(*file, ready(file).name);
    }
}

#[test]
fn no_two_services_of_the_catalogue_claim_a_port() {
    let mut owners = std::collections::HashMap::new();
    for service in catalogue::services().unwrap() {
        for range in &service.ports {
            for port in range.ports() {
                let first = owners.insert((range.transport(), port), service.id.as_str());
                assert_eq!(first, None, "{range} of {}", service.id.as_str());
            }
        }
    }
}

#[test]
fn collateral_is_about_what_the_service_has() {
    for service in catalogue::services().unwrap() {
        let own: BTreeSet<_> = service
            .ports
            .iter()
            .flat_map(|range| range.ports().map(|port| (range.transport(), port)))
            .collect();
        for collateral in &service.collateral {
            let has = match &collateral.of {
                Claim::Port(range) => range
                    .ports()
                    .all(|port| own.contains(&(range.transport(), port))),
                Claim::Name(name) => service.names.contains(name),
                Claim::Prefix(net) => service.prefixes.contains(net),
                Claim::Alpn(protocol) => service.alpn.contains(protocol),
                Claim::Stun(attribute) => service.stun.contains(attribute),
            };
            assert!(has, "{} of {}", collateral.of, service.id.as_str());
        }
    }
}

#[test]
fn the_services_that_everybody_knows_have_their_ports() {
    let plan = ready("audit");
    let golden = [
        ("msn", "tcp", 1863),
        ("msn", "tcp", 569),
        ("icq", "tcp", 4000),
        ("icq", "udp", 4000),
        ("yahoo", "tcp", 5050),
        ("aim", "tcp", 5190),
        ("irc", "tcp", 6667),
        ("wimd", "tcp", 2980),
        ("wimd", "udp", 2980),
        ("iims", "tcp", 4800),
        ("iims", "udp", 4800),
        ("sip", "udp", 5060),
        ("bittorrent", "tcp", 6881),
    ];
    for (service, transport, port) in golden {
        let transport = match transport {
            "tcp" => Transport::Tcp,
            _ => Transport::Udp,
        };
        let number = plan.service(service).unwrap().number;
        assert_eq!(
            plan.port(transport, port).service(),
            number,
            "{service} {port}"
        );
    }
    // The web, name service, push services and UDP 6667 (smart plugs) are nobody's.
    for port in [25, 53, 80, 443, 853, 3478, 5222, 5223, 5228, 8080] {
        assert_eq!(plan.port(Transport::Tcp, port).service(), 0, "tcp/{port}");
        assert_eq!(plan.port(Transport::Udp, port).service(), 0, "udp/{port}");
    }
    assert_eq!(plan.port(Transport::Udp, 6667).service(), 0);
}

#[test]
fn every_service_of_the_catalogue_is_in_every_plan() {
    for (name, _) in catalogue::POLICIES {
        let plan = ready(name);
        assert_eq!(plan.services.len(), 92, "{name}");
        assert_eq!(plan.groups, [EVERYONE]);
        assert!(plan.services.is_sorted_by_key(|service| service.number));
        // From an empty list of numbers, they go by id.
        assert!(plan.services.is_sorted_by_key(|service| service.id.clone()));
    }
}

#[test]
fn ready_policies_do_what_they_say() {
    use Action::{Allow, Count, Drop};
    let expected = [
        //            historic im, live im, live p2p, dead p2p, voip, file transfer, work
        ("audit", [Count, Count, Count, Count, Count, Count, Count]),
        ("historic", [Drop, Count, Count, Drop, Count, Count, Count]),
        ("office", [Drop, Count, Drop, Drop, Allow, Drop, Allow]),
        ("school", [Drop, Drop, Drop, Drop, Count, Drop, Drop]),
        ("home", [Drop, Count, Drop, Drop, Count, Count, Count]),
    ];
    let services = [
        "yahoo",
        "irc",
        "bittorrent",
        "kazaa",
        "sip",
        "irc-dcc",
        "slack",
    ];
    for (name, actions) in expected {
        let plan = ready(name);
        let found = services.map(|service| action(&plan, EVERYONE, service));
        assert_eq!(found, actions, "{name}");
    }
    assert_eq!(ready("audit").warnings, [""; 0]);
}

#[test]
fn the_first_rule_that_names_host_and_service_wins() {
    let plan = compile(
        "
version: 1
name: office
defaults: { action: allow }
groups: { support: [10.0.5.0/24], kids: [10.0.6.0/24] }
rules:
  - { services: [irc, xmpp], groups: [support], action: allow }
  - { services: ['category:im'], groups: [everyone], action: count }
  - { services: ['category:im'], action: drop }
",
    );
    assert_eq!(plan.groups, [EVERYONE, "support", "kids"]);
    assert_eq!(action(&plan, "support", "irc"), Action::Allow);
    assert_eq!(action(&plan, "support", "yahoo"), Action::Drop);
    assert_eq!(action(&plan, "kids", "irc"), Action::Drop);
    assert_eq!(action(&plan, EVERYONE, "irc"), Action::Count);
    assert_eq!(action(&plan, "kids", "bittorrent"), Action::Allow);

    let irc = plan.service("irc").unwrap().number;
    let origin = |group| {
        let mut origins = plan.origins.iter();
        let of = origins.find(|origin| (origin.group, origin.service) == (group, irc));
        of.map(|origin| (origin.rule, origin.place.clone()))
            .unwrap()
    };
    assert_eq!(origin(0), (2, "office.yaml:8".to_owned()));
    assert_eq!(origin(1), (1, "office.yaml:7".to_owned()));
    assert_eq!(origin(2), (3, "office.yaml:9".to_owned()));
}

#[test]
fn an_entry_says_what_wider_prefixes_say() {
    let policy = load(
        "
version: 1
name: office
groups:
  campus: [10.0.0.0/8, '2001:db8::/32']
  lab: [10.1.0.0/16]
  boss: [10.1.2.3]
protect: { hosts: [10.1.0.0/24, 10.1.2.0/24, 192.0.2.1, 10.0.0.0/8] }
",
    );
    let surroundings = Surroundings {
        own: [
            "10.1.2.1",
            "2001:db8::1",
            "203.0.113.9",
            "::ffff:198.51.100.1",
            "10.1.2.1",
        ]
        .map(|address| address.parse().unwrap())
        .to_vec(),
        management_ports: vec![(Transport::Tcp, 22), (Transport::Tcp, 6667)],
        at: None,
    };
    let plan = compile_in(&policy, &surroundings);
    let said = |net| entry(&plan, net);
    let of = |group: &str, flags| (group.to_owned(), flags);
    let (protected, own) = (HostEntry::PROTECTED, HostEntry::OWN);
    assert_eq!(said("10.0.0.0/8"), of("campus", protected));
    assert_eq!(said("10.1.0.0/16"), of("lab", protected));
    assert_eq!(said("10.1.0.0/24"), of("lab", protected));
    assert_eq!(said("10.1.2.3/32"), of("boss", protected));
    assert_eq!(said("10.1.2.1/32"), of("lab", protected | own));
    assert_eq!(said("192.0.2.1/32"), of(EVERYONE, protected));
    assert_eq!(said("2001:db8::/32"), of("campus", 0));
    assert_eq!(said("2001:db8::1/128"), of("campus", own));
    assert_eq!(said("203.0.113.9/32"), of(EVERYONE, own));
    assert_eq!(said("198.51.100.1/32"), of(EVERYONE, own));
    let nets: BTreeSet<_> = plan.prefixes.iter().map(|prefix| prefix.net).collect();
    assert_eq!(nets.len(), plan.prefixes.len(), "no prefix twice");

    let irc = plan.service("irc").unwrap().number;
    let port = plan.port(Transport::Tcp, 6667);
    assert!(port.is_management() && !port.is_protected());
    assert_eq!(port.service(), irc);
    assert!(plan.port(Transport::Tcp, 22).is_management());
    assert!(!plan.port(Transport::Udp, 22).is_management());
}

#[test]
fn a_device_belongs_to_the_group_that_names_it() {
    let text = "
version: 1
name: home
groups:
  kids: ['02:00:00:aa:bb:cc', 10.0.9.0/24, 02-00-00-AA-BB-01]
  guests: [06:11:22:33:44:55]
";
    let plan = compile(text);
    let macs: Vec<_> = plan
        .macs
        .iter()
        .map(|plan| (plan.mac.to_string(), plan.group))
        .collect();
    let known = [
        ("02:00:00:aa:bb:01", 1),
        ("02:00:00:aa:bb:cc", 1),
        ("06:11:22:33:44:55", 2),
    ];
    assert_eq!(macs, known.map(|(mac, group)| (mac.to_owned(), group)));
    assert_eq!(plan.flags() & Control::HAS_MACS, Control::HAS_MACS);
    assert_eq!(
        compile("version: 1\nname: home").flags() & Control::HAS_MACS,
        0
    );
    // Neither a group's prefixes nor its devices cost a policy what only the other needs.
    let devices = "version: 1\nname: home\ngroups: { kids: ['02:00:00:aa:bb:cc'] }";
    assert_eq!(compile(devices).flags() & Control::HAS_GROUPS, 0);
}

#[test]
fn own_services_come_before_the_catalogue() {
    let plan = compile(
        "
version: 1
name: office
services:
  - id: acme-chat
    name: Acme Chat
    category: im
    ports: [tcp/6667, udp/7000-7002]
    names: [chat.acme.example]
    markers: [{ transport: tcp, bytes: '41 43', length: { at: 8, size: 2 }, payload: 2..9 }]
protect: { ports: [udp/7001] }
rules: [{ services: [acme-chat], action: drop }, { services: [acme-chat], action: count }]
",
    );
    let acme = plan.service("acme-chat").unwrap().number;
    assert_eq!(plan.services.len(), 93);
    assert_eq!(plan.port(Transport::Tcp, 6667).service(), acme);
    assert!(plan.port(Transport::Udp, 7001).is_protected());
    let ports: Vec<_> = ports_by_service(&plan.ports)[&acme]
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(ports, ["tcp/6667", "udp/7000-7002"]);
    insta::assert_snapshot!(plan.warnings.join("\n"), @r#"
    office.yaml:12: rule 2 never applies: the rules before it decide everything it names
    office.yaml:11: udp/7001 is protected, so acme-chat is not dropped there
    acme-chat and irc both claim tcp/6667; acme-chat keeps it
    office.yaml:10: this marker of acme-chat never fits: it needs 10 bytes of payload, and `payload` allows 9
    "#);
}

#[test]
fn interfaces_have_sensible_defaults() {
    let plan = compile(
        "
version: 1
name: office
interfaces:
  - { name: br-lan, side: lan }
  - { name: eth0, side: wan }
  - { name: eth1.7, side: wan, mode: generic, egress: true }
",
    );
    let shown = serde_json::to_string(&plan.interfaces).unwrap();
    insta::assert_snapshot!(shown, @r#"[{"name":"br-lan","side":"lan","mode":"auto","egress":true},{"name":"eth0","side":"wan","mode":"auto","egress":false},{"name":"eth1.7","side":"wan","mode":"generic","egress":true}]"#);
}

#[test]
fn services_that_can_be_called_with_have_their_bit() {
    let own = "services: [{ id: acme, name: Acme, category: im, calls: true }, { id: silent, name: S, category: im, calls: false }]";
    let plan = compile(&format!("version: 1\nname: a\n{own}"));
    let calls = |id| plan.calls.contains(plan.service(id).unwrap().number);
    assert!(calls("acme") && calls("signal") && calls("whatsapp"));
    assert!(!calls("silent") && !calls("irc") && !calls("stun"));
    let numbers = [plan.generics.stun, plan.generics.rtp];
    assert_eq!(
        numbers,
        ["stun", "rtp"].map(|id| plan.service(id).unwrap().number)
    );
}

#[test]
fn hops_are_counted_unless_the_policy_says_more() {
    let plan = compile("version: 1\nname: a\n");
    assert_eq!(plan.hops, HopRule::COUNT);
    let plan = compile("version: 1\nname: a\nhops: { action: drop, for: 1h }\n");
    assert_eq!(plan.hops.action(), Action::Drop);
    let rule = HopRule {
        action: Action::Drop as u32,
        shut_seconds: 3_600,
        ..HopRule::COUNT
    };
    assert_eq!(plan.hops, rule);
}

#[test]
fn quic_is_inspected_where_there_are_names_unless_the_policy_says_otherwise() {
    let quic = |text: &str| {
        let plan = compile(&format!("version: 1\nname: a\n{text}"));
        plan.flags() & (Control::INSPECTS_QUIC | Control::BLOCKS_QUIC)
    };
    assert_eq!(quic(""), Control::INSPECTS_QUIC);
    assert_eq!(quic("quic: inspect\n"), Control::INSPECTS_QUIC);
    assert_eq!(quic("quic: block\n"), Control::BLOCKS_QUIC);
    assert_eq!(quic("quic: allow\n"), 0);
    let mut nameless = compile("version: 1\nname: a\n");
    nameless.names.clear();
    assert_eq!(nameless.flags() & Control::INSPECTS_QUIC, 0);
}

#[test]
fn a_policy_prints_as_one_that_means_the_same() {
    let text = "
version: 1
name: 'yes'
interfaces: [{ name: eth0, side: wan, mode: native }]
defaults: { action: drop }
groups: { kids: [10.0.0.1, '2001:db8::/32', '02:00:00:aa:bb:cc'], '7': [06-00-00-11-22-33] }
protect: { ports: [tcp/22, udp/5000-5010], hosts: [10.0.0.2] }
rules:
  - { services: [irc, 'category:p2p', 'status:live', all], groups: [kids, '7'], action: allow }
services: [{ id: acme, name: Acme, category: voip, calls: true, status: historic, ended: '2020', ports: [tcp/7], names: [Chat.Acme.example], prefixes: [10.7.0.0/16, '2001:db8::/32'], collateral: [{ port: tcp/7, breaks: echo }, { name: chat.acme.example, breaks: web }, { prefix: 10.7.0.0/16, breaks: mail }] }]
hops: { action: drop, within: 90s, for: 1h, after: 16 }
quic: block
limits: { hosts: 1, prefixes: 1000, inside: [10.0.0.0/16, 192.168.1.7] }
";
    let ready = catalogue::POLICIES.iter().map(|(_, text)| *text);
    for text in ready.chain([text]) {
        let (first, again) = (load(text), load(&load(text).to_string()));
        assert_eq!(first.to_string(), again.to_string());
        let none = Surroundings::default();
        assert_eq!(
            compile_in(&first, &none).hash(),
            compile_in(&again, &none).hash()
        );
    }
}

#[test]
fn the_hash_tells_plans_apart() {
    let base = "version: 1\nname: a\n";
    let variants = [
        "",
        "defaults: { action: drop }",
        "interfaces: [{ name: eth0, side: lan }]",
        "interfaces: [{ name: eth0, side: lan, egress: false }]",
        "groups: { kids: [] }",
        "groups: { kids: [10.0.0.0/8] }",
        "groups: { kids: [10.0.0.0/9] }",
        "groups: { kids: ['02:00:00:aa:bb:cc'] }",
        "groups: { kids: ['02:00:00:aa:bb:cd'] }",
        "groups: { kids: [], boss: ['02:00:00:aa:bb:cd'] }",
        "groups: { kids: ['02:00:00:aa:bb:cd'], boss: [] }",
        "protect: { hosts: [10.0.0.0/8] }",
        "protect: { ports: [tcp/22] }",
        "rules: [{ services: [irc], action: drop }]",
        "hops: { action: drop }",
        "hops: { within: 31s }",
        "hops: { for: 1h }",
        "hops: { after: 3 }",
        "quic: allow",
        "quic: block",
        "limits: { hosts: 7 }",
        "limits: { inside: [10.0.0.0/16] }",
        "limits: { inside: [10.0.0.0/17] }",
        "limits: { inside: [10.0.0.0/17, 10.0.128.0/17] }",
        "services: [{ id: acme, name: Acme, category: im }]",
        "services: [{ id: acme, name: Acme, category: voip }]",
        "services: [{ id: acme, name: Acme, category: voip, calls: true }]",
        "services: [{ id: acme, name: Acme, category: voip, names: [acme.example] }]",
        "services: [{ id: acme, name: Acme, category: voip, names: [chat.acme.example] }]",
        "services: [{ id: acme, name: Acme, category: voip, prefixes: [10.7.0.0/16] }]",
        "services: [{ id: acme, name: Acme, category: voip, prefixes: [10.7.0.0/17] }]",
    ];
    let hash = |variant: &str| compile(&format!("{base}{variant}")).hash();
    let hashes: BTreeSet<_> = variants.iter().map(|variant| hash(variant)).collect();
    assert_eq!(hashes.len(), variants.len());
    // Comments and the order of keys change nothing.
    assert_eq!(hash("# x\nlimits: {}"), hash(""));
    assert_eq!(hash("limits: { inside: [] }"), hash(""));
    let standard = "hops: { action: count, within: 30s, for: 5m, after: 2 }";
    assert_eq!(hash(standard), hash(""));
    assert_eq!(hash("quic: inspect"), hash(""));
    assert_eq!(compile("name: a\nversion: 1").hash(), hash(""));
}

#[test]
fn selectors_of_the_command_line_choose_as_those_of_rules() {
    let plan = ready("audit");
    let ids = |selector: &str| -> Vec<String> {
        let chosen = plan.select(selector).unwrap();
        chosen.iter().map(|service| service.id.clone()).collect()
    };
    assert_eq!(ids("irc"), ["irc"]);
    assert_eq!(ids("all").len(), 92);
    assert_eq!(ids("status:live").len() + ids("status:historic").len(), 92);
    assert_eq!(
        ids("category:file-transfer"),
        [
            "irc-dcc",
            "msnftp",
            "oscar-oft",
            "xmpp-bytestreams",
            "ymsg-ft"
        ]
    );
    assert_eq!(
        ids("family:meta"),
        ["instagram-direct", "messenger", "whatsapp"]
    );
    let refusals = [
        "whatsap",
        "family:mata",
        "family:",
        "category:chat",
        "status:historical",
        "group:kids",
        "",
    ];
    let told = refusals.map(|selector| plan.select(selector).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"), @r#"
    unknown service `whatsap`; did you mean `whatsapp`?
    unknown family `mata`; did you mean `meta`?
    unknown family ``
    unknown category `chat`
    unknown status `historical`; did you mean `historic`?
    `group:kids` selects no services
    unknown service ``
    "#);
}

#[test]
fn families_have_members_that_exist() {
    let services = catalogue::services().unwrap();
    let families = catalogue::families().unwrap();
    let names: BTreeSet<&str> = families.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(names.len(), families.len(), "no family twice");
    assert!(families.len() > 10, "{names:?}");
    for family in families {
        for member in &family.members {
            assert!(
                services.iter().any(|service| service.id == *member),
                "{member:?}"
            );
        }
        assert!(family.members.is_sorted_by(|a, b| a < b), "{family:?}");
    }
}

#[test]
fn a_rule_for_a_family_is_one_for_its_members() {
    let rule = |services: &str| {
        load(&format!(
            "version: 1\nname: a\nrules: [{{ services: [{services}], action: drop }}]"
        ))
    };
    let family = rule("'family:tencent'");
    let plan = |policy: &Policy| {
        let none = Surroundings::default();
        policy
            .compile(&mut ServiceNumbers::default(), &none)
            .unwrap()
            .actions
    };
    assert_eq!(plan(&family), plan(&rule("qq, wechat")));
    // What is shown is what was typed.
    assert!(family.to_string().contains("family:tencent"), "{family}");
}

#[test]
fn numbers_outlive_the_policy() {
    let mut numbers = ServiceNumbers::from_names(["", "gone", "yahoo"]);
    let plan = load("version: 1\nname: a")
        .compile(&mut numbers, &Surroundings::default())
        .unwrap();
    assert_eq!(plan.service("yahoo").unwrap().number, 2);
    assert_eq!(plan.service("adobe-connect").unwrap().number, 3);
    assert!(plan.services.iter().all(|service| service.number != 1));
}

#[test]
fn a_policy_that_does_not_fit_leaves_the_numbers_alone() {
    let prefixes: Vec<_> = (0..=128).map(|n| format!("10.0.{n}.0/24")).collect();
    let text = format!(
        "version: 1\nname: a\ngroups: {{ kids: [{}] }}\nlimits: {{ prefixes: 256 }}",
        prefixes.join(", ")
    );
    let mut numbers = ServiceNumbers::default();
    let refused = load(&text).compile(&mut numbers, &Surroundings::default());
    insta::assert_snapshot!(refused.unwrap_err().report(80, false), @r#"
     × the policy has 129 prefixes; `limits.prefixes: 256` leaves room for 128
      ╭─[office.yaml:4:21]
    4 │ limits: { prefixes: 256 }
      ·                     ───
      ╰────
     help: a new policy is written beside the old one, so the limit must be at
           least twice the number: `limits: { prefixes: 258 }`
    "#);
    assert_eq!(numbers, ServiceNumbers::default());

    let services: Vec<_> = (0..500)
        .map(|n| format!("{{ id: own-{n}, name: Own, category: im }}"))
        .collect();
    let text = format!("version: 1\nname: a\nservices: [{}]", services.join(", "));
    let refused = load(&text).compile(&mut numbers, &Surroundings::default());
    insta::assert_snapshot!(refused.unwrap_err().to_string(), @"office.yaml:2:7: there are more than 511 services, those of earlier policies included; `imblock down` forgets the earlier ones");
    assert_eq!(numbers, ServiceNumbers::default());
}

#[test]
fn ten_thousand_rules_compile_at_once() {
    let rule = |n: usize| {
        let service = catalogue::SERVICES[n % 92].0;
        format!(
            "  - {{ services: [{service}, 'category:im'], groups: [g{}], action: drop }}\n",
            n % 200
        )
    };
    let rules: String = (0..10_000).map(rule).collect();
    let groups: String = (0..200)
        .map(|n| format!("  g{n}: [10.{n}.0.0/16]\n"))
        .collect();
    let policy = load(&format!(
        "version: 1\nname: a\ngroups:\n{groups}rules:\n{rules}"
    ));
    let begin = worked();
    let plan = compile_in(&policy, &Surroundings::default());
    let took = worked() - begin;
    assert!(
        plan.warnings.len() > 1000,
        "most of these rules never apply"
    );
    // An unoptimised build; optimised it takes a few milliseconds.
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_limit_is_a_rate_of_its_cell() {
    let text = "\
version: 1
name: a
groups: { kids: [10.0.0.1] }
rules:
  - { services: [irc], groups: [kids], action: limit, rate: 100 packets/s, burst: 20 packets }
  - { services: [irc, sip], action: limit, rate: 8 mbit/s }
  - { services: [msn], action: limit, rate: 8000 kbit/s }
";
    let plan = compile(text);
    let rate = |group: &str, service: &str| {
        let row = usize::from(plan.group(group).unwrap());
        let column = usize::from(plan.service(service).unwrap().number);
        let number = plan.rate_rows[row].0[column];
        plan.rates[usize::from(number)]
    };
    assert_eq!(action(&plan, "kids", "irc"), Action::Limit);
    assert!(rate("kids", "irc").counts_packets());
    assert_eq!(rate("kids", "irc").burst, 200_000_000);
    assert_eq!(rate("everyone", "irc"), rate("kids", "sip"));
    assert_eq!(rate("everyone", "irc").burst, 100_000_000);
    assert!(rate("everyone", "icq").is_none());
    // The same rate in other words is the same rate: none, and two others.
    assert_eq!(plan.rates.len(), 3);
    // And a policy that is written down means the same.
    assert_eq!(compile(&load(text).to_string()).hash(), plan.hash());
    let faster = text.replace("8 mbit/s", "9 mbit/s");
    assert_ne!(compile(&faster).hash(), plan.hash());
}

/// A rule by position: services and groups out of the lists below, and what to do.
type SmallRule = (Vec<usize>, Option<Vec<usize>>, usize);

const SELECTORS: [&str; 8] = [
    "irc",
    "aim",
    "sip",
    "family:oscar",
    "category:im",
    "category:p2p",
    "status:historic",
    "all",
];
const GROUPS: [&str; 3] = [EVERYONE, "kids", "staff"];
/// Those that need nothing beside them.
const ACTIONS: [Action; 4] = [Action::Allow, Action::Count, Action::Drop, Action::Reject];

fn small_rules() -> impl Strategy<Value = Vec<SmallRule>> {
    let services = prop::collection::vec(0..SELECTORS.len(), 1..3);
    let groups = prop::option::of(prop::collection::vec(0..GROUPS.len(), 1..3));
    prop::collection::vec((services, groups, 0..ACTIONS.len()), 0..8)
}

/// What the language says, read aloud: the first rule that names group and service.
fn naive(rules: &[SmallRule], default: Action, group: usize, service: &policy::Service) -> Action {
    let names = |selector: &str| match selector.split_once(':') {
        Some(("category", category)) => service.category.name() == category,
        Some(("family", _)) => ["aim", "icq", "oscar-oft"].contains(&service.id.as_str()),
        Some((_, status)) => service.status.name() == status,
        None => selector == "all" || service.id.as_str() == selector,
    };
    for (selectors, groups, action) in rules {
        let for_group = groups.as_ref().is_none_or(|groups| groups.contains(&group));
        if for_group && selectors.iter().any(|n| names(SELECTORS[*n])) {
            return ACTIONS[*action];
        }
    }
    default
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_compiled_cell_is_what_the_rules_say(rules in small_rules(), default in 0..ACTIONS.len()) {
        let list = |words: &[&str], chosen: &[usize]| -> String {
            let chosen: Vec<_> = chosen.iter().map(|n| format!("'{}'", words[*n])).collect();
            chosen.join(", ")
        };
        let mut text = format!(
            "version: 1\nname: a\ndefaults: {{ action: {} }}\ngroups: {{ kids: [10.0.0.1], staff: [10.0.0.2] }}\nrules:\n",
            ACTIONS[default].name()
        );
        for (services, groups, action) in &rules {
            let groups = groups.as_ref().map(|groups| format!(", groups: [{}]", list(&GROUPS, groups)));
            text += &format!(
                "  - {{ services: [{}], action: {}{} }}\n",
                list(&SELECTORS, services),
                ACTIONS[*action].name(),
                groups.unwrap_or_default()
            );
        }
        let plan = compile(&text);
        for (group, name) in GROUPS.iter().enumerate() {
            for service in catalogue::services().unwrap() {
                let expected = naive(&rules, ACTIONS[default], group, service);
                prop_assert_eq!(action(&plan, name, service.id.as_str()), expected, "{} {:?}", name, service.id);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in r#"(version: 1\n|name: a\n|rules:\n|groups:\n|  - |\{|\}|\[|\]|, |: |services|action|drop|irc|x: |&a |\*a |"|'|\n|\t|ü|[ -~]){0,40}"#) {
        let source = Source::new("x".to_owned(), text);
        if let Err(errors) = policy::parse(source) {
            prop_assert!(!errors.report(80, false).is_empty());
            prop_assert!(errors.iter().count() > 0);
        }
    }
}

#[test]
fn schedules_and_uncertain_evidence_are_warned_of() {
    let plan = compile(
        r#"
version: 1
name: office
services:
  - { id: dull, name: Dull, category: im, markers: [{ transport: tcp, text: "DULL", use: count-first }] }
  - { id: dim, name: Dim, category: im, stun: [{ attribute: "0xff77", use: count-first }] }
trust: [dim]
rules:
  - { services: [dull, dim], action: drop, when: { days: mon-sun } }
  - { services: [dull], action: allow, when: { days: mon } }
  - { services: [dim], action: allow }
"#,
    );
    let warnings: Vec<&str> = plan
        .warnings
        .iter()
        .map(String::as_str)
        .filter(|warning| !warning.contains("both claim"))
        .collect();
    insta::assert_snapshot!(warnings.join("\n"), @r#"
    office.yaml:10: rule 2 never applies: the rules before it decide everything it names
    office.yaml:11: rule 3 never applies: the rules before it decide everything it names
    office.yaml:9: the `when` of rule 1 holds at all times; leave it out
    dropping has no effect on dull: what tells it is not certain (`use: count-first`) and only counts; `trust: [dull]` lets it drop all the same
    "#);
}
