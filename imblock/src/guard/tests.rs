//! The proof holds for what is shipped, and finds what was broken on purpose.

use super::*;
use crate::catalogue;
use crate::policy::{self, Policy, ServiceNumbers, Source};

const POLICY: &str = "
version: 1
name: office
defaults: { action: drop }
groups: { kids: [10.0.9.0/24, '2001:db8:9::/48', '02:00:00:aa:bb:cc'] }
protect:
  ports: [tcp/443, udp/5000-5010, udp/443]
  hosts: [10.0.0.2, 10.0.9.128/25, '2001:db8::2']
rules: [{ services: [all], action: drop }]
hops: { action: drop, after: 1 }
quic: block
";

fn session() -> Session {
    Session {
        client: "10.0.9.5:51000".parse().unwrap(),
        server: "10.0.0.1:2222".parse().unwrap(),
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        own: ["10.0.0.1", "2001:db8::1", "::ffff:203.0.113.1"]
            .map(|own| own.parse().unwrap())
            .to_vec(),
        management_ports: [22, 2222, 9863].map(|port| (Transport::Tcp, port)).to_vec(),
        at: None,
    }
}

fn compiled(text: &str) -> (Policy, Plan) {
    let policy = policy::parse(Source::new("office.yaml".to_owned(), text.to_owned())).unwrap();
    let plan = policy
        .compile(&mut ServiceNumbers::default(), &surroundings())
        .unwrap();
    (policy, plan)
}

fn proof(policy: &Policy, plan: &Plan) -> Proof {
    Proof::of(plan, policy.protect(), &surroundings(), Some(&session()))
}

#[test]
fn everything_guarded_passes_whatever_the_rules_say() {
    let ready = catalogue::POLICIES.iter().map(|(_, text)| *text);
    for text in ready.chain([POLICY]) {
        let (policy, plan) = compiled(text);
        let proof = proof(&policy, &plan);
        assert_eq!(proof.breaches, Vec::<String>::new(), "{}", policy.name());
        assert!(proof.frames > 50, "{proof:?}");
        let all = [
            "ARP",
            "neighbour discovery",
            "DHCP",
            "your session from 10.0.9.5",
            "tcp/22 of this box",
            "tcp/2222 of this box",
            "tcp/9863 of this box",
        ];
        assert_eq!(proof.guarded.get(..all.len()).unwrap(), all);
        assert!(proof.holds().is_ok());
    }
    let (policy, plan) = compiled(POLICY);
    let protected = proof(&policy, &plan).guarded.split_off(7);
    assert_eq!(
        protected,
        [
            "tcp/443",
            "udp/5000-5010",
            "udp/443",
            "10.0.0.2/32",
            "10.0.9.128/25",
            "2001:db8::2/128"
        ]
    );
}

/// Each way in which a plan could lose its guard is seen, and blamed on the right thing.
#[test]
fn what_lost_its_guard_is_found() {
    let (policy, plan) = compiled(POLICY);
    let breaches = |spoil: &dyn Fn(&mut Plan)| {
        let mut plan = plan.clone();
        spoil(&mut plan);
        proof(&policy, &plan).breaches
    };
    let port = |transport, port| imblock_common::layout::PortTable::index(transport, port);
    let clear = |place: usize| {
        breaches(&|plan: &mut Plan| {
            *plan.ports.0.get_mut(place).unwrap() = 0;
        })
    };
    assert_eq!(clear(port(Transport::Tcp, 443)), ["tcp/443"]);
    assert_eq!(clear(port(Transport::Udp, 5010)), ["udp/5000-5010"]);
    assert_eq!(clear(port(Transport::Tcp, 22)), ["tcp/22 of this box"]);
    assert_eq!(
        clear(port(Transport::Tcp, 2222)),
        ["your session from 10.0.9.5", "tcp/2222 of this box"]
    );
    assert!(clear(port(Transport::Tcp, 80)).is_empty());
    let without = |net: &str| {
        let net: IpNet = net.parse().unwrap();
        breaches(&|plan: &mut Plan| plan.prefixes.retain(|prefix| prefix.net != net))
    };
    assert_eq!(without("10.0.0.2/32"), ["10.0.0.2/32"]);
    assert_eq!(without("10.0.9.128/25"), ["10.0.9.128/25"]);
    assert_eq!(without("203.0.113.1/32").len(), 3);
    assert_eq!(without("10.0.0.1/32").len(), 4);
    let error = GuardError(without("10.0.0.2/32")).to_string();
    assert!(error.contains("could drop 10.0.0.2/32"), "{error}");
}
