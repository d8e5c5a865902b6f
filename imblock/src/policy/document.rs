//! What was typed: the YAML as it stands, with places, before any of it means anything.
//!
//! Invariant: nothing else in the project knows YAML. Whatever the text, reading it takes memory
//! and time in proportion to [`super::source::MAX_BYTES`].

mod shapes;
mod when;
mod yaml;

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema;
use super::source::Placed;
use yaml::or_nothing;

pub(super) use when::{IncludedDocument, TrialDocument, WhenDocument, WordsDocument};
pub(super) use yaml::{families, included, policy, service, write};

/// A policy file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Policy")]
pub(super) struct PolicyDocument {
    /// The version of the language: 1.
    #[schemars(with = "schema::Version")]
    pub(super) version: Placed<u64>,
    /// What the policy is called, at most 32 bytes.
    #[schemars(with = "schema::PolicyName")]
    pub(super) name: Placed<String>,
    /// Files whose groups, rules, services and tests come before those of this one.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) include: Vec<Placed<String>>,
    /// Where to attach. May be left out when the command line says it.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<InterfaceDocument>>")]
    pub(super) interfaces: Vec<InterfaceDocument>,
    /// What holds where no rule says otherwise.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<DefaultsDocument>")]
    pub(super) defaults: DefaultsDocument,
    /// Names for hosts: lists of prefixes and MAC addresses.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<GroupsDocument>")]
    pub(super) groups: GroupsDocument,
    /// What is never dropped, whatever the rules say.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<ProtectDocument>")]
    pub(super) protect: ProtectDocument,
    /// The first rule that names both group and service wins.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<RuleDocument>>")]
    pub(super) rules: Vec<Placed<RuleDocument>>,
    /// Services of your own, beside the catalogue.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<ServiceDocument>>")]
    pub(super) services: Vec<ServiceDocument>,
    /// What is done about clients that were refused and try other ports of the server.
    pub(super) hops: Option<HopsDocument>,
    /// What is done about QUIC.
    #[schemars(with = "Option<schema::Quic>")]
    pub(super) quic: Option<Placed<String>>,
    /// Services whose uncertain evidence may drop.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<schema::Selector>>")]
    pub(super) trust: Vec<Placed<String>>,
    /// Sizes of the tables, set when they are made.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<LimitsDocument>")]
    pub(super) limits: LimitsDocument,
    /// What must come of it; tried before it is applied.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<TrialDocument>>")]
    pub(super) tests: Vec<Placed<TrialDocument>>,
}

/// An item of `interfaces`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Interface")]
pub(super) struct InterfaceDocument {
    /// The interface's name.
    #[schemars(with = "schema::InterfaceName")]
    pub(super) name: Placed<String>,
    /// Where it leads: `lan` to the hosts that are policed, `wan` to the rest of the world.
    #[schemars(with = "schema::Side")]
    pub(super) side: Placed<String>,
    /// How XDP attaches.
    #[schemars(with = "Option<schema::Mode>")]
    pub(super) mode: Option<Placed<String>>,
    /// Whether what leaves the interface is judged as well.
    pub(super) egress: Option<bool>,
}

/// `defaults`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Defaults")]
pub(super) struct DefaultsDocument {
    /// What is done with a service that no rule names.
    #[schemars(with = "Option<schema::Action>")]
    pub(super) action: Option<Placed<String>>,
}

/// `groups`, in the order in which they stand.
#[derive(Debug, Default)]
pub(super) struct GroupsDocument(pub(super) Vec<(Placed<String>, Vec<Placed<String>>)>);

/// The file of families. A family is a name and a list, as a group is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FamiliesDocument {
    pub(super) families: GroupsDocument,
}

/// `protect`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Protect")]
pub(super) struct ProtectDocument {
    /// Remote ports; on a `wan` side also local ones.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<schema::Port>>")]
    pub(super) ports: Vec<Placed<String>>,
    /// Prefixes, whichever end of a connection they are.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<schema::Prefix>>")]
    pub(super) hosts: Vec<Placed<String>>,
}

