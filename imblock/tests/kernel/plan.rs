//! The plan that a policy of the testkit compiles to, were it written down.

use std::collections::BTreeMap;
use std::net::IpAddr;

use imblock::policy::plan::{
    EVERYONE, Limits, MacPlan, MarkerPlans, NameKind, NamePlan, PrefixPlan, QuicMode, RemotePlan,
    ServicePlan, StunPlan,
};
use imblock::policy::{Mac, Plan};
use imblock_common::layout::{
    ActionCell, ActionRow, HopRule, HostEntry, Inside, PortEntry, PortTable, SERVICES_MAX,
    ServiceSet,
};
use imblock_common::testkit::{Random, World};
use imblock_common::{Action, Transport};
use ipnet::IpNet;

/// Groups of every plan here: everyone, support, kids.
pub(crate) const GROUPS: [&str; 3] = [EVERYONE, "support", "kids"];

/// Room for every host that a test may send.
pub(crate) const ROOMY: Limits = Limits {
    hosts: 65_536,
    prefixes: 1024,
    flows: 262_144,
    inside: Inside::NONE,
};

/// Places by address for some of the hosts that tests send as, whose neighbours send too.
pub(crate) fn inside() -> Inside {
    let prefixes = [
        ([10, 0, 5, 0], 25),
        ([198, 51, 100, 7], 32),
        ([203, 0, 113, 0], 30),
        ([10, 1, 0, 0], 25),
    ];
    prefixes
        .into_iter()
        .try_fold(Inside::NONE, |inside, (network, bits)| {
            inside.with(network.into(), bits)
        })
        .unwrap()
}

/// The tables of a policy of the testkit.
pub(crate) fn plan_of(world: &World, limits: Limits) -> Plan {
    let mut ports = Box::new(PortTable([0; PortTable::LEN]));
    for (transport, port, entry) in &world.ports {
        *ports
            .0
            .get_mut(PortTable::index(*transport, *port))
            .unwrap() = entry.0;
    }
    let mut actions = vec![ActionRow([0; SERVICES_MAX]); GROUPS.len()];
    for (group, service, action) in &world.actions {
        let row = actions.get_mut(usize::from(*group)).unwrap();
        *row.0.get_mut(usize::from(*service)).unwrap() = ActionCell::of_policy(*action).0;
    }
    let mut numbers: Vec<u16> = world.ports.iter().map(|port| port.2.service()).collect();
    numbers.extend(world.remotes.iter().map(|remote| remote.2));
    numbers.extend(world.names.iter().map(|name| name.1));
    numbers.extend(world.stun.iter().map(|stun| stun.2));
    numbers.extend([world.generics.stun, world.generics.rtp]);
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(|number| *number != 0);
    Plan {
        name: "test".to_owned(),
        interfaces: Vec::new(),
        limits,
        services: numbers.into_iter().map(service).collect(),
        groups: GROUPS.map(str::to_owned).to_vec(),
        ports,
        actions,
        rates: Vec::new(),
        rate_rows: Vec::new(),
        leases: Vec::new(),
        timetable: imblock::policy::Timetable::default(),
        origins: Vec::new(),
        sources: Vec::new(),
        remotes: world.remotes.iter().map(remote).collect(),
        names: world.names.iter().map(name).collect(),
        prefixes: prefixes(world),
        macs: world.macs.iter().map(mac).collect(),
        generics: world.generics,
        calls: calls(world),
        carriers: ServiceSet::default(),
        hops: HopRule::COUNT,
        quic: QuicMode::Inspect,
        markers: MarkerPlans::default(),
        stun_attributes: world.stun.iter().map(stun).collect(),
        warnings: Vec::new(),
    }
}

fn calls(world: &World) -> ServiceSet {
    let mut calls = ServiceSet::default();
    world
        .calls
        .iter()
        .for_each(|service| calls.insert(*service));
    calls
}

fn remote((address, bits, service): &(IpAddr, u8, u16)) -> RemotePlan {
    RemotePlan {
        net: IpNet::new(*address, *bits).unwrap(),
        service: *service,
    }
}

fn stun((first, last, service, certain): &(u16, u16, u16, bool)) -> StunPlan {
    StunPlan {
        first: *first,
        last: *last,
        service: *service,
        certain: *certain,
    }
}

fn name((suffix, service): &(&'static str, u16)) -> NamePlan {
    NamePlan {
        kind: NameKind::Host,
        suffix: (*suffix).to_owned(),
        service: *service,
    }
}

fn mac((address, group): &([u8; 6], u16)) -> MacPlan {
    MacPlan {
        mac: Mac::new(*address).unwrap(),
        group: *group,
    }
}

/// A service of that number.
pub(crate) fn service(number: u16) -> ServicePlan {
    ServicePlan {
        number,
        id: format!("service-{number}"),
        name: format!("Service {number}"),
        category: "im".to_owned(),
        historic: false,
    }
}

fn prefixes(world: &World) -> Vec<PrefixPlan> {
    let nets = world.hosts.iter().map(|(address, bits, entry)| PrefixPlan {
        net: IpNet::new(*address, *bits).unwrap(),
        entry: *entry,
    });
    nets.collect()
}

/// A policy that nobody wrote: random actions, and prefixes of random lengths inside each other.
pub(crate) fn random_world(random: &mut Random) -> World {
    let mut world = World::standard();
    for _ in 0..40 {
        let transport = random.pick(&[Transport::Tcp, Transport::Udp], Transport::Tcp);
        let services = [1, 2, 3, 4, 511];
        let mut entry = PortEntry::of(random.pick(&services, 1));
        if random.one_in(4) {
            entry = entry.protected();
        }
        if random.one_in(4) {
            entry = entry.management();
        }
        world.ports.insert(0, (transport, random.word(), entry));
    }
    // The first entry of a port counts in a search, the last one in a table.
    let mut known = std::collections::HashSet::new();
    world
        .ports
        .retain(|(transport, port, _)| known.insert((*transport, *port)));
    for (.., action) in &mut world.actions {
        *action = random.pick(&Action::ALL, Action::Drop);
    }
    let mut hosts = BTreeMap::new();
    for text in [
        "10.0.5.9",
        "10.0.5.200",
        "198.51.100.9",
        "203.0.113.1",
        "2001:db8:5::9",
        "::1",
    ] {
        let address = text.parse().unwrap();
        for _ in 0..random.below(8) {
            let bits = u8::try_from(random.below(129)).unwrap();
            let Ok(net) = IpNet::new(address, bits) else {
                continue;
            };
            let group = random.pick(&[0, 1, 2], 0);
            let flags = random.pick(&[0, 0, HostEntry::OWN, HostEntry::PROTECTED], 0);
            hosts.insert(net.trunc(), HostEntry { group, flags });
        }
    }
    let listed = hosts
        .iter()
        .map(|(net, entry)| (net.addr(), net.prefix_len(), *entry));
    world.hosts = listed.collect();
    world.macs.retain_mut(|(_, group)| {
        *group = random.pick(&[1, 2], 1);
        !random.one_in(3)
    });
    world
}
