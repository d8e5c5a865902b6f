//! What an instance must remember beyond the kernel's maps: the operator's toggles, and which
//! services its policy knows and which interfaces it names.
//!
//! Invariant: the file is replaced whole or not at all, and a file that can't be read is an error,
//! never an empty state.

mod document;
mod error;
mod files;
mod interrupted;
mod known;
mod schedules;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use imblock_common::Action;
use imblock_common::layout::ActionCell;
use serde::{Deserialize, Serialize};

pub use error::StateError;
pub(crate) use files::Prepared;
pub(crate) use interrupted::Interrupted;

use crate::kernel::{ActionChange, InstanceName, lease_end};
use crate::policy::Plan;
use crate::policy::plan::{InterfacePlan, LeasePlan, ServicePlan, action_name};
use crate::provenance::hexadecimal;

pub use schedules::KnownSchedules;

/// Environment variable that names another directory than `/var/lib/imblock`.
pub const STATE_VARIABLE: &str = "IMBLOCK_STATE_DIR";
const STATE_DIR: &str = "/var/lib/imblock";
/// The file that remembers.
const FILE: &str = "state.json";
/// How long a claim waits for others: [`StateDir::controller`] holds the lock while it looks.
const GLANCE: Duration = Duration::from_millis(200);

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The toggles in force, oldest first. A later one has its way over an earlier one.
    pub overrides: Vec<Override>,
    /// SHA-256 of the plan in force, in hexadecimal; none where an earlier version wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The same of the policy before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_policy: Option<String>,
    /// The services of the policy in force.
    pub services: Vec<KnownService>,
    /// Those of the policy before it, to which a rollback leads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<KnownService>,
    /// What the policy in force names to attach to, which need not be what is attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<InterfacePlan>,
    /// The same of the policy before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous_interfaces: Vec<InterfacePlan>,
    /// The schedules of policies that may be live, the latest first; at most two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<KnownSchedules>,
}

/// A toggle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Service id.
    pub service: String,
    /// Group name; none for all groups.
    pub group: Option<String>,
    /// What is done instead of what the policy says.
    #[serde(with = "action_name")]
    pub action: Action,
    /// Who set it.
    pub by: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// When it ends by itself, in seconds since 1970; none if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl Override {
    /// Whether its time is over.
    pub fn is_over(&self, now: u64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it is in force at a time, in seconds since 1970.
    pub fn holds_at(&self, at: i64) -> bool {
        holds_at(self.at, self.until, at)
    }
}

/// Whether what was set by hand at a time, until another, is in force at a third, all in seconds since
/// 1970.
pub fn holds_at(set: u64, until: Option<u64>, at: i64) -> bool {
    let at = u64::try_from(at).unwrap_or(0);
    set <= at && until.is_none_or(|until| until > at)
}

/// A service as the policy that was applied last describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownService {
    /// Its number in the tables.
    pub number: u16,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: String,
    /// Whether it is historic.
    pub historic: bool,
}

impl State {
    /// Remembers a toggle. One for all groups takes the place of every earlier one of the service.
    pub fn set(&mut self, new: Override) {
        self.forget(&new.service, new.group.as_deref());
        self.overrides.push(new);
    }

    /// Forgets the toggles of a service: all of them, or those of one group.
    pub fn forget(&mut self, service: &str, group: Option<&str>) {
        self.overrides.retain(|old| {
            old.service != service || (group.is_some() && old.group.as_deref() != group)
        });
    }

    /// Forgets the toggles of every service: all of them, or those of one group.
    pub fn forget_all(&mut self, group: Option<&str>) {
        self.overrides
            .retain(|old| group.is_some() && old.group.as_deref() != group);
    }

    /// Learns which services a policy knows and which interfaces it names that was just put in force. The
    /// plan may be to attach to others.
    pub fn learn(&mut self, plan: &Plan, interfaces: Vec<InterfacePlan>) {
        let services = plan.services.iter().map(KnownService::from).collect();
        self.previous_policy = self.policy.replace(hexadecimal(&plan.hash()));
        self.previous = std::mem::replace(&mut self.services, services);
        self.previous_interfaces = std::mem::replace(&mut self.interfaces, interfaces);
    }

    /// Follows the kernel back to the policy before.
    pub fn go_back(&mut self) {
        std::mem::swap(&mut self.policy, &mut self.previous_policy);
        std::mem::swap(&mut self.services, &mut self.previous);
        std::mem::swap(&mut self.interfaces, &mut self.previous_interfaces);
    }

    /// Whether it is known to tell of the policy with this hash.
    pub fn is_of(&self, hash: &[u8; 32]) -> bool {
        self.policy.as_deref() == Some(hexadecimal(hash).as_str())
    }

