//! The parts that several JSON documents share.

use std::io::{self, Write};

use imblock_common::layout::{Counts, HostRecord};
use serde::Serialize;

/// Version of every JSON document. Raised when a field goes away or changes its meaning; a new
/// field does not raise it.
pub const VERSION: u32 = 1;

/// What every document begins with.
#[derive(Debug, Serialize)]
pub struct Document<'a, T> {
    version: u32,
    instance: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

impl<'a, T: Serialize> Document<'a, T> {
    /// A document about an instance.
    pub fn new(instance: &'a str, body: &'a T) -> Self {
        Self {
            version: VERSION,
            instance,
            body,
        }
    }

    /// Writes it over several lines, for a document that stands alone.
    pub fn write_pretty(&self, to: &mut dyn Write) -> io::Result<()> {
        whole(serde_json::to_vec_pretty(self)?, to)
    }

    /// Writes it as one line, for a document that is one of a stream.
    pub fn write_line(&self, to: &mut dyn Write) -> io::Result<()> {
        whole(serde_json::to_vec(self)?, to)
    }
}

/// In one piece: standard output writes line by line, and a document can have a million lines.
fn whole(mut text: Vec<u8>, to: &mut dyn Write) -> io::Result<()> {
    text.push(b'\n');
    to.write_all(&text)
}

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Packets on the wire.
    pub packets: u64,
    /// Bytes from the link header on.
    pub bytes: u64,
}

/// Traffic by direction, as the local host sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BothWays {
    /// From the host.
    pub sent: Count,
    /// Towards the host.
    pub received: Count,
}

/// How much, how long, and how recently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// What went on.
    pub passed: BothWays,
    /// What did not.
    pub refused: BothWays,
    /// Seconds in which there was traffic.
    pub active_seconds: u32,
    /// Seconds since the latest traffic, to the second; none where no clock tells (a replay).
    pub idle_seconds: Option<u64>,
}

impl Count {
    /// The sum; stops at 2^64 - 1.
    pub fn plus(self, more: Self) -> Self {
        Self {
            packets: self.packets.saturating_add(more.packets),
            bytes: self.bytes.saturating_add(more.bytes),
        }
    }
}

impl From<Counts> for Count {
    fn from(counts: Counts) -> Self {
        Self {
            packets: counts.packets,
            bytes: counts.bytes,
        }
    }
}

impl BothWays {
    /// Both directions together.
    pub fn sum(self) -> Count {
        self.sent.plus(self.received)
    }
}

impl From<[Counts; 2]> for BothWays {
    /// From counts in the order of [`imblock_common::Direction`].
    fn from([sent, received]: [Counts; 2]) -> Self {
        Self {
            sent: sent.into(),
            received: received.into(),
        }
    }
}

impl Usage {
    /// What a record says at a moment of the monotonic clock, in nanoseconds; 0 for no clock.
    pub fn at(record: &HostRecord, taken_at: u64) -> Self {
        const SECOND: u64 = 1_000_000_000;
        let known = taken_at != 0 && record.active_seconds != 0;
        // A packet may come while the tables are read: never earlier than now.
        let idle = taken_at.saturating_sub(record.active_since) / SECOND;
        Self {
            passed: record.passed.into(),
            refused: record.refused.into(),
            active_seconds: record.active_seconds,
            idle_seconds: known.then_some(idle),
        }
    }

    /// All of it, passed and refused, both directions.
    pub fn total(&self) -> Count {
        self.passed.sum().plus(self.refused.sum())
    }
}
