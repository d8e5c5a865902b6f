//! What this process may do and what this kernel can, asked before anything is loaded.

use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported};
use caps::{CapSet, Capability};

use super::KernelError;
use crate::status::InterfaceStatus;

/// Whether this process may use BPF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BpfRight {
    /// It may.
    Granted,
    /// It lacks these capabilities.
    Lacks(Vec<Capability>),
}

/// The capabilities that loading (`CAP_BPF`, `CAP_PERFMON` for pointer comparisons), attaching
/// (`CAP_NET_ADMIN`) and looking up a program by its id (`CAP_SYS_ADMIN`) need, kernel 5.8. Without the last
/// one nobody can tell whose program is attached, nor that the one at egress is there. It covers the first two.
const NEEDED: [Capability; 4] = [
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_SYS_ADMIN,
];

/// What this process has and lacks of them.
pub fn bpf_right() -> BpfRight {
    right_of(|capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false))
}

fn right_of(has: impl Fn(Capability) -> bool) -> BpfRight {
    let is_covered = |capability| {
        let of_bpf = matches!(capability, Capability::CAP_BPF | Capability::CAP_PERFMON);
        has(capability) || of_bpf && has(Capability::CAP_SYS_ADMIN)
    };
    let missing: Vec<_> = NEEDED.into_iter().filter(|c| !is_covered(*c)).collect();
    match missing.is_empty() {
        true => BpfRight::Granted,
        false => BpfRight::Lacks(missing),
    }
}

/// Refuses early and in words what the kernel would refuse late and with a number.
pub fn require_right() -> Result<(), KernelError> {
    match bpf_right() {
        BpfRight::Granted => Ok(()),
        BpfRight::Lacks(missing) => Err(KernelError::NoPermission {
            missing: missing
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// Refuses a kernel that lacks what the programs can't do without, before its verifier does so in
/// words that nobody understands.
pub(super) fn require_kernel() -> Result<(), KernelError> {
    // Whoever can't be asked is left to the verifier.
    let answer = is_helper_supported(ProgramType::Xdp, BpfHelper::BPF_FUNC_xdp_load_bytes);
    if matches!(answer, Ok(false)) {
        return Err(KernelError::Lacks {
            what: "frames in several buffers at XDP (bpf_xdp_load_bytes)",
            hint: "they came with Linux 5.18, and functions that are verified one by one \
                   with pointers as arguments, which the programs are made of, with 5.12; use \
                   Linux 6.12 or later",
        });
    }
    Ok(())
}

/// What this kernel makes imblock do in another way than newer ones, in words.
pub fn fallbacks(interfaces: &[InterfaceStatus]) -> Vec<String> {
    let filtered: Vec<&str> = interfaces
        .iter()
        .filter(|interface| interface.egress_by == Some("clsact"))
        .map(|interface| interface.plan.name.as_str())
        .collect();
    if filtered.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "kernel: no TCX (Linux 6.6 has it): what leaves by {} is seen by a filter of its clsact qdisc",
        filtered.join(", ")
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_that_is_needed_and_missing_is_named() {
        let lacks = |has: &[Capability]| right_of(|capability| has.contains(&capability));
        let [bpf, perfmon, net_admin, sys_admin] = NEEDED;
        assert_eq!(lacks(&[]), BpfRight::Lacks(NEEDED.to_vec()));
        assert_eq!(
            lacks(&[bpf, perfmon, net_admin]),
            BpfRight::Lacks(vec![sys_admin])
        );
        assert_eq!(lacks(&[sys_admin]), BpfRight::Lacks(vec![net_admin]));
        assert_eq!(
            lacks(&[perfmon]),
            BpfRight::Lacks(vec![bpf, net_admin, sys_admin])
        );
        assert_eq!(lacks(&[sys_admin, net_admin]), BpfRight::Granted);
        assert_eq!(lacks(&NEEDED), BpfRight::Granted);
    }
}
