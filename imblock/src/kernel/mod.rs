//! The live home of a policy: programs, maps and links in the kernel. The only module that knows
//! aya.
//!
//! An [`Instance`] is what `imblock up` leaves behind: maps and links pinned under a directory of
//! its own, so that enforcement and counters go on without a controller.

mod attach;
#[expect(unsafe_code, reason = "a system call that nobody wraps")]
mod batch;
mod clsact;
mod commit;
mod counters;
mod detach;
mod error;
mod features;
mod handshakes;
mod instance;
mod leases;
mod links;
#[expect(
    unsafe_code,
    reason = "memory that the kernel shares with this process"
)]
mod mapped;
mod maps;
mod netlink;
mod object;
mod pins;
mod probe;
mod read_back;
mod stages;
mod start;
mod tables;
mod tries;
#[expect(
    unsafe_code,
    reason = "aya wants an unsafe promise for each map type; this is the one place"
)]
mod wire;

pub use attach::Attachment;
pub use commit::Unconfirmed;
pub use error::KernelError;
pub use features::{BpfRight, bpf_right, fallbacks, require_right};
pub use handshakes::Handshakes;
pub use instance::Instance;
pub use leases::lease_end;
pub use maps::Maps;
pub use netlink::own_addresses;
pub use object::{Loaded, OBJECT, TestRun, table_sizes};
pub use pins::{BPFFS_VARIABLE, InstanceName, Pins};
pub use probe::{AttachedProgram, BY_POLICY, OWN_MAPS, Probe};
pub use stages::Tags;
pub use tables::{ActionChange, Live, LiveService};
