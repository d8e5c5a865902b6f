//! What a command left that was killed between two of its steps: new files that were written down before the
//! kernel was changed, and did not take the places of the old ones after.
//!
//! Invariant: which of the two states is true is not guessed. The kernel knows which policy it has, and what its
//! cells do.

use super::document::parse;
use super::files::new_name;
use super::{FILE, Prepared, State, StateDir, StateError, StateLock};

/// The files of an intent, in the order in which they are to count.
const FILES: [&str; 2] = [crate::provenance::FILE, FILE];

/// Two states, of which one is true.
#[derive(Debug)]
pub(crate) struct Interrupted {
    /// What was remembered before.
    pub(crate) before: State,
    /// What the command was about to do.
    pub(crate) after: State,
}

impl StateDir {
    /// Whether there is something that a command is about to do, or was.
    pub(crate) fn is_amid_a_change(&self) -> bool {
        self.dir.join(new_name(FILE)).exists()
    }

    /// What a command left that is gone; under the lock, for otherwise it is of one that is at work. What was not
    /// written to its end was not begun in the kernel, and is removed.
    pub(crate) fn interrupted(&self, lock: &StateLock) -> Result<Option<Interrupted>, StateError> {
        let Some(text) = self.read(&new_name(FILE))? else {
            self.drop_interrupted(lock);
            return Ok(None);
        };
        let after = match parse(&self.dir.join(new_name(FILE)), &text) {
            Ok(after) => after,
            Err(StateError::Broken { .. }) => {
                self.drop_interrupted(lock);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let before = self.load()?;
        Ok(Some(Interrupted { before, after }))
    }

    /// The kernel is as it was before: so is what is remembered.
    pub(crate) fn drop_interrupted(&self, _lock: &StateLock) {
        // What is prepared and not committed removes itself.
        drop(FILES.map(|name| self.beside(name)));
    }

    /// The kernel has done it: it counts.
    pub(crate) fn finish_interrupted(&self, _lock: &StateLock) -> Result<(), StateError> {
        let there = |name: &&str| self.dir.join(new_name(name)).exists();
        let left = FILES.into_iter().filter(there);
        left.map(|name| self.beside(name))
            .try_for_each(Prepared::commit)
    }
}

impl Interrupted {
    /// Whether the policy in force is the one that the command was about to put there; none where both states
    /// tell of the same one, and only what was set by hand may be different.
    pub(crate) fn is_policy_changed(&self, live: &[u8; 32]) -> Option<bool> {
        if self.before.policy == self.after.policy {
            return None;
        }
        // An earlier version's state does not say what it is of: it is the one that is left.
        let is_unknown = self.after.policy.is_none() && !self.before.is_of(live);
        Some(self.after.is_of(live) || is_unknown)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    fn state(policy: Option<u8>) -> State {
        State {
            policy: policy.map(|byte| crate::provenance::hexadecimal(&[byte; 32])),
            ..State::default()
        }
    }

    #[test]
    fn the_policy_in_force_says_which_state_is_true() {
        let told = |before, after| {
            let interrupted = Interrupted {
                before: state(before),
                after: state(after),
            };
            interrupted.is_policy_changed(&[2; 32])
        };
        assert_eq!(told(Some(1), Some(2)), Some(true));
        assert_eq!(told(Some(2), Some(1)), Some(false));
        assert_eq!(told(Some(2), Some(2)), None);
        // Of the one before, nothing is known.
        assert_eq!(told(None, Some(2)), Some(true));
        assert_eq!(told(None, Some(1)), Some(false));
        assert_eq!(told(Some(2), None), Some(false));
        assert_eq!(told(Some(1), None), Some(true));
        // A start that failed, over the state of an earlier life.
        assert_eq!(told(Some(1), Some(3)), Some(false));
    }

    #[test]
    fn what_was_not_written_to_its_end_is_removed_and_what_was_can_count() {
        let home = tempfile::tempdir().unwrap();
        let dir = StateDir {
            dir: home.path().to_owned(),
        };
        let lock = dir.lock().unwrap();
        dir.store(&state(Some(1))).unwrap();
        let new = dir.dir.join("state.json.new");
        assert!(dir.interrupted(&lock).unwrap().is_none());
        fs::write(dir.dir.join("origins.json.new"), "{").unwrap();
        fs::write(&new, "{\"version\": 2, \"overr").unwrap();
        assert!(dir.is_amid_a_change());
        assert!(dir.interrupted(&lock).unwrap().is_none());
        assert!(!dir.is_amid_a_change() && !dir.dir.join("origins.json.new").exists());

        std::mem::forget(dir.prepare_state(&state(Some(2))).unwrap());
        let interrupted = dir.interrupted(&lock).unwrap().unwrap();
        assert_eq!(
            (interrupted.before, interrupted.after),
            (state(Some(1)), state(Some(2)))
        );
        dir.finish_interrupted(&lock).unwrap();
        assert_eq!(dir.load().unwrap(), state(Some(2)));
        assert!(!dir.is_amid_a_change());
    }
}
