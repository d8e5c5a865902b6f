//! Which metrics there are.
//!
//! Invariant: for each service, the sum over hosts in the per-host series equals the service's own
//! series, as the counters do.

use std::collections::BTreeMap;

use imblock_common::{Action, Evidence, Hook, Outcome, Verdict, View};

use super::Options;
use super::families::{Family, Page, Quantity};
use super::formats::Format;
use super::per_host::PerHost;
use crate::output::document::{Count, Usage};
use crate::output::{ServiceNames, view_name};
use crate::policy::plan::side_name;
use crate::snapshot::{FrameCounts, Snapshot};
use crate::status::Status;

/// What one scrape tells.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) status: Status,
    pub(super) snapshot: Snapshot,
    pub(super) options: Options,
    /// Earlier scrapes that failed.
    pub(super) errors: u64,
}

const SERVICE_PACKETS: Family = Family {
    name: "imblock_service",
    unit: Some(Quantity::Packets),
    help: "Packets of a service, by what told the service and what became of them; dropped ones are refused, all others pass",
};
const SERVICE_BYTES: Family = Family {
    name: "imblock_service",
    unit: Some(Quantity::Bytes),
    help: "Bytes of a service from the link header on, by what told the service and what became of them",
};
const FRAMES: Family = Family {
    name: "imblock_frames",
    unit: None,
    help: "Packets by where they were seen and how far they came; each program counts all that it sees, so a packet that crosses two interfaces counts twice",
};
const LIMIT_SHARED: Family = Family {
    name: "imblock_limit_shared",
    unit: Some(Quantity::Packets),
    help: "Packets under a limit for which no token bucket was free, so that they shared one with all others of their service and direction",
};
const QUIC: Family = Family {
    name: "imblock_quic_handshakes",
    unit: Some(Quantity::Packets),
    help: "Datagrams with QUIC handshakes, by whether the controller was handed them or they were lost for want of room",
};
const REJECTIONS: Family = Family {
    name: "imblock_rejections",
    unit: Some(Quantity::Packets),
    help: "Rejected packets by what became of them: answers, and those dropped in silence because there were too many (limited) or they can't be answered (silent)",
};
const OVERFLOW: Family = Family {
    name: "imblock_overflow",
    unit: Some(Quantity::Packets),
    help: "Packets of a service whose hosts found no room in the host table, or gave theirs up after a day of silence; they are in the service's totals, but in no host's",
};
const HOSTS_IN_USE: Family = Family {
    name: "imblock_hosts_in_use",
    unit: None,
    help: "Pairs of host and service that have counters of their own in the host table, both address families; not those in places by address",
};
const INSIDE_IN_USE: Family = Family {
    name: "imblock_inside_in_use",
    unit: None,
    help: "Pairs of host and service that have counters in places by address (limits.inside), which take no room of the host table",
};
const HOSTS_LIMIT: Family = Family {
    name: "imblock_hosts_limit",
    unit: None,
    help: "Pairs of host and service that have room, for each address family",
};
const POLICY: Family = Family {
    name: "imblock_policy",
    unit: None,
    help: "The policy in force: its name, and the SHA-256 of what it compiled to",
};
const POLICY_GENERATION: Family = Family {
    name: "imblock_policy_generation",
    unit: None,
    help: "How often a policy was applied since the tables were made",
};
const POLICY_APPLIED: Family = Family {
    name: "imblock_policy_applied_timestamp",
    unit: Some(Quantity::Seconds),
    help: "When the policy in force was applied, in seconds since 1970",
};
const POLICY_UNCONFIRMED: Family = Family {
    name: "imblock_policy_unconfirmed",
    unit: Some(Quantity::Seconds),
    help: "Until the policy in force goes unless it is confirmed; 0 for one that stays",
};
const SCHEDULES_FROZEN: Family = Family {
    name: "imblock_schedules_frozen",
    unit: None,
    help: "1 if nobody keeps the schedules of the policy in force, or something else is done than what they say; only where it has schedules",
};
const OVERRIDES: Family = Family {
    name: "imblock_overrides",
    unit: None,
    help: "Settings made by hand on top of the policy",
};
const ATTACHED: Family = Family {
    name: "imblock_interface_attached",
    unit: None,
    help: "1 if the program that should be on the interface is there, 0 if it is gone; by the name that the interface had when it was attached",
};
const BUILD: Family = Family {
    name: "imblock_build",
    unit: None,
    help: "The controller's version",
};
const SCRAPE_ERRORS: Family = Family {
    name: "imblock_scrape_errors",
    unit: None,
    help: "Scrapes that failed since the controller started",
};

