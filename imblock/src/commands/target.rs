//! The instance that a command is about: its kernel side, its state, and the two held together.

use std::net::IpAddr;
use std::path::PathBuf;

use imblock_common::Transport;
use imblock_common::layout::{ActionCell, PolicyHeader};
use jiff::Timestamp;

use super::say::say;
use super::{CommandError, interrupted};
use crate::cli::Listen;
use crate::guard::{Proof, Session};
use crate::kernel::{Instance, InstanceName, own_addresses, require_right};
use crate::policy::plan::{InterfacePlan, ServicePlan};
use crate::policy::{self, Plan, Policy, PolicySource, STDIN, ServiceNumbers, Surroundings};
use crate::provenance::{self, Provenance};
use crate::state::{Prepared, State, StateDir, StateLock};
use crate::status::{OverrideStatus, PolicyStatus, ServiceStatus, Status};

/// The port of SSH, which leads to the box in most places.
const SSH: u16 = 22;
/// The port of /metrics, where the command line does not say another.
pub(super) const METRICS: u16 = 9863;

/// An instance by name, up or not.
pub(super) struct Target {
    pub(super) name: InstanceName,
    pub(super) state: StateDir,
}

/// The plan in force.
pub(super) struct LivePlan {
    /// Its tables, toggles included.
    pub(super) plan: Plan,
    /// Its header.
    pub(super) header: PolicyHeader,
    /// Where its cells come from, if that was written down.
    pub(super) provenance: Option<Provenance>,
}

/// What is written down before the kernel is changed, and counts from when that is done: who can't write
/// changes nothing.
#[must_use]
pub(super) struct Intent(Vec<Prepared>);

impl Intent {
    /// The kernel does it now.
    pub(super) fn commit(self) -> Result<(), CommandError> {
        let mut files = self.0.into_iter();
        files
            .try_for_each(Prepared::commit)
            .map_err(CommandError::NotWrittenDown)
    }
}

impl Target {
    pub(super) fn new(name: InstanceName) -> Self {
        let state = StateDir::of(&name);
        Self { name, state }
    }

    /// Waits until no other command changes the instance, and takes up what one left that was killed. Asks
    /// for the right to BPF first: who lacks it should hear of that, and not of a directory.
    pub(super) fn lock(&self) -> Result<StateLock, CommandError> {
        require_right()?;
        let lock = self.state.lock()?;
        interrupted::take_up(self, &lock);
        Ok(lock)
    }

    /// Claims the instance for this process, as its controller.
    pub(super) fn claim(&self) -> Result<StateLock, CommandError> {
        require_right()?;
        Ok(self.state.claim()?)
    }

    /// Opens the instance, for a command that only looks at it.
    pub(super) fn open(&self) -> Result<Instance, CommandError> {
        let instance = Instance::open(&self.name)?;
        if instance.maps.is_overdue()? {
            let lock = self.lock()?;
            match self.open_under(&lock) {
                // The kernel has gone back all the same, and looking takes no room on a disk.
                Err(CommandError::NotWritable(_)) => {}
                settled => return settled,
            }
        } else if self.state.is_amid_a_change()
            // What another command is about to do is that one's.
            && let Ok(Some(lock)) = self.state.try_lock()
        {
            interrupted::take_up(self, &lock);
        }
        Ok(instance)
    }

    /// Opens the instance, for a command that changes it. If a policy was not confirmed in time, the
    /// kernel has gone back to the one before: that is written down here, and said.
    pub(super) fn open_under(&self, _lock: &StateLock) -> Result<Instance, CommandError> {
        let mut instance = Instance::open(&self.name)?;
        if !instance.maps.is_overdue()? {
            return Ok(instance);
        }
        let mut state = self.state.load()?;
        // Somebody may have been killed who wrote it down already.
        if !state.is_of(&instance.maps.header()?.hash) {
            state.go_back();
        }
        let intent = self.intend(&state)?;
        if let Some(rejected) = instance.maps.settle()? {
            intent.commit()?;
            let header = instance.maps.live()?.header;
            say(format_args!(
                "generation {rejected} was not confirmed in time: policy {}, generation {}, is in \
                 force again",
                header.name.as_str(),
                header.generation
            ));
        }
        Ok(instance)
    }

