//! An instance with a bit of everything, for tests.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::net::IpAddr;

use imblock_common::layout::{Counts, HostRecord};
use imblock_common::{Action, Evidence, Hook, Outcome, Side, Verdict, View};

use crate::policy::plan::{InterfacePlan, Limits, XdpAttachMode};
use crate::snapshot::{
    FrameCounts, HostCounts, InitialCounts, RejectionCounts, ServiceCell, ServiceCounts, Snapshot,
};
use crate::status::{
    HostsInUse, InterfaceStatus, OverrideStatus, PolicyStatus, ScheduleStatus, ServiceStatus,
    Status,
};

pub(crate) const SECOND: u64 = 1_000_000_000;

const NOW: u64 = 100_000 * SECOND;

pub(crate) fn counts(packets: u64, bytes: u64) -> Counts {
    Counts { packets, bytes }
}

/// 3 s ago, an hour ago and long ago; IPv4 and IPv6; one service that has no name any more.
pub(crate) fn snapshot() -> Snapshot {
    let host = |host: &str, service, passed, refused, idle: u64, active_seconds| HostCounts {
        host: host.parse::<IpAddr>().unwrap(),
        service,
        record: HostRecord {
            passed,
            refused,
            active_since: NOW - idle * SECOND,
            active_seconds,
            reserved: 0,
        },
    };
    let none = [Counts::default(); 2];
    let cell = |verdict, packets, bytes| ServiceCell {
        evidence: Evidence::Port,
        verdict,
        traffic: counts(packets, bytes),
    };
    let view = |side, hook| View { side, hook };
    Snapshot {
        services: vec![
            ServiceCounts {
                number: 1,
                cells: vec![
                    cell(Verdict::Counted, 30, 4_000),
                    cell(Verdict::Dropped, 13, 940),
                ],
                overflow: HostRecord {
                    passed: none,
                    refused: [counts(7, 420), Counts::default()],
                    active_since: NOW - 60 * SECOND,
                    active_seconds: 2,
                    reserved: 0,
                },
            },
            ServiceCounts {
                number: 2,
                cells: vec![cell(Verdict::Allowed, 1_500, 1_234_567)],
                overflow: HostRecord::default(),
            },
            ServiceCounts {
                number: 9,
                cells: vec![cell(Verdict::Counted, 1, 60)],
                overflow: HostRecord::default(),
            },
        ],
        hosts: vec![
            host(
                "10.0.0.9",
                9,
                [counts(1, 60), counts(0, 0)],
                none,
                90_000,
                1,
            ),
            host(
                "2001:db8::17",
                2,
                [counts(500, 34_567), counts(1_000, 1_200_000)],
                none,
                3_600,
                7_500,
            ),
            host(
                "10.0.0.2",
                1,
                [counts(10, 1_000), counts(20, 3_000)],
                [counts(6, 520), counts(0, 0)],
                3,
                12,
            ),
        ],
        initials: InitialCounts {
            handed_over: 41,
            lost: 3,
        },
        rejections: RejectionCounts::of(|fate| 10 + fate as u64),
        frames: vec![
            FrameCounts {
                view: view(Side::Wan, Hook::Ingress),
                outcome: Outcome::Identified,
                packets: 1_020,
            },
            FrameCounts {
                view: view(Side::Lan, Hook::Ingress),
                outcome: Outcome::NotIp,
                packets: 44,
            },
            FrameCounts {
                view: view(Side::Lan, Hook::Ingress),
                outcome: Outcome::Identified,
                packets: 524,
            },
        ],
        limit_shared: 0,
        taken_at: NOW,
    }
}

/// Two groups, two overrides, an interface that lost its egress program, and one that was renamed.
pub(crate) fn status() -> Status {
    let interface = |name: &str, side, xdp, wanted, egress| InterfaceStatus {
        plan: InterfacePlan {
            name: name.to_owned(),
            side,
            mode: XdpAttachMode::Auto,
            egress: wanted,
        },
        renamed_to: None,
        xdp,
        egress,
        egress_by: egress.then_some("tcx"),
    };
    let service = |number, id: &str, actions: [Action; 2], policy: [Action; 2]| ServiceStatus {
        number,
        id: id.to_owned(),
        actions: actions.to_vec(),
        policy: policy.to_vec(),
    };
    Status {
        instance: "main".to_owned(),
        controller: Some(1234),
        policy: PolicyStatus {
            name: "office".to_owned(),
            hash: "9f86d081884c7d65".to_owned(),
            generation: 3,
            applied_at: 1_750_000_000,
            groups: vec!["everyone".to_owned(), "support".to_owned()],
            services: vec![
                service(1, "irc", [Action::Drop, Action::Count], [Action::Count; 2]),
                service(2, "xmpp", [Action::Allow; 2], [Action::Allow; 2]),
                service(
                    3,
                    "icq",
                    [Action::Drop, Action::Allow],
                    [Action::Drop, Action::Allow],
                ),
            ],
            unconfirmed: None,
        },
        schedules: Some(ScheduleStatus {
            kept: true,
            stale_since: None,
            next_change: Some(1_750_003_200),
        }),
        interfaces: vec![
            interface("br-lan", Side::Lan, "native", true, false),
            InterfaceStatus {
                renamed_to: Some("wan9".to_owned()),
                ..interface("eth0", Side::Wan, "generic", false, false)
            },
        ],
        overrides: vec![
            OverrideStatus {
                service: "irc".to_owned(),
                group: Some("everyone".to_owned()),
                action: Action::Drop,
                by: "root".to_owned(),
                at: 1_750_000_600,
                until: Some(1_750_007_800),
            },
            OverrideStatus {
                service: "xmpp".to_owned(),
                group: None,
                action: Action::Allow,
                by: "ada\u{1b}[2J".to_owned(),
                at: 1_750_000_700,
                until: None,
            },
        ],
        limits: Limits::default(),
        in_use: HostsInUse {
            hosts: 3,
            inside: 0,
        },
    }
}

/// Running, and nothing else.
pub(crate) fn bare_status() -> Status {
    Status {
        controller: None,
        schedules: None,
        interfaces: Vec::new(),
        overrides: Vec::new(),
        in_use: HostsInUse::default(),
        ..status()
    }
}