/// An item of `rules`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule")]
pub(super) struct RuleDocument {
    /// Which services.
    #[schemars(with = "Vec<schema::Selector>")]
    pub(super) services: Placed<Vec<Placed<String>>>,
    /// Which groups; left out, all of them and everyone.
    #[schemars(with = "Option<Vec<schema::GroupName>>")]
    pub(super) groups: Option<Placed<Vec<Placed<String>>>>,
    /// What is done.
    #[schemars(with = "schema::Action")]
    pub(super) action: Placed<String>,
    /// With `action: limit`: `1 mbit/s`, `100 packets/s`.
    #[schemars(with = "Option<String>")]
    pub(super) rate: Option<Placed<String>>,
    /// With `rate`: what may come at once, `20 packets`, `64 kbyte`.
    #[schemars(with = "Option<String>")]
    pub(super) burst: Option<Placed<String>>,
    /// When the rule holds; left out, always.
    #[schemars(with = "Option<WhenDocument>")]
    pub(super) when: Option<Placed<WhenDocument>>,
}

/// An item of `services`, and a file of the catalogue.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Service")]
pub(super) struct ServiceDocument {
    /// What rules call it.
    #[schemars(with = "schema::ServiceId")]
    pub(super) id: Placed<String>,
    /// What people call it.
    pub(super) name: Placed<String>,
    /// What kind of service it is.
    #[schemars(with = "schema::Category")]
    pub(super) category: Placed<String>,
    /// Whether it still runs.
    #[schemars(with = "Option<schema::Status>")]
    pub(super) status: Option<Placed<String>>,
    /// When it ended, as far as known.
    #[schemars(with = "Option<schema::Date>")]
    pub(super) ended: Option<Placed<String>>,
    /// Remote ports that tell it.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<schema::Port>>")]
    pub(super) ports: Vec<Placed<String>>,
    /// What else its ports, names and addresses carry.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<CollateralDocument>>")]
    pub(super) collateral: Vec<Placed<CollateralDocument>>,
    /// What to do about it when in doubt: advice for people.
    #[schemars(with = "Option<schema::Action>")]
    pub(super) default: Option<Placed<String>>,
    /// What else is worth knowing.
    pub(super) notes: Option<String>,
    /// Names that belong to it, each with all names below it.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<schema::Domain>>")]
    pub(super) names: Vec<Placed<String>>,
    /// Remote addresses that belong to it.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<schema::Prefix>>")]
    pub(super) prefixes: Vec<Placed<String>>,
    /// Whether it can be called with.
    pub(super) calls: Option<bool>,
    /// Whether it is told only where a rule names it.
    pub(super) opt_in: Option<bool>,
    /// Payloads that only it sends.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<MarkerDocument>>")]
    pub(super) markers: Vec<Placed<MarkerDocument>>,
    /// Application protocols that its clients offer in a TLS handshake.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) alpn: Vec<Placed<String>>,
    /// STUN attribute types that only it uses.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<StunDocument>>")]
    pub(super) stun: Vec<Placed<StunDocument>>,
}

/// An item of `collateral`: one of the first three keys, and what breaks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Collateral")]
pub(super) struct CollateralDocument {
    /// A port of the service.
    #[schemars(with = "Option<schema::Port>")]
    pub(super) port: Option<Placed<String>>,
    /// A name of the service.
    #[schemars(with = "Option<schema::Domain>")]
    pub(super) name: Option<Placed<String>>,
    /// Addresses of the service.
    #[schemars(with = "Option<schema::Prefix>")]
    pub(super) prefix: Option<Placed<String>>,
    /// What breaks when the service is dropped by it.
    pub(super) breaks: String,
}