    /// Writes down that the policy before is to be the one in force.
    pub(super) fn intend_back(&self) -> Result<Intent, CommandError> {
        let mut state = self.state.load()?;
        state.go_back();
        self.intend(&state)
    }

    /// The plan of a policy for this box, toggles included; proved to leave alone what is guarded. If the
    /// instance is up, the service numbers are those in force, and the ports through which others reach
    /// the box stay guarded: the controller's /metrics, and the sessions of earlier commands.
    pub(super) fn plan(&self, policy: &Policy, listen: Listen) -> Result<Plan, CommandError> {
        let session = Session::here();
        let at = Timestamp::now();
        let mut surroundings = surroundings(own_addresses()?, listen, session.as_ref(), at);
        let mut numbers = ServiceNumbers::default();
        if let Some(instance) = Instance::open_if_up(&self.name)? {
            numbers = instance.maps.service_numbers()?;
            let ports = &mut surroundings.management_ports;
            ports.extend(instance.maps.management_ports()?);
            ports.sort_unstable();
            ports.dedup();
        }
        let plan = policy.compile(&mut numbers, &surroundings)?;
        policy.try_out(&plan, at)?;
        Proof::of(&plan, policy.protect(), &surroundings, session.as_ref()).holds()?;
        Ok(plan)
    }

    /// Writes down which services a policy knows that is to be put in force, for selectors such as
    /// `category:im`, which rules its cells come from, and which interfaces it names: those of the plan, or
    /// others if the command line has named those.
    pub(super) fn remember(
        &self,
        state: &mut State,
        plan: &Plan,
        interfaces: Vec<InterfacePlan>,
    ) -> Result<Intent, CommandError> {
        state.learn(plan, interfaces);
        state.remember_schedules(plan, Timestamp::now());
        let origins = provenance::prepare(&self.state, plan);
        let origins = origins.map_err(CommandError::NotWritable)?;
        let mut intent = self.intend(state)?;
        intent.0.insert(0, origins);
        Ok(intent)
    }

    /// Writes down a state to which the kernel is to be brought.
    pub(super) fn intend(&self, state: &State) -> Result<Intent, CommandError> {
        let state = self.state.prepare_state(state);
        Ok(Intent(vec![state.map_err(CommandError::NotWritable)?]))
    }

    /// The plan that is in force, as the kernel has it, with what was written down about it.
    pub(super) fn live(&self, instance: &Instance) -> Result<LivePlan, CommandError> {
        let (mut plan, header) = instance.maps.plan()?;
        let state = self.state.load()?;
        if !state.services.is_empty() {
            // Services of earlier policies keep their numbers, and are none of this one's.
            plan.services = state.services.iter().map(ServicePlan::from).collect();
        }
        let schedules = state.schedules_of(&header.hash);
        if let Some(known) = schedules {
            plan.timetable = known.timetable.clone();
        }
        let mut provenance = provenance::recall(&self.state, &header.hash)?;
        if let Some(provenance) = &mut provenance {
            plan.origins.clone_from(&provenance.origins);
            // What was written down is of the instant at which the policy was applied.
            if let Some(known) = schedules {
                let as_of = Timestamp::from_second(known.as_of).unwrap_or_default();
                plan.origins = plan.origins_at(as_of);
                provenance.origins.clone_from(&plan.origins);
            }
        }
        Ok(LivePlan {
            plan,
            header,
            provenance,
        })
    }

    /// Brings the plan in force to another instant: what its schedules and what is set by hand say
    /// then. The kernel goes on as it does.
    pub(super) fn move_to(&self, live: &mut LivePlan, at: Timestamp) -> Result<(), CommandError> {
        for cell in live.plan.actions.iter_mut().flat_map(|row| &mut row.0) {
            *cell = ActionCell(*cell).reset().0;
        }
        live.plan.move_to(at);
        if let Some(provenance) = &mut live.provenance {
            provenance.origins.clone_from(&live.plan.origins);
        }
        let mut state = self.state.load()?;
        state
            .overrides
            .retain(|toggle| toggle.holds_at(at.as_second()));
        for toggle in &mut state.overrides {
            // That it ends is a matter of the kernel's clock, which goes on as well.
            toggle.until = None;
        }
        state.put_into(&mut live.plan);
        Ok(())
    }

