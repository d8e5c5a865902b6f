//! Rules with `when` in a replay: those that held when the packets were captured.

use imblock_common::layout::ActionCell;
use jiff::Timestamp;

use super::MemoryTables;
use crate::policy::Timetable;

/// A policy's schedules on the way through a capture.
#[derive(Debug)]
pub(super) struct Schedules<'a> {
    timetable: &'a Timetable,
    /// When the cells are others; nothing was brought to the capture's time before the first frame.
    next: Next,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Now,
    At(Timestamp),
    Never,
}

impl<'a> Schedules<'a> {
    pub(super) fn of(timetable: &'a Timetable) -> Self {
        Self {
            timetable,
            next: match timetable.is_empty() {
                true => Next::Never,
                false => Next::Now,
            },
        }
    }

    /// Another capture, of another time.
    pub(super) fn begin(&mut self) {
        *self = Self::of(self.timetable);
    }

    /// Brings the tables to the time of a frame, in nanoseconds since 1970.
    pub(super) fn bring(&mut self, tables: &MemoryTables, nanoseconds: u64) {
        if matches!(self.next, Next::Never) {
            return;
        }
        let Ok(now) = Timestamp::from_nanosecond(i128::from(nanoseconds)) else {
            return;
        };
        if matches!(self.next, Next::At(next) if now < next) {
            return;
        }
        set_cells(self.timetable, tables, now);
        self.next = match self.timetable.next_change(now) {
            Some(next) => Next::At(next),
            None => Next::Never,
        };
    }
}

/// Brings the tables of a plan to an instant.
pub(crate) fn set_cells(timetable: &Timetable, tables: &MemoryTables, at: Timestamp) {
    for cell in timetable.cells_at(at) {
        let action = ActionCell::of_policy(cell.action);
        if cell.rate != 0 {
            tables.set_rate(cell.group, cell.service, cell.rate);
        }
        tables.set_action(cell.group, cell.service, action);
    }
}
