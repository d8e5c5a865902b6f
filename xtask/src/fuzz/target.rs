//! What is done with an input: all that imblock does with a policy before it touches the box.
//!
//! Invariant: whatever the text, either all of this works or the errors say why. A panic ends the
//! process, and so ends the run.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::mem::discriminant;

use imblock::guard::Proof;
use imblock::policy::{self, Plan, Policy, PolicyErrors, ServiceNumbers, Source, Surroundings};

/// What came of an input.
pub(super) struct Fate {
    /// Whether it is a policy.
    pub(super) compiles: bool,
    /// Equal for inputs that went the same way, as far as can be told from outside.
    pub(super) mark: u64,
}

/// One in so many policies is held against the guard as well, which takes a hundred times as long.
const PROVED: u64 = 64;

pub(super) fn read(text: &str) -> Fate {
    match parsed(text).and_then(|policy| compiled(&policy).map(|plan| (policy, plan))) {
        Ok((policy, plan)) => {
            // What is printed means the same.
            let printed = policy.to_string();
            let again = parsed(&printed).and_then(|policy| compiled(&policy));
            let again = again.unwrap_or_else(|errors| fail(&printed, &errors.to_string()));
            if again.hash() != plan.hash() {
                fail(&printed, "it prints as another policy");
            }
            let mark = mark_of(&plan);
            if mark.is_multiple_of(PROVED) {
                let around = Surroundings::default();
                let proof = Proof::of(&plan, policy.protect(), &around, None);
                if let Err(error) = proof.holds() {
                    fail(text, &error.to_string());
                }
            }
            Fate {
                compiles: true,
                mark,
            }
        }
        Err(errors) => {
            let told = errors.report(80, false);
            if told.is_empty() || errors.to_string().is_empty() {
                fail(text, "it is refused without a word");
            }
            let mut mark = DefaultHasher::new();
            let mut kinds: Vec<u64> = errors
                .iter()
                .map(|error| {
                    let mut kind = DefaultHasher::new();
                    discriminant(error.kind()).hash(&mut kind);
                    // Which of the reader's own complaints.
                    let words = error.to_string();
                    words.get(..12).unwrap_or_default().hash(&mut kind);
                    kind.finish()
                })
                .collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds.hash(&mut mark);
            Fate {
                compiles: false,
                mark: mark.finish(),
            }
        }
    }
}

fn parsed(text: &str) -> Result<Policy, PolicyErrors> {
    policy::parse(Source::new("fuzz.yaml".to_owned(), text.to_owned()))
}

fn compiled(policy: &Policy) -> Result<Plan, PolicyErrors> {
    policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())
}

/// Which parts of a plan there are, and roughly how much of each.
fn mark_of(plan: &Plan) -> u64 {
    let size = |length: usize| length.checked_ilog2().unwrap_or(0);
    let mut mark = DefaultHasher::new();
    plan.flags().hash(&mut mark);
    for length in [
        plan.groups.len(),
        plan.prefixes.len(),
        plan.macs.len(),
        plan.remotes.len(),
        plan.names.len(),
        plan.services.len(),
        plan.origins.len(),
        plan.markers.tcp.len(),
        plan.markers.udp.len(),
        plan.stun_attributes.len(),
        plan.interfaces.len(),
        plan.warnings.len(),
    ] {
        size(length).hash(&mut mark);
    }
    mark.finish()
}

#[expect(clippy::panic, reason = "ends the run, which is what a finding does")]
fn fail(text: &str, what: &str) -> ! {
    panic!("{what}:\n{text}")
}
