//! Families of services: those of one owner, of one protocol, or of one client.
//!
//! Invariant: a family has a name that can be typed in a selector, and at least one member.

use std::sync::Arc;

use super::document;
use super::error::{PolicyError, PolicyErrors};
use super::error_kind::PolicyErrorKind;
use super::source::{Source, Span};
use super::words::ServiceId;

/// Services that belong together, under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// What selectors call it, in the letters of a service's id.
    pub name: ServiceId,
    /// The services, which may be members of other families as well.
    pub members: Vec<ServiceId>,
}

impl Family {
    /// Reads the families of the catalogue, in the order in which they stand. Whether the members
    /// exist is another question.
    pub(crate) fn read_all(source: &Arc<Source>) -> Result<Vec<Self>, PolicyErrors> {
        let document = document::families(source)?;
        let at = |place: Span| move |kind: PolicyErrorKind| PolicyError::new(source, place, kind);
        let mut families = Vec::new();
        for (name, members) in document.families.0 {
            let ids = members
                .iter()
                .map(|member| ServiceId::parse(&member.value).map_err(at(member.at)))
                .collect::<Result<Vec<_>, _>>()?;
            if ids.is_empty() {
                return Err(at(name.at)(PolicyErrorKind::Empty).into());
            }
            families.push(Self {
                name: ServiceId::parse(&name.value).map_err(at(name.at))?,
                members: ids,
            });
        }
        Ok(families)
    }

    /// Whether a service is a member.
    pub fn has(&self, id: &str) -> bool {
        self.members.iter().any(|member| member.as_str() == id)
    }
}
