//! What this process may do and what this kernel can, asked before anything is loaded.

use caps::{CapSet, Capability};

use super::KernelError;

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
