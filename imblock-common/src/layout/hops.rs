//! What is done about clients that go from port to port.

use bytemuck::{Pod, Zeroable};

use crate::Action;

/// When a host that was refused is on its way through the ports of a server. One entry a half.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct HopRule {
    /// How long after a refusal or a hop another port is one; at least 1.
    pub within_seconds: u32,
    /// How long a server stays shut.
    pub shut_seconds: u32,
    /// How many other ports are tried until the server is shut, 1 to [`crate::hops::AFTER_MAX`].
    pub after: u32,
    /// [`Action`]: what becomes of connections to a server that is shut.
    pub action: u32,
}

impl HopRule {
    /// Counts only: what holds when a policy says nothing.
    pub const COUNT: Self = Self {
        within_seconds: 30,
        shut_seconds: 300,
        after: 2,
        action: Action::Count as u32,
    };

    /// What becomes of connections to a server that is shut.
    #[inline(always)]
    pub const fn action(self) -> Action {
        Action::from_number((self.action & 0xff) as u8)
    }
}

impl Default for HopRule {
    fn default() -> Self {
        Self::COUNT
    }
}

const _: () = assert!(size_of::<HopRule>() == 16);
