//! Patterns of bytes, as markers have them: `2a 01..05 ?? 0? 83|31`, or text.
//!
//! Invariant: a [`Pattern`] has at least one byte, and each of its places accepts at least one value.

use imblock_common::layout::Masked;
use serde::{Serialize, Serializer};

use super::marker_fault::MarkerFault;

/// Some of the 256 values of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// Every value.
    pub const ANY: Self = Self([u64::MAX; 4]);
    const NONE: Self = Self([0; 4]);

    /// One value.
    pub fn one(byte: u8) -> Self {
        (byte..=byte).collect()
    }

    /// Whether a value is in it.
    pub fn contains(&self, byte: u8) -> bool {
        let word = self.0.get(usize::from(byte) / 64);
        word.is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    /// How many values are in it.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether no value is in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// How much a match says, in bits.
    pub(super) fn bits(&self) -> u32 {
        8 - self.len().max(1).ilog2()
    }

    /// The least masked byte that has all of it.
    fn around(&self) -> MaskedByte {
        let values = (0..=u8::MAX).filter(|byte| self.contains(*byte));
        let (all, any) = values.fold((u8::MAX, 0), |(all, any), byte| (all & byte, any | byte));
        let mask = !(all ^ any);
        MaskedByte {
            value: all & mask,
            mask,
        }
    }

    fn and(self, other: Self) -> Self {
        let mut both = Self::NONE;
        for ((both, a), b) in both.0.iter_mut().zip(self.0).zip(other.0) {
            *both = a & b;
        }
        both
    }

    /// Both cases of each ASCII letter in it.
    fn folded(self) -> Self {
        let letters = (0..=u8::MAX).filter(|byte| self.contains(*byte));
        letters
            .flat_map(|byte| [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()])
            .collect()
    }

    /// The fewest values under a mask that together are this set, or nearly: each of them is the
    /// largest that is left.
    pub(super) fn masked(&self) -> Vec<MaskedByte> {
        // A value, a nibble, a letter of either case: the least around it is all of it.
        let around = self.around();
        if around.values() == *self {
            return vec![around];
        }
        // Each once, with what it accepts: by its least value, and the bits that are open above it.
        let bytes = (0..=u8::MAX).filter(|byte| self.contains(*byte));
        let mut candidates: Vec<(MaskedByte, Self)> = bytes
            .flat_map(|value| parts_of(!value).map(move |open| (value, !open)))
            .map(|(value, mask)| MaskedByte { value, mask })
            .map(|part| (part, part.values()))
            .filter(|(_, values)| values.and(*self) == *values)
            .collect();
        // In one order, so that the choice among equals is always the same.
        candidates.sort_by_key(|(part, _)| (part.mask, part.value));
        let mut missing = *self;
        let mut parts = Vec::new();
        while !missing.is_empty() {
            let mut best = (0, MaskedByte::default(), Self::NONE);
            for (part, values) in &candidates {
                let gain = values.and(missing).len();
                if gain > best.0 {
                    best = (gain, *part, *values);
                }
            }
            let (_, part, values) = best;
            parts.push(part);
            for (missing, value) in missing.0.iter_mut().zip(values.0) {
                *missing &= !value;
            }
        }
        parts
    }
}

impl FromIterator<u8> for ByteSet {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        let mut set = Self::NONE;
        for byte in bytes {
            if let Some(word) = set.0.get_mut(usize::from(byte) / 64) {
                *word |= 1 << (byte & 63);
            }
        }
        set
    }
}

/// A value of which only the bits of a mask matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MaskedByte {
    pub(super) value: u8,
    pub(super) mask: u8,
}

impl MaskedByte {
    fn values(self) -> ByteSet {
        let open = !self.mask;
        // Doubled for each open bit of the lower six, then put into each word that the upper two
        // leave.
        let low = (0..6).filter(|bit| open >> bit & 1 == 1);
        let word = low.fold(1 << (self.value & 63), |word: u64, bit| {
            word | word << (1_u32 << bit)
        });
        let mut values = ByteSet::NONE;
        for (number, place) in (0_u8..).zip(&mut values.0) {
            if (number << 6 ^ self.value) & self.mask & 0xc0 == 0 {
                *place = word;
            }
        }
        values
    }
}

/// Every choice among some bits.
fn parts_of(bits: u8) -> impl Iterator<Item = u8> {
    let next = move |part: &u8| match part.wrapping_sub(bits) & bits {
        0 => None,
        next => Some(next),
    };
    std::iter::successors(Some(0), next)
}

/// Puts a masked byte into words of eight at a place; nothing happens beyond them.
pub(super) fn put(words: &mut [Masked], place: usize, byte: MaskedByte) {
    if let Some(word) = words.get_mut(place / 8) {
        let shift = 8 * (place & 7);
        word.value |= u64::from(byte.value) << shift;
        word.mask |= u64::from(byte.mask) << shift;
    }
}

/// Bytes in a row, each of which may have some values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What was typed.
    typed: String,
    cells: Vec<ByteSet>,
}

