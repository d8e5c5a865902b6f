//! `imblock policy learn`: a policy to begin with, in YAML with the evidence for each line, or the
//! findings as JSON.

use std::io::{self, Write};
use std::net::IpAddr;

use imblock_common::Action;
use serde::Serialize;

use super::Format;
use super::document::Document;
use super::table::printable;
use super::units::{bytes, plural, rfc3339};
use crate::learn::{Finding, Learned, Network, Why};

/// Hosts of a service that are named in a comment.
const HOSTS_NAMED: usize = 5;

/// Where it was learned.
#[derive(Clone, Debug)]
pub enum Source {
    /// From the counters of an instance.
    Counters,
    /// From so many captures.
    Captures(u64),
}

/// What was learned, and from what.
pub struct Proposal<'a> {
    /// What was learned.
    pub learned: &'a Learned,
    /// Where.
    pub source: Source,
    /// What was last seen before does not count as used, in seconds since 1970.
    pub since: Option<u64>,
    /// So many hosts are many.
    pub many: usize,
    /// Now, in seconds since 1970.
    pub now: u64,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    source: &'static str,
    captures: Option<u64>,
    since: Option<String>,
    many: usize,
    hosts: usize,
    overflow_packets: u64,
    findings: Vec<Entry<'a>>,
    networks: Vec<NetworkEntry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    service: &'a str,
    name: &'a str,
    category: &'a str,
    status: &'static str,
    in_catalogue: bool,
    hosts: &'a [IpAddr],
    packets: u64,
    bytes: u64,
    refused_packets: u64,
    active_seconds: u64,
    evidence: Vec<EvidenceEntry>,
    first_seen: Option<String>,
    last_seen: Option<String>,
    proposal: &'static str,
    why: &'static str,
}

#[derive(Debug, Serialize)]
struct EvidenceEntry {
    evidence: &'static str,
    packets: u64,
}

#[derive(Debug, Serialize)]
struct NetworkEntry<'a> {
    prefix: String,
    hosts: usize,
    services: &'a [String],
}

/// Writes the policy, or the findings.
pub fn render(
    proposal: &Proposal<'_>,
    instance: &str,
    format: Format,
    to: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => Document::new(instance, &Report::of(proposal)).write_pretty(to),
        Format::Text => proposal.write(instance, to),
    }
}

impl<'a> Report<'a> {
    fn of(proposal: &'a Proposal<'a>) -> Self {
        let (source, captures) = match proposal.source {
            Source::Counters => ("counters", None),
            Source::Captures(captures) => ("captures", Some(captures)),
        };
        let learned = proposal.learned;
        let network = |network: &'a Network| NetworkEntry {
            prefix: network.net.to_string(),
            hosts: network.hosts,
            services: &network.services,
        };
        Self {
            source,
            captures,
            since: proposal.since.map(rfc3339),
            many: proposal.many,
            hosts: learned.hosts,
            overflow_packets: learned.overflow,
            findings: learned.findings.iter().map(Entry::of).collect(),
            networks: learned.networks.iter().map(network).collect(),
        }
    }
}

impl<'a> Entry<'a> {
    fn of(finding: &'a Finding) -> Self {
        let evidence = finding.evidence.iter();
        Self {
            service: &finding.service,
            name: &finding.name,
            category: &finding.category,
            status: if finding.historic { "historic" } else { "live" },
            in_catalogue: finding.in_catalogue,
            hosts: &finding.hosts,
            packets: finding.traffic.packets,
            bytes: finding.traffic.bytes,
            refused_packets: finding.refused,
            active_seconds: finding.active_seconds,
            evidence: evidence
                .map(|(evidence, packets)| EvidenceEntry {
                    evidence: evidence.name(),
                    packets: *packets,
                })
                .collect(),
            first_seen: finding.first_seen.map(rfc3339),
            last_seen: finding.last_seen.map(rfc3339),
            proposal: finding.proposal.name(),
            why: finding.why.words(),
        }
    }
}

