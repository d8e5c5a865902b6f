//! What is promised of a packet's cost: a bar that must hold, and a stretch that would be good.

use super::Row;
use crate::bench::sheet::{Bound, Promise};

/// What a class is promised to be one of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Pledge {
    /// A listed port, dropped and counted by service and by host.
    Drop,
    /// Nothing matches: what all other traffic pays for imblock being there.
    Nothing,
    /// A packet of a flow that was told before, counted, from the cache.
    KnownFlow,
    /// The same among 16,000 flows.
    KnownFlows,
    /// A hello that is read whole, with the verdict and all that is written down.
    WholeName,
    /// The segment that completes a hello which began in the one before.
    SecondSegment,
}

/// In what a promise is counted.
#[derive(Clone, Copy)]
enum Measure {
    /// Over xdp-filter's cost of the same frame in the same run.
    Ratio,
    /// Nanoseconds over the empty program.
    Nanoseconds,
}

const PROMISES: [(Pledge, Measure, f64, &str); 8] = [
    (
        Pledge::Drop,
        Measure::Ratio,
        0.60,
        "listed port dropped, over xdp-filter",
    ),
    (
        Pledge::Drop,
        Measure::Ratio,
        0.45,
        "listed port dropped, over xdp-filter, stretch",
    ),
    (
        Pledge::Nothing,
        Measure::Ratio,
        0.60,
        "nothing matches, over xdp-filter",
    ),
    (
        Pledge::Nothing,
        Measure::Ratio,
        0.40,
        "nothing matches, over xdp-filter, stretch",
    ),
    (
        Pledge::KnownFlow,
        Measure::Nanoseconds,
        20.0,
        "known flow, counted, ns",
    ),
    (
        Pledge::KnownFlows,
        Measure::Nanoseconds,
        45.0,
        "known flow of 16,000, counted, ns",
    ),
    (
        Pledge::WholeName,
        Measure::Nanoseconds,
        110.0,
        "whole name and verdict among 1,000 names, ns",
    ),
    (
        Pledge::SecondSegment,
        Measure::Nanoseconds,
        150.0,
        "second segment of a split hello, ns",
    ),
];

/// Each promise, by the class that comes closest to breaking it. What no measured class is about is
/// left out; what is about a peer that is not there stays without a figure.
pub(super) fn of(rows: &[Row]) -> Vec<Promise> {
    let mut promises = Vec::new();
    for (pledge, measure, limit, what) in PROMISES {
        let pledged: Vec<_> = rows
            .iter()
            .filter(|row| row.pledge == Some(pledge))
            .collect();
        if pledged.is_empty() {
            continue;
        }
        let figures = pledged.into_iter().filter_map(|row| {
            let figure = match measure {
                Measure::Ratio => row.ratio()?,
                Measure::Nanoseconds => row.ours,
            };
            Some((figure, row.class))
        });
        let worst = figures.max_by(|(a, _), (b, _)| a.total_cmp(b));
        promises.push(Promise {
            what: worst.map_or(what.to_owned(), |(_, class)| format!("{what} ({class})")),
            bound: Bound::AtMost(limit),
            figure: worst.map(|(figure, _)| figure),
        });
    }
    promises
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(class: &'static str, pledge: Pledge, ours: f64, xdp_filter: Option<f64>) -> Row {
        Row {
            class,
            pledge: Some(pledge),
            empty: 9.0,
            ours,
            quartiles: [ours, ours],
            xdp_filter,
            instructions: 0,
        }
    }

    #[test]
    fn the_worst_class_decides_about_a_promise() {
        let rows = [
            row("a", Pledge::Drop, 10.0, Some(20.0)),
            row("b", Pledge::Drop, 11.0, Some(20.0)),
            row("c", Pledge::Drop, 40.0, None),
        ];
        let kept: Vec<_> = of(&rows)
            .into_iter()
            .map(|promise| (promise.is_kept(), promise.what.contains("(b)")))
            .collect();
        assert_eq!(kept, [(Some(true), true), (Some(false), true)]);
    }

    #[test]
    fn without_a_peer_a_ratio_stays_open_and_nanoseconds_do_not() {
        let rows = [
            row("a", Pledge::Nothing, 10.0, None),
            row("b", Pledge::WholeName, 111.0, None),
        ];
        let kept: Vec<_> = of(&rows).iter().map(Promise::is_kept).collect();
        assert_eq!(kept, [None, None, Some(false)]);
    }
}
