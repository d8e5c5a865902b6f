//! Which service gets which port, name and address.
//!
//! Invariant: each goes to the first service that claims it; whoever comes later goes without, and
//! the operator hears of it.

use std::collections::{BTreeMap, HashSet};

use imblock_common::layout::{PortEntry, PortTable};
use ipnet::IpNet;

use super::compile::Numbered;
use super::domain::Domain;
use super::error_kind::PolicyErrorKind;
use super::marker::StunAttribute;
use super::model::{Claim, Service};
use super::net::PortRange;
use super::plan::{NameKind, NamePlan, RemotePlan};

/// Names in one policy, and addresses of services. The maps take as many again, for a new policy is
/// written beside the old one.
const EVIDENCE_MAX: usize = 131_072;

/// Two services that claim the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    /// The number of the service that keeps it.
    pub(super) winner: u16,
    /// The number of the service that goes without.
    pub(super) loser: u16,
    /// The first thing of its kind that both claim.
    pub(super) over: Claim,
}

/// A port that one service has and another one claims as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SharedPort {
    /// Place in the [`PortTable`].
    pub(super) index: usize,
    /// The number of the service that has it.
    pub(super) winner: u16,
    /// The number of the other one.
    pub(super) loser: u16,
}

/// What is whose.
pub(super) struct Claims {
    /// The services of the ports, and nothing else yet.
    pub(super) ports: Box<PortTable>,
    /// Every port that more than one service claims, once for each that goes without.
    pub(super) shared_ports: Vec<SharedPort>,
    /// Sorted, no prefix twice.
    pub(super) remotes: Vec<RemotePlan>,
    /// Sorted, no name twice.
    pub(super) names: Vec<NamePlan>,
    /// One for each kind of evidence and pair of services: the same pair mostly clashes many times.
    pub(super) clashes: Vec<Clash>,
}

impl Claims {
    /// Settles the claims of services that stand in the order of precedence.
    pub(super) fn of(services: &[Numbered<'_>]) -> Result<Self, PolicyErrorKind> {
        let mut clashes = Vec::new();
        let (ports, shared_ports) = ports(services, &mut clashes);
        let names = settle(
            services,
            |service| &service.names,
            Claim::Name,
            &mut clashes,
        );
        let remotes = settle(
            services,
            |service| &service.prefixes,
            Claim::Prefix,
            &mut clashes,
        );
        let protocols = settle(services, |service| &service.alpn, Claim::Alpn, &mut clashes);
        stun_clashes(services, &mut clashes);
        must_fit("names", names.len() + protocols.len())?;
        must_fit("prefixes", remotes.len())?;
        let name_plan = |(name, service): (Domain, _)| NamePlan {
            kind: NameKind::Host,
            suffix: name.as_str().to_owned(),
            service,
        };
        let protocol_plan = |(suffix, service)| NamePlan {
            kind: NameKind::Protocol,
            suffix,
            service,
        };
        let protocols = protocols.into_iter().map(protocol_plan);
        let remote_plan = |(net, service): (IpNet, _)| RemotePlan { net, service };
        Ok(Self {
            ports,
            shared_ports,
            remotes: remotes.into_iter().map(remote_plan).collect(),
            names: names.into_iter().map(name_plan).chain(protocols).collect(),
            clashes,
        })
    }
}

fn must_fit(what: &'static str, found: usize) -> Result<(), PolicyErrorKind> {
    let most = EVIDENCE_MAX;
    match found <= most {
        true => Ok(()),
        false => Err(PolicyErrorKind::TooMuchEvidence { what, found, most }),
    }
}

fn ports(services: &[Numbered<'_>], clashes: &mut Vec<Clash>) -> (Box<PortTable>, Vec<SharedPort>) {
    let mut table = Box::new(PortTable([0; PortTable::LEN]));
    let mut shared = Vec::new();
    let mut told = HashSet::new();
    for (number, service) in services {
        for range in &service.ports {
            let transport = range.transport();
            for port in range.ports() {
                let index = PortTable::index(transport, port);
                let Some(entry) = table.0.get_mut(index) else {
                    continue;
                };
                let (winner, loser) = (PortEntry(*entry).service(), *number);
                if winner == 0 {
                    *entry = PortEntry::of(loser).0;
                } else if winner != loser {
                    shared.push(SharedPort {
                        index,
                        winner,
                        loser,
                    });
                    if told.insert((winner, loser)) {
                        let over = PortRange::new(transport, port, port).map(Claim::Port);
                        clashes.extend(over.map(|over| Clash {
                            winner,
                            loser,
                            over,
                        }));
                    }
                }
            }
        }
    }
    (table, shared)
}

fn stun_clashes(services: &[Numbered<'_>], clashes: &mut Vec<Clash>) {
    let mut told = HashSet::new();
    let mut earlier: Vec<(u16, &StunAttribute)> = Vec::new();
    for (number, service) in services {
        for stun in &service.stun {
            let overlaps = |(_, other): &&(u16, &StunAttribute)| {
                stun.first <= other.last && other.first <= stun.last
            };
            if let Some((winner, _)) = earlier.iter().find(overlaps)
                && winner != number
                && told.insert((*winner, *number))
            {
                clashes.push(Clash {
                    winner: *winner,
                    loser: *number,
                    over: Claim::Stun(stun.clone()),
                });
            }
        }
        earlier.extend(service.stun.iter().map(|stun| (*number, stun)));
    }
}

/// The owner of each thing that services list, by the thing.
fn settle<T: Ord + Clone>(
    services: &[Numbered<'_>],
    claimed: impl Fn(&Service) -> &[T],
    evidence: impl Fn(T) -> Claim,
    clashes: &mut Vec<Clash>,
) -> BTreeMap<T, u16> {
    let mut owners = BTreeMap::new();
    let mut told = HashSet::new();
    for (number, service) in services {
        for thing in claimed(service) {
            let winner = *owners.entry(thing.clone()).or_insert(*number);
            if winner != *number && told.insert((winner, *number)) {
                clashes.push(Clash {
                    winner,
                    loser: *number,
                    over: evidence(thing.clone()),
                });
            }
        }
    }
    owners
}