impl Scrape {
    /// All families as a page of that format.
    pub(super) fn page(&self, format: Format) -> String {
        let mut page = Page::new(format);
        let to = &mut page;
        self.services(to);
        self.frames(to);
        self.policy(to);
        self.interfaces(to);
        if let Some(top) = self.options.per_host {
            let names = ServiceNames::of_status(&self.status);
            PerHost::collect(&self.snapshot, &names, top).write(to);
        }
        BUILD.info(to, [("version", env!("CARGO_PKG_VERSION"))]);
        SCRAPE_ERRORS.counter(to, self.errors);
        page.end()
    }

    fn services(&self, to: &mut Page) {
        let names = ServiceNames::of_status(&self.status);
        let cells = self.service_cells();
        let rows: Vec<_> = cells
            .iter()
            .map(|((service, evidence, verdict), count)| {
                (names.id(*service), evidence.name(), verdict.name(), count)
            })
            .collect();
        let labels = |service, evidence, verdict| {
            [
                ("service", service),
                ("evidence", evidence),
                ("verdict", verdict),
            ]
        };
        SERVICE_PACKETS.counters(
            to,
            rows.iter()
                .map(|(service, e, v, count)| (labels(service.as_ref(), *e, *v), count.packets)),
        );
        SERVICE_BYTES.counters(
            to,
            rows.iter()
                .map(|(service, e, v, count)| (labels(service.as_ref(), *e, *v), count.bytes)),
        );
        let overflow = self.overflow();
        let rows: Vec<_> = overflow
            .iter()
            .map(|(service, packets)| (names.id(*service), *packets))
            .collect();
        OVERFLOW.counters(
            to,
            rows.iter()
                .map(|(service, packets)| ([("service", service.as_ref())], *packets)),
        );
        HOSTS_IN_USE.gauge(to, u64::from(self.status.in_use.hosts));
        INSIDE_IN_USE.gauge(to, u64::from(self.status.in_use.inside));
        HOSTS_LIMIT.gauge(to, u64::from(self.status.limits.hosts));
    }

    /// All cells that are not zero, and those that the policy can make move next: a series that
    /// begins at 5 instead of 0 hides its first 5 packets from `increase()`.
    fn service_cells(&self) -> BTreeMap<(u16, Evidence, Verdict), Count> {
        let expected = self.status.policy.services.iter().flat_map(|service| {
            let verdicts = service
                .actions
                .iter()
                .flat_map(|action| verdicts_of(*action));
            verdicts.map(|verdict| {
                (
                    (service.number, Evidence::Port, *verdict),
                    Default::default(),
                )
            })
        });
        let mut cells: BTreeMap<_, _> = expected.collect();
        for service in &self.snapshot.services {
            for cell in &service.cells {
                let key = (service.number, cell.evidence, cell.verdict);
                cells.insert(key, cell.traffic.into());
            }
        }
        cells
    }

    /// Packets by service, for those that were seen and those that can be: see [`Self::service_cells`].
    fn overflow(&self) -> BTreeMap<u16, u64> {
        let services = self.status.policy.services.iter();
        let mut overflow: BTreeMap<_, _> = services.map(|service| (service.number, 0)).collect();
        overflow.extend(self.snapshot.services.iter().map(|service| {
            let usage = Usage::at(&service.overflow, self.snapshot.taken_at);
            (service.number, usage.total().packets)
        }));
        overflow
    }

