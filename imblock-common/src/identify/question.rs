//! The questions that a payload may be asked. In the kernel, each is a function that the verifier
//! walks once.

use super::{marker, name, stun};
use crate::content::{Reply, Scene};
use crate::{Packet, Tables};

/// A question about a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which name the client asks for.
    Name,
    /// Whose marker the payload bears.
    Marker,
    /// Whose STUN or TURN message it is.
    Stun,
}

impl Question {
    /// The answer.
    #[inline(always)]
    pub fn answer<P: Packet, T: Tables>(self, packet: P, scene: &Scene, tables: T) -> Reply {
        match self {
            Self::Name => name::find(packet, scene, tables).reply(),
            Self::Marker => marker::find(packet, scene, tables),
            Self::Stun => stun::find(packet, scene, tables).reply(),
        }
    }
}
