//! Small plans for unit tests.

use imblock_common::layout::{
    ActionCell, ActionRow, Generics, HopRule, HostEntry, PortEntry, PortTable, SERVICES_MAX,
    ServiceSet,
};
use imblock_common::{Action, Transport};

use crate::policy::Plan;
use crate::policy::plan::{EVERYONE, Limits, MarkerPlans, PrefixPlan, QuicMode, ServicePlan};

pub(crate) const IRC: u16 = 1;
pub(crate) const STUN: u16 = 2;

/// IRC on tcp/6667 is dropped, STUN on udp/3478 counted; hosts of group 1 may use IRC.
pub(crate) fn plan() -> Plan {
    let mut ports = Box::new(PortTable([0; PortTable::LEN]));
    ports.0[PortTable::index(Transport::Tcp, 6667)] = PortEntry::of(IRC).0;
    ports.0[PortTable::index(Transport::Udp, 3478)] = PortEntry::of(STUN).0;
    let mut everyone = ActionRow([0; SERVICES_MAX]);
    everyone.0[usize::from(IRC)] = ActionCell::of_policy(Action::Drop).0;
    everyone.0[usize::from(STUN)] = ActionCell::of_policy(Action::Count).0;
    Plan {
        name: "test".to_owned(),
        interfaces: Vec::new(),
        limits: Limits::default(),
        services: vec![service(IRC, "irc", "im"), service(STUN, "stun", "voip")],
        groups: vec![EVERYONE.to_owned(), "support".to_owned()],
        ports,
        actions: vec![everyone, ActionRow([0; SERVICES_MAX])],
        rates: Vec::new(),
        rate_rows: Vec::new(),
        leases: Vec::new(),
        timetable: crate::policy::Timetable::default(),
        origins: Vec::new(),
        sources: Vec::new(),
        remotes: Vec::new(),
        names: Vec::new(),
        prefixes: Vec::new(),
        macs: Vec::new(),
        generics: Generics { stun: STUN, rtp: 0 },
        calls: ServiceSet::default(),
        carriers: ServiceSet::default(),
        hops: HopRule::COUNT,
        quic: QuicMode::Inspect,
        markers: MarkerPlans::default(),
        stun_attributes: Vec::new(),
        warnings: Vec::new(),
    }
}

pub(crate) fn service(number: u16, id: &str, category: &str) -> ServicePlan {
    ServicePlan {
        number,
        id: id.to_owned(),
        name: id.to_uppercase(),
        category: category.to_owned(),
        historic: false,
    }
}

pub(crate) fn prefix(net: &str, group: u16) -> PrefixPlan {
    PrefixPlan {
        net: net.parse().unwrap(),
        entry: HostEntry { group, flags: 0 },
    }
}
