//! Where a host name lies in a frame, however its protocol writes it.

use crate::Bytes;

/// The most bytes of a name, a dot for each label included: 255 on the wire, less the root's zero
/// (RFC 1035 section 2.3.4).
pub const HOST_MAX: usize = 254;

/// A host name in a frame, with the byte in front of its first label: there, the wire has a length
/// or whatever comes before a text, and the reader of the name a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostName {
    /// Offset in the frame of the first byte behind the name.
    pub end: usize,
    /// Bytes of the name and the one in front of it, at most [`HOST_MAX`].
    pub length: usize,
    /// Which bytes stand for a dot: bit `n` is the byte `n` before the last. Dots further from the
    /// end than the bits reach are not told.
    pub dots: u64,
}

impl HostName {
    /// A name that is written as text, dots and all, in the `length` bytes before `end`. A last dot
    /// (the root) is left away. `None` when nothing remains, or too much.
    #[inline(always)]
    pub(crate) fn text<B: Bytes>(packet: B, end: usize, length: usize) -> Option<Self> {
        if length == 0 || length > HOST_MAX {
            return None;
        }
        // A sum with a negative part is settled before it is read at: the verifier follows no pointer
        // to before the packet.
        let [last] = packet.read::<1>(packet.settle(end.wrapping_sub(1))?)?;
        let root = usize::from(last == b'.');
        let name = length - root;
        if name == 0 || name >= HOST_MAX {
            return None;
        }
        Some(Self {
            end: end - root,
            length: name + 1,
            dots: if name < 64 { 1 << name } else { 0 },
        })
    }

    /// A name that is written as labels with their lengths in front. `None` for the root, and for
    /// what is longer than a name may be.
    #[inline(always)]
    pub(super) fn labels(end: usize, length: usize, dots: u64) -> Option<Self> {
        if length == 0 || length > HOST_MAX {
            None
        } else {
            Some(Self { end, length, dots })
        }
    }
}