    /// Puts the toggles into a plan's cells. Those that name a service or group which the plan
    /// doesn't have are returned: they sleep until a policy has them again.
    pub fn put_into(&self, plan: &mut Plan) -> Vec<&Override> {
        let mut asleep = Vec::new();
        for toggle in &self.overrides {
            let Some(groups) = groups_of(toggle.group.as_deref(), &plan.groups) else {
                asleep.push(toggle);
                continue;
            };
            let Some(service) = plan.service(&toggle.service).map(|service| service.number) else {
                asleep.push(toggle);
                continue;
            };
            for group in groups {
                let row = plan.actions.get_mut(usize::from(group));
                if let Some(cell) = row.and_then(|row| row.0.get_mut(usize::from(service))) {
                    *cell = match toggle.until {
                        None => ActionCell(*cell).overridden(toggle.action).0,
                        Some(_) => ActionCell(*cell).leased(toggle.action).0,
                    };
                }
                if let Some(until) = toggle.until {
                    plan.leases.push(LeasePlan {
                        group,
                        service,
                        until,
                    });
                }
            }
        }
        asleep
    }

    /// The changes that bring the live cells of a service, in every group, to what the toggles say.
    pub fn changes(&self, service: &str, number: u16, groups: &[String]) -> Vec<ActionChange> {
        let all = groups_of(None, groups).unwrap_or_default();
        let mut changes: Vec<ActionChange> = all
            .map(|group| ActionChange {
                group,
                service: number,
                action: None,
                end: None,
            })
            .collect();
        for toggle in self
            .overrides
            .iter()
            .filter(|toggle| toggle.service == service)
        {
            for group in groups_of(toggle.group.as_deref(), groups).unwrap_or_default() {
                if let Some(change) = changes.get_mut(usize::from(group)) {
                    change.action = Some(toggle.action);
                    change.end = toggle.until.map(lease_end);
                }
            }
        }
        changes
    }

    /// The toggles of a service for all groups, which a lease for one group would outlive or end in:
    /// the kernel knows only the policy to go back to.
    pub fn is_set_for_all(&self, service: &str) -> bool {
        self.overrides
            .iter()
            .any(|toggle| toggle.service == service && toggle.group.is_none())
    }
}

/// The numbers of one group, or of all; none if there is no group of that name.
fn groups_of(name: Option<&str>, groups: &[String]) -> Option<std::ops::Range<u16>> {
    let count = u16::try_from(groups.len()).unwrap_or(u16::MAX);
    let Some(name) = name else {
        return Some(0..count);
    };
    let position = groups.iter().position(|group| group == name)?;
    let group = u16::try_from(position).ok()?;
    Some(group..group.saturating_add(1))
}

impl From<&ServicePlan> for KnownService {
    fn from(plan: &ServicePlan) -> Self {
        Self {
            number: plan.number,
            id: plan.id.clone(),
            name: plan.name.clone(),
            category: plan.category.clone(),
            historic: plan.historic,
        }
    }
}

/// The state directory of an instance.
#[derive(Clone, Debug)]
pub struct StateDir {
    dir: PathBuf,
}

/// Held while the instance is changed, so that two commands don't undo each other.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateDir {
    /// Of an instance, under the directory that the environment names.
    pub fn of(instance: &InstanceName) -> Self {
        let named = std::env::var_os(STATE_VARIABLE).filter(|named| !named.is_empty());
        let root = named.map_or_else(|| STATE_DIR.into(), PathBuf::from);
        Self {
            dir: root.join(instance.as_str()),
        }
    }

    /// Waits until no other command changes the instance.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.dir.join("lock");
        let file = self.open_lock(&path)?;
        file.lock()
            .map_err(|source| io_error(&path, "could not be locked", source))?;
        Ok(StateLock { _file: file })
    }

    /// The same without waiting; none while another command changes the instance.
    pub(crate) fn try_lock(&self) -> Result<Option<StateLock>, StateError> {
        let path = self.dir.join("lock");
        let file = self.open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StateLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io_error(&path, "could not be locked", source)),
        }
    }

    /// Claims the instance for a controller in the foreground.
    pub fn claim(&self) -> Result<StateLock, StateError> {
        let path = self.dir.join("controller");
        let mut file = self.open_lock(&path)?;
        let begin = Instant::now();
        while let Err(error) = file.try_lock() {
            match error {
                TryLockError::WouldBlock if begin.elapsed() < GLANCE => thread::sleep(GLANCE / 20),
                TryLockError::WouldBlock => {
                    return Err(StateError::Controlled {
                        pid: read_pid(&mut file),
                    });
                }
                TryLockError::Error(source) => {
                    return Err(io_error(&path, "could not be locked", source));
                }
            }
        }
        file.set_len(0)
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
            .map_err(|source| io_error(&path, "could not be written", source))?;
        Ok(StateLock { _file: file })
    }

    /// The controller in the foreground, if there is one.
    pub fn controller(&self) -> Option<u32> {
        let mut file = File::open(self.dir.join("controller")).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read_pid(&mut file),
            _ => None,
        }
    }

    /// Reads the state; a fresh one where nothing was ever remembered. Toggles whose time is over are
    /// not in it, and go from the file when it is written next.
    pub fn load(&self) -> Result<State, StateError> {
        let text = self.read(FILE)?;
        text.map_or_else(
            || Ok(State::default()),
            |text| document::parse(&self.path(), &text),
        )
    }

    /// Replaces the state: on the disk when this returns, the old one whole until then.
    pub fn store(&self, state: &State) -> Result<(), StateError> {
        self.prepare_state(state)?.commit()
    }

    /// Writes what is to be the state, without making it so.
    pub(crate) fn prepare_state(&self, state: &State) -> Result<Prepared, StateError> {
        let path = self.path();
        let text = document::write(&path, state)?;
        self.prepare(FILE, &text)
    }

    fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn open_lock(&self, path: &Path) -> Result<File, StateError> {
        fs::create_dir_all(&self.dir)
            .map_err(|source| io_error(&self.dir, "could not be made", source))?;
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| io_error(path, "could not be opened", source))
    }
}

