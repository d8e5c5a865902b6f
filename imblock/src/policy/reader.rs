//! From what was typed to what it means.
//!
//! Invariant: a policy comes out whole or not at all, and then with everything that is wrong with
//! its words.

mod evidence;
pub(super) mod limits;
mod rates;
mod trials;
mod when;

use std::collections::HashMap;
use std::sync::Arc;

use imblock_common::layout::GROUPS_MAX;
use imblock_common::{Action, Side};

use super::document::{
    GroupsDocument, InterfaceDocument, PolicyDocument, RuleDocument, ServiceDocument,
};
use super::domain::Domain;
use super::error::PolicyError;
use super::error_kind::PolicyErrorKind;
use super::hops::Hops;
use super::mac::Member;
use super::marker::{self, Marker};
use super::model::{Defaults, Group, Policy, Protect, Rule, Service, VERSION};
use super::net::{self, PortRange};
use super::plan::{EVERYONE, InterfacePlan};
use super::selector::Selector;
use super::source::{Placed, Source, Span};
use super::words::{self, Category, GroupName, ServiceId, Status, Suggestion};

/// Errors after which the words of a policy are no longer looked at: each costs a search for what
/// was meant.
const ERRORS_MAX: usize = 200;
/// Bytes of a word that are looked at.
const WORD_MAX: usize = 128;

/// Reads a document and keeps what is wrong with it, so that all of it can be told at once.
pub(super) struct Reader<'a> {
    source: &'a Arc<Source>,
    pub(super) errors: Vec<PolicyError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Arc<Source>) -> Self {
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
        self.errors.push(match at.file == first.file {
            true => error.and(first, "first here"),
            false => {
                let place = format!("{}:{}", self.source.of(first).name(), first.line);
                error.and_elsewhere(&place, "it is first in")
            }
        });
    }

    /// The meaning of a word, or `None` and an error.
    fn word<T>(
        &mut self,
        word: &Placed<String>,
        parse: impl Fn(&str) -> Result<T, PolicyErrorKind>,
    ) -> Option<T> {
        if self.errors.len() >= ERRORS_MAX {
            return None;
        }
        // No word that means something is this long, and nobody wants to read it back.
        let text = word.value.as_str();
        let text = text
            .get(..text.floor_char_boundary(WORD_MAX))
            .unwrap_or(text);
        parse(text).map_err(|kind| self.fail(word.at, kind)).ok()
    }

    /// The meaning of a word that may be missing.
    pub(super) fn optional<T>(
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

    pub(super) fn policy(&mut self, document: PolicyDocument, catalogue: &[Service]) -> Policy {
        let PolicyDocument {
            version,
            name,
            // Resolved already.
            include: _,
            interfaces,
            defaults,
            groups,
            protect,
            rules,
            services,
            hops,
            quic,
            trust,
            limits,
            tests,
        } = document;
        if version.value != VERSION {
            let kind = PolicyErrorKind::UnsupportedVersion(version.value);
            self.fail(version.at, kind);
        }
        let services = self.services(services, catalogue);
        let mut ids: Vec<&str> = [&services, catalogue]
            .into_iter()
            .flatten()
            .map(|service| service.id.as_str())
            .collect();
        ids.sort_unstable();
        self.within(&services, &ids);
        let trust = self.words(&trust, |text| Ok(Selector::parse(text, &ids)?));
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
                hosts: self.words(&protect.hosts, net::prefix),
            },
            rules: self.rules(&rules, &groups, &[&services, catalogue]),
            hops: hops.map(|hops| Hops::read(self, &hops)),
            quic: self
                .optional(quic.as_ref(), words::quic)
                .unwrap_or_default(),
            limits_at: limits::place(&limits),
            name_at: name.at,
            limits: self.limits(&limits),
            groups,
            trust: values(trust),
            services,
            trials: self.trials(&tests),
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
        let mut owners: HashMap<Member, (GroupName, Span)> = HashMap::new();
        let mut groups = Vec::new();
        let mut names: HashMap<GroupName, Span> = HashMap::new();
        for (name_document, members) in documents.0 {
            let mut members = self.words(&members, Member::parse);
            let Some(name) = self.word(&name_document, GroupName::parse) else {
                continue;
            };
            // Within a file the keys of a map tell already.
            if let Some(first) = names.insert(name.clone(), name_document.at) {
                let what = "the group";
                let name = name.as_str().to_owned();
                self.fail_twice(
                    name_document.at,
                    first,
                    PolicyErrorKind::Twice { what, name },
                );
                continue;
            }
            members.retain(|member| match owners.get(&member.value) {
                None => {
                    owners.insert(member.value, (name.clone(), member.at));
                    true
                }
                Some((first, _)) if *first == name => false,
                Some((first, first_at)) => {
                    let kind = PolicyErrorKind::InTwoGroups {
                        member: member.value.to_string(),
                        first: first.as_str().to_owned(),
                        second: name.as_str().to_owned(),
                    };
                    self.fail_twice(member.at, *first_at, kind);
                    false
                }
            });
            let mut group = Group {
                name,
                prefixes: Vec::new(),
                macs: Vec::new(),
            };
            for member in members {
                match member.value {
                    Member::Net(net) => group.prefixes.push(member.map(net)),
                    Member::Mac(mac) => group.macs.push(member.map(mac)),
                }
            }
            groups.push(group);
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
        let when = rule.when.as_ref().and_then(|when| self.when(when));
        let action = self.word(&rule.action, words::rule_action)?;
        let limit = self.rate_limit(rule, action);
        Some(Rule {
            services: values(services),
            groups,
            action,
            limit,
            when,
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

    pub(super) fn service(&mut self, document: ServiceDocument) -> Option<Service> {
        let id = self.word(&document.id, ServiceId::parse);
        let category = self.word(&document.category, Category::parse);
        let status = self.optional(document.status.as_ref(), Status::parse);
        let ended = self.optional(document.ended.as_ref(), words::date);
        let ports = values(self.words(&document.ports, PortRange::parse));
        let names = values(self.words(&document.names, Domain::parse));
        let prefixes = values(self.words(&document.prefixes, net::service_prefix));
        let collateral = document.collateral.into_iter();
        let collateral = collateral
            .filter_map(|document| self.collateral(document))
            .collect();
        let markers = document.markers.iter();
        let markers = markers
            .filter_map(|document| self.marker(Marker::read(document)))
            .collect();
        let alpn = values(self.words(&document.alpn, marker::protocol));
        let stun = document.stun.iter();
        let stun = stun.filter_map(|document| self.stun(document)).collect();
        let default = self.optional(document.default.as_ref(), words::action);
        Some(Service {
            id: id?,
            name: document.name.value,
            category: category?,
            status: status.unwrap_or_default(),
            ended,
            ports,
            names,
            prefixes,
            calls: document.calls.unwrap_or(false),
            opt_in: document.opt_in.unwrap_or(false),
            collateral,
            default,
            notes: document.notes,
            markers,
            alpn,
            stun,
        })
    }

    /// Looks whether the services whose flows markers look into exist; `ids` are sorted.
    pub(super) fn within(&mut self, services: &[Service], ids: &[&str]) {
        let markers = services.iter().flat_map(|service| &service.markers);
        for within in markers.filter_map(|marker| marker.within.as_ref()) {
            let id = within.value.as_str();
            if let Err(unknown) = Selector::parse(id, ids) {
                self.fail(within.at, unknown.into());
            }
        }
    }
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