    /// Packets by place in [`Outcome::slot`]'s order, likewise: what has not occurred yet is 0 where a
    /// program may see it.
    fn outcomes(&self) -> BTreeMap<u32, FrameCounts> {
        let views = self.status.interfaces.iter().flat_map(|interface| {
            let view = |hook| View {
                side: interface.side(),
                hook,
            };
            let egress = interface.wants_egress().then(|| view(Hook::Egress));
            [Some(view(Hook::Ingress)), egress].into_iter().flatten()
        });
        let nothing = views.flat_map(|view| {
            Outcome::ALL.map(|outcome| FrameCounts {
                view,
                outcome,
                packets: 0,
            })
        });
        let seen = self.snapshot.frames.iter().copied();
        let slot = |frames: FrameCounts| (frames.outcome.slot(frames.view), frames);
        nothing.chain(seen).map(slot).collect()
    }

    fn frames(&self, to: &mut Page) {
        let frames = self.outcomes().into_values();
        let samples = frames.map(|frames| {
            let view = ("view", view_name(frames.view));
            ([view, ("outcome", frames.outcome.name())], frames.packets)
        });
        FRAMES.counters(to, samples);
        LIMIT_SHARED.counter(to, self.snapshot.limit_shared);
        let initials = self.snapshot.initials;
        let fates = [
            ([("fate", "handed_over")], initials.handed_over),
            ([("fate", "lost")], initials.lost),
        ];
        QUIC.counters(to, fates);
        let rejections = self.snapshot.rejections.by_fate();
        let samples = rejections.map(|(fate, packets)| ([("fate", fate.name())], packets));
        REJECTIONS.counters(to, samples);
    }

    fn policy(&self, to: &mut Page) {
        let policy = &self.status.policy;
        POLICY.info(to, [("name", &policy.name), ("hash", &policy.hash)]);
        POLICY_GENERATION.gauge(to, u64::from(policy.generation));
        POLICY_APPLIED.gauge(to, policy.applied_at);
        let unconfirmed = policy
            .unconfirmed
            .map_or(0, |waiting| waiting.left.as_secs().max(1));
        POLICY_UNCONFIRMED.gauge(to, unconfirmed);
        if let Some(schedules) = self.status.schedules {
            let frozen = !schedules.kept || schedules.stale_since.is_some();
            SCHEDULES_FROZEN.gauge(to, u64::from(frozen));
        }
        let overrides = u64::try_from(self.status.overrides.len()).unwrap_or(u64::MAX);
        OVERRIDES.gauge(to, overrides);
    }

    fn interfaces(&self, to: &mut Page) {
        let samples = self.status.interfaces.iter().flat_map(|interface| {
            let sample = |hook, attached: bool| {
                let labels = [
                    ("interface", interface.plan.name.as_str()),
                    ("side", side_name(interface.side())),
                    ("hook", hook_name(hook)),
                ];
                (labels, u64::from(attached))
            };
            let ingress = sample(Hook::Ingress, interface.xdp != "none");
            let egress = interface
                .wants_egress()
                .then(|| sample(Hook::Egress, interface.egress));
            [Some(ingress), egress].into_iter().flatten()
        });
        ATTACHED.gauges(to, samples);
    }
}

/// What becomes of a packet under an action, unless the guard steps in.
fn verdicts_of(action: Action) -> &'static [Verdict] {
    match action {
        Action::Allow => &[Verdict::Allowed],
        Action::Count => &[Verdict::Counted],
        Action::Drop => &[Verdict::Dropped],
        Action::Reject => &[Verdict::Rejected],
        Action::Limit => &[Verdict::Counted, Verdict::Limited],
    }
}

fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Ingress => "ingress",
        Hook::Egress => "egress",
    }
}
