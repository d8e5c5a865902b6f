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
    /// No name.
    pub const NONE: Self = Self {
        end: 0,
        length: 0,
        dots: 0,
    };

    /// Whether there is a name.
    #[inline(always)]
    pub const fn is_some(self) -> bool {
        self.length != 0
    }

    /// A name that is written as text, dots and all, in the `length` bytes before `end`. A last dot
    /// (the root) is left away. `None` when nothing remains, or too much.
    #[inline(always)]
    pub(crate) fn text<B: Bytes>(packet: B, end: usize, length: usize) -> Option<Self> {
        if length == 0 || length > HOST_MAX {
            return None;
        }
        // A sum with a negative part is settled before it is read at: the verifier follows no pointer
        // to before the packet.
        let [last] = packet.read::<1>(packet.bounded(end.wrapping_sub(1))?)?;
        let root = usize::from(last == b'.');
        let name = packet.bounded(length - root)?;
        if name == 0 || name >= HOST_MAX {
            return None;
        }
        Some(
            Self {
                end: packet.bounded(end - root)?,
                ..Self::NONE
            }
            .with_length(name + 1),
        )
    }

    /// The same, of so many bytes and written as text: only what is in front of it stands for a dot.
    #[inline(always)]
    const fn with_length(self, length: usize) -> Self {
        Self {
            end: self.end,
            length,
            dots: bit(length.wrapping_sub(1)),
        }
    }

    /// As [`HostName::settled`], of a name that is written as text.
    #[inline(always)]
    pub(crate) fn text_settled<B: Bytes>(self, bytes: B) -> Option<Self> {
        let name = Self {
            end: bytes.settle(self.end)?,
            ..Self::NONE
        };
        Some(name.with_length(bytes.settle(self.length)?))
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

    /// The same name, of which the verifier forgets how it was found: it walks what is done with names
    /// once, not once for each way to write them.
    #[inline(always)]
    pub(crate) fn settled<B: Bytes>(self, bytes: B) -> Option<Self> {
        Some(Self {
            end: bytes.settle(self.end)?,
            length: bytes.settle(self.length)?,
            dots: bytes.forget(self.dots),
        })
    }
}

/// The bit of a number, or none beyond 63. Without a branch: the verifier would follow both ways.
#[inline(always)]
const fn bit(number: usize) -> u64 {
    let number = number as u64;
    // All ones where the difference is negative.
    let within = (number.wrapping_sub(64).cast_signed() >> 63).cast_unsigned();
    (1 << (number & 63)) & within
}
