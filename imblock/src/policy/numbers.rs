//! Service numbers: what the tables and counters call a service.

use std::collections::BTreeMap;

use imblock_common::layout::{Name, SERVICES_MAX};
use strum::{IntoStaticStr, VariantNames};

/// Which number each service id has.
///
/// Numbers are given once and never again to another service for as long as the maps live, or
/// counters would change their meaning under a reload. The kernel's own list of names
/// (`SERVICE_NAMES`) is where they survive a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceNumbers {
    by_id: BTreeMap<String, u16>,
}

/// Why a service got no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
pub enum NumberError {
    /// All numbers are taken.
    #[error("there are more than {} services, those of earlier policies included; `imblock down` forgets the earlier ones", SERVICES_MAX - 1)]
    Full,
    /// The id does not fit in a map.
    #[error("the service id `{0}` is longer than 32 bytes")]
    TooLong(String),
}

impl ServiceNumbers {
    /// The numbers that are in force: position in the list is the number, an empty name is free.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let by_id = names
            .into_iter()
            .enumerate()
            .filter(|(number, id)| *number != 0 && !id.is_empty())
            .filter_map(|(number, id)| Some((id.to_owned(), u16::try_from(number).ok()?)))
            .collect();
        Self { by_id }
    }

    /// The number of an id, a new one if it has none yet.
    pub fn assign(&mut self, id: &str) -> Result<u16, NumberError> {
        if let Some(number) = self.by_id.get(id) {
            return Ok(*number);
        }
        if Name::new(id).is_none() {
            return Err(NumberError::TooLong(id.to_owned()));
        }
        let next = self
            .by_id
            .values()
            .max()
            .copied()
            .unwrap_or(0)
            .saturating_add(1);
        if usize::from(next) >= SERVICES_MAX {
            return Err(NumberError::Full);
        }
        self.by_id.insert(id.to_owned(), next);
        Ok(next)
    }

    /// Every id with its number.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        self.by_id.iter().map(|(id, number)| (id.as_str(), *number))
    }
}
