//! What a policy means: every word parsed, every name resolved, nothing compiled yet.
//!
//! Invariant: a [`Policy`] that exists is free of errors, but for what depends on the box it runs
//! on (see [`super::compile`]).

use std::fmt;
use std::sync::Arc;

use imblock_common::Action;
use ipnet::IpNet;
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::document;
use super::domain::Domain;
use super::error::{PolicyError, PolicyErrors};
use super::error_kind::PolicyErrorKind;
use super::hops::Hops;
use super::include;
use super::mac::Mac;
use super::marker::{Marker, StunAttribute};
use super::net::PortRange;
use super::plan::{InterfacePlan, Limits, QuicMode};
use super::rate::Limit;
use super::reader::Reader;
use super::schedule::Schedule;
use super::selector::Selector;
use super::source::{Placed, Source, Span};
use super::trial::Trial;
use super::words::{Category, GroupName, ServiceId, Status};

/// The version of the language that this program reads.
pub const VERSION: u64 = 1;
/// A policy. Its `Display` is YAML that means the same.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    #[serde(skip)]
    pub(super) source: Arc<Source>,
    pub(super) version: u64,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) interfaces: Vec<InterfacePlan>,
    pub(super) defaults: Defaults,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "groups_as_map"
    )]
    pub(super) groups: Vec<Group>,
    #[serde(skip_serializing_if = "Protect::is_empty")]
    pub(super) protect: Protect,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) services: Vec<Service>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hops: Option<Hops>,
    pub(super) quic: QuicMode,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) trust: Vec<Selector>,
    pub(super) limits: Limits,
    #[serde(rename = "tests", skip_serializing_if = "Vec::is_empty")]
    pub(super) trials: Vec<Trial>,
    #[serde(skip)]
    pub(super) name_at: Span,
    #[serde(skip)]
    pub(super) limits_at: Option<Span>,
}

/// What holds when no rule says otherwise.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Defaults {
    #[serde(serialize_with = "action_as_name")]
    pub(super) action: Action,
}

/// Hosts with a name.
#[derive(Clone, Debug)]
pub struct Group {
    /// The name.
    pub name: GroupName,
    /// The hosts.
    pub prefixes: Vec<Placed<IpNet>>,
    /// More hosts, by their devices.
    pub macs: Vec<Placed<Mac>>,
}

/// What is never dropped.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Protect {
    /// Remote ports, and local ones towards the world.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Placed<PortRange>>,
    /// Hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Placed<IpNet>>,
}

/// What to do with some services of some groups.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// Which services.
    pub services: Vec<Selector>,
    /// Which groups; `None` for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<GroupName>>,
    /// What to do.
    #[serde(serialize_with = "action_as_name")]
    pub action: Action,
    /// How fast, where the action is limit and nowhere else.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// When it holds; `None` for always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Schedule>,
    /// Where it stands.
    #[serde(skip)]
    pub(super) at: Span,
}

/// A service and how to tell it.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// Its id, as people type it.
    pub id: ServiceId,
    /// Its name, as people read it.
    pub name: String,
    /// What kind it is.
    pub category: Category,
    /// Whether it still runs.
    pub status: Status,
    /// When it ended, as far as known: `2018`, `2018-07` or `2018-07-17`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Remote ports that tell it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
    /// Names that tell it, each with all names below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Domain>,
    /// Remote addresses that tell it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<IpNet>,
    /// Whether it can be called with: STUN and RTP soon after its traffic are its own.
    #[serde(skip_serializing_if = "is_false")]
    pub calls: bool,
    /// Whether it is told only where a rule names it: what tells it carries too much else.
    #[serde(skip_serializing_if = "is_false")]
    pub opt_in: bool,
    /// What else these ports, names and addresses carry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collateral: Vec<Collateral>,
    /// What to do about it when in doubt. Advice to people; compiling does not use it.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "advice_as_name"
    )]
    pub default: Option<Action>,
    /// What else is worth knowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Payloads that tell it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub markers: Vec<Marker>,
    /// Application protocols (ALPN) that tell it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// STUN attribute types that tell it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stun: Vec<StunAttribute>,
}

impl Service {
    /// The same, told by nothing.
    pub(super) fn unheard(&self) -> Self {
        Self {
            ports: Vec::new(),
            names: Vec::new(),
            prefixes: Vec::new(),
            markers: Vec::new(),
            alpn: Vec::new(),
            stun: Vec::new(),
            ..self.clone()
        }
    }
}

/// What else breaks when a service is dropped by some evidence of it.
#[derive(Clone, Debug, Serialize)]
pub struct Collateral {
    /// What of the service.
    #[serde(flatten)]
    pub of: Claim,
    /// What breaks, in words.
    pub breaks: String,
}

