//! What a policy means: every word parsed, every name resolved, nothing compiled yet.
//!
//! Invariant: a [`Policy`] that exists is free of errors, but for what depends on the box it runs
//! on (see [`super::compile`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use imblock_common::layout::GROUPS_MAX;
use imblock_common::{Action, Side};
use ipnet::IpNet;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::document::{
    self, GroupsDocument, InterfaceDocument, LimitsDocument, PolicyDocument, RuleDocument,
    ServiceDocument,
};
use super::error::{PolicyError, PolicyErrorKind, PolicyErrors};
use super::plan::{EVERYONE, InterfacePlan, Limits};
use super::source::{Placed, Source, Span};
use super::words::{self, Category, GroupName, PortRange, Selector, ServiceId, Status, Suggestion};

/// The version of the language that this program reads.
pub const VERSION: u64 = 1;
/// Smallest and largest `limits.hosts`.
const HOSTS: (u32, u32) = (1, 1 << 24);
/// Smallest and largest `limits.prefixes`.
const PREFIXES: (u32, u32) = (256, 1 << 24);

/// A policy. Its `Display` is YAML that means the same.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    #[serde(skip)]
    source: Arc<Source>,
    version: u64,
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<InterfacePlan>,
    defaults: Defaults,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "groups_as_map"
    )]
    groups: Vec<Group>,
    #[serde(skip_serializing_if = "Protect::is_empty")]
    protect: Protect,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    services: Vec<Service>,
    limits: Limits,
    #[serde(skip)]
    limits_at: Span,
}

/// What holds when no rule says otherwise.
#[derive(Clone, Copy, Debug, Serialize)]
struct Defaults {
    #[serde(serialize_with = "action_as_name")]
    action: Action,
}

/// Hosts with a name.
#[derive(Clone, Debug)]
pub struct Group {
    /// The name.
    pub name: GroupName,
    /// The hosts.
    pub prefixes: Vec<Placed<IpNet>>,
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
    /// What else lives on these ports.
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
    /// Keys with evidence that this version does not use.
    #[serde(skip)]
    pub(super) unused: Vec<Placed<&'static str>>,
}

/// What else breaks when a port is dropped.
#[derive(Clone, Debug, Serialize)]
pub struct Collateral {
    /// The port.
    pub port: PortRange,
    /// What breaks, in words.
    pub breaks: String,
}

