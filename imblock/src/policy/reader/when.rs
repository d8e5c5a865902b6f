//! `when` of a rule.

use super::{Reader, values};
use crate::policy::document::{WhenDocument, WordsDocument};
use crate::policy::error_kind::PolicyErrorKind;
use crate::policy::schedule::{Days, Hours, Schedule, WhenFault, Zone};
use crate::policy::source::Placed;

impl Reader<'_> {
    /// The schedule of a rule; `None` and an error when it is none.
    pub(super) fn when(&mut self, document: &Placed<WhenDocument>) -> Option<Schedule> {
        let Placed { value: when, at } = document;
        if when.days.is_none() && when.hours.is_none() {
            self.fail(*at, WhenFault::Nothing.into());
            return None;
        }
        let errors = self.errors.len();
        let days = self.some("days", when.days.as_ref(), Days::parse);
        let hours = self.some("hours", when.hours.as_ref(), Hours::parse);
        let zone = self.optional(when.timezone.as_ref(), Zone::parse);
        (self.errors.len() == errors)
            .then(|| Schedule::new(&days, &hours, zone.unwrap_or_else(Zone::of_the_box)))
    }

    /// The meanings of a word or a list, which must not be empty.
    fn some<T>(
        &mut self,
        key: &'static str,
        words: Option<&Placed<WordsDocument>>,
        parse: impl Fn(&str) -> Result<T, PolicyErrorKind>,
    ) -> Vec<T> {
        let Some(Placed { value, at }) = words else {
            return Vec::new();
        };
        let words = value.words(*at);
        if words.is_empty() {
            self.fail(*at, PolicyErrorKind::EmptyList(key));
        }
        values(self.words(&words, parse))
    }
}
