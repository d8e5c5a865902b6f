//! Sets of service numbers.

use imblock_common::layout::SERVICES_MAX;

/// A set of service numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers([u64; SERVICES_MAX / 64]);

impl Numbers {
    pub(super) fn insert(&mut self, number: u16) {
        if let Some(word) = self.0.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }

    /// Takes out what is in `wanted`, and returns it.
    pub(super) fn take(&mut self, wanted: &Self) -> Self {
        let mut taken = Self::default();
        for ((mine, wanted), taken) in self.0.iter_mut().zip(wanted.0).zip(&mut taken.0) {
            *taken = *mine & wanted;
            *mine &= !wanted;
        }
        taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The numbers, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> {
        (0u16..).zip(self.0).flat_map(|(index, word)| {
            (0..64u16)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| index * 64 + bit)
        })
    }
}
