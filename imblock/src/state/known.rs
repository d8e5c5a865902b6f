//! A service that is remembered, as a plan has it.

use super::KnownService;
use crate::policy::plan::ServicePlan;

impl From<&KnownService> for ServicePlan {
    fn from(known: &KnownService) -> Self {
        Self {
            number: known.number,
            id: known.id.clone(),
            name: known.name.clone(),
            category: known.category.clone(),
            historic: known.historic,
        }
    }
}
