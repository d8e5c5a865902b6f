//! A small plan, made by hand.

use imblock::policy::Plan;
use imblock::policy::plan::{EVERYONE, Limits, MarkerPlans, QuicMode, ServicePlan};
use imblock_common::layout::{
    ActionCell, ActionRow, Generics, HopRule, PortEntry, PortTable, SERVICES_MAX, ServiceSet,
};
use imblock_common::{Action, Transport};

/// IRC on tcp/6667 is dropped, STUN on udp/3478 counted, XMPP on tcp/5222 allowed.
pub(crate) fn plan() -> Plan {
    let services = [
        ("irc", "im", Transport::Tcp, 6667, Action::Drop),
        ("stun", "voip", Transport::Udp, 3478, Action::Count),
        ("xmpp", "im", Transport::Tcp, 5222, Action::Allow),
    ];
    let mut plan = Plan {
        name: "test".to_owned(),
        interfaces: Vec::new(),
        limits: Limits::default(),
        services: Vec::new(),
        groups: vec![EVERYONE.to_owned()],
        ports: Box::new(PortTable([0; PortTable::LEN])),
        actions: vec![ActionRow([0; SERVICES_MAX])],
        rates: Vec::new(),
        rate_rows: Vec::new(),
        leases: Vec::new(),
        timetable: imblock::policy::Timetable::default(),
        origins: Vec::new(),
        sources: Vec::new(),
        remotes: Vec::new(),
        names: Vec::new(),
        prefixes: Vec::new(),
        macs: Vec::new(),
        markers: MarkerPlans::default(),
        stun_attributes: Vec::new(),
        generics: Generics::default(),
        calls: ServiceSet::default(),
        carriers: ServiceSet::default(),
        hops: HopRule::COUNT,
        quic: QuicMode::Inspect,
        warnings: Vec::new(),
    };
    for (number, (id, category, transport, port, action)) in (1..).zip(services) {
        plan.services.push(ServicePlan {
            number,
            id: id.to_owned(),
            name: id.to_owned(),
            category: category.to_owned(),
            historic: false,
        });
        plan.ports.0[PortTable::index(transport, port)] = PortEntry::of(number).0;
        plan.actions[0].0[usize::from(number)] = ActionCell::of_policy(action).0;
    }
    plan
}
