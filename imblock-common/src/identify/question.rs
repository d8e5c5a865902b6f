//! The questions that a payload may be asked. In the kernel, each is a function that the verifier
//! walks once.

use super::{name, stun};
use crate::content::{Finding, Scene};
use crate::{Bytes, Tables};

/// A question about a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which name the client asks for.
    Name,
    /// Whose STUN or TURN message it is.
    Stun,
}

impl Question {
    /// The answer.
    #[inline(always)]
    pub fn answer<B: Bytes, T: Tables>(self, bytes: B, scene: &Scene, tables: T) -> Finding {
        match self {
            Self::Name => name::find(bytes, scene, tables),
            Self::Stun => stun::find(bytes, scene, tables),
        }
    }
}
