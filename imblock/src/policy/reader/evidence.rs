//! What tells a service, and what else that carries.

use super::Reader;
use crate::policy::document::{CollateralDocument, StunDocument};
use crate::policy::domain::Domain;
use crate::policy::error_kind::PolicyErrorKind;
use crate::policy::marker::StunAttribute;
use crate::policy::model::{Claim, Collateral};
use crate::policy::net::{self, PortRange};
use crate::policy::source::{Placed, Span};

use super::ERRORS_MAX;

impl Reader<'_> {
    /// What was read, or `None` and an error.
    pub(super) fn marker<T>(&mut self, read: Result<T, (Span, PolicyErrorKind)>) -> Option<T> {
        if self.errors.len() >= ERRORS_MAX {
            return None;
        }
        read.map_err(|(at, kind)| self.fail(at, kind)).ok()
    }

    pub(super) fn stun(&mut self, document: &Placed<StunDocument>) -> Option<StunAttribute> {
        let Placed { value, at } = document;
        // A type alone has the place of its item.
        let attribute = match value.worth {
            None => &Placed {
                value: value.attribute.value.clone(),
                at: *at,
            },
            Some(_) => &value.attribute,
        };
        self.marker(StunAttribute::read(attribute, value.worth.as_ref()))
    }

    pub(super) fn collateral(
        &mut self,
        document: Placed<CollateralDocument>,
    ) -> Option<Collateral> {
        let Placed { value, at } = document;
        let of = match (&value.port, &value.name, &value.prefix) {
            (Some(port), None, None) => Claim::Port(self.word(port, PortRange::parse)?),
            (None, Some(name), None) => Claim::Name(self.word(name, Domain::parse)?),
            (None, None, Some(prefix)) => Claim::Prefix(self.word(prefix, net::service_prefix)?),
            _ => {
                self.fail(at, PolicyErrorKind::CollateralOf);
                return None;
            }
        };
        let breaks = value.breaks;
        Some(Collateral { of, breaks })
    }
}