/// What a service can claim, and by which it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// Remote ports.
    Port(PortRange),
    /// A name, with all names below it.
    Name(Domain),
    /// Remote addresses.
    Prefix(IpNet),
    /// An application protocol.
    Alpn(String),
    /// A STUN attribute type.
    Stun(StunAttribute),
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => port.fmt(f),
            Self::Name(name) => name.fmt(f),
            Self::Prefix(net) => net.fmt(f),
            Self::Alpn(protocol) => write!(f, "the protocol {protocol}"),
            Self::Stun(stun) => write!(f, "the STUN attribute {:#06x}", stun.first),
        }
    }
}

impl Policy {
    /// Reads a policy out of a text. `catalogue` are the services that it may name beside its own.
    pub(super) fn read(source: Source, catalogue: &[Service]) -> Result<Self, PolicyErrors> {
        let (document, source) = include::policy(source)?;
        let mut reader = Reader::new(&source);
        let policy = reader.policy(document, catalogue);
        PolicyErrors::none_or(reader.errors)?;
        Ok(policy)
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where to attach; may be empty.
    pub fn interfaces(&self) -> &[InterfacePlan] {
        &self.interfaces
    }

    /// What is done with a service that no rule names.
    pub fn default_action(&self) -> Action {
        self.defaults.action
    }

    /// The groups in the order of the text.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// What is never dropped.
    pub fn protect(&self) -> &Protect {
        &self.protect
    }

    /// The rules in the order of the text.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a rule names a service by itself, and not only among others of its kind.
    pub(super) fn names(&self, service: &ServiceId) -> bool {
        let mut selectors = self.rules.iter().flat_map(|rule| &rule.services);
        selectors.any(|selector| matches!(selector, Selector::Service(id) if id == service))
    }

    /// The policy's own services, without those of the catalogue.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// What is done about hosts that go from port to port.
    pub fn hops(&self) -> Option<Hops> {
        self.hops
    }

    /// What is done about QUIC.
    pub fn quic(&self) -> QuicMode {
        self.quic
    }

    /// The services whose uncertain evidence may drop.
    pub fn trust(&self) -> &[Selector] {
        &self.trust
    }

    /// What the policy itself says that it does.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Sizes of the tables.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// An error about the policy as a whole.
    pub(super) fn error(&self, kind: PolicyErrorKind) -> PolicyError {
        PolicyError::new(&self.source, self.name_at, kind)
    }

    /// An error at a place of the policy.
    pub(super) fn error_at(&self, at: Span, kind: PolicyErrorKind) -> PolicyError {
        PolicyError::new(&self.source, at, kind)
    }

    /// An error about `limits`, or about the whole when there are none.
    pub(super) fn limits_error(&self, kind: PolicyErrorKind) -> PolicyError {
        let at = self.limits_at.unwrap_or(self.name_at);
        PolicyError::new(&self.source, at, kind)
    }

    /// `office.yaml:12`.
    pub(super) fn place(&self, at: Span) -> String {
        format!("{}:{}", self.source.of(at).name(), at.line)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&document::write(self)?)
    }
}

impl Service {
    /// Reads a file of the catalogue.
    pub(crate) fn read(source: &Arc<Source>) -> Result<Self, PolicyErrors> {
        let document = document::service(source)?;
        let mut reader = Reader::new(source);
        let service = reader.service(document);
        // A file of the catalogue may name any other.
        let mut ids: Vec<&str> = crate::catalogue::SERVICES
            .iter()
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        reader.within(service.as_slice(), &ids);
        PolicyErrors::none_or(reader.errors)?;
        service.ok_or_else(|| {
            // Unreachable: a service is only missing for an error.
            PolicyError::new(source, Span::default(), PolicyErrorKind::Empty).into()
        })
    }
}

impl Protect {
    fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.hosts.is_empty()
    }
}

/// A list of members.
impl Serialize for Group {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.prefixes.len() + self.macs.len()))?;
        for prefix in &self.prefixes {
            list.serialize_element(prefix)?;
        }
        for mac in &self.macs {
            list.serialize_element(mac)?;
        }
        list.end()
    }
}

fn groups_as_map<S: Serializer>(groups: &[Group], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(groups.len()))?;
    for group in groups {
        map.serialize_entry(&group.name, group)?;
    }
    map.end()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn action_as_name<S: Serializer>(action: &Action, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(action.name())
}

fn advice_as_name<S: Serializer>(action: &Option<Action>, to: S) -> Result<S::Ok, S::Error> {
    action.map(Action::name).serialize(to)
}
