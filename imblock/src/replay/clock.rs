//! The time in a capture, as far as it can be believed.
//!
//! Frames of several interfaces are a little out of order, and the clock waits until they have caught up:
//! if it went back, a second of a host would be counted twice. A time that is far from the others is either
//! a damaged one, or the time is another from there on: a gap, a clock that was set, two captures in one
//! file. The next frame tells which.

use std::time::Duration;

/// In nanoseconds, a minute: more than frames of one machine are out of order, and less than anything is
/// remembered of a flow.
const FAR: u64 = 60_000_000_000;

/// What a capture's clock shows, in nanoseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: Option<u64>,
    passed: u64,
}

/// The time of a frame, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// That of the frame before, or later.
    GoesOn(u64),
    /// Long before: what is remembered is of a time to come.
    BeginsAgain(u64),
}

impl Clock {
    /// Whether the next frame has to be heard before this time is believed.
    pub(super) fn doubts(&self, time: u64) -> bool {
        self.now.is_some_and(|now| now.abs_diff(time) > FAR)
    }

    /// The time of a doubtful frame: its own, unless the next frame is nearer to what the clock shows. At the
    /// end nothing speaks against it.
    pub(super) fn settle(&self, time: u64, next: Option<u64>) -> u64 {
        match (self.now, next) {
            (Some(now), Some(next)) if next.abs_diff(now) <= next.abs_diff(time) => now,
            _ => time,
        }
    }

    /// Brings the clock to the time of a frame that is believed.
    pub(super) fn advance(&mut self, time: u64) -> Time {
        let now = self.now.unwrap_or(time);
        if time < now && self.doubts(time) {
            self.now = Some(time);
            return Time::BeginsAgain(time);
        }
        let later = now.max(time);
        self.passed = self.passed.saturating_add(later - now);
        self.now = Some(later);
        Time::GoesOn(later)
    }

    /// How long the capture is: the time that passed between its frames.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_nanos(self.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1_700_000_000 * SECOND;

    fn clock() -> Clock {
        let mut clock = Clock::default();
        assert!(!clock.doubts(NOW));
        assert_eq!(clock.advance(NOW), Time::GoesOn(NOW));
        clock
    }

    #[test]
    fn it_waits_for_frames_out_of_order() {
        let mut clock = clock();
        for back in [1, SECOND, FAR] {
            assert!(!clock.doubts(NOW - back));
            assert_eq!(clock.advance(NOW - back), Time::GoesOn(NOW));
        }
        assert!(!clock.doubts(NOW + FAR));
        assert_eq!(clock.advance(NOW + FAR), Time::GoesOn(NOW + FAR));
        assert_eq!(clock.duration(), Duration::from_secs(60));
    }

    #[test]
    fn a_time_that_the_next_frame_contradicts_is_not_believed() {
        let clock = clock();
        for wrong in [0, NOW - FAR - 1, NOW + FAR + 1, u64::MAX] {
            assert!(clock.doubts(wrong));
            assert_eq!(clock.settle(wrong, Some(NOW + SECOND)), NOW);
            assert_eq!(clock.settle(wrong, Some(NOW)), NOW);
        }
    }

    #[test]
    fn a_time_that_goes_on_is_believed() {
        const HOUR: u64 = 3_600 * SECOND;
        let mut clock = clock();
        // A gap, and gaps that follow one another.
        for next in [Some(NOW + HOUR), Some(NOW + 3 * HOUR), None] {
            assert_eq!(clock.settle(NOW + HOUR, next), NOW + HOUR);
        }
        assert_eq!(clock.advance(NOW + HOUR), Time::GoesOn(NOW + HOUR));
        assert_eq!(clock.duration(), Duration::from_secs(3_600));
    }

    #[test]
    fn a_clock_that_was_set_back_begins_again() {
        let mut clock = clock();
        let before = NOW - 2 * FAR;
        assert_eq!(clock.settle(before, Some(before + SECOND)), before);
        assert_eq!(clock.advance(before), Time::BeginsAgain(before));
        assert!(!clock.doubts(before + SECOND));
        assert_eq!(
            clock.advance(before + SECOND),
            Time::GoesOn(before + SECOND)
        );
        assert_eq!(clock.duration(), Duration::from_secs(1));
    }

    #[test]
    fn no_time_overflows() {
        let mut clock = Clock::default();
        for time in [u64::MAX, 0, u64::MAX, 0, u64::MAX] {
            clock.advance(time);
        }
        assert_eq!(clock.duration(), Duration::from_nanos(u64::MAX));
    }
}