impl Policy {
    /// Reads a policy out of a text. `catalogue` are the services that it may name beside its own.
    pub(super) fn read(source: Arc<Source>, catalogue: &[Service]) -> Result<Self, PolicyErrors> {
        let document = document::policy(&source)?;
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

    /// The policy's own services, without those of the catalogue.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Sizes of the tables.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// An error about `limits`, or about the whole when there are none.
    pub(super) fn limits_error(&self, kind: PolicyErrorKind) -> PolicyError {
        PolicyError::new(&self.source, self.limits_at, kind)
    }

    /// `office.yaml:12`.
    pub(super) fn place(&self, at: Span) -> String {
        format!("{}:{}", self.source.name(), at.line)
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
        PolicyErrors::none_or(reader.errors)?;
        service.ok_or_else(|| {
            // Unreachable: a service is only missing for an error.
            PolicyError::new(source, Span::default(), PolicyErrorKind::Empty).into()
        })
    }
}

/// Reads a document and keeps what is wrong with it, so that all of it can be told at once.
struct Reader<'a> {
    source: &'a Arc<Source>,
    errors: Vec<PolicyError>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Arc<Source>) -> Self {
        Self {
            source,
            errors: Vec::new(),
        }
    }

    fn fail(&mut self, at: Span, kind: PolicyErrorKind) {
        self.errors.push(PolicyError::new(self.source, at, kind));
    }

    fn fail_twice(&mut self, at: Span, first: Span, kind: PolicyErrorKind) {
        let error = PolicyError::new(self.source, at, kind);
        self.errors.push(error.and(first, "first here"));
    }

    /// The meaning of a word, or `None` and an error.
    fn word<T>(
        &mut self,
        word: &Placed<String>,
        parse: impl Fn(&str) -> Result<T, PolicyErrorKind>,
    ) -> Option<T> {
        parse(&word.value)
            .map_err(|kind| self.fail(word.at, kind))
            .ok()
    }

    /// The meaning of a word that may be missing.
    fn optional<T>(
        &mut self,
        word: Option<&Placed<String>>,
        parse: impl Fn(&str) -> Result<T, PolicyErrorKind>,
    ) -> Option<T> {
        word.and_then(|word| self.word(word, parse))
    }

    /// The meaning of each word of a list that has one, with its place.
    fn words<T>(
        &mut self,
        words: &[Placed<String>],
        parse: impl Fn(&str) -> Result<T, PolicyErrorKind>,
    ) -> Vec<Placed<T>> {
        let mut meanings = Vec::with_capacity(words.len());
        for word in words {
            if let Some(meaning) = self.word(word, &parse) {
                meanings.push(word.map(meaning));
            }
        }
        meanings
    }

    fn policy(&mut self, document: PolicyDocument, catalogue: &[Service]) -> Policy {
        let PolicyDocument {
            version,
            name,
            interfaces,
            defaults,
            groups,
            protect,
            rules,
            services,
            limits,
        } = document;
        if version.value != VERSION {
            let kind = PolicyErrorKind::UnsupportedVersion(version.value);
            self.fail(version.at, kind);
        }
        let services = self.services(services, catalogue);
        let groups = self.groups(groups);
        Policy {
            source: Arc::clone(self.source),
            version: VERSION,
            name: self.word(&name, words::policy_name).unwrap_or_default(),
            interfaces: self.interfaces(&interfaces),
            defaults: Defaults {
                action: self
                    .optional(defaults.action.as_ref(), words::action)
                    .unwrap_or(Action::Count),
            },
            protect: Protect {
                ports: self.words(&protect.ports, PortRange::parse),
                hosts: self.words(&protect.hosts, words::prefix),
            },
            rules: self.rules(&rules, &groups, &[&services, catalogue]),
            limits_at: limits_place(&limits).unwrap_or(name.at),
            limits: self.limits(&limits),
            groups,
            services,
        }
    }

    fn interfaces(&mut self, documents: &[InterfaceDocument]) -> Vec<InterfacePlan> {
        let mut seen = HashMap::new();
        let mut interfaces = Vec::new();
        for document in documents {
            let name = self.word(&document.name, words::interface_name);
            let side = self.word(&document.side, words::side);
            let mode = self.optional(document.mode.as_ref(), words::attach_mode);
            let (Some(name), Some(side)) = (name, side) else {
                continue;
            };
            if let Some(first) = seen.insert(name.clone(), document.name.at) {
                let what = "the interface";
                let kind = PolicyErrorKind::Twice { what, name };
                self.fail_twice(document.name.at, first, kind);
                continue;
            }
            interfaces.push(InterfacePlan {
                name,
                side,
                mode: mode.unwrap_or_default(),
                egress: document.egress.unwrap_or(side == Side::Lan),
            });
        }
        interfaces
    }

    fn groups(&mut self, documents: GroupsDocument) -> Vec<Group> {
        let mut owners: HashMap<IpNet, (GroupName, Span)> = HashMap::new();
        let mut groups = Vec::new();
        for (name_document, prefixes) in documents.0 {
            let mut prefixes = self.words(&prefixes, words::prefix);
            let Some(name) = self.word(&name_document, GroupName::parse) else {
                continue;
            };
            prefixes.retain(|prefix| match owners.get(&prefix.value) {
                None => {
                    owners.insert(prefix.value, (name.clone(), prefix.at));
                    true
                }
                Some((first, _)) if *first == name => false,
                Some((first, first_at)) => {
                    let kind = PolicyErrorKind::InTwoGroups {
                        net: prefix.value,
                        first: first.as_str().to_owned(),
                        second: name.as_str().to_owned(),
                    };
                    self.fail_twice(prefix.at, *first_at, kind);
                    false
                }
            });
            groups.push(Group { name, prefixes });
            if groups.len() == GROUPS_MAX {
                let kind = PolicyErrorKind::TooManyGroups(GROUPS_MAX - 1);
                self.fail(name_document.at, kind);
            }
        }
        groups
    }

    fn rules(
        &mut self,
        documents: &[Placed<RuleDocument>],
        groups: &[Group],
        known: &[&[Service]],
    ) -> Vec<Rule> {
        let mut ids: Vec<&str> = known
            .iter()
            .copied()
            .flatten()
            .map(|s| s.id.as_str())
            .collect();
        ids.sort_unstable();
        let mut names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        names.sort_unstable();
        documents
            .iter()
            .filter_map(|rule| self.rule(rule, &ids, &names))
            .collect()
    }

    fn rule(
        &mut self,
        document: &Placed<RuleDocument>,
        ids: &[&str],
        names: &[&str],
    ) -> Option<Rule> {
        let rule = &document.value;
        let selector = |text: &str| Ok(Selector::parse(text, ids)?);
        let services = self.words(&rule.services.value, selector);
        if rule.services.value.is_empty() {
            self.fail(rule.services.at, PolicyErrorKind::EmptyList("services"));
        }
        let groups = rule.groups.as_ref().map(|list| {
            if list.value.is_empty() {
                self.fail(list.at, PolicyErrorKind::EmptyList("groups"));
            }
            values(self.words(&list.value, |text| group(text, names)))
        });
        let action = self.word(&rule.action, words::action)?;
        Some(Rule {
            services: values(services),
            groups,
            action,
            at: document.at,
        })
    }

    fn services(&mut self, documents: Vec<ServiceDocument>, catalogue: &[Service]) -> Vec<Service> {
        let mut seen: HashMap<ServiceId, Span> = HashMap::new();
        let mut services = Vec::new();
        for document in documents {
            let at = document.id.at;
            let Some(service) = self.service(document) else {
                continue;
            };
            let name = service.id.as_str().to_owned();
            if catalogue.iter().any(|known| known.id == service.id) {
                self.fail(at, PolicyErrorKind::InCatalogue(name));
            } else if let Some(first) = seen.insert(service.id.clone(), at) {
                let what = "the service";
                self.fail_twice(at, first, PolicyErrorKind::Twice { what, name });
            }
            services.push(service);
        }
        services
    }

    fn service(&mut self, document: ServiceDocument) -> Option<Service> {
        let id = self.word(&document.id, ServiceId::parse);
        let category = self.word(&document.category, Category::parse);
        let status = self.optional(document.status.as_ref(), Status::parse);
        let ended = self.optional(document.ended.as_ref(), words::date);
        let ports = values(self.words(&document.ports, PortRange::parse));
        let collateral = document
            .collateral
            .into_iter()
            .filter_map(|document| {
                Some(Collateral {
                    port: self.word(&document.port, PortRange::parse)?,
                    breaks: document.breaks,
                })
            })
            .collect();
        let default = self.optional(document.default.as_ref(), words::action);
        let unused = [
            document.markers.map(|list| list.map("markers")),
            document.names.map(|list| list.map("names")),
            document.prefixes.map(|list| list.map("prefixes")),
        ];
        Some(Service {
            id: id?,
            name: document.name.value,
            category: category?,
            status: status.unwrap_or_default(),
            ended,
            ports,
            collateral,
            default,
            notes: document.notes,
            unused: unused.into_iter().flatten().collect(),
        })
    }

    fn limits(&mut self, document: &LimitsDocument) -> Limits {
        let standard = Limits::default();
        Limits {
            hosts: self.limit("hosts", document.hosts.as_ref(), HOSTS, standard.hosts),
            prefixes: self.limit(
                "prefixes",
                document.prefixes.as_ref(),
                PREFIXES,
                standard.prefixes,
            ),
        }
    }

    fn limit(
        &mut self,
        key: &'static str,
        given: Option<&Placed<u64>>,
        (least, most): (u32, u32),
        standard: u32,
    ) -> u32 {
        let Some(given) = given else {
            return standard;
        };
        match u32::try_from(given.value) {
            Ok(value) if (least..=most).contains(&value) => value,
            _ => {
                let kind = PolicyErrorKind::LimitOutOfRange {
                    key,
                    found: given.value,
                    least,
                    most,
                };
                self.fail(given.at, kind);
                standard
            }
        }
    }
}

fn limits_place(limits: &LimitsDocument) -> Option<Span> {
    let prefixes = limits.prefixes.as_ref().map(|limit| limit.at);
    prefixes.or(limits.hosts.as_ref().map(|limit| limit.at))
}

/// The group of a word; `names` are sorted.
fn group(text: &str, names: &[&str]) -> Result<GroupName, PolicyErrorKind> {
    if text == EVERYONE {
        return Ok(GroupName::everyone());
    }
    let unknown = || PolicyErrorKind::UnknownGroup {
        text: text.to_owned(),
        suggestion: Suggestion::of(text, names),
    };
    names.binary_search(&text).map_err(|_| unknown())?;
    GroupName::parse(text)
}

fn values<T>(placed: Vec<Placed<T>>) -> Vec<T> {
    placed.into_iter().map(|placed| placed.value).collect()
}

impl Protect {
    fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.hosts.is_empty()
    }
}

fn groups_as_map<S: Serializer>(groups: &[Group], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(groups.len()))?;
    for group in groups {
        map.serialize_entry(&group.name, &group.prefixes)?;
    }
    map.end()
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