/// What the wall clock says.
pub fn seconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn io_error(path: &Path, what: &'static str, source: io::Error) -> StateError {
    StateError::Io {
        path: path.to_owned(),
        what,
        source,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn toggle(service: &str, group: Option<&str>, action: Action) -> Override {
        Override {
            service: service.to_owned(),
            group: group.map(ToOwned::to_owned),
            action,
            by: "root".to_owned(),
            at: 1,
            until: None,
        }
    }

    fn groups() -> Vec<String> {
        vec!["everyone".to_owned(), "support".to_owned()]
    }

    fn actions(state: &State) -> Vec<Option<Action>> {
        state
            .changes("irc", 7, &groups())
            .iter()
            .map(|change| change.action)
            .collect()
    }

    #[test]
    fn a_later_toggle_has_its_way() {
        let mut state = State::default();
        state.set(toggle("irc", None, Action::Drop));
        assert_eq!(actions(&state), [Some(Action::Drop), Some(Action::Drop)]);
        state.set(toggle("irc", Some("support"), Action::Allow));
        assert_eq!(actions(&state), [Some(Action::Drop), Some(Action::Allow)]);
        state.set(toggle("irc", None, Action::Count));
        assert_eq!(actions(&state), [Some(Action::Count), Some(Action::Count)]);
        assert_eq!(state.overrides.len(), 1);
    }

    #[test]
    fn a_lease_is_put_into_cells_and_ends() {
        let lease = Override {
            until: Some(10),
            ..toggle("irc", Some("support"), Action::Drop)
        };
        assert!(!lease.is_over(9) && lease.is_over(10));
        assert!(!toggle("irc", None, Action::Drop).is_over(u64::MAX));
        let mut state = State::default();
        state.set(lease);
        assert!(!state.is_set_for_all("irc"));
        let changes = state.changes("irc", 7, &groups());
        let ends: Vec<_> = changes.iter().map(|change| change.end.is_some()).collect();
        assert_eq!(ends, [false, true]);
        state.set(toggle("irc", None, Action::Count));
        assert!(state.is_set_for_all("irc"));
        let changes = state.changes("irc", 7, &groups());
        assert!(changes.iter().all(|change| change.end.is_none()));
    }

    #[test]
    fn reset_forgets_one_group_or_all() {
        let mut state = State::default();
        state.set(toggle("irc", None, Action::Drop));
        state.set(toggle("irc", Some("support"), Action::Allow));
        state.set(toggle("msn", None, Action::Drop));
        state.forget("irc", Some("support"));
        assert_eq!(actions(&state), [Some(Action::Drop), Some(Action::Drop)]);
        state.forget("irc", None);
        assert_eq!(actions(&state), [None, None]);
        assert_eq!(state.overrides.len(), 1);
    }

    #[test]
    fn state_survives_the_disk_and_a_broken_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let dir = StateDir {
            dir: dir.path().join("main"),
        };
        assert_eq!(dir.load().unwrap(), State::default());
        let mut state = State::default();
        state.set(toggle("irc", Some("support"), Action::Drop));
        dir.store(&state).unwrap();
        assert_eq!(dir.load().unwrap(), state);
        fs::write(dir.path(), b"{\"version\":1,\"overrides\":[").unwrap();
        assert!(matches!(dir.load(), Err(StateError::Broken { .. })));
        fs::write(dir.path(), b"{\"version\":9,\"switches\":{}}").unwrap();
        assert!(matches!(
            dir.load(),
            Err(StateError::Later { found: 9, .. })
        ));
    }

    #[test]
    fn one_controller_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let dir = StateDir {
            dir: dir.path().to_owned(),
        };
        assert_eq!(dir.controller(), None);
        let held = dir.claim().unwrap();
        assert_eq!(dir.controller(), Some(std::process::id()));
        assert!(matches!(dir.claim(), Err(StateError::Controlled { .. })));
        drop(held);
        assert_eq!(dir.controller(), None);
    }
}
