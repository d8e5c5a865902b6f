//! The filters of others, as commands: 64 ports listed, in the way that each of them does best.

use std::fmt::Write as _;

use super::rig::ENTRANCE;

/// The port that is sent to; the first one listed, which is the best case for rules that are walked.
pub(super) const LISTED_PORT: u16 = 15_050;
const LISTED: u16 = 64;
/// Apart, so that nobody makes ranges of them. No service of the catalogue has one of them.
const STEP: u16 = 7;
/// How many ports `-m multiport` takes.
const PORTS_A_RULE: usize = 15;
/// How many patterns a payload is searched for.
const PATTERNS: u8 = 8;

/// A command, and what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) program: &'static str,
    pub(super) arguments: Vec<String>,
    pub(super) input: String,
}

impl Step {
    pub(super) fn new(program: &'static str, arguments: &str) -> Self {
        Self {
            program,
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
            input: String::new(),
        }
    }

    pub(super) fn reading(self, input: String) -> Self {
        Self { input, ..self }
    }
}

/// Where nftables looks at packets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Nft {
    Ingress,
    Raw,
    Forward,
    /// The same, behind connection tracking.
    ForwardTracked,
}

pub(super) fn ports() -> impl Iterator<Item = u16> {
    (0..LISTED).map(|n| LISTED_PORT + n * STEP)
}

/// One rule with a set.
pub(super) fn nft(place: Nft) -> Vec<Step> {
    let (family, hook, first) = match place {
        Nft::Ingress => (
            "netdev",
            format!("hook ingress device {ENTRANCE} priority -500"),
            "",
        ),
        Nft::Raw => ("inet", "hook prerouting priority -300".to_owned(), ""),
        Nft::Forward => ("inet", "hook forward priority 0".to_owned(), ""),
        Nft::ForwardTracked => (
            "inet",
            "hook forward priority 0".to_owned(),
            "ct state established,related accept; ",
        ),
    };
    let ports = joined(ports());
    let script = format!(
        "table {family} bench {{
  set listed {{ type inet_service; elements = {{ {ports} }}; }}
  chain listed {{ type filter {hook}; policy accept; {first}udp dport @listed drop; }}
}}
"
    );
    vec![Step::new("nft", "-f -").reading(script)]
}

/// Rules of the older tables, as few as there can be.
pub(super) fn multiport(table_and_chain: &str) -> Vec<Step> {
    let ports: Vec<u16> = ports().collect();
    let rules = ports.chunks(PORTS_A_RULE).map(|ports| {
        let ports = joined(ports.iter().copied());
        let ports = ports.replace(' ', "");
        Step::new(
            IPTABLES,
            &format!("{table_and_chain} -p udp -m multiport --dports {ports} -j DROP"),
        )
    });
    rules.collect()
}

pub(super) fn ipset() -> Vec<Step> {
    let mut set = "create listed bitmap:port range 0-65535\n".to_owned();
    for port in ports() {
        let _ = writeln!(set, "add listed {port}");
    }
    vec![
        Step::new("ipset", "restore").reading(set),
        Step::new(
            IPTABLES,
            &format!("{RAW} -p udp -m set --match-set listed dst -j DROP"),
        ),
    ]
}

/// A search for each pattern, in the whole packet or from the payload on, in so many places.
pub(super) fn strings(places: Option<usize>) -> Vec<Step> {
    /// The headers of IPv4 and UDP, from which the match counts.
    const PAYLOAD_AT: usize = 28;
    let window = places.map_or(String::new(), |places| {
        format!("--from {PAYLOAD_AT} --to {}", PAYLOAD_AT + places)
    });
    let rules = patterns().map(|pattern| {
        Step::new(
            IPTABLES,
            &format!("{RAW} -p udp -m string --algo bm {window} --string {pattern} -j DROP"),
        )
    });
    rules.collect()
}

/// Eight bytes each, of which no payload here has more than a few in a row.
pub(super) fn patterns() -> impl Iterator<Item = String> {
    (0..PATTERNS).map(|n| format!("IM{n}hello"))
}

const IPTABLES: &str = "iptables-legacy";
pub(super) const RAW: &str = "-t raw -A PREROUTING";
pub(super) const FORWARD: &str = "-A FORWARD";

fn joined(ports: impl Iterator<Item = u16>) -> String {
    let ports: Vec<_> = ports.map(|port| port.to_string()).collect();
    ports.join(", ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_listed_port_is_in_one_rule_and_the_one_that_is_sent_to_in_the_first() {
        let rules = multiport(RAW);
        let listed: Vec<u16> = rules
            .iter()
            .filter_map(|rule| rule.arguments.iter().find(|word| word.contains(',')))
            .flat_map(|ports| ports.split(',').map(|port| port.parse().unwrap()))
            .collect();
        assert_eq!(listed, ports().collect::<Vec<_>>());
        assert_eq!(rules.len(), 5);
        assert_eq!(listed.first(), Some(&LISTED_PORT));
    }

    #[test]
    fn nothing_is_searched_for_where_only_places_of_the_payload_count() {
        let bounded = strings(Some(256));
        assert_eq!(bounded.len(), usize::from(PATTERNS));
        for step in bounded {
            let line = step.arguments.join(" ");
            assert!(line.contains("--from 28 --to 284"), "{line}");
        }
        assert!(
            !strings(None)
                .iter()
                .any(|step| step.arguments.contains(&"--to".to_owned()))
        );
    }

    #[test]
    fn a_set_has_every_port_once() {
        for steps in [ipset(), nft(Nft::Raw)] {
            let input = &steps.first().unwrap().input;
            for port in ports() {
                assert_eq!(input.matches(&port.to_string()).count(), 1, "{input}");
            }
        }
    }
}
