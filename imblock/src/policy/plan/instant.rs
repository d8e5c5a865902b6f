//! A plan at another instant: the cells that schedules decide, and nothing else.

use imblock_common::layout::{ActionCell, ActionRow};
use jiff::Timestamp;

use super::{CellOrigin, Plan};

impl Plan {
    /// The action table at an instant. Nothing is compiled again.
    pub fn cells_at(&self, at: Timestamp) -> Vec<ActionRow> {
        let mut rows = self.actions.clone();
        for timed in self.timetable.cells_at(at) {
            let row = rows.get_mut(usize::from(timed.group));
            if let Some(cell) = row.and_then(|row| row.0.get_mut(usize::from(timed.service))) {
                *cell = ActionCell::of_policy(timed.action).0;
            }
        }
        rows
    }

    /// Which rate each cell has at an instant; those that don't limit have any.
    fn rates_at(&self, at: Timestamp) -> Vec<ActionRow> {
        let mut rows = self.rate_rows.clone();
        let limited = self.timetable.cells_at(at);
        for timed in limited.iter().filter(|timed| timed.rate != 0) {
            let row = rows.get_mut(usize::from(timed.group));
            if let Some(cell) = row.and_then(|row| row.0.get_mut(usize::from(timed.service))) {
                *cell = timed.rate;
            }
        }
        rows
    }

    /// Makes it the plan of another instant: its cells, and where they come from. The hash stays.
    pub fn move_to(&mut self, at: Timestamp) {
        if self.timetable.is_empty() {
            return;
        }
        self.actions = self.cells_at(at);
        self.rate_rows = self.rates_at(at);
        self.origins = self.origins_at(at);
    }

    /// Where the cells of an instant come from.
    pub fn origins_at(&self, at: Timestamp) -> Vec<CellOrigin> {
        let mut origins = self.origins.clone();
        let timed = self.timetable.cells_at(at);
        let mut cells: Vec<(u16, u16)> = timed
            .iter()
            .map(|cell| (cell.group, cell.service))
            .collect();
        cells.sort_unstable();
        origins.retain(|origin| {
            cells
                .binary_search(&(origin.group, origin.service))
                .is_err()
        });
        origins.extend(timed.iter().filter_map(|cell| {
            let (rule, place) = cell.rule?;
            Some(CellOrigin {
                group: cell.group,
                service: cell.service,
                rule,
                place: place.to_owned(),
            })
        }));
        origins.sort_by_key(|origin| (origin.group, origin.service));
        origins
    }
}
