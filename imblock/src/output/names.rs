//! The words for what counters know by number.

use std::borrow::Cow;
use std::collections::BTreeMap;

use imblock_common::layout::programs;
use imblock_common::{Hook, Side, View};

use crate::policy::Plan;
use crate::status::Status;

/// Service ids by number.
#[derive(Clone, Debug, Default)]
pub struct ServiceNames<'a>(BTreeMap<u16, &'a str>);

impl<'a> ServiceNames<'a> {
    /// Those of the policy in force.
    pub fn of_status(status: &'a Status) -> Self {
        let services = status.policy.services.iter();
        Self(services.map(|s| (s.number, s.id.as_str())).collect())
    }

    /// Those of a plan.
    pub fn of_plan(plan: &'a Plan) -> Self {
        let services = plan.services.iter();
        Self(services.map(|s| (s.number, s.id.as_str())).collect())
    }

    /// The id of a number; `#17` for a number that has none, so that its traffic is still shown.
    pub fn id(&self, number: u16) -> Cow<'a, str> {
        match self.0.get(&number) {
            Some(id) => Cow::Borrowed(*id),
            None => Cow::Owned(format!("#{number}")),
        }
    }

    /// Every number with its id, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a str)> {
        self.0.iter().map(|(number, id)| (*number, *id))
    }
}

/// The word for a view in output and metrics: that of the program that serves it.
pub fn view_name(view: View) -> &'static str {
    match (view.side, view.hook) {
        (Side::Lan, Hook::Ingress) => programs::LAN_INGRESS,
        (Side::Lan, Hook::Egress) => programs::LAN_EGRESS,
        (Side::Wan, Hook::Ingress) => programs::WAN_INGRESS,
        (Side::Wan, Hook::Egress) => programs::WAN_EGRESS,
    }
}
