//! The product's JSON, as far as the tests look at it.

use std::net::IpAddr;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct HostsDocument {
    pub(crate) version: u32,
    pub(crate) instance: String,
    pub(crate) hosts: Vec<HostRow>,
    pub(crate) overflow: Vec<OverflowRow>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HostRow {
    pub(crate) host: String,
    #[serde(flatten)]
    pub(crate) row: OverflowRow,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OverflowRow {
    pub(crate) service: String,
    pub(crate) passed: Directions,
    pub(crate) refused: Directions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Directions {
    pub(crate) sent: Counts,
    pub(crate) received: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ServicesDocument {
    pub(crate) services: Vec<ServiceRow>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ServiceRow {
    pub(crate) id: String,
    pub(crate) actions: std::collections::BTreeMap<String, String>,
    pub(crate) policy: std::collections::BTreeMap<String, String>,
    pub(crate) passed: Counts,
    pub(crate) refused: Counts,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StatusDocument {
    pub(crate) controller: Option<u32>,
    pub(crate) policy: PolicyRow,
    pub(crate) schedules: Option<SchedulesRow>,
    pub(crate) interfaces: Vec<InterfaceRow>,
    pub(crate) overrides: Vec<OverrideRow>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PolicyRow {
    pub(crate) name: String,
    pub(crate) generation: u32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SchedulesRow {
    pub(crate) kept: bool,
    pub(crate) stale_since: Option<String>,
    pub(crate) next_change: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct InterfaceRow {
    pub(crate) name: String,
    pub(crate) renamed_to: Option<String>,
    pub(crate) side: String,
    pub(crate) xdp: String,
    pub(crate) egress: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OverrideRow {
    pub(crate) service: String,
    pub(crate) group: Option<String>,
    pub(crate) action: String,
    pub(crate) until: Option<String>,
}

impl Counts {
    pub(crate) fn of(packets: u64, bytes: u64) -> Self {
        Self { packets, bytes }
    }

    fn plus(self, more: Self) -> Self {
        Self::of(self.packets + more.packets, self.bytes + more.bytes)
    }
}

impl Directions {
    fn both(self) -> Counts {
        self.sent.plus(self.received)
    }
}

impl HostsDocument {
    /// Counters of a host and service; zeros if there are none.
    pub(crate) fn of(&self, host: impl Into<IpAddr>, service: &str) -> (Directions, Directions) {
        let host = host.into().to_string();
        self.hosts
            .iter()
            .find(|row| row.host == host && row.row.service == service)
            .map_or_else(Default::default, |found| {
                (found.row.passed, found.row.refused)
            })
    }

    /// What passed and was refused of a service, over all hosts and the overflow.
    pub(crate) fn sum(&self, service: &str) -> (Counts, Counts) {
        self.hosts
            .iter()
            .map(|host| &host.row)
            .chain(&self.overflow)
            .filter(|row| row.service == service)
            .fold(
                Default::default(),
                |(passed, refused): (Counts, Counts), row| {
                    (
                        passed.plus(row.passed.both()),
                        refused.plus(row.refused.both()),
                    )
                },
            )
    }
}

impl ServicesDocument {
    #[track_caller]
    pub(crate) fn of(&self, id: &str) -> &ServiceRow {
        let found = self.services.iter().find(|service| service.id == id);
        found.unwrap_or_else(|| panic!("no service {id}"))
    }

    /// What passed and was refused of a service, in total.
    #[track_caller]
    pub(crate) fn sum(&self, id: &str) -> (Counts, Counts) {
        let service = self.of(id);
        (service.passed, service.refused)
    }
}