impl Proposal<'_> {
    fn write(&self, instance: &str, to: &mut dyn Write) -> io::Result<()> {
        let learned = self.learned;
        let from = match self.source {
            Source::Counters => format!("the counters of instance {instance}"),
            Source::Captures(captures) => plural(captures, "capture", "captures"),
        };
        writeln!(
            to,
            "# A policy to begin with, out of {from}, on {}.",
            rfc3339(self.now)
        )?;
        let users = plural(learned.hosts as u64, "host uses", "hosts use");
        writeln!(
            to,
            "# {users} something that is known here. What is used is never dropped;"
        )?;
        writeln!(
            to,
            "# the decisions are yours: `imblock policy diff` says what they would change."
        )?;
        if let Some(since) = self.since {
            writeln!(to, "# Used is what was seen since {}.", rfc3339(since))?;
        }
        if learned.overflow > 0 {
            writeln!(
                to,
                "# {} are of hosts that have no place in the table (any more): there are more hosts than these.",
                plural(learned.overflow, "packet", "packets")
            )?;
        }
        writeln!(to, "version: 1\nname: learned\ndefaults:\n  action: count")?;
        self.write_groups(to)?;
        self.write_rules(to)
    }

    /// Only the operator knows who belongs together.
    fn write_groups(&self, to: &mut dyn Write) -> io::Result<()> {
        if self.learned.networks.is_empty() {
            return Ok(());
        }
        writeln!(to, "# Groups are yours to name. Where something is used:")?;
        writeln!(to, "# groups:")?;
        for (number, network) in (1..).zip(&self.learned.networks) {
            writeln!(
                to,
                "#   network-{number}: [\"{}\"]  # {}: {}",
                network.net,
                plural(network.hosts as u64, "host", "hosts"),
                network.services.join(", ")
            )?;
        }
        Ok(())
    }

    fn write_rules(&self, to: &mut dyn Write) -> io::Result<()> {
        let findings = &self.learned.findings;
        let parts = [
            (
                Action::Allow,
                format!(
                    "Used by many hosts ({} or more): wanted, it seems.",
                    self.many
                ),
            ),
            (
                Action::Count,
                "Used by few hosts, or not lately: watched until you decide.".to_owned(),
            ),
            (
                Action::Drop,
                "Not seen here; they have ended, or are peer-to-peer.".to_owned(),
            ),
        ];
        if !findings.iter().any(|finding| finding.in_catalogue) {
            return writeln!(
                to,
                "# Nothing was seen, and nothing is proposed.\nrules: []"
            );
        }
        writeln!(to, "rules:")?;
        for (action, about) in parts {
            let of_action = |finding: &&Finding| finding.proposal == action;
            let (known, own): (Vec<_>, Vec<_>) = findings
                .iter()
                .filter(of_action)
                .partition(|finding| finding.in_catalogue);
            if !known.is_empty() {
                writeln!(to, "  # {about}")?;
                writeln!(to, "  - action: {}\n    services:", action.name())?;
            }
            for finding in known {
                writeln!(to, "      - {}  # {}", finding.service, evidence(finding))?;
            }
            for finding in own {
                writeln!(
                    to,
                    "  # {} ({}), a service of your own, which must be defined here too: {}",
                    printable(&finding.service),
                    action.name(),
                    evidence(finding)
                )?;
            }
        }
        Ok(())
    }
}

/// The evidence for a line, in one line.
fn evidence(finding: &Finding) -> String {
    if matches!(finding.why, Why::UnusedHistoric | Why::UnusedPeerToPeer) {
        return match finding.why {
            Why::UnusedHistoric => "has ended".to_owned(),
            _ => "peer-to-peer".to_owned(),
        };
    }
    let mut parts = vec![
        plural(finding.hosts.len() as u64, "host", "hosts"),
        plural(finding.traffic.packets, "packet", "packets"),
        bytes(finding.traffic.bytes),
    ];
    if finding.refused > 0 {
        parts.push(format!("{} of them refused", finding.refused));
    }
    let kinds = finding.evidence.iter();
    let kinds: Vec<String> = kinds
        .map(|(kind, packets)| format!("{} {packets}", kind.name()))
        .collect();
    parts.push(format!("told by {}", kinds.join(", ")));
    if let Some(first) = finding.first_seen {
        parts.push(format!("first seen {}", rfc3339(first)));
    }
    if let Some(last) = finding.last_seen {
        parts.push(format!("last seen {}", rfc3339(last)));
    }
    if finding.why != Why::ManyHosts && !finding.hosts.is_empty() {
        let named = finding.hosts.iter().take(HOSTS_NAMED);
        let named: Vec<String> = named.map(ToString::to_string).collect();
        let more = finding.hosts.len().saturating_sub(HOSTS_NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        parts.push(format!("{}{more}", named.join(" ")));
    }
    parts.join(", ")
}