/// An item of `markers`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Marker")]
pub(super) struct MarkerDocument {
    /// Where it is looked for.
    #[schemars(with = "schema::MarkerTransport")]
    pub(super) transport: Placed<String>,
    /// Which end sends it: the client is the one that began.
    #[schemars(with = "Option<schema::MarkerFrom>")]
    pub(super) from: Option<Placed<String>>,
    /// In which packet of that end it stands.
    #[schemars(with = "Option<schema::MarkerPacket>")]
    pub(super) packet: Option<Placed<String>>,
    /// Where `bytes` or `text` begins in the payload.
    #[schemars(with = "Option<schema::Offset>")]
    pub(super) offset: Option<Placed<i64>>,
    /// Hex bytes: `2a` a byte, `??` any, `0?` a digit open, `01..05` a range, `83|31` either.
    #[schemars(with = "Option<schema::Hex>")]
    pub(super) bytes: Option<Placed<String>>,
    /// Text in place of `bytes`, with the escapes \r, \n, \t, \\ and \xNN.
    pub(super) text: Option<Placed<String>>,
    /// Whether ASCII letters of `text` fold.
    pub(super) nocase: Option<Placed<bool>>,
    /// A number in the payload that is the payload's length.
    pub(super) length: Option<Placed<LengthDocument>>,
    /// The payload's length.
    #[schemars(with = "Option<schema::Span>")]
    pub(super) payload: Option<Placed<String>>,
    /// The payload's last bytes, 1 to 4.
    #[schemars(with = "Option<schema::Hex>")]
    pub(super) last: Option<Placed<String>>,
    /// Bytes or text that begin somewhere in a window.
    pub(super) find: Option<Placed<FindDocument>>,
    /// Only if one end has one of these ports, at most 6 ranges.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<schema::PlainPorts>>")]
    pub(super) ports: Vec<Placed<String>>,
    /// Never on these ports, at most 6 ranges.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<schema::PlainPorts>>")]
    pub(super) not_ports: Vec<Placed<String>>,
    /// Only inside flows that are this service already.
    #[serde(rename = "in")]
    #[schemars(with = "Option<schema::ServiceId>")]
    pub(super) within: Option<Placed<String>>,
    /// What it is worth.
    #[serde(rename = "use")]
    #[schemars(with = "Option<schema::Worth>")]
    pub(super) worth: Option<Placed<String>>,
}

/// `length` of a marker.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Length")]
pub(super) struct LengthDocument {
    /// Where the number begins in the payload.
    #[schemars(with = "u16")]
    pub(super) at: Placed<i64>,
    /// How many bytes it has.
    #[schemars(with = "schema::LengthSize")]
    pub(super) size: Placed<i64>,
    /// Its byte order.
    #[schemars(with = "Option<schema::ByteOrder>")]
    pub(super) order: Option<Placed<String>>,
    /// What is added to it.
    pub(super) plus: Option<Placed<i64>>,
    /// Whether the payload may be longer.
    pub(super) fits: Option<bool>,
}

/// `find` of a marker.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Find")]
pub(super) struct FindDocument {
    /// What is looked for, as hex bytes.
    #[schemars(with = "Option<schema::Hex>")]
    pub(super) bytes: Option<Placed<String>>,
    /// What is looked for, as text.
    pub(super) text: Option<Placed<String>>,
    /// The first offset at which it may begin.
    #[schemars(with = "Option<u16>")]
    pub(super) from: Option<Placed<i64>>,
    /// The offset at which it may no longer begin, at most 1024.
    #[schemars(with = "schema::Window")]
    pub(super) within: Placed<i64>,
    /// Whether ASCII letters of `text` fold.
    pub(super) nocase: Option<bool>,
}

/// An item of `stun`: a type or a range of types, alone or with what it is worth.
#[derive(Debug)]
pub(super) struct StunDocument {
    pub(super) attribute: Placed<String>,
    pub(super) worth: Option<Placed<String>>,
}

/// `hops`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Hops")]
pub(super) struct HopsDocument {
    /// Whether such connections are counted, or dropped.
    #[schemars(with = "Option<schema::HopAction>")]
    pub(super) action: Option<Placed<String>>,
    /// How long after a refusal another port counts: 1s to 1h.
    #[schemars(with = "Option<schema::Duration>")]
    pub(super) within: Option<Placed<String>>,
    /// How long the server stays shut: 1s to 24h.
    #[serde(rename = "for")]
    #[schemars(with = "Option<schema::Duration>")]
    pub(super) shut: Option<Placed<String>>,
    /// How many other ports shut it, the last one included.
    #[schemars(with = "Option<schema::HopsAfter>")]
    pub(super) after: Option<Placed<String>>,
}

/// `limits`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(super) struct LimitsDocument {
    /// Pairs of host and service that have counters of their own.
    #[schemars(with = "Option<schema::HostsLimit>")]
    pub(super) hosts: Option<Placed<u64>>,
    /// Prefixes of groups, protected hosts and the box's own addresses.
    #[schemars(with = "Option<schema::PrefixesLimit>")]
    pub(super) prefixes: Option<Placed<u64>>,
    /// Flows that are remembered at the same time.
    #[schemars(with = "Option<schema::FlowsLimit>")]
    pub(super) flows: Option<Placed<u64>>,
    /// IPv4 prefixes of local hosts whose counters have places by address.
    #[serde(default, deserialize_with = "or_nothing")]
    #[schemars(with = "Option<Vec<schema::InsidePrefix>>")]
    pub(super) inside: Vec<Placed<String>>,
}
