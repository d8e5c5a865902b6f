//! Parts of a plan as people ask for them.

use std::collections::BTreeMap;

use imblock_common::Transport;
use imblock_common::layout::{PortEntry, PortTable};

use super::ServicePlan;
use crate::policy::net::PortRange;
use crate::policy::selector::{Selector, SelectorError};
use crate::policy::words::{Category, Status};

/// The services of a list that a selector names; see [`Selector`].
pub fn select<'a>(
    services: &'a [ServicePlan],
    selector: &str,
) -> Result<Vec<&'a ServicePlan>, SelectorError> {
    let mut ids: Vec<&str> = services.iter().map(|service| service.id.as_str()).collect();
    ids.sort_unstable();
    let selector = Selector::parse(selector, &ids)?;
    let chosen = services.iter().filter(|service| {
        let status = match service.historic {
            true => Status::Historic,
            false => Status::Live,
        };
        Category::parse(&service.category)
            .is_ok_and(|category| selector.matches(&service.id, category, status))
    });
    Ok(chosen.collect())
}

/// The remote ports that tell each service, by service number.
pub fn ports_by_service(table: &PortTable) -> BTreeMap<u16, Vec<PortRange>> {
    let mut by_service: BTreeMap<u16, Vec<PortRange>> = BTreeMap::new();
    for transport in [Transport::Tcp, Transport::Udp] {
        for port in 1..=u16::MAX {
            let entry = table.0.get(PortTable::index(transport, port));
            let service = PortEntry(entry.copied().unwrap_or_default()).service();
            if service == 0 {
                continue;
            }
            let ranges = by_service.entry(service).or_default();
            if ranges
                .last_mut()
                .is_none_or(|range| !range.extend(transport, port))
            {
                ranges.extend(PortRange::new(transport, port, port));
            }
        }
    }
    by_service
}
