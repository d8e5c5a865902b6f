//! Policies that are small or large in one thing.

use std::fmt::Write as _;

use anyhow::Result;
use imblock::policy::plan::{Limits, Plan};
use imblock::policy::{self, PolicySource};
use imblock_common::layout::{Inside, SERVICES_MAX};

use super::super::control::files::{self, Size};
use super::super::policy::{compiled, of_text};

/// The port of the first own service, which is dropped; the next ones follow.
pub(super) const PORT: u16 = 20_000;

/// Room for all that is tried. The flow table has eight cells a bucket: with as many flows as cells,
/// one in eight would find its bucket full, and what is measured would be flows that begin anew.
const LIMITS: Limits = Limits {
    hosts: 200_000,
    prefixes: 262_144,
    flows: 2_000_000,
    inside: Inside::NONE,
};

/// A policy of so many groups, rules and own services. Group `g0` is 10.0.0.0/24, and the first own
/// service is dropped for everybody.
pub(super) struct Shape {
    pub(super) groups: u16,
    pub(super) rules: u16,
    /// Own services; `None` for as many as there are numbers.
    pub(super) services: Option<u16>,
}

impl Shape {
    pub(super) fn plan(&self) -> Result<Plan> {
        let services = match self.services {
            Some(services) => services,
            // As many as the catalogue leaves.
            None => {
                let known = of_text(text(1, 0, 0), LIMITS)?;
                let taken = known.services.len().saturating_sub(1);
                u16::try_from(SERVICES_MAX - 1 - taken)?
            }
        };
        of_text(text(services, self.groups, self.rules), LIMITS)
    }
}

/// A policy of so many names and prefixes, half of which nobody asks for.
pub(super) fn lists(names: u32, prefixes: u32) -> Result<Plan> {
    let folder = tempfile::tempdir()?;
    let size = Size {
        names,
        prefixes,
        hosts: LIMITS.hosts,
        flows: LIMITS.flows,
    };
    files::write(folder.path(), "lists", &size, 1)?;
    let path = folder.path().join("lists.yaml");
    compiled(policy::load(&PolicySource::File(path)), LIMITS)
}

fn text(services: u16, groups: u16, rules: u16) -> String {
    let mut text = "version: 1\nname: scale\ndefaults: { action: count }\nservices:\n".to_owned();
    for number in 0..services {
        let port = PORT + number;
        let _ = writeln!(
            text,
            "  - {{ id: own-{number}, name: own {number}, category: im, ports: [tcp/{port}, udp/{port}] }}"
        );
    }
    if groups > 0 {
        text.push_str("groups:\n");
    }
    for number in 0..groups {
        let _ = writeln!(text, "  g{number}: [10.0.{number}.0/24]");
    }
    text.push_str("rules:\n  - { services: [own-0], action: drop }\n");
    // Each names a group and a service that no rule before it named.
    let (per_group, groups) = (services.saturating_sub(1).max(1), groups.max(1));
    for rule in 0..rules
        .saturating_sub(1)
        .min(per_group.saturating_mul(groups))
    {
        let (group, service) = (rule / per_group, 1 + rule % per_group);
        let _ = writeln!(
            text,
            "  - {{ services: [own-{service}], groups: [g{group}], action: drop }}"
        );
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use imblock_common::layout::GROUPS_MAX;

    use super::*;

    #[test]
    fn as_many_services_and_groups_as_there_are_numbers() {
        let shape = Shape {
            groups: 255,
            rules: 10,
            services: None,
        };
        let plan = shape.plan().unwrap();
        assert_eq!(plan.services.len(), SERVICES_MAX - 1);
        assert_eq!(plan.groups.len(), GROUPS_MAX);
    }

    #[test]
    fn every_rule_has_something_to_decide() {
        let shape = Shape {
            groups: 250,
            rules: 10_000,
            services: Some(41),
        };
        let plan = shape.plan().unwrap();
        assert_eq!(plan.origins.len(), 251 + 9_999);
        let idle = plan
            .warnings
            .iter()
            .any(|text| text.contains("never applies"));
        assert!(!idle, "{:?}", plan.warnings.first());
    }
}
