//! The policies that imblock is measured with: the whole catalogue, counted, and services of the
//! benchmark's own.

use std::fmt::Write as _;

use super::frames::CLIENTS;
use super::peers;
use super::rig::{ENTRANCE, EXIT};

/// The service that has the listed ports, and is dropped.
pub(super) const DROPPED_SERVICE: &str = "bench-listed";
/// In how many places of a payload a bounded search looks. Three steps of the 32 that a packet has.
pub(super) const PLACES: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// Whether the exit is watched, too.
    pub(super) egress: bool,
    /// Hosts that have counters of their own.
    pub(super) hosts: u32,
    /// Whether the hosts that frames come from have places by address.
    pub(super) inside: bool,
    pub(super) markers: Markers,
}

/// What payloads are looked through for, besides the catalogue's markers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markers {
    None,
    /// The patterns, at the payload's start.
    Anchored,
    /// The patterns, in its first [`PLACES`] places.
    Searched,
}

impl Policy {
    /// What comes in is judged, and few hosts are there.
    pub(super) const PLAIN: Self = Self {
        egress: false,
        hosts: 16_384,
        inside: false,
        markers: Markers::None,
    };

    pub(super) fn text(self) -> String {
        let ports: Vec<_> = peers::ports().map(|port| format!("udp/{port}")).collect();
        let mut text = format!(
            "version: 1
name: bench
interfaces:
  - {{ name: {ENTRANCE}, side: lan, mode: native, egress: false }}
"
        );
        if self.egress {
            let _ = writeln!(text, "  - {{ name: {EXIT}, side: wan, egress: true }}");
        }
        let (ports, hosts) = (ports.join(", "), self.hosts);
        let inside = if self.inside { CLIENTS } else { "" };
        let _ = write!(
            text,
            "defaults: {{ action: count }}
limits: {{ hosts: {hosts}, inside: [{inside}] }}
rules:
  - {{ services: [{DROPPED_SERVICE}], action: drop }}
services:
  - {{ id: {DROPPED_SERVICE}, name: what the benchmark drops, category: im, ports: [{ports}] }}
"
        );
        self.write_markers(&mut text);
        text
    }

    fn write_markers(self, text: &mut String) {
        let marker = |pattern: String| match self.markers {
            Markers::None => None,
            Markers::Anchored => Some(format!("text: {pattern}")),
            Markers::Searched => Some(format!("find: {{ text: {pattern}, within: {PLACES} }}")),
        };
        let mut markers = peers::patterns().filter_map(marker).peekable();
        if markers.peek().is_some() {
            text.push_str("  - id: bench-marked\n    name: what it looks for\n");
            text.push_str("    category: im\n    markers:\n");
        }
        for marker in markers {
            let _ = writeln!(text, "      - {{ transport: udp, {marker} }}");
        }
    }
}

#[cfg(test)]
mod tests {
    use imblock::policy::{self, ServiceNumbers, Source, Surroundings};

    use super::*;

    #[test]
    fn every_policy_is_one() {
        for (markers, inside) in [
            (Markers::None, true),
            (Markers::Anchored, false),
            (Markers::Searched, false),
        ] {
            let text = Policy {
                egress: true,
                hosts: 131_072,
                inside,
                markers,
            }
            .text();
            let read = policy::parse(Source::new("bench.yaml".to_owned(), text.clone()));
            let compiled = read.and_then(|policy| {
                policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())
            });
            assert!(compiled.is_ok(), "{text}");
        }
    }
}
