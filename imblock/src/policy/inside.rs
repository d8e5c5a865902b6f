//! `limits.inside`: prefixes of local hosts whose counters have places by address.

use imblock_common::layout::Inside;
use ipnet::{IpNet, Ipv4Net};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use strum::{IntoStaticStr, VariantNames};

/// Why a prefix can't be in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
pub enum InsideFault {
    /// Such addresses have no order that an array could follow.
    #[error(
        "`{0}` can't be in `limits.inside`: hosts draw their IPv6 addresses at random from more than an array \
         has places for"
    )]
    V6(IpNet),
    /// More prefixes than are looked at for a packet.
    #[error("`limits.inside` has more than {} prefixes", Inside::PREFIXES_MAX)]
    TooMany,
    /// An address would have two places.
    #[error("`{one}` and `{other}` of `limits.inside` have hosts in common")]
    Overlap {
        /// The later one.
        one: Ipv4Net,
        /// The earlier one.
        other: Ipv4Net,
    },
    /// More addresses than there are places.
    #[error(
        "`limits.inside` has {addresses} addresses with `{net}`; it can have {} together",
        Inside::HOSTS_MAX
    )]
    TooLarge {
        /// The prefix that is too much.
        net: Ipv4Net,
        /// Addresses of this prefix and those before it.
        addresses: u64,
    },
}

impl InsideFault {
    /// What to do about it.
    pub(super) fn help(&self) -> String {
        match self {
            Self::V6(_) => "leave it out: hosts of IPv6 are counted in the table of `limits.hosts`".into(),
            Self::TooMany => "a shorter prefix around several says the same".into(),
            Self::Overlap { one, other } => match other.contains(one) {
                true => format!("{other} has all hosts of {one}: remove the latter"),
                false => format!("{one} has all hosts of {other}: remove the latter"),
            },
            Self::TooLarge { .. } => {
                "each takes 256 bytes a CPU, used or not: name the networks that hosts are in (a /14 is the \
                 largest); all others are counted in the table of `limits.hosts`"
                    .into()
            }
        }
    }
}

/// The same places, and those of another prefix.
pub(super) fn with(inside: Inside, net: IpNet) -> Result<Inside, InsideFault> {
    let IpNet::V4(net) = net else {
        return Err(InsideFault::V6(net));
    };
    let meets = |other: &Ipv4Net| other.contains(&net) || net.contains(other);
    if let Some(other) = prefixes(&inside).find(meets) {
        return Err(InsideFault::Overlap { one: net, other });
    }
    let addresses = u64::from(inside.hosts()) + (1 << (32 - net.prefix_len()));
    if addresses > Inside::HOSTS_MAX.into() {
        return Err(InsideFault::TooLarge { net, addresses });
    }
    inside
        .with(net.network(), net.prefix_len())
        .ok_or(InsideFault::TooMany)
}

/// The prefixes, in the policy's order.
pub(crate) fn prefixes(inside: &Inside) -> impl Iterator<Item = Ipv4Net> {
    inside
        .prefixes()
        .filter_map(|(network, bits)| Ipv4Net::new(network, bits).ok())
}

/// The prefixes in words; `none` where there are none.
pub(crate) fn words(inside: &Inside) -> String {
    let words: Vec<String> = prefixes(inside).map(|net| net.to_string()).collect();
    match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    }
}

/// As a list of prefixes.
pub(super) fn serialize<S: Serializer>(inside: &Inside, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(prefixes(inside))
}

/// From such a list.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Inside, D::Error> {
    let nets: Vec<IpNet> = Vec::deserialize(from)?;
    let mut nets = nets.into_iter();
    nets.try_fold(Inside::NONE, with).map_err(D::Error::custom)
}