impl Pattern {
    /// Reads `2a 01..05 ?? 0? 83|31`.
    pub fn bytes(typed: &str) -> Result<Self, MarkerFault> {
        let cells = typed.split_whitespace().map(cell);
        Self::of(typed, cells.collect::<Result<_, _>>()?)
    }

    /// Reads text in which `\r`, `\n`, `\t`, `\\` and `\x1f` stand for what they stand for everywhere.
    pub fn text(typed: &str, nocase: bool) -> Result<Self, MarkerFault> {
        let mut cells = Vec::new();
        let mut rest = typed.chars();
        while let Some(letter) = rest.next() {
            if letter != '\\' {
                let mut utf8 = [0; 4];
                let utf8 = letter.encode_utf8(&mut utf8);
                cells.extend(utf8.bytes().map(ByteSet::one));
                continue;
            }
            let byte = match rest.next() {
                Some('r') => Some(b'\r'),
                Some('n') => Some(b'\n'),
                Some('t') => Some(b'\t'),
                Some('\\') => Some(b'\\'),
                Some('x') => {
                    let digits: String = rest.by_ref().take(2).collect();
                    hex(&digits)
                }
                _ => None,
            };
            let byte = byte.ok_or_else(|| MarkerFault::BadEscape(typed.to_owned()))?;
            cells.push(ByteSet::one(byte));
        }
        if nocase {
            cells.iter_mut().for_each(|cell| *cell = cell.folded());
        }
        Self::of(typed, cells)
    }

    fn of(typed: &str, cells: Vec<ByteSet>) -> Result<Self, MarkerFault> {
        match cells.is_empty() {
            true => Err(MarkerFault::NoBytes),
            false => Ok(Self {
                typed: typed.to_owned(),
                cells,
            }),
        }
    }

    /// What each byte may be.
    pub fn cells(&self) -> &[ByteSet] {
        &self.cells
    }

    /// How much a match says, in bits.
    pub(super) fn bits_told(&self) -> u32 {
        self.cells.iter().map(ByteSet::bits).sum()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.typed)
    }
}

/// One byte of a pattern: alternatives, each a value, a range, or a value with any digit in it.
fn cell(typed: &str) -> Result<ByteSet, MarkerFault> {
    let bad = || MarkerFault::BadByte(typed.to_owned());
    let mut cell = ByteSet::NONE;
    for alternative in typed.split('|') {
        let values: ByteSet = match alternative.split_once("..") {
            Some((first, last)) => {
                let (first, last) = (hex(first).ok_or_else(bad)?, hex(last).ok_or_else(bad)?);
                if first > last {
                    return Err(MarkerFault::BackwardsRange(alternative.to_owned()));
                }
                (first..=last).collect()
            }
            None => digits(alternative).ok_or_else(bad)?.values(),
        };
        for (cell, values) in cell.0.iter_mut().zip(values.0) {
            *cell |= values;
        }
    }
    Ok(cell)
}

/// Two digits, each of which may be `?`.
fn digits(typed: &str) -> Option<MaskedByte> {
    let mut digits = typed.chars();
    let (Some(high), Some(low), None) = (digits.next(), digits.next(), digits.next()) else {
        return None;
    };
    let digit = |digit: char| match digit {
        '?' => Some((0, 0)),
        digit => Some((u8::try_from(digit.to_digit(16)?).ok()?, 0xf)),
    };
    let ((high, high_mask), (low, low_mask)) = (digit(high)?, digit(low)?);
    Some(MaskedByte {
        value: high << 4 | low,
        mask: high_mask << 4 | low_mask,
    })
}

fn hex(typed: &str) -> Option<u8> {
    digits(typed)
        .filter(|byte| byte.mask == u8::MAX)
        .map(|byte| byte.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_bytes_are_the_set() {
        for typed in [
            "2a",
            "??",
            "0?",
            "?0",
            "83|31",
            "01..05",
            "00..fe",
            "7f..81|0?",
        ] {
            let Ok(set) = cell(typed) else {
                unreachable!("{typed} is a byte");
            };
            let parts = set.masked();
            for byte in 0..=u8::MAX {
                let among = parts.iter().any(|part| part.values().contains(byte));
                assert_eq!(among, set.contains(byte), "{typed} {byte:02x}");
            }
        }
    }

    #[test]
    #[expect(clippy::indexing_slicing, reason = "tests")]
    fn few_masked_bytes_are_enough() {
        let parts = |typed: &str| cell(typed).map(|set| set.masked().len()).ok();
        assert_eq!(parts("2a"), Some(1));
        assert_eq!(parts("??"), Some(1));
        assert_eq!(parts("0?"), Some(1));
        assert_eq!(parts("83|31"), Some(2));
        assert_eq!(parts("01..05"), Some(3));
        let letter = Pattern::text("n", true).map(|text| text.cells()[0].masked().len());
        assert_eq!(letter.ok(), Some(1));
    }
}
