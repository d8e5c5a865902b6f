//! What an instance is and does at one moment, as plain data; `output` and `telemetry` render it.

use imblock_common::{Action, Side};

use crate::kernel::Unconfirmed;
use crate::policy::plan::{InterfacePlan, Limits};

/// An instance that is attached.
#[derive(Clone, Debug)]
pub struct Status {
    /// The instance's name.
    pub instance: String,
    /// Process id of the controller in the foreground; none after `imblock up`.
    pub controller: Option<u32>,
    /// The policy in force.
    pub policy: PolicyStatus,
    /// What is done about its schedules; none where it has none.
    pub schedules: Option<ScheduleStatus>,
    /// Where the programs are attached.
    pub interfaces: Vec<InterfaceStatus>,
    /// What the operator changed by hand, on top of the policy.
    pub overrides: Vec<OverrideStatus>,
    /// Sizes of the tables that hosts fill, as the maps have them.
    pub limits: Limits,
    /// Entries in the host tables now, both families.
    pub in_use: HostsInUse,
}

/// (host, service) pairs that have counters of their own. Whose traffic was counted both here and there is in
/// both figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostsInUse {
    /// In the room of [`Limits::hosts`].
    pub hosts: u32,
    /// In the places by address of [`Limits::inside`], which take nothing of that room.
    pub inside: u32,
}

/// The policy in force.
#[derive(Clone, Debug)]
pub struct PolicyStatus {
    /// Its name.
    pub name: String,
    /// SHA-256 of its plan, in hexadecimal.
    pub hash: String,
    /// How often a policy was applied since the maps were made.
    pub generation: u32,
    /// When it was applied, in seconds since 1970.
    pub applied_at: u64,
    /// Names of its groups, by number.
    pub groups: Vec<String>,
    /// Every service that has a number.
    pub services: Vec<ServiceStatus>,
    /// That it goes at a deadline unless it is confirmed.
    pub unconfirmed: Option<Unconfirmed>,
}

/// Whether the schedules of the policy in force are kept. Times are in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleStatus {
    /// Whether a controller keeps them.
    pub kept: bool,
    /// Since when something else is done than what they say; none if it is what they say.
    pub stale_since: Option<u64>,
    /// When they change next; none if never.
    pub next_change: Option<u64>,
}

/// What is done with a service now.
#[derive(Clone, Debug)]
pub struct ServiceStatus {
    /// Service number.
    pub number: u16,
    /// Service id.
    pub id: String,
    /// What is done, by group number.
    pub actions: Vec<Action>,
    /// What the policy alone says, by group number.
    pub policy: Vec<Action>,
}

/// An interface that is attached.
#[derive(Clone, Debug)]
pub struct InterfaceStatus {
    /// What was asked for.
    pub plan: InterfacePlan,
    /// What the interface is called now, if it was renamed since.
    pub renamed_to: Option<String>,
    /// `native`, `generic`, or `none` when the program is gone.
    pub xdp: &'static str,
    /// Whether the egress program is attached.
    pub egress: bool,
    /// By what: `tcx`, or `clsact` where the kernel has no TCX; none if it is not attached.
    pub egress_by: Option<&'static str>,
}

/// A toggle.
#[derive(Clone, Debug)]
pub struct OverrideStatus {
    /// Service id.
    pub service: String,
    /// Group name; none for all groups.
    pub group: Option<String>,
    /// What is done instead.
    pub action: Action,
    /// Who set it.
    pub by: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// When it ends by itself, in seconds since 1970; none if it does not.
    pub until: Option<u64>,
}

impl InterfaceStatus {
    /// The side of the interface.
    pub fn side(&self) -> Side {
        self.plan.side
    }

    /// Whether there is a program for what leaves it, or should be one.
    pub fn wants_egress(&self) -> bool {
        self.plan.egress || self.egress
    }

    /// What the interface is called now.
    pub fn name_now(&self) -> &str {
        self.renamed_to.as_ref().unwrap_or(&self.plan.name)
    }

    /// Its name, and the new one if it was renamed.
    pub fn names(&self) -> String {
        let name = &self.plan.name;
        match &self.renamed_to {
            None => name.clone(),
            Some(now) => format!("{name}, now {now}"),
        }
    }
}