    /// What is set by hand, the oldest first.
    pub(super) fn overrides(&self) -> Result<Vec<OverrideStatus>, CommandError> {
        Ok(overrides(&self.state.load()?))
    }

    /// What the instance is and does now.
    pub(super) fn status(&self, instance: &Instance) -> Result<Status, CommandError> {
        let live = instance.maps.live()?;
        let state = self.state.load()?;
        let controller = self.state.controller();
        let schedules = state
            .schedules_of(&live.header.hash)
            .map(|known| known.status(controller.is_some(), Timestamp::now()));
        let services = live
            .services
            .iter()
            .map(|service| ServiceStatus {
                number: service.number,
                id: service.id.clone(),
                actions: service.cells.iter().map(|cell| cell.action()).collect(),
                policy: service.cells.iter().map(|cell| cell.policy()).collect(),
            })
            .collect();
        Ok(Status {
            instance: self.name.to_string(),
            controller,
            policy: PolicyStatus {
                name: live.header.name.as_str().to_owned(),
                hash: live
                    .header
                    .hash
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
                generation: live.header.generation,
                applied_at: live.header.applied_at,
                groups: live.groups,
                services,
                unconfirmed: instance.maps.unconfirmed()?,
            },
            interfaces: instance.interfaces()?,
            schedules,
            overrides: self.overrides()?,
            limits: instance.maps.limits()?,
            in_use: instance.maps.hosts_in_use()?,
        })
    }
}

/// Reads a policy. Once for each command, for another reading may find another one, or nothing more in a
/// pipe; and not under the lock, for a pipe may have nothing to say for long.
pub(super) fn read(policy: &str) -> Result<Policy, CommandError> {
    Ok(policy::load(&PolicySource::parse(policy))?)
}

/// The same for the controller, whose loop nobody may hold up.
pub(super) fn read_at_once(policy: &str) -> Result<Policy, CommandError> {
    Ok(policy::load_at_once(&PolicySource::parse(policy))?)
}

/// Refuses a command line that reads the standard input more than once: it says its text once.
pub(super) fn refuse_stdin_twice<'a>(
    policies: impl IntoIterator<Item = &'a str>,
    captures: &[PathBuf],
) -> Result<(), CommandError> {
    let policies = policies.into_iter().filter(|policy| *policy == STDIN);
    let captures = captures
        .iter()
        .filter(|capture| capture.as_os_str() == STDIN);
    match policies.count() + captures.count() {
        0 | 1 => Ok(()),
        _ => Err(CommandError::StdinTwice),
    }
}

/// A plan that needs no instance: catalogue numbers, and nothing known of the box.
pub(super) fn plan_of_nowhere(policy: &str) -> Result<Plan, CommandError> {
    let policy = read(policy)?;
    Ok(policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())?)
}

/// Who gives this command, for the record.
pub(super) fn operator() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|variable| std::env::var(variable).ok())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// What a plan must know of the box: its addresses, and the ports through which the operator reaches
/// it: SSH, the session that this command was typed in, and /metrics if others can reach it.
pub(super) fn surroundings(
    mut own: Vec<IpAddr>,
    listen: Listen,
    session: Option<&Session>,
    at: Timestamp,
) -> Surroundings {
    let mut ports = vec![SSH];
    if let Some(session) = session {
        own.push(session.server.ip());
        ports.push(session.server.port());
    }
    if let Listen::At(address) = listen
        && !is_loopback(address.ip())
    {
        ports.push(address.port());
    }
    ports.sort_unstable();
    ports.dedup();
    Surroundings {
        own,
        management_ports: ports
            .into_iter()
            .map(|port| (Transport::Tcp, port))
            .collect(),
        at: Some(at),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn overrides(state: &State) -> Vec<OverrideStatus> {
    state
        .overrides
        .iter()
        .map(|toggle| OverrideStatus {
            service: toggle.service.clone(),
            group: toggle.group.clone(),
            action: toggle.action,
            by: toggle.by.clone(),
            at: toggle.at,
            until: toggle.until,
        })
        .collect()
}
