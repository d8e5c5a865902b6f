//! The Internet checksum, RFC 1071.

/// A sum in the making: of 16-bit words in network byte order, of which 65,536 fit.
#[derive(Clone, Copy)]
pub(super) struct Sum(u32);

impl Sum {
    pub(super) const NOTHING: Self = Self(0);

    #[inline(always)]
    #[must_use]
    pub(super) const fn word(self, word: u16) -> Self {
        Self(self.0.wrapping_add(word as u32))
    }

    #[inline(always)]
    #[must_use]
    pub(super) const fn pair(self, bytes: [u8; 2]) -> Self {
        self.word(u16::from_be_bytes(bytes))
    }

    #[inline(always)]
    #[must_use]
    pub(super) const fn quad(self, bytes: [u8; 4]) -> Self {
        let [a, b, c, d] = bytes;
        self.pair([a, b]).pair([c, d])
    }

    /// From [`Sum::total`].
    #[inline(always)]
    pub(super) const fn of(total: u32) -> Self {
        Self(total)
    }

    #[inline(always)]
    pub(super) const fn total(self) -> u32 {
        self.0
    }

    #[inline(always)]
    #[must_use]
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// The sum itself, as it stands in a checksum field that a network card is to finish.
    #[inline(always)]
    pub(super) const fn unfinished(self) -> [u8; 2] {
        let once = (self.0 & 0xffff) + (self.0 >> 16);
        let twice = (once & 0xffff) + (once >> 16);
        ((twice & 0xffff) as u16).to_be_bytes()
    }

    #[inline(always)]
    pub(super) const fn finished(self) -> [u8; 2] {
        let [high, low] = self.unfinished();
        [!high, !low]
    }
}
