//! Who is compared, and where each of them drops what is listed.

use anyhow::Result;

use super::super::xdp_filter::Features;
use super::counters::Fate;
use super::filter::Filter;
use super::imblock::Tool;
use super::peers::{self, Nft};
use super::policy::Policy;
use super::rig::Rig;

pub(super) const FLOOR: &str = "XDP_DROP";
pub(super) const NOTHING: &str = "no filter";
pub(super) const PASS: &str = "XDP_PASS";
pub(super) const IMBLOCK: &str = "imblock";
pub(super) const INSIDE: &str = "imblock, inside configured prefixes";
pub(super) const BOTH_WAYS: &str = "imblock, and at egress";
pub(super) const XDP_FILTER: &str = "xdp-filter -f all";
const XDP_FILTER_UDP: &str = "xdp-filter -f udp";
pub(super) const NFT_INGRESS: &str = "nft netdev ingress";
pub(super) const NFT_RAW: &str = "nft inet raw";
const NFT_FORWARD: &str = "nft inet forward";
pub(super) const NFT_TRACKED: &str = "nft inet forward, conntrack";
pub(super) const IPTABLES_RAW: &str = "iptables raw multiport";
const IPTABLES_SET: &str = "iptables raw ipset";
pub(super) const IPTABLES_FORWARD: &str = "iptables FORWARD multiport";

/// A filter by a name, and what becomes of listed packets there.
pub(super) type Candidate = (&'static str, Filter, Option<Fate>);

/// Those that drop the listed ports, and what they are counted from.
pub(super) const BY_PORT: [Candidate; 14] = [
    (FLOOR, Filter::Drop, Some(Fate::BeforeStack)),
    (NOTHING, Filter::Nothing, None),
    (PASS, Filter::Pass, Some(Fate::AtTheDoor)),
    (
        IMBLOCK,
        Filter::Imblock(Policy::PLAIN),
        Some(Fate::BeforeStack),
    ),
    (
        BOTH_WAYS,
        Filter::Imblock(Policy {
            egress: true,
            ..Policy::PLAIN
        }),
        None,
    ),
    (
        XDP_FILTER,
        Filter::OfXdpTools(Features::All),
        Some(Fate::BeforeStack),
    ),
    (
        XDP_FILTER_UDP,
        Filter::OfXdpTools(Features::Udp),
        Some(Fate::BeforeStack),
    ),
    (
        NFT_INGRESS,
        Filter::Nft(Nft::Ingress),
        Some(Fate::BeforeStack),
    ),
    (NFT_RAW, Filter::Nft(Nft::Raw), Some(Fate::InStack)),
    (NFT_FORWARD, Filter::Nft(Nft::Forward), Some(Fate::InStack)),
    (
        NFT_TRACKED,
        Filter::Nft(Nft::ForwardTracked),
        Some(Fate::InStack),
    ),
    (
        IPTABLES_RAW,
        Filter::Multiport(peers::RAW),
        Some(Fate::InStack),
    ),
    (IPTABLES_SET, Filter::Ipset, Some(Fate::InStack)),
    (
        IPTABLES_FORWARD,
        Filter::Multiport(peers::FORWARD),
        Some(Fate::InStack),
    ),
];

/// Candidates in their places, each in a network of its own; and why some are not.
pub(super) struct Field {
    rigs: Vec<(Rig, Option<Fate>)>,
    pub(super) notes: Vec<String>,
}

impl Field {
    pub(super) fn build(candidates: &[Candidate], queues: u8, tool: &Tool) -> Result<Self> {
        let mut field = Self {
            rigs: Vec::new(),
            notes: Vec::new(),
        };
        for (name, filter, fate) in candidates {
            match Rig::new(name, filter, queues, tool) {
                Ok(rig) => field.rigs.push((rig, *fate)),
                Err(error) if filter.must_be_there() => return Err(error),
                Err(error) => field.notes.push(format!("skipped: {error:#}")),
            }
        }
        Ok(field)
    }

    pub(super) fn rigs(&self) -> impl Iterator<Item = &Rig> {
        self.rigs.iter().map(|(rig, _)| rig)
    }

    /// Those that do something about listed packets, and what.
    pub(super) fn droppers(&self) -> impl Iterator<Item = (&Rig, Fate)> {
        let rigs = self.rigs.iter();
        rigs.filter_map(|(rig, fate)| Some((rig, (*fate)?)))
    }
}
