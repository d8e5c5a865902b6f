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

/// The capabilities that loading (`CAP_BPF`, `CAP_PERFMON` for pointer comparisons) and attaching
/// (`CAP_NET_ADMIN`) need, kernel 5.8; `CAP_SYS_ADMIN` covers the first two.
pub fn bpf_right() -> BpfRight {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    let mut missing = Vec::new();
    if !has(Capability::CAP_SYS_ADMIN) {
        missing.extend(
            [Capability::CAP_BPF, Capability::CAP_PERFMON]
                .into_iter()
                .filter(|c| !has(*c)),
        );
    }
    if !has(Capability::CAP_NET_ADMIN) {
        missing.push(Capability::CAP_NET_ADMIN);
    }
    if missing.is_empty() {
        BpfRight::Granted
    } else {
        BpfRight::Lacks(missing)
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
