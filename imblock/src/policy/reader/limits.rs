//! The sizes of tables.

use imblock_common::layout::Inside;

use super::Reader;
use crate::policy::document::LimitsDocument;
use crate::policy::error_kind::PolicyErrorKind;
use crate::policy::inside::{self, InsideFault};
use crate::policy::net;
use crate::policy::plan::Limits;
use crate::policy::source::{Placed, Span};

/// Smallest and largest `limits.hosts`.
pub(in crate::policy) const HOSTS: (u32, u32) = (1, 1 << 23);
/// Smallest and largest `limits.prefixes`.
pub(in crate::policy) const PREFIXES: (u32, u32) = (256, 1 << 24);
/// Smallest and largest `limits.flows`. Without a table, each packet is looked at alone.
pub(in crate::policy) const FLOWS: (u32, u32) = (0, imblock_common::flows::FLOWS_MAX);

impl Reader<'_> {
    pub(super) fn limits(&mut self, document: &LimitsDocument) -> Limits {
        let standard = Limits::default();
        Limits {
            hosts: self.limit("hosts", document.hosts.as_ref(), HOSTS, standard.hosts),
            prefixes: self.limit(
                "prefixes",
                document.prefixes.as_ref(),
                PREFIXES,
                standard.prefixes,
            ),
            flows: self.limit("flows", document.flows.as_ref(), FLOWS, standard.flows),
            inside: self.inside(&document.inside),
        }
    }

    /// The first prefix that can't be in the list is told, with the one that is in its way.
    fn inside(&mut self, given: &[Placed<String>]) -> Inside {
        let mut inside = Inside::NONE;
        let nets = self.words(given, net::prefix);
        for (place, net) in nets.iter().enumerate() {
            inside = match inside::with(inside, net.value) {
                Ok(more) => more,
                Err(fault) => {
                    let InsideFault::Overlap { other, .. } = fault else {
                        self.fail(net.at, fault.into());
                        break;
                    };
                    let mut earlier = nets.iter().take(place);
                    let first = earlier.find(|earlier| earlier.value == other.into());
                    let first = first.map_or(net.at, |first| first.at);
                    self.fail_twice(net.at, first, fault.into());
                    break;
                }
            };
        }
        inside
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

/// Where to point at when the limits are too small.
pub(super) fn place(limits: &LimitsDocument) -> Option<Span> {
    let prefixes = limits.prefixes.as_ref().map(|limit| limit.at);
    prefixes.or(limits.hosts.as_ref().map(|limit| limit.at))
}
